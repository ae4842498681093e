"""``.params`` files of every version and dtype: MXNet reads the same from the same bytes, and writes the same bytes."""
import numpy as np

import mxlite as mx

from ..params_bytes import GPU, PINNED, blob, file, none, row_sparse

X = np.arange(6, dtype="f4").reshape(2, 3)
LOAD = """
def load(nd, files):
    out = []
    for data in files:
        try:
            loaded = nd.load_frombuffer(data)
        except Exception as error:
            out.append(type(error).__name__)
            continue
        names = list(loaded) if isinstance(loaded, dict) else None
        arrays = list(loaded.values()) if isinstance(loaded, dict) else loaded
        out.append([names] + [[x.shape, np.dtype(x.dtype).name, str(x.context), x.asnumpy().tolist()] for x in arrays])
    return out
"""
NAMES = {"np": np}
exec(LOAD, NAMES)


def test_the_same_bytes_are_the_same_arrays(oracle):
    good = [file([blob(X, version, device)], names)
            for version in (0, 1, 2) for device in ((1, 0), (1, 7), (GPU, 2), (PINNED, 0)) for names in ([], ["arg:x"])]
    dtypes = "float64", "float16", "uint8", "int32", "int8", "int64", "bool"
    good += [file([blob(X.astype(d), version) for d in dtypes]) for version in (0, 1, 2)]
    good += [file([blob(X, 0), blob(X, 1), blob(X, 2)], ["a", "b", "c"]), file([]), file([blob(X)], ["a"]) + b"more",
             file([blob(X), blob(X[0])], ["a", "a"]), file([blob(X[:0])]), file([blob(np.float32(3), 0), blob(X)]),
             file([blob(np.float32(3), 1), blob(X)])]
    bad = [file([blob(X)])[:-1], file([blob(X)])[:60], file([blob(X)], ["a", "b"]), file([blob(X, device=(1, 0))])[8:],
           b"", b"<html>" * 20, file([blob(X, stype=9)]), file([blob(X, stype=-1)]), file([none(), blob(X)])[:40]]
    files = good + bad
    ours = NAMES["load"](mx.nd, files)
    theirs = oracle.run(LOAD + "result = load(nd, files)", files=files)
    wrong = [f"file {k}: {a} where {b} is expected" for k, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    assert not wrong, "\n".join(wrong)
    assert all(isinstance(a, str) for a in ours[len(good):]) and not any(isinstance(a, str) for a in ours[:len(good)])


def test_the_bytes_of_a_sparse_array_are_right(oracle):
    """Those that mxlite refuses in tests/test_ndarray_files.py."""
    found = oracle.run("x, = nd.load_frombuffer(data); result = [x.stype, x.asnumpy()]", data=file([row_sparse()]))
    assert found[0] == "row_sparse" and found[1].tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]


def test_the_same_arrays_are_the_same_bytes(oracle, tmp_path):
    source = """
def save(nd, path, values, names):
    arrays = [nd.array(v, dtype=v.dtype) for v in values]
    out = []
    for data in (arrays[0], arrays, dict(zip(names, arrays)), [], {}):
        nd.save(path, data)
        with open(path, "rb") as f:
            out.append(f.read())
    return out
"""
    names = {}
    exec(source, names)
    values = [X.astype(d) for d in ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")]
    given = ["arg:w", "aux:m", "", "\u00e9", "a b", "x" * 300, "p", "q"]
    ours = names["save"](mx.nd, str(tmp_path / "ours"), values, given)
    assert ours == oracle.run(source + "result = save(nd, path, values, given)", path=str(tmp_path / "theirs"),
                              values=values, given=given)
