"""Every kind of bad input in tests/bad_inputs gets the error that stands beside it, and no process dies of one."""
import json
import pathlib
import re
import tempfile

import pytest

import mxlite as mx

from . import bad_inputs, child

KINDS = [name for _, cases in bad_inputs.ALL for name, *_ in cases]


def run_group(group, seconds=240):
    """name -> (what is wrong, the error's text) of a group's cases, run in a process of its own; its exit status."""
    done = child.run("tests.run_bad_inputs", group, seconds=seconds)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    results = {row[0]: row[1:] for row in rows if len(row) > 1}
    started = [row[0] for row in rows]
    assert started, done.stderr
    assert done.returncode == 0, f"{started[-1]!r} ended the process with status {done.returncode}:\n{done.stderr}"
    return results


def test_there_are_enough_kinds():
    assert len(set(KINDS)) == len(KINDS), sorted({k for k in KINDS if KINDS.count(k) > 1})
    assert len(KINDS) >= 500
    files = {p.stem for p in pathlib.Path(bad_inputs.__file__).parent.glob("*.py")} - {"__init__", "snippets"}
    assert files == {group for group, _ in bad_inputs.ALL}, "a file of cases that nobody runs"
    print(f"{len(KINDS)} kinds of bad input")


@pytest.mark.parametrize("group, cases", [pytest.param(g, c, id=g) for g, c in bad_inputs.ALL])
def test_every_kind_gets_its_error(group, cases):
    results = run_group(group)
    assert list(results) == [name for name, *_ in cases]
    wrong = [f"{name}: {what}\n    {text}" for name, (what, text) in results.items() if what]
    assert not wrong, "\n".join(wrong)
    print(f"{len(results)} kinds of bad input in {group}")


def test_the_judge_sees_what_is_wrong(tmp_path):
    """A statement that raises nothing, the wrong class, the wrong text, or too early is told from a right one."""
    from .run_bad_inputs import judge
    assert judge("nd.relu()", TypeError, "takes 1", tmp_path)[0] == ""
    assert "nothing" in judge("nd.relu(x)", TypeError, "", tmp_path)[0]
    assert "another class" in judge("nd.relu()", mx.MXNetError, "", tmp_path)[0]
    assert "lacks" in judge("nd.relu()", TypeError, "two arrays", tmp_path)[0]
    assert "before the last" in judge("nd.relu()\nnd.relu()", TypeError, "", tmp_path)[0]


def every_cut(data, steps=400):
    """Lengths at which to cut `data`: all of them, or about `steps`."""
    return sorted({*range(0, len(data), max(1, len(data) // steps)), *range(max(0, len(data) - 40), len(data))})


def test_params_cut_anywhere_or_damaged_anywhere():
    """A .params file that ends early always raises MXNetError; one with a wrong byte does, or loads."""
    path_data = mx.nd.ones((2, 3)), mx.nd.zeros((4,), dtype="int64")
    with tempfile.NamedTemporaryFile(suffix=".params") as f:
        mx.nd.save(f.name, dict(zip("ab", path_data)))
        data = f.read()
    assert sorted(mx.nd.load_frombuffer(data)) == ["a", "b"]
    for n in range(len(data)):
        with pytest.raises(mx.MXNetError):
            mx.nd.load_frombuffer(data[:n])
    loaded = 0
    for n in range(len(data)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            try:
                mx.nd.load_frombuffer(data[:n] + bytes([value]) + data[n + 1:])
                loaded += 1
            except mx.MXNetError:
                pass
    assert loaded                   # a wrong byte inside a number is a number


def test_json_cut_anywhere_or_changed_anywhere():
    """A symbol's JSON that ends early always raises MXNetError; one with a wrong letter does, or loads."""
    net = mx.sym.BatchNorm(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc"), name="bn")
    text = mx.sym.Group([net, mx.sym.SliceChannel(net, num_outputs=2, name="cut")]).tojson()
    for n in every_cut(text):
        with pytest.raises(mx.MXNetError):
            mx.sym.load_json(text[:n])
    for n in every_cut(text):
        for letter in '0"]}x-':
            try:
                mx.sym.load_json(text[:n] + letter + text[n + 1:]).list_outputs()
            except mx.MXNetError:
                pass
    for wrong in ("null", "[]", '"x"', "-1", "1e99", "{}", "true"):         # every number replaced
        for found in re.finditer(r"\b\d+\b", text):
            try:
                mx.sym.load_json(text[:found.start()] + wrong + text[found.end():]).list_outputs()
            except mx.MXNetError:
                pass
