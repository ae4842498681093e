"""The .pyi files: fresh, complete both ways, true to what calls give back, and of use to a type checker."""
import ast
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

import mxlite as mx
from mxlite import stubs
from mxlite.ops.record import RECORDS, REGISTRY, REQUIRED

from . import reference as R

FOLDER = pathlib.Path(mx.__file__).parent
PUBLIC = sorted(n for n in REGISTRY if not n.startswith("_"))
CLASSES = {"ndarray": mx.nd.NDArray, "symbol": mx.sym.Symbol, "executor": mx.executor.Executor,
           "context": mx.Context, "autograd": mx.autograd.Function}


def tree(name):
    """The syntax tree of a stub; `name` is its path without the ending."""
    return ast.parse((FOLDER / f"{name}.pyi").read_text())


def defined(body):
    """name -> its nodes, of everything that statements of a stub define or import."""
    found = {}
    for node in body:
        names = []
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, ast.ImportFrom):
            names = [a.asname or a.name for a in node.names]
        elif isinstance(node, ast.Assign):
            names = [t.id for t in node.targets]
        elif isinstance(node, ast.AnnAssign):
            names = [node.target.id]
        for name in names:
            found.setdefault(name, []).append(node)
    return found


def listed(module):
    """What ``__all__`` of a stub says."""
    node, = defined(module.body)["__all__"]
    return ast.literal_eval(node.value)


def test_stubs_are_fresh_and_quickly_made():
    began = time.process_time()
    made = stubs.files()
    assert time.process_time() - began < 5
    assert len(made) >= 9
    stale = [str(path) for path, text in made.items() if not path.exists() or path.read_text() != text]
    assert not stale, f"out of date: {', '.join(stale)}; run `{stubs.COMMAND}`"
    assert set(FOLDER.rglob("*.pyi")) == set(made), "stubs that nothing makes, or that were not written"


def test_stubs_are_the_same_whatever_the_hash_seed():
    code = ("import hashlib; from mxlite import stubs\n"
            "print(hashlib.md5(repr(sorted((str(k), v) for k, v in stubs.files().items())).encode()).hexdigest())")
    texts = {subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, text=True,
                            capture_output=True, check=True).stdout for seed in ("1", "2")}
    assert len(texts) == 1


def test_every_public_name_is_in_its_stub():
    """Both ways, and each side counted by itself: the runtime by what modules show, the stub by its syntax."""
    def shown(module):
        names = {*module.__all__, *PUBLIC, "op", "random"} if module in (mx.nd, mx.sym) else set(module.__all__)
        assert names <= set(dir(module))
        return names
    pages = {"__init__": mx, "ndarray/__init__": mx.nd, "symbol/__init__": mx.sym, "executor": mx.executor,
             "context": mx.context, "random": mx.random, "symbol/random": mx.sym.random, "autograd": mx.autograd}
    for page, module in pages.items():
        names = shown(module)
        missing = names - set(listed(tree(page)))
        assert not missing, f"{page}.pyi lacks {sorted(missing)}"
        for name in listed(tree(page)):
            assert getattr(module, name) is not None, f"{page}.pyi has {name!r}, which there is not"
        undefined = set(listed(tree(page))) - set(defined(tree(page).body))
        assert not undefined, f"{page}.pyi lists {sorted(undefined)} and defines none of them"
    for page, module in {"ndarray/op": mx.nd.op, "symbol/op": mx.sym.op}.items():
        assert sorted(defined(tree(page).body).keys() & set(PUBLIC)) == PUBLIC == sorted(listed(tree(page)))
        assert PUBLIC == sorted(dir(module))


@pytest.mark.parametrize("page", CLASSES)
def test_every_public_member_is_in_its_stub(page):
    cls = CLASSES[page]
    name = page if (FOLDER / f"{page}.pyi").exists() else f"{page}/__init__"
    node, = [n for n in tree(name).body if isinstance(n, ast.ClassDef) and n.name == cls.__name__]
    stub = {n for n in defined(node.body) if not n.startswith("_")}
    x = mx.sym.Variable("x")
    live = {"ndarray": mx.nd.ones((1,)), "symbol": x, "executor": x.simple_bind(mx.cpu(), x=(1,)),
            "context": mx.cpu(), "autograd": cls}[page]
    runtime = {n for n in dir(live) if not n.startswith("_")}
    assert not runtime - stub, f"{name}.pyi: {cls.__name__} lacks {sorted(runtime - stub)}"
    later = {"saved_tensors"}               # of a Function: there once something is saved
    assert not stub - runtime - later, f"{name}.pyi: {cls.__name__} has {sorted(stub - runtime)}, which there is not"


def test_operators_have_their_records_parameters():
    """Inputs, parameters in order, and every default by value."""
    for page in ("ndarray/op", "symbol/op"):
        nodes = defined(tree(page).body)
        for name in PUBLIC:
            record, node = REGISTRY[name], nodes[name][-1]
            if isinstance(node, ast.Assign):
                assert REGISTRY[node.value.id] is record, name
                continue
            a = node.args
            values = [None] * (len(a.args) - len(a.defaults)) + a.defaults + a.kw_defaults
            defaults = dict(zip([x.arg for x in a.args + a.kwonlyargs], values))
            assert [n for n in defaults if n in record.params] == list(record.params), name
            for k, param in record.params.items():
                if param.default is REQUIRED:
                    assert defaults[k] is None or isinstance(defaults[k].value, type(...)), (name, k)
                elif defaults[k].__class__ is not ast.Constant or defaults[k].value is not ...:
                    assert ast.literal_eval(defaults[k]) == param.default, (name, k)
            if record.variadic:
                assert a.vararg.arg == record.inputs[1:], name
            else:
                assert [x for x in inspect.signature(getattr(mx.nd.op, name)).parameters
                        if x not in record.params and x not in ("out", "name")] \
                    == [x for x in defaults if x not in record.params and x not in ("out", "name", "attr", "ctx")], name


def test_operators_give_back_what_the_stub_says():
    """The samples of every public operator: one array or a list of them, as annotated."""
    nodes, tried, rng = defined(tree("ndarray/op").body), 0, np.random.default_rng(0)
    public = {record: name for name, record in reversed([(n, REGISTRY[n]) for n in PUBLIC])}
    for record, name in public.items():
        node = nodes[name][0]
        if isinstance(node, ast.Assign):
            node = nodes[node.value.id][0]
        says = ast.unparse(node.returns)
        for sample in record.samples[:3]:
            p = record.parse(sample.params)
            arrays = R.draw(record, sample, R.complete(record, p, sample.shapes)[0], rng, sample.dtype)
            out = getattr(mx.nd.op, name)(*[mx.nd.array(a, dtype=a.dtype) for a in arrays], **sample.params)
            kind = "list[NDArray]" if isinstance(out, list) else "NDArray"
            assert says == kind or "Any" in says, f"{name}({sample}) gives {kind}, its stub says {says}"
            tried += 1
    assert tried > len(public)
    assert len([r for r in RECORDS.values() if r in public]) > 100


# -- as a type checker reads them -------------------------------------------------------------------------------------

RIGHT = """
import numpy as np
import mxlite as mx

x = mx.nd.ones((2, 3), ctx=mx.cpu(), dtype="float32")
y = 2 * mx.nd.relu(x) + np.ones((2, 3)) - mx.nd.clip(x, 0, 1)
z = y.clip(0.5, a_max=1).sum(axis=(0, 1)).reshape((1, -1))[0]
rank: int = z.ndim
values: np.ndarray = (x > 1).asnumpy()
parts = mx.nd.split(x, num_outputs=3, axis=1)
first: tuple[int, ...] = parts[0].shape
joined = mx.nd.concat(x, x, dim=0).T.copyto(mx.cpu(1)).astype(np.float64)
dense = mx.nd.FullyConnected(x, x, None, 2, no_bias=True), mx.nd.FullyConnected(x, x, no_bias=True, num_hidden=2)
mx.nd.save("file", {"x": x})
drawn = mx.nd.random.uniform(0, 1, shape=(2, 3)) + mx.random.normal(x, x)

net = mx.sym.FullyConnected(mx.sym.Variable("data"), name="fc", num_hidden=4, lr_mult=2.0)
net = mx.symbol.SoftmaxOutput(data=mx.sym.slice(net + 1, (0, 0), (2, 2)) / 2, name="softmax", attr={"a": "b"})
exe = net.simple_bind(mx.cpu(), data=(2, 3))
out = exe.forward(is_train=True, data=x)[0].asscalar()
exe.backward([x], is_train=True)
arguments, outputs, states = net.infer_shape(data=(2, 3))
names: list[str] = net.get_internals()["fc_output"].list_outputs()
with mx.autograd.record(), mx.Context("cpu"):
    x.attach_grad()
    (x * x).backward()
module = mx.mod.Module(net, context=mx.cpu())
module.fit(mx.io.NDArrayIter(np.ones((4, 3)), np.zeros(4), 2), num_epoch=1, initializer=mx.init.Xavier())
"""
WRONG = {
    "mx.nd.relu(3, bad=1)": "call-arg", "mx.nd.relu('x')": "arg-type", "mx.nd.relu(mx.sym.Variable('x'))": "arg-type",
    "mx.nd.softmax(x, axes=1)": "call-arg", "mx.nd.sofmax(x)": "attr-defined", "mx.nd.dot(x)": "call-arg",
    "mx.nd.Activation(x, act_type='rellu')": "arg-type", "mx.nd.FullyConnected(x, x)": "call-overload",
    "x.clip('a', 1)": "arg-type", "x.sofmax()": "attr-defined", "x.shape.foo": "attr-defined", "x + 'a'": "operator",
    "mx.sym.FullyConnected(s)": "call-overload", "mx.sym.relu(x)": "arg-type", "s.infer_shap()": "attr-defined",
    "mx.sym.Pooling(s, kernl=(2, 2))": "call-arg", "s.list_outputs() + 1": "operator", "mx.gluon": "attr-defined",
    "mx.nd.zeros(shape='a', ctx=3)": "arg-type", "exe.forward(train=3)": "arg-type", "mx.cpu('a')": "arg-type",
}


HEAD = ("import mxlite as mx\nx = mx.nd.ones((2, 3))\ns = mx.sym.Variable('s')\n"
        "exe = s.simple_bind(mx.cpu(), s=(1,))\n")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What mypy says of the two scripts and of the stubs: (file name, line, kind, text) rows. The mxlite that it reads
    is this process's."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("types")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(HEAD + "\n".join(WRONG) + "\n")
    # A copy: given files inside site-packages, mypy takes that folder for sources, and everything in it shadows itself.
    library = folder / "library" / "mxlite"
    shutil.copytree(FOLDER, library, ignore=shutil.ignore_patterns("*.so", "*.c", "*.h", "__pycache__"))
    env = {**os.environ, "MYPYPATH": str(library.parent)}
    done = subprocess.run([sys.executable, "-m", "mypy", "--follow-imports=silent", "--strict-equality",
                           "--no-error-summary", "--no-pretty", "--cache-dir", os.devnull, "right.py", "wrong.py",
                           *map(str, sorted(library.rglob("*.pyi")))], env=env, cwd=folder, text=True,
                          capture_output=True, timeout=300)
    assert not done.stderr, done.stderr
    rows = re.findall(r"^(.+?):(\d+): error: (.*)\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert rows and len(rows) == done.stdout.count(": error: "), done.stdout
    return [(pathlib.Path(file).name, int(line), kind, text) for file, line, text, kind in rows]


def test_a_right_script_checks(said):
    assert not [row for row in said if row[0] == "right.py"]


def test_wrong_calls_are_reported(said):
    kinds = {}
    for file, line, kind, _ in said:
        if file == "wrong.py":
            kinds.setdefault(line - HEAD.count("\n") - 1, set()).add(kind)
    missed = {code: (kind, kinds.get(i)) for i, (code, kind) in enumerate(WRONG.items())
              if kind not in kinds.get(i, ())}
    assert not missed
    assert min(kinds) >= 0                          # nothing wrong with the lines before


def test_the_stubs_themselves_check(said):
    """What they say is consistent: overloads that differ, defaults of their types, no name unknown."""
    assert not [row for row in said if row[0].endswith(".pyi")]
