"""docs/gpu_operators.md: current, complete, and the same as what programs are resolved to."""
import importlib
import pathlib

import pytest

from mxlite.gpu import coverage
from mxlite.ops.record import RECORDS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "gpu_operators.md"


@pytest.fixture(scope="module")
def page():
    return coverage.page()


def test_page_is_current(page):
    assert PAGE.read_text() == page, "python -m mxlite.gpu.coverage > docs/gpu_operators.md"


def test_no_operator_is_missing(page):
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(RECORDS)
    refused = [name for name, row in coverage.table().items() if set(row.values()) == {coverage.REFUSED}]
    assert not refused, "no sample of these is taken in any dtype"


@pytest.mark.parametrize("name, dtype, want", [
    ("softmax", "float16", "CUDA"), ("dot", "float32", "cublasLt"), ("dot", "int32", "CuPy"),
    ("Convolution", "bfloat16", "cuDNN"), ("RNN", "float32", "cuDNN/CuPy"), ("BatchNorm", "float16", "CUDA"),
    ("_linalg_potrf", "float64", "CuPy"), ("_linalg_potrf", "int32", "–"), ("_arange", "int64", "CUDA")])
def test_entries(name, dtype, want):
    assert coverage.entry(RECORDS[name], dtype) == want


def test_what_has_no_rule_is_told(monkeypatch):
    """A kernel that goes missing changes the page."""
    from mxlite.gpu import launch
    from mxlite.gpu.families import softmax
    monkeypatch.delitem(softmax.KERNELS, "softmax.softmax")
    launch.find.cache_clear()
    try:
        assert coverage.entry(RECORDS["softmax"], "float32") == "CuPy"
    finally:
        launch.find.cache_clear()


def test_command(capsys):
    importlib.import_module("mxlite.gpu.coverage").main()
    assert capsys.readouterr().out == PAGE.read_text()
