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
