"""CONTRIBUTING.md's "Add an operator in ten minutes", followed to the letter in a copy of the package."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import mxlite

REPOSITORY = pathlib.Path(__file__).parents[1]
BLOCK = re.compile(r"<!-- test_add_operator\.py: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
PAGE = dict(BLOCK.findall((REPOSITORY / "CONTRIBUTING.md").read_text()))
RECORD = "mxlite/ops/squareplus.py"
KERNEL = "mxlite/_core/kernels/squareplus.pyx"

# The record's own rules once more, in literal numbers: the page's example must not only run but be right.
LITERAL = """
import numpy as np
y = mx.nd.squareplus(x, b=1).asnumpy()
np.testing.assert_allclose(y, [(-1 + 2 ** .5) / 2, .5, (3 + 10 ** .5) / 2], rtol=1e-6)
np.testing.assert_allclose(exe.outputs[0].asnumpy(), y, rtol=1e-6)
np.testing.assert_allclose(exe.grad_dict["data"].asnumpy(), [(1 - .5 ** .5) / 2, .5, (1 + 3 / 10 ** .5) / 2], rtol=1e-6)
assert "squareplus" in dir(mx.nd) and "squareplus" in dir(mx.sym)
assert mx.sym.load_json(net.tojson()).list_outputs() == ["act_output"]
try:
    mx.nd.squareplus(x, b=-1)
except (ValueError, mx.MXNetError) as e:
    assert "out of range" in str(e)
else:
    raise AssertionError("b=-1 was taken")
"""


def run(package, *command, **env):
    """Run a command that imports the mxlite in folder `package`; its output."""
    env = {**os.environ, "PYTHONPATH": str(package), "PYTHONSAFEPATH": "1", **env}
    done = subprocess.run([sys.executable, *map(str, command)], env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600)
    assert done.returncode == 0, done.stdout
    return done.stdout


def derived_tests(package):
    """How many derived tests of squareplus pass, run as the page says."""
    out = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", REPOSITORY / "pyproject.toml",
              "--rootdir", REPOSITORY, REPOSITORY / "tests/test_ops.py", "-k", "squareplus")
    return int(re.search(r"(\d+) passed", out)[1])


@pytest.fixture
def package(tmp_path):
    """A folder with a copy of the package under test, compiled modules included, and the page's record in it."""
    shutil.copytree(pathlib.Path(mxlite.__file__).parent, tmp_path / "mxlite",
                    ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / RECORD).write_text(PAGE[RECORD])
    return tmp_path


def test_record_alone_is_an_operator(package):
    printed = run(package, "-c", PAGE["use"] + LITERAL)
    assert "reference (NumPy)" in printed
    # documented, and for each of three samples: inference, gradient, kernel, in place, symbol against array
    assert derived_tests(package) >= 16


def test_planted_fault_is_seen(package):
    """The derived tests would notice a wrong gradient."""
    path = package / RECORD
    path.write_text(path.read_text().replace("F.elemwise_mul(dy, F.elemwise_div", "F.elemwise_mul(dy, F.elemwise_add"))
    with pytest.raises(AssertionError, match="declared gradient"):
        derived_tests(package)


def test_kernel(package):
    """The page's kernel builds alone, is found by name, and is what runs."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, package)
    for path in (REPOSITORY / "mxlite").rglob("*"):     # an installed package has no C sources
        if path.suffix in (".pxd", ".h"):
            shutil.copy(path, package / path.relative_to(REPOSITORY))
    (package / KERNEL).write_text(PAGE[KERNEL])
    path = package / RECORD
    path.write_text(re.sub(r"(?=    samples = )", PAGE["fields"], path.read_text(), count=1))
    built = subprocess.run([sys.executable, "setup.py", "build_ext", "--inplace"], cwd=package, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                           env={**os.environ, "MXLITE_ONLY": "kernels/squareplus"})
    assert built.returncode == 0, built.stdout
    assert "1 of 1 C files compiled, 1 of 1 modules linked" in built.stdout
    printed = run(package, "-c", PAGE["use"] + LITERAL)
    assert "C squareplus.squareplus" in printed
    assert derived_tests(package) >= 16
