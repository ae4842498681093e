"""Whose fault an inconsistency is: found by forgetting one input at a time and asking the rule what it should be."""
from ..ops.record import show


def blame(rule, p, ins, outs, labels, variable):
    """A line ``expected weight: (3, 10), given: (3, 11)`` for a call that `rule` refuses, or ''.

    `ins`, `outs`: what is known; `variable[i]`: input i is a variable, which a user gave. An input is to blame where
    the rule accepts the others and then says completely what this one has to be; a variable before a result, and among
    variables the last, since data comes first and parameters fit themselves to it.
    """
    found = []
    for i, given in enumerate(ins):
        if given is None:
            continue
        others = list(ins)
        others[i] = None
        try:
            expected = rule(p, others, list(outs))[0][i]
        except Exception:                   # it is not this one alone, or the rule cannot do without it
            continue
        if expected is None or expected == given or (not isinstance(expected, str) and None in expected):
            continue
        found.append((variable[i], i, expected))
    if not found:
        return ""
    _, i, expected = max(found)

    def text(x):
        return x if isinstance(x, str) else show(tuple(x))
    return f"\n  expected {labels[i]}: {text(expected)}, given: {text(ins[i])}"
