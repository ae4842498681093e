"""The package as a whole: what importing it costs and brings along, what it says of itself, how it meets processes."""
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import mxlite as mx

REPOSITORY = pathlib.Path(__file__).parents[1]


def python(source, *flags, timeout=120, **env):
    """Run `source` in a fresh interpreter: its CompletedProcess with text outputs."""
    return subprocess.run([sys.executable, *flags, "-c", textwrap.dedent(source)], env={**os.environ, **env}, text=True,
                          capture_output=True, timeout=timeout)


def value(source, **env):
    """What `source` prints, evaluated."""
    done = python(source, **env)
    assert done.returncode == 0, done.stderr
    return eval(done.stdout)


def cost(statement):
    """Seconds that a fresh interpreter takes for `statement`, its own start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


@pytest.mark.parametrize("statement, budget", [
    ("import mxlite", 1.5),                                             # the promise
    ("import mxlite as mx; mx.nd, mx.sym, mx.mod, mx.io", 2.5),         # everything loaded, which a script soon has
])
def test_import_cost(statement, budget):
    """Against NumPy, by the fastest of interleaved starts: noise only ever adds. More rounds while it is too slow."""
    subprocess.run([sys.executable, "-c", statement + "; import numpy"], check=True)      # disk and bytecode caches
    ours, numpys = [], []
    for _ in range(25):
        numpys.append(cost("import numpy"))
        ours.append(cost(statement))
        if len(ours) >= 5 and min(ours) <= budget * min(numpys):
            return
    pytest.fail(f"`{statement}` takes {min(ours):.3f} s, `import numpy` {min(numpys):.3f} s: "
                f"{min(ours) / min(numpys):.2f} times, budget {budget}")


def test_import_brings_no_extra():
    """Optional packages, and those that no script needs at import, stay out of the process."""
    loaded = value("""
        import sys, mxlite as mx
        mx.nd, mx.sym, mx.mod, mx.io, mx.metric, mx.optimizer, mx.init, mx.callback, mx.viz
        print(sorted({m.partition('.')[0] for m in sys.modules}))
    """)
    assert "numpy" in loaded
    assert not {"cupy", "cupy_backends", "graphviz", "matplotlib", "sklearn", "Cython", "pytest"} & set(loaded)


def test_lazy():
    """A submodule costs only itself."""
    loaded = value("import sys, mxlite, mxlite.registry; print([m for m in sys.modules if m.startswith('mxlite')])")
    assert set(loaded) == {"mxlite", "mxlite.registry"}


@pytest.mark.skipif(not pathlib.Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_import_starts_no_threads():
    threads = "len(os.listdir('/proc/self/task'))"
    before, after = value(f"""
        import os, numpy
        before = {threads}
        import mxlite as mx
        mx.nd.zeros((3,)), mx.sym.Variable('x'), mx.mod
        print((before, {threads}))
    """)
    assert after == before


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?[a-z]+\d+)?", mx.__version__)
    try:
        assert importlib.metadata.version("mxlite") == mx.__version__
    except importlib.metadata.PackageNotFoundError:
        assert pathlib.Path(mx.__file__).parents[1] == REPOSITORY       # built in place, not installed
    heading = re.search(r"^## \[(.+?)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert heading in ("Unreleased", mx.__version__)


def test_typed():
    assert (pathlib.Path(mx.__file__).parent / "py.typed").exists()


def test_runtime_says_what_this_build_is():
    info = mx.runtime.info()
    assert info["isa"] in ("baseline", "avx2", "avx512")
    assert info["threads"] >= 1
    assert isinstance(info["openmp"], bool)
    assert mx.runtime.Features().is_enabled("OPENMP") == info["openmp"]


def test_every_public_name_resolves():
    for name in mx.__all__:
        assert getattr(mx, name) is not None
    assert set(mx.__all__) <= set(dir(mx))
    with pytest.raises(AttributeError, match="no attribute 'gluonn'"):
        mx.gluonn  # noqa: B018


def test_names_that_scripts_take_from_base():
    assert mx.base.mx_real_t is np.float32 and mx.base.string_types == (str,)
    for value in (1, 1.5, np.int8(1), np.float16(1)):
        assert isinstance(value, mx.base.numeric_types)
    assert isinstance(np.int64(1), mx.base.integer_types) and not isinstance(1.0, mx.base.integer_types)
    assert mx.base.py_str(b"net") == mx.base.py_str("net") == "net"


DOT = """
    import mxlite as mx
    mx.random.seed(1)
    x = mx.nd.random.uniform(-1, 1, (300, 300))
    print((mx.runtime.get_isa(), mx.runtime.get_threads(), float(mx.nd.dot(x, x).sum().asscalar())))
"""


def test_isa_is_forced_by_the_environment():
    best, _, want = value(DOT)
    for level in ("baseline", "avx2", "avx512"):
        isa, _, got = value(DOT, MXLITE_ISA=level)
        assert isa == level
        assert got == pytest.approx(want, rel=1e-4)
        if level == best:
            break


def test_wrong_isa_is_a_clear_error():
    done = python("import mxlite as mx; mx.nd.zeros((2,))", MXLITE_ISA="sse9")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: MXLITE_ISA='sse9': choose one of baseline, avx2, avx512"


@pytest.mark.skipif(not mx.runtime.info()["openmp"], reason="built without OpenMP: always one thread")
def test_threads_come_from_the_environment_and_change_nothing():
    results = [value(DOT, OMP_NUM_THREADS=n) for n in ("1", "2", "3")]
    assert [r[1] for r in results] == [1, 2, 3]
    assert len({r[2] for r in results}) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_after_a_parallel_region():
    """A forked child has no OpenMP threads left to wait for: it computes serially, the same numbers."""
    done = python("""
        import os, warnings
        import mxlite as mx
        warnings.simplefilter("ignore", DeprecationWarning)     # 3.12 on: fork with threads, which is the point
        mx.runtime.set_threads(2)
        x = mx.nd.random.uniform(-1, 1, (700, 700))
        want = mx.nd.dot(x, x).asnumpy()                        # opens a parallel region
        assert not mx.runtime.info()["forked"]
        child = os.fork()
        if child == 0:
            same = (mx.nd.dot(x, x).asnumpy() == want).all() and mx.runtime.info()["forked"]
            os._exit(0 if same else 3)
        status = os.waitpid(child, 0)[1]
        assert (mx.nd.dot(x, x).asnumpy() == want).all()
        print(os.waitstatus_to_exitcode(status))
    """, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"


def test_readme_example(tmp_path):
    """The README's example runs as it stands and learns what it says."""
    text = (REPOSITORY / "README.md").read_text()
    example, = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 24
    (tmp_path / "example.py").write_text(example)
    done = subprocess.run([sys.executable, tmp_path / "example.py"], text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"\('accuracy', ([\d.]+)\)", done.stdout)[1]) > 0.9
    assert "example.py:" in done.stdout and "FullyConnected" in done.stdout


def test_readme_names_the_two_commands():
    text = (REPOSITORY / "README.md").read_text()
    assert 'pip install ".[tutorials]" && python tutorials/digits.py' in text
    assert 'pip install ".[test]" && pytest' in text


def test_links_in_documents_lead_somewhere():
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    assert len(pages) >= 4
    for page in pages:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_environment_variable_is_in_the_table():
    table = (REPOSITORY / "docs/environment.md").read_text()
    read = r"environ(?:\.get\(|\[)\s*[\"'](\w+)[\"']|getenv\(\"(\w+)\""
    sources = [REPOSITORY / "setup.py", *(p for p in (REPOSITORY / "mxlite").rglob("*")
                                          if p.suffix in (".py", ".pyx", ".h", ".c"))]
    found = {a or b for path in sources for a, b in re.findall(read, path.read_text())}
    assert {"MXLITE_ISA", "OMP_NUM_THREADS", "MXLITE_ONLY"} <= found
    assert not [name for name in sorted(found) if f"`{name}`" not in table]
