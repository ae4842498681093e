"""What every test stands on: a built mxlite, and subprocesses that import the same one."""
import importlib
import importlib.util
import os
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]


def pytest_addoption(parser):
    group = parser.getgroup("mxlite")
    group.addoption("--gpu", choices=("auto", "real", "fake", "fake-all"), default="auto",
                    help="what tests/gpu_device runs on: a GPU, one that is made up (a part of the cases, or all), or "
                         "whichever there is")
    group.addoption("--gpu-results", metavar="FILE", help="write what tests/gpu_device found, as JSON")


def pytest_configure():
    try:
        core = importlib.import_module("mxlite._core.cpu")
    except ImportError as e:
        spec = importlib.util.find_spec("mxlite")
        if spec is None:
            pytest.exit('mxlite is not installed: pip install ".[test]" (or, to work on it, pip install -e ".[test]")',
                        returncode=4)
        pytest.exit(f"mxlite is imported from {pathlib.Path(spec.origin).parent}, which is not built ({e}). Run plain "
                    f"`pytest` for the installed package (`python -m pytest` puts this folder first), or build this "
                    f"tree: pip install -e .", returncode=4)
    where = pathlib.Path(core.__file__).resolve().parents[2]
    # `python -c` would put the working directory, which may be the unbuilt source tree, before the tested package.
    os.environ["PYTHONSAFEPATH"] = "1"
    if where == REPOSITORY:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(where), os.environ.get("PYTHONPATH")]))


def pytest_report_header():
    import mxlite as mx
    info = mx.runtime.info()
    return (f"mxlite {mx.__version__} from {pathlib.Path(mx.__file__).parent}: {info['isa']}, {info['threads']} "
            f"threads, OpenMP {'yes' if info['openmp'] else 'no'}")
