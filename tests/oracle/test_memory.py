"""Planned training memory beside MXNet's own figure for the same graph."""
import pathlib
import re

import pytest

import mxlite as mx

from .. import networks

SOURCE = (pathlib.Path(__file__).parents[1] / "networks.py").read_text()
CASES = [("mlp", (64, 784)), ("mlp", (10000, 784)), ("lenet", (64, 1, 28, 28)), ("resnet18", (32, 3, 32, 32))]


@pytest.mark.parametrize("name, shape", CASES)
def test_planned_bytes_are_at_most_mxnets(oracle, name, shape):
    """MXNet prints whole megabytes, cut off; ours is entries and outputs, with workspaces listed apart."""
    text = oracle.run(SOURCE + "\nresult = globals()[name](mx).simple_bind(mx.cpu(), data=tuple(shape)).debug_str()",
                      name=name, shape=list(shape))
    theirs = int(re.search(r"Total (\d+) MB allocated", text)[1])
    plan = getattr(networks, name)(mx).simple_bind(mx.cpu(), data=shape).memory_plan()
    print(f"{name} {shape}: planned {plan['planned'] / 2**20:.2f} MB, "
          f"lower bound {plan['lower_bound'] / 2**20:.2f} MB, MXNet {theirs} MB")
    assert plan["planned"] <= (theirs + 1) * 2**20


# Binding fills all parameters and gradients: gigabytes, for what two of their kind show.
LARGE = [name for name in networks.EXAMPLES
         if name.startswith(("vgg11", "vgg13", "vgg19")) or name.endswith(("-101", "-200", "-269"))]


@pytest.mark.parametrize("names", [
    pytest.param([name for name in networks.EXAMPLES if name not in LARGE], id="most"),
    pytest.param(LARGE, id="large", marks=pytest.mark.slow),
])
def test_examples_need_at_most_mxnets(oracle, names):
    """All networks of mxlite.examples.symbols, pictures of their real size: planned bytes as above."""
    asked = {name: (networks.example(name).tojson(), list(networks.EXAMPLES[name][2])) for name in names}
    told = oracle.run("""
        result = {name: sym.load_json(text).simple_bind(mx.cpu(), data=tuple(shape)).debug_str().splitlines()[-3:]
                  for name, (text, shape) in asked.items()}
        """, asked=asked)
    over = []
    for name, (text, shape) in asked.items():
        theirs = int(re.search(r"Total (\d+) MB allocated", "\n".join(told[name]))[1])
        plan = mx.sym.load_json(text).simple_bind(mx.cpu(), data=tuple(shape)).memory_plan()
        mb = {what: plan[what] / 2**20 for what in ("planned", "lower_bound", "workspace")}
        line = (f"{name} {shape}: planned {mb['planned']:.2f} MB, lower bound {mb['lower_bound']:.2f} MB, "
                f"workspace {mb['workspace']:.2f} MB, MXNet {theirs} MB")
        print(line)
        if plan["planned"] > (theirs + 1) * 2**20:
            over.append(line)
    assert not over
