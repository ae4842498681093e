"""The house's rules on its own source: which way imports run, how long files are, that every kernel has a user."""
import ast
import pathlib
import re

import pytest

from mxlite._core import kernels
from mxlite.ops import RECORDS
from mxlite.ops.record import Op

REPOSITORY = pathlib.Path(__file__).parents[1]
PACKAGE = REPOSITORY / "mxlite"
SOURCES = sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".pyx", ".pxd", ".h", ".c", ".cu"))
STUBS = sorted(PACKAGE.rglob("*.pyi"))      # generated: as long as the registry makes them, but as wide as all files
MOST_LINES = 500

# part of the package -> the parts it may import; the face (all the rest) may import everything
MAY_IMPORT = {"ops": {"ops"}, "_core": {"_core", "ops"}}


def module_of(path):
    """The dotted module name of a source file, as a list."""
    parts = list(path.relative_to(REPOSITORY).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def python_imports(path):
    """Every absolute module name that a .py file imports, anywhere in it."""
    here = module_of(path)
    package = here if path.stem == "__init__" else here[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *(node.module.split(".") if node.module else [])])
            # `from . import x` may name modules, `from .record import Op` an attribute of one
            yield from (f"{name}.{a.name}" for a in node.names) if not node.module else (name,)


def cython_imports(path):
    """The same for .pyx and .pxd, line by line."""
    package = module_of(path)[:-1]
    for line in path.read_text().splitlines():
        m = re.match(r"\s*(?:from\s+(\.*)([\w.]*)\s+)?c?import\s+([\w., ]+)", line)
        if not m:
            continue
        dots, name, what = m.groups()
        if name is None and dots is None:
            yield from (w.split()[0] for w in what.split(",") if w.strip())
        else:
            base = package[:len(package) - len(dots) + 1] if dots else []
            stem = ".".join([*base, *([name] if name else [])])
            yield from [stem] if name else [f"{stem}.{w.split()[0]}" for w in what.split(",") if w.strip()]


def imports(path):
    return set(python_imports(path) if path.suffix == ".py" else cython_imports(path))


CODE = [p for p in SOURCES if p.suffix in (".py", ".pyx", ".pxd")]


def test_the_readers_of_imports_read():
    """Both readers see what is known to be there; a rule checked by a blind reader would always hold."""
    assert "mxlite.ops.record" in imports(PACKAGE / "ops/unary.py")
    assert "mxlite.ops.special" in imports(PACKAGE / "ops/unary.py")
    assert {"mxlite.ops.record", "mxlite._core.graph"} <= imports(PACKAGE / "_core/gradient.pyx")
    assert "mxlite._core.cpu" in imports(PACKAGE / "_core/kernels/gemm.pyx")
    assert "mxlite.ops.record" in imports(PACKAGE / "symbol/functions.py")


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_one_way(part):
    wrong = []
    for path in CODE:
        if module_of(path)[1:2] != [part]:
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "mxlite" and (len(parts) < 2 or parts[1] not in MAY_IMPORT[part]):
                wrong.append(f"{path.relative_to(REPOSITORY)} imports {name}")
    assert not wrong


def test_only_gpu_imports_cupy():
    for path in CODE:
        if module_of(path)[1:2] != ["gpu"]:
            assert not [n for n in imports(path) if n.split(".")[0].startswith("cupy")], path


def test_run_time_dependencies_are_numpy_alone():
    """Everything imported outside functions is the standard library, NumPy, Cython's own, or this package."""
    import sys
    allowed = {*sys.stdlib_module_names, "numpy", "mxlite", "cpython", "libc", "cython", "posix"}
    optional = {"graphviz", "matplotlib", "IPython"}                # inside functions, behind a clear error
    for path in CODE:
        if module_of(path)[1:2] == ["gpu"]:
            continue
        for name in {n.split(".")[0] for n in imports(path)}:
            assert name in allowed | optional, f"{path} imports {name}"
        if path.suffix == ".py":
            top = {a.name.split(".")[0] for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import)
                   for a in node.names}
            assert not top & optional, f"{path} imports {top & optional} at the top"


def test_files_are_short():
    long = {str(p.relative_to(REPOSITORY)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > MOST_LINES}
    assert not long, f"over {MOST_LINES} lines: {long}"


def test_lines_are_short():
    assert STUBS
    wide = [f"{p.relative_to(REPOSITORY)}:{i}" for p in [*SOURCES, *STUBS]
            for i, line in enumerate(p.read_text().splitlines(), 1) if len(line) > 120]
    assert not wide


# What the expression tables make beside the pairs that records ask for.
PREPARING = {"conv.pack_weight", "conv.winograd_weight", "gemm.pack_weight"}     # PrepareWeight names them at run time
BYPRODUCTS = {"elementwise._add_scalar", "elementwise._sub_scalar", "elementwise._backward__where_number"}


def claimed_kernels():
    """Every kernel that some record names for its samples' parameters, as "family.kernel"."""
    claimed = set()
    for op in RECORDS.values():
        for sample in op.samples:
            name = op.cpu(op.parse(sample.params)) if callable(op.cpu) else op.cpu
            if name is not None:
                claimed.add(name)
    return claimed


def test_every_kernel_is_claimed_and_every_claim_is_kept():
    claimed = claimed_kernels()
    for name in claimed:
        kernels.lookup(name)                                        # LookupError where there is none
    families = [p.stem for p in (PACKAGE / "_core/kernels").glob("*.pyx")]
    assert len(families) > 5
    there = {f"{f}.{k}" for f in families for k in kernels.family(f).kernels}
    # Records without a public name come out of the passes over a bound graph, which have tests of their own.
    unnamed = {op.cpu for op in Op.__subclasses__() if isinstance(op.cpu, str) and op.name not in RECORDS} | PREPARING
    for name in unnamed:
        kernels.lookup(name)
    assert not there - claimed - unnamed - BYPRODUCTS, "no record's samples use these"


def test_level_files_come_in_threes():
    """A kernel family has its inner loops for all levels or for none."""
    for path in (PACKAGE / "_core/kernels").glob("*_base.c"):
        stem = path.name.removesuffix("_base.c")
        assert path.with_name(f"{stem}.pyx").exists(), path
        for level in ("avx2", "avx512"):
            assert path.with_name(f"{stem}_{level}.c").exists(), f"{stem} lacks {level}"


def test_flags_that_change_results_are_not_used():
    """Nothing is built for the building machine, nothing gives up IEEE arithmetic."""
    code = re.sub(r'""".*?"""|#.*', "", (REPOSITORY / "setup.py").read_text(), flags=re.DOTALL | re.ASCII)
    code = "\n".join(re.sub(r"#.*", "", line) for line in code.splitlines())
    for flag in ("-march=native", "-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-fassociative-math"):
        assert flag not in code
