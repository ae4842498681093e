"""Reading and writing ``.params`` files: every dtype and version, and files that are damaged at any byte."""
import numpy as np
import pytest

import mxlite as mx
from mxlite._core.dtypes import FLAG

from .params_bytes import CPU, GPU, PINNED, blob, file, none, row_sparse

X = np.arange(6, dtype="f4").reshape(2, 3)


@pytest.mark.parametrize("dtype", FLAG)
def test_every_dtype_there_and_back(tmp_path, dtype):
    path = str(tmp_path / "x.params")
    arrays = [mx.nd.array([[1, 0, 3]], dtype=dtype), mx.nd.zeros((0, 2), dtype=dtype), mx.nd.full((), 1, dtype=dtype),
              mx.nd.array([[1, 2], [3, 4]], dtype=dtype)[1], mx.nd.zeros((1,) * 8, dtype=dtype)]
    for given in (arrays, dict(zip(["a", "arg:b", "", "\u00e9\u4e00", "e" * 300], arrays))):
        mx.nd.save(path, given)
        for again in (mx.nd.load(path), mx.nd.load_frombuffer((tmp_path / "x.params").read_bytes()),
                      mx.nd.load_frombuffer(bytearray((tmp_path / "x.params").read_bytes()))):
            assert type(again) is type(given) and list(again) == list(given) if isinstance(given, dict) else True
            old, new = (list(d.values()) if isinstance(d, dict) else d for d in (given, again))
            assert [(x.dtype_name, x.shape, x.asnumpy().tolist()) for x in new] == [
                (x.dtype_name, x.shape, x.asnumpy().tolist()) for x in old]
            new[0][:] = 1                   # loaded arrays are ordinary ones


def test_single_arrays_and_nothing(tmp_path):
    path = str(tmp_path / "x.params")
    mx.nd.save(path, mx.nd.arange(3))
    assert [x.asnumpy().tolist() for x in mx.nd.load(path)] == [[0, 1, 2]]
    for empty in ([], {}):
        mx.nd.save(path, empty)
        assert mx.nd.load(path) == []
    for bad, error in (((mx.nd.ones(1),), ValueError), ([1], TypeError), ({1: mx.nd.ones(1)}, TypeError),
                       (np.ones(3), ValueError), ({"a": np.ones(1)}, TypeError), (None, ValueError)):
        with pytest.raises(error):
            mx.nd.save(path, bad)
    for f in (mx.nd.load, lambda p: mx.nd.save(p, mx.nd.ones(1))):
        with pytest.raises(TypeError, match="string"):
            f(3)                            # no file descriptor
        with pytest.raises(mx.MXNetError, match="No such file"):
            f(str(tmp_path / "no" / "where"))


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_legacy_versions(version):
    data = file([blob(X, version), blob(X.astype("i4"), version, (GPU, 3)), blob(X[0], version, (PINNED, 0))],
                ["arg:a", "aux:b", "c"])
    loaded = mx.nd.load_frombuffer(data)
    assert list(loaded) == ["arg:a", "aux:b", "c"]
    a, b, c = loaded.values()
    assert a.asnumpy().tolist() == b.asnumpy().tolist() == X.tolist() and c.asnumpy().tolist() == [0, 1, 2]
    assert (a.dtype_name, b.dtype_name) == ("float32", "int32")
    assert str(a.context) == str(b.context) == "cpu(0)"     # wherever it was, it is here now


def test_versions_may_be_mixed_and_arrays_may_be_none():
    data = file([blob(X, 0), none(2), blob(X, 1), none(3), blob(np.float32(7), 3), blob(X[:0], 3), blob(X, 2)])
    assert [x.shape for x in mx.nd.load_frombuffer(data)] == [(2, 3), (0,), (2, 3), (0,), (), (0, 3), (2, 3)]


def test_sparse_arrays_are_named():
    data = file([blob(X), row_sparse()], ["a", "b"])
    with pytest.raises(mx.MXNetError, match=r"array 1 of 2 is sparse \(storage type 1\)"):
        mx.nd.load_frombuffer(data)
    with pytest.raises(mx.MXNetError, match="storage type 2"):
        mx.nd.load_frombuffer(file([blob(X, stype=2)]))


def test_every_cut_is_noticed():
    data = file([blob(X, 2), blob(X.astype("i1"), 0), none(), blob(np.float64(3), 3)], ["a", "b", "c", "d"])
    for n in range(len(data)):
        with pytest.raises(mx.MXNetError, match="cut short|Invalid NDArray file format|damaged"):
            mx.nd.load_frombuffer(data[:n])
    assert len(mx.nd.load_frombuffer(data)) == 4


def test_damage_never_does_harm():
    """Any byte overwritten: the arrays, or an MXNetError."""
    data = file([blob(X, 2), blob(X.astype("i1"), 0), none(), blob(np.float64(3), 3), blob(X.astype("f8"), 1)],
                list("abcde"))
    rng = np.random.default_rng(0)
    errors = 0
    for position in range(len(data)):
        for value in {0, 1, 7, 0x7F, 0x80, 0xFF, int(rng.integers(256))}:
            bad = bytearray(data)
            bad[position] = value
            try:
                loaded = mx.nd.load_frombuffer(bytes(bad))
            except mx.MXNetError:
                errors += 1
            else:
                assert len(loaded) in (4, 5)
    assert errors > 300


def test_what_is_no_such_file(tmp_path):
    for data, text in [(b"", "0 bytes"), (b"<!DOCTYPE html><html>" + b" " * 50, "HTML page"), (b"x" * 100, "Invalid"),
                       (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
                       (file([blob(X)], ["a", "b"]), "names 2 arrays and holds 1"),
                       (file([blob(X, device=(77, 0))]), "device type 77"),
                       (file([blob(X)]).replace(b"\x12\x01", b"\x12\x01", 1)[:16] + b"\xff" * 8, "in 24 bytes"),
                       (file([blob(X, device=(CPU, 0))], ["a"])[:-1] + b"\xff", "UTF-8")]:
        (tmp_path / "bad").write_bytes(data)
        with pytest.raises(mx.MXNetError, match=text):
            mx.nd.load_frombuffer(data)
        with pytest.raises(mx.MXNetError, match=text):
            mx.nd.load(str(tmp_path / "bad"))
    for bad in ("text", 3, None, [1]):
        with pytest.raises(TypeError, match="bytes"):
            mx.nd.load_frombuffer(bad)
