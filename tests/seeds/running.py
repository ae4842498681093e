"""Run the quoted blocks of a document, as written but for the import, and compare the outputs that they state."""
import ast
import doctest
import functools
import hashlib
import importlib
import re

import numpy as np

GRAPHVIZ = "plot_network needs the Python package graphviz: pip install \"mxlite[viz]\""


class Document:
    """The code blocks of one document, by name, and which of them a test runs.

    A test says with :meth:`covers` which block it is about, and must run it; `uncovered` lists the blocks that no test
    is about. `digest` is SHA-256 of the blocks joined.
    """

    def __init__(self, blocks, digest):
        joined = hashlib.sha256("".join(blocks.values()).encode()).hexdigest()
        assert joined == digest, f"the quoted blocks are not the document's: {joined}"
        self.blocks, self._covered, self._ran = blocks, set(), set()

    def covers(self, *names):
        """Decorator of a test that runs the blocks `names`; the test fails where it does not."""
        unknown = set(names) - set(self.blocks)
        assert not unknown, f"the document has no block {unknown}"

        def mark(test):
            self._covered.update(names)

            @functools.wraps(test)
            def run_and_look(**fixtures):
                self._ran = set()
                test(**fixtures)
                missed = set(names) - self._ran
                assert not missed, f"{test.__name__} says that it runs {missed} and does not"
            return run_and_look
        return mark

    def uncovered(self):
        return [name for name in self.blocks if name not in self._covered]

    def text(self, name):
        """The block, mxlite in place of mxnet: the one change."""
        self._ran.add(name)
        return re.sub(r"\bmxnet\b", "mxlite", self.blocks[name])

    def run(self, *names, **given):
        """Execute the blocks one after the other in one namespace, which starts with `mx` and what is `given`.

        Returns it, the last expression's value as ``_``.
        """
        return run(*map(self.text, names), **given)

    def session(self, name, replace=(), **given):
        """Run the ``>>>`` session `name`; returns the namespace and the number of outputs compared.

        `replace`: (placeholder, text) pairs, for a block that leaves something to the reader.
        """
        text = self.text(name)
        for placeholder, filling in replace:
            assert placeholder in text
            text = text.replace(placeholder, filling)
        return session(text, **given)


def fresh(given):
    return {"__name__": "block", "mx": importlib.import_module("mxlite"), **given}


def run(*blocks, **given):
    """Execute the texts one after the other in one namespace; returns it, the last expression's value as ``_``."""
    names = fresh(given)
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


def session(block, **given):
    """Run a ``>>>`` session with `given` names defined; every output that it states must be the value.

    A line without a stated output may have any value, as sessions in documentation leave out what is not the point.
    Returns the namespace and the number of outputs that were compared.
    """
    names = fresh(given)
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
