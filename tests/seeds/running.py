"""Run a quoted block of a tutorial and compare the outputs that it states, by value."""
import ast
import doctest
import importlib
import re

import numpy as np

GRAPHVIZ = "plot_network needs the Python package graphviz: pip install \"mxlite[viz]\""


def run(*blocks):
    """Execute the blocks one after the other in one namespace; returns it, the last expression's value as ``_``."""
    names = {"__name__": "block"}
    for block in blocks:
        tree = ast.parse(block)
        last = tree.body[-1] if isinstance(tree.body[-1], ast.Expr) else None
        if last is not None:
            tree.body.pop()
        exec(compile(tree, "<block>", "exec"), names)
        names["_"] = None
        if last is not None:
            names["_"] = eval(compile(ast.Expression(last.value), "<block>", "eval"), names)
    return names


def session(block, **names):
    """Run a ``>>>`` session with `names` defined; every output that it states must be the value. Returns the names.

    A line without a stated output may have any value, as sessions in documentation leave out what is not the point.
    Returns the namespace and the number of outputs that were compared.
    """
    names["__name__"] = "block"
    compared = 0
    for example in doctest.DocTestParser().get_examples(block):
        if not example.want:
            exec(compile(example.source, "<block>", "exec"), names)
            continue
        value = eval(compile(example.source.strip(), "<block>", "eval"), names)
        assert same(value, example.want.strip()), f"{example.source.strip()} is {value!r}, stated {example.want}"
        compared += 1
    return names, compared


def same(value, stated):
    """Whether `value` is what a session's printed text says: a class, an array, or a literal."""
    described = re.fullmatch(r"<class '([\w.]+)\.(\w+)'>", stated)
    if described:
        return value is getattr(importlib.import_module(described[1]), described[2])
    if isinstance(value, np.ndarray):
        wanted = np.array(ast.literal_eval(re.sub(r"(?<=[\d.])\s+(?=[-\d.])", ", ", stated)))
        return value.shape == wanted.shape and bool((value == wanted).all())
    return value == ast.literal_eval(stated)
