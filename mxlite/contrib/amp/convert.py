"""From a float32 graph to one of mixed precision: casts where operators of different precision meet."""
from ..._core.dtypes import FLAG
from ..._core.graph import Indexed, Node, states_of, topological
from ..._core.infer import infer_dtypes
from ...ops.record import REGISTRY, brief
from ...symbol.inference import named
from . import lists


class Rules:
    """Which operators run in what: the lists of `target_dtype`, or those given instead, checked against each other.

    ops: list of names; conditional_fp32_ops: list of (operator, parameter, list of values as text); excluded: list of
    names of nodes that stay float32. AssertionError for an argument of another type, for an operator in two lists and
    for one that can not be in any.
    """

    def __init__(self, target_dtype="float16", target_dtype_ops=None, fp32_ops=None, conditional_fp32_ops=None,
                 excluded_sym_names=None):
        self.target = dtype = lists.target(target_dtype)
        low = self._names("target_dtype_ops", target_dtype_ops, lists.LOW_OPS[dtype])
        wide = self._names("fp32_ops", fp32_ops, lists.FP32_OPS[dtype])
        conditions = self._conditions(conditional_fp32_ops)
        self.excluded = set(self._names("excluded_sym_names", excluded_sym_names, []))
        conditional = [op for op, _, _ in conditions]
        for (a, ops_a), (b, ops_b) in ((("target_dtype_ops", low), ("fp32_ops", wide)),
                                       (("target_dtype_ops", low), ("conditional_fp32_ops", conditional)),
                                       (("conditional_fp32_ops", conditional), ("fp32_ops", wide))):
            common = sorted({*ops_a} & {*ops_b})
            if common:
                raise AssertionError(f"operators can not be in two lists: {', '.join(common)} in {a} and {b}")
        allowed = {*lists.LOW_OPS[dtype], *lists.FP32_OPS[dtype], *lists.EITHER_OPS[dtype],
                   *(op for op, _, _ in lists.CONDITIONAL_OPS)}
        strangers = sorted({*low, *wide, *conditional} - allowed)
        if strangers:
            raise AssertionError(f"{', '.join(strangers)}: the precision can be chosen of operators in "
                                 "amp.list_lp16_ops, list_fp32_ops, list_lp16_fp32_ops and list_conditional_fp32_ops")
        self.low, self.wide, self.widest = set(low), set(wide), set(lists.WIDEST_OPS[dtype])
        self.conditions = conditions

    @staticmethod
    def _names(what, given, default):
        if given is None:
            return default
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise AssertionError(f"{what} must be a list of names, not {brief(given)}")
        return given

    @staticmethod
    def _conditions(given):
        if given is None:
            return lists.CONDITIONAL_OPS
        for one in given if isinstance(given, list) else [given]:
            if not (isinstance(given, list) and isinstance(one, (tuple, list)) and len(one) == 3
                    and isinstance(one[0], str) and isinstance(one[1], str) and isinstance(one[2], list)):
                raise AssertionError("conditional_fp32_ops must be a list of (operator, parameter, list of values), "
                                     f"not {brief(given)}")
        return given

    def kind(self, node):
        """"fp32", "conditional" (fp32 by a parameter), "low", "widest" or "either" for an operator's node."""
        name = node.op.name
        if node.name in self.excluded or name in self.wide:
            return "fp32"
        if any(name == op and node.attrs.get(param) in values for op, param, values in self.conditions):
            return "conditional"
        return "low" if name in self.low else "widest" if name in self.widest else "either"


def wanted(node, ins):
    """(dtypes of the inputs, of the outputs) that `node`'s rule makes of `ins`, None what it can not say; None where
    the inputs do not go together."""
    unknown = [None] * node.n_out
    try:
        new, outs = node.op.infer_dtype(node.p, list(ins), list(unknown))
    except ValueError:
        return None
    except (TypeError, IndexError, AttributeError):     # a rule that needs more than is known
        return list(ins), unknown
    together = all(a is None or b is None or a == b for a, b in zip(ins, new))
    return (list(new), list(outs)) if together else None


def label(entry):
    """What a cast of `entry` is called after, as MXNet says it."""
    node, i = entry
    if node.op is None:
        return node.name
    return f"{node.name}_{node.op.output_names(node.p)[i] if node.op.name in lists.NAMED_OUTPUTS else i}"


class Conversion:
    """One pass over a graph by `rules`; `entries` are the converted outputs.

    `data` are names of variables known to be float32. With `cast_optional` low operators read other variables without a
    cast: whoever runs the graph has them in the target's dtype.

    MXNet's pass knows the dtype of an entry only where an operator of the lists made it; all else counts as unknown,
    and is cast again wherever a dtype is needed. This one puts the same casts, and more where MXNet's graph would not
    fit together: a float32 variable beside half-precision data in an operator that runs in either, or an array that
    MXNet takes for low because another reader has it cast.
    """

    def __init__(self, entries, rules, data, cast_optional=False):
        self.rules, self.data, self.cast_optional = rules, data, cast_optional
        self.copies = {}                    # node -> its copy
        self.low, self.wide = {}, {}        # entry -> the same numbers in the target's dtype, in float32
        self.supposed = set()               # entries in float32 that MXNet takes for low
        for node in topological(entries):
            if node.op is None:
                self.copies[node] = Node(None, node.name, dict(node.attrs), where=node.where)
            else:
                self._convert(node)
        self.entries = [self._in_float32(e, e[0].where) for e in entries]

    def _raw(self, entry):
        return self.copies[entry[0]], entry[1]

    def _is_low(self, entry):
        """Whether an entry is in the target's dtype by itself, not by a cast."""
        return self.low.get(entry) == self._raw(entry)

    def _is_wide(self, entry):
        return self.wide.get(entry) == self._raw(entry)

    def _cast(self, entry, dtype, made, where):
        if entry not in made:
            op, attrs = REGISTRY["amp_cast"], {"dtype": dtype}
            made[entry] = Node(op, f"{label(entry)}_amp_cast_{dtype}", attrs, op.parse(attrs), [self._raw(entry)],
                               where), 0
        return made[entry]

    def _in_target(self, entry, where):
        return self._cast(entry, self.rules.target, self.low, where)

    def _in_float32(self, entry, where):
        return self._cast(entry, "float32", self.wide, where)

    def _convert(self, node):
        states = set(states_of(node.op, node.p, node.inputs)) if node.op.aux else set()
        inputs, dtypes = getattr(self, "_" + self.rules.kind(node))(node, states)
        copy = Node(node.op, node.name, dict(node.attrs), node.p, inputs, node.where)
        self.copies[node] = copy
        for i, dtype in enumerate(dtypes):
            if dtype == self.rules.target:
                self.low[node, i] = copy, i
            elif dtype == "float32":
                self.wide[node, i] = copy, i

    # Each of these gives (inputs, dtypes of the outputs) of the copy.

    def _fp32(self, node, states):
        inputs = [self._raw(e) if e in states or e[0].op is None and e not in self.wide
                  else self._in_float32(e, node.where) for e in node.inputs]
        return inputs, ["float32"] * node.n_out

    def _conditional(self, node, states):
        return [self._in_float32(e, node.where) for e in node.inputs], ["float32"] * node.n_out

    def _low(self, node, states):
        target = self.rules.target
        fit = wanted(node, [target] + [None] * (len(node.inputs) - 1))
        if fit is None:
            return self._fp32(node, states)
        inputs = []
        for e, dtype in zip(node.inputs, fit[0]):
            if e in states or dtype != target:
                inputs.append(self._in_float32(e, node.where) if self._is_low(e) and dtype == "float32"
                              else self._raw(e))
            elif self.cast_optional and e[0].op is None and e[0].name not in self.data:
                inputs.append(self._raw(e))
            else:
                inputs.append(self._in_target(e, node.where))
        return inputs, fit[1]

    def _widest(self, node, states):
        supposed = [e in self.supposed for e in node.inputs]
        if all(known or e in self.low or e in self.wide for known, e in zip(supposed, node.inputs)):
            if any(e in self.wide for e in node.inputs):
                return [self._in_float32(e, node.where) for e in node.inputs], ["float32"] * node.n_out
            if not any(supposed) or all(supposed):
                fit = wanted(node, [self.rules.target] * len(node.inputs))
                outs = fit[1] if fit else [None] * node.n_out
                if any(supposed):
                    return [self._raw(e) for e in node.inputs], self._suppose(node, outs)
                return [self.low[e] for e in node.inputs], outs
        attrs = {"num_outputs": str(len(node.inputs))}
        op = REGISTRY["amp_multicast"]
        cast = Node(op, f"{label(node.inputs[0])}_amp_multicast", attrs, op.parse(attrs),
                    [self._raw(e) for e in node.inputs], node.where)
        return [(cast, i) for i in range(len(node.inputs))], [None] * node.n_out

    def _either(self, node, states):
        raw = [self._raw(e) for e in node.inputs]
        target, low = self.rules.target, [self._is_low(e) for e in node.inputs]
        # MXNet asks the first input alone what the outputs are.
        first, outs = node.inputs[0] if node.inputs else None, [None] * node.n_out
        dtype = target if first in self.low or first in self.supposed else "float32" if first in self.wide else None
        fit = wanted(node, [dtype] + [None] * (len(raw) - 1)) if dtype else None
        if fit:
            outs = fit[1]
        if not any(low):
            return raw, self._suppose(node, outs)
        known = [target if is_low else "float32" if self._is_wide(e) else None for is_low, e in zip(low, node.inputs)]
        fit = wanted(node, known)
        if fit is None:
            return self._mixed_in_float32(node)
        inputs = []
        for e, had, dtype, entry in zip(node.inputs, known, fit[0], raw):
            if had is None and dtype == target and e not in states:
                if e[0].op is not None:
                    return self._mixed_in_float32(node)
                if e[0].name in self.data:
                    entry = self._in_target(e, node.where)
            inputs.append(entry)
        return inputs, [a if a == b else None for a, b in zip(outs, fit[1])]

    def _suppose(self, node, dtypes):
        """What is true of the outputs where the target among `dtypes` is what MXNet takes them for."""
        fit = wanted(node, [None] * len(node.inputs))
        out = []
        for i, dtype in enumerate(dtypes):
            if dtype == self.rules.target and not (fit and fit[1][i] == dtype):
                self.supposed.add((node, i))
                dtype = None
            out.append(dtype)
        return out

    def _mixed_in_float32(self, node):
        """An operator that would have to have one dtype, and gets two."""
        return ([self._in_float32(e, node.where) if self._is_low(e) else self._raw(e) for e in node.inputs],
                [None] * node.n_out)


def declare_dtypes(entries, data):
    """Write ``__dtype__`` on every variable that is not in `data` (which are float32): what the operators that read it
    want of it, float32 where they take anything."""
    g = Indexed(entries)
    dtypes = infer_dtypes(g, named(g, dict.fromkeys(data, "float32"), "convert_symbol"))
    for row, node in enumerate(g.nodes):
        if node.op is None and node.name not in data:
            node.attrs["__dtype__"] = str(FLAG[dtypes[g.row_ptr[row]] or "float32"])
