"""The R tutorial "Symbol and Automatic Differentiation" in its three printings (the site's source, its page, an older
page): every block of code runs in its Python form, and every output printed below a block is compared by value.

The Python form: ``<-`` assigns, a dot is an underscore, ``require`` imports, ``arguments`` is ``mx.arguments``,
``class(net)`` the class's name. What is lost in a printing is filled in, and said beside it.
"""
import hashlib
import re

import pytest

from . import blocks_r
from .running import run

PRINTINGS = ["SITE_SOURCE", "SITE_PAGE", "OLDER_PAGE"]
# printing -> how many blocks of code, and how many outputs, it has
COUNTS = {"SITE_SOURCE": (4, 4), "SITE_PAGE": (5, 5), "OLDER_PAGE": (4, 0)}
# R's class of a symbol, and the package that it belongs to
SYMBOL_IN_R = ["Rcpp_MXSymbol", "mxnet"]
# What the older page lost: (its text, the text that was there)
LOST = [(" <- mx.apply(", "\ncomposed.net <- mx.apply(")]


def python(text):
    """The Python form of a block of R."""
    text = re.sub(r"\brequire\(mxnet\)", "import mxlite as mx", text).replace("composed.net", "composed_net")
    text = re.sub(r"\barguments\(", "mx.arguments(", text.replace(" <- ", " = "))
    return re.sub(r"\bclass\((\w+)\)", r"[type(\1).__name__, type(\1).__module__.split('.')[0]]", text)


def stated(text):
    """The strings that a block of printed output shows, or None where the block is code."""
    if "## [1]" not in text:
        return None
    return re.findall(r'"([^"]*)"', "".join(line for line in text.splitlines() if line.startswith("##")
                                            and "attr(" not in line))


def split(printing):
    """[(code, the output printed below it or None)] of a printing."""
    out = []
    for block in getattr(blocks_r, printing):
        printed = stated(block)
        code = "".join(line + "\n" for line in block.splitlines() if not line.startswith("##"))
        if code:
            out.append((code, printed))
        else:
            assert out[-1][1] is None
            out[-1] = (out[-1][0], printed)
    return out


@pytest.mark.parametrize("printing", PRINTINGS)
def test_quoted_in_full(printing):
    blocks = getattr(blocks_r, printing)
    assert hashlib.sha256("".join(blocks).encode()).hexdigest() == blocks_r.DIGESTS[printing]
    parts = split(printing)
    assert (len(parts), sum(printed is not None for _, printed in parts)) == COUNTS[printing]


PERCEPTRON = blocks_r.SITE_PAGE[0]
ARGUMENTS = {"fc2": ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"],
             "myweight": ["data", "myweight", "fc1_bias"],
             "rhs": ["data1", "data2", "fc1_weight", "fc1_bias"],
             "compose": ["data2", "net2_weight", "net2_bias", "fc1_weight", "fc1_bias"]}


@pytest.mark.parametrize("printing, index", [(p, i) for p in PRINTINGS for i in range(COUNTS[p][0])])
def test_block(printing, index):
    parts = split(printing)
    code, printed = parts[index]
    earlier = [c for c, _ in parts[:index]]
    if printing == "SITE_SOURCE" and index == 0:
        # Only `require` and the printed class are left of this block; the site's page has the rest.
        assert code == "require(mxnet)\n"
        code = PERCEPTRON
    if printing == "OLDER_PAGE":
        for text, was in LOST:
            code = code.replace(text, was)
        name = re.findall(r"^([\w.]+) <-", code, re.MULTILINE)[-1]
        code += f"arguments({name})\n"
        printed, = (v for k, v in ARGUMENTS.items() if k in code)
    value = run(*map(python, [*earlier, code]))["_"]
    if printed == SYMBOL_IN_R:
        assert value == ["Symbol", "mxlite"]
    else:
        assert value == printed
