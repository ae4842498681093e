"""The element-wise functions, read from the lines of unary.h and binary.h that the CPU's kernels are compiled from."""
import re
from functools import cache

from . import source

# What an expression calls its arrays and numbers, by kind of formula.
NAMES = {"u": [("x", "p_")], "g": [("dy", "p_"), ("x", "q_"), ("y", "q_")], "b": [("a", "p_"), ("b", "q_")],
         "vs": [("b", "s0"), ("a", "p_")], "sv": [("a", "s0"), ("b", "p_")], "own": []}


class Formula:
    """One loop of the CPU, by the number that chains know it by: `kind` (u value, g gradient, b two arrays, vs array
    and number, sv number and array) of operator `name`; `real` and `whole` (None: none) are its expressions; `arrays`
    it reads."""

    __slots__ = ("kind", "name", "real", "whole", "arrays")

    def __init__(self, kind, name, real, whole, arrays):
        self.kind, self.name, self.real, self.whole, self.arrays = kind, name, real, whole, arrays

    @property
    def symbol(self):
        return f"{self.kind}_{self.name}"

    def body(self, whole):
        """C++ of the function's body after its parameters `p_`, `q_` (arrays) and `s0` .. (numbers)."""
        value = self.whole if whole else self.real
        head = "".join(f"const C {name} = {given}; " for name, given in NAMES[self.kind] if _reads(value, name))
        return f"{head}return (C)({value});"

    def used(self, whole):
        """Which scalars s0, s1, s2 the body reads."""
        return [i for i in range(3) if _reads(self.body(whole), f"s{i}")]


def _reads(text, name):
    return re.search(rf"\b{name}\b", text) is not None


def _rows(file, macro, letter):
    """Arguments of each line `letter(...)` in the definition of `macro`."""
    text = re.search(rf"#define {macro}\({letter}\) \\\n((?:.*\\\n)*.*)", source.read(file))[1].replace("\\\n", " ")
    for call in re.finditer(rf"\b{letter}\(", text):
        depth, start, fields = 1, call.end(), []
        for at in range(call.end(), len(text)):
            c = text[at]
            depth += (c == "(") - (c == ")")
            if depth == 0 or (c == "," and depth == 1):
                fields.append(text[start:at].strip())
                start = at + 1
                if depth == 0:
                    break
        yield fields


@cache
def table():
    """(formulas in the order of the CPU's numbers, None where there is no such loop; kernel name -> formula)."""
    whole = {f[0]: f for f in _rows("unary.h", "MXL_INTEGER_UNARY", "U")}
    order, kernels = [], {}
    for name, _, cls, value, bcls, gradient in _rows("unary.h", "MXL_UNARY", "U"):
        _, _, icls, ivalue, ibcls, igradient = whole.get(name, (name, 0, "N", "", "N", ""))
        forward = Formula("u", name, value, None if icls == "N" else ivalue, 1)
        backward = Formula("g", name, gradient, None if ibcls == "N" else igradient, 2)
        order += [None if cls == "N" else forward, None if bcls == "N" else backward]
        if cls != "N":
            kernels[name] = forward
        if bcls != "N":
            kernels["_backward_" + name] = backward
    for name, _, value, ivalue in _rows("binary.h", "MXL_BINARY", "B"):
        b, vs, sv = (Formula(kind, name, value, ivalue, arrays) for kind, arrays in (("b", 2), ("vs", 1), ("sv", 1)))
        order += [b, vs, sv]
        kernels.update({name: b, f"_{name}_scalar": vs, f"broadcast_{name}": b})
        if name in ("sub", "div", "mod", "power"):
            kernels[{"sub": "_rminus_scalar"}.get(name, f"_r{name}_scalar")] = sv
    kernels.update(_plus_scalar=kernels["_add_scalar"], _minus_scalar=kernels["_sub_scalar"],
                   _where_number=kernels["_backward__where_number"])
    return order, kernels
