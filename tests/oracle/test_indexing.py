"""Reading and writing with random index expressions, basic and advanced, against MXNet."""
import numpy as np

import mxlite as mx

from .test_imperative import differs

DTYPES = ["float32", "float32", "float64", "float16", "int32", "int64", "uint8", "int8", "bool"]
SHAPES = [(5,), (1,), (3, 4), (4, 1), (2, 3, 4), (2, 1, 3, 2)]
KEYS = 1000

EVALUATE = """
def evaluate(nd, lines):
    out = []
    for line in lines:
        names = {"nd": nd, "np": np}
        try:
            if line.startswith("x = "):
                exec(line, names)
                names.get("y", names["x"]).asnumpy()            # raises here what MXNet raises late
            else:
                names["x"] = eval(line, names)
            out.append([names["x"].shape, names["x"].asnumpy()])
        except Exception as error:
            out.append(type(error).__name__)
    return out
"""
NAMES = {"np": np}
exec(EVALUATE, NAMES)


def slice_text(rng, n):
    """A slice of an axis of length n, bounds and step of either sign, now and then past the end."""
    step = [None, None, 1, 2, 3, -1, -2][rng.integers(7)]
    start, stop = (None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 2)) for _ in "ab")
    if len(range(n)[slice(start, stop, step)]) == 0 and rng.random() < 0.9:
        start = stop = None                 # MXNet has no empty results: enough of these by the others
    return ":".join("" if v is None else str(v) for v in ((start, stop) if step is None else (start, stop, step)))


def array_text(rng, n, shape, lowest):
    """Indices of an axis of length n as a list, a NumPy array or an NDArray."""
    values = rng.integers(lowest(n), n, shape)
    if lowest(n) and rng.random() < 0.02:
        values.flat[0] = n + 2
    kind = rng.integers(3)
    if kind == 0:
        return str(values.tolist())
    if kind == 1:
        return f"np.array({values.tolist()}, dtype='{['int64', 'int32', 'int8', 'float64'][rng.integers(4)]}')"
    dtype = ["float32", "int32", "int64", "float64", "int8", "float16"][rng.integers(6)]
    return f"nd.array({values.tolist()}, dtype='{dtype}')"


def random_key(rng, shape, writing):
    """(text of a key, whether it has arrays in it)."""
    arrays = rng.random() < 0.5
    # MXNet's writes by arrays take no index from the end: a negative one goes before the array's memory.
    lowest = (lambda n: 0) if writing else (lambda n: -n)
    common = [(), (1,), (2,), (3,), (2, 2)][rng.integers(5)] or (2,)
    used = rng.integers(1 if arrays else 0, len(shape) + 1)
    key, has_arrays = [], False
    ellipsis = int(rng.integers(used + 1)) if rng.random() < 0.35 else None
    for k in range(used):
        axis = k if ellipsis is None or k < ellipsis else len(shape) - used + k
        n, r = shape[axis], rng.random()
        if arrays and (r < 0.5 or k == used - 1 and not has_arrays):
            has_arrays = True
            s = common if rng.random() < 0.8 else (1,) * len(common) if rng.random() < 0.8 else (3,)
            key.append(array_text(rng, n, s, lowest))
        elif r < 0.7:
            key.append(slice_text(rng, n))
        else:
            key.append(str(int(rng.integers(0 if arrays and writing else -n, n))))
            if not writing and rng.random() < 0.02:
                key[-1] = str(n)
    if ellipsis is not None:
        key.insert(ellipsis, "...")
    if rng.random() < (0.1 if writing else 0.25):
        key.insert(int(rng.integers(len(key) + 1)), "None")
    if rng.random() < 0.01:
        key += ["0"] * (len(shape) + 1 - used)
    if not key:
        return "()" if rng.random() < 0.5 else ":", False
    return ", ".join(key) + ("," if len(key) == 1 and rng.random() < 0.3 else ""), has_arrays


def random_value(rng, shape):
    """What to write into a selection of `shape`: a number, a list, a NumPy array or an NDArray that broadcasts."""
    if rng.random() < 0.25:
        return ["7", "2.7", "-1", "True", "np.float32(1.5)", "np.int64(3)"][rng.integers(6)]
    s = [1 if rng.random() < 0.2 else d for d in shape]
    while s and rng.random() < 0.2:
        s = s[1:]
    if rng.random() < 0.1:
        s = [1] + s
    if rng.random() < 0.04 and s:
        s[-1] += 1
    s = s or [1]
    values = f"np.arange({int(np.prod(s))}).reshape({tuple(s)})"
    kind = rng.integers(5)
    if kind == 0:
        return f"{values}.tolist()"
    if kind == 1:
        return f"({values} * 1.5).astype('{['float32', 'float64', 'int32'][rng.integers(3)]}')"
    return f"nd.array({values} * 1.5, dtype='{['float32', 'float32', 'float64', 'int32', 'uint8'][rng.integers(5)]}')"


def lines(seed, writing):
    """KEYS lines that read or write, each with NumPy's own result for it and what is special about it."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(KEYS):
        shape, dtype = SHAPES[rng.integers(len(SHAPES))], DTYPES[rng.integers(len(DTYPES))]
        values = f"np.arange({int(np.prod(shape))}).reshape({shape})"
        key, has_arrays = random_key(rng, shape, writing)
        x = eval(values).astype(dtype)
        plain = eval(f"key[{key}]", {"key": Key(), "nd": As, "np": As})
        if has_arrays and Ellipsis in map(type_or_value, plain) and axes_of(plain) == len(shape):
            plain = tuple(k for k in plain if k is not Ellipsis)    # no separator here as it is in NumPy
        try:
            part = x[plain]
            selected = part.shape
        except IndexError as error:
            part, selected = type(error).__name__, (2,)
        if writing:
            value = random_value(rng, selected)
            line = f"x = nd.array({values}, dtype='{dtype}'); x[{key}] = {value}"
            more = np.ndim(eval(value, {"np": np, "nd": As})) > len(selected)
            if not isinstance(part, str):
                part = written(x, plain, eval(value, {"np": np, "nd": As}))
        else:
            line, more = f"nd.array({values}, dtype='{dtype}')[{key}]", False
        out.append((line, part, special(writing, dtype, key, has_arrays, selected, more)))
    return out


def special(writing, dtype, key, has_arrays, selected, more):
    """Why MXNet's own answer is none to follow for a key, or None."""
    if 0 in selected:
        return "MXNet has no empty arrays"
    if writing and "None" in key:
        return "MXNet gets new axes wrong when it writes: it refuses values that fit, takes others to wrong places"
    if has_arrays and "None" in key[min(key.find(c) % 1000 for c in "[(n"):]:
        return "MXNet puts a new axis that follows an array before the array's own axes"
    if writing and dtype == "bool":
        return "MXNet does not convert when it writes with steps into booleans"
    if more:
        return "MXNet takes some values with further axes of length 1 in front, and refuses others"
    return None


def written(x, key, value):
    """What `x` holds after ``x[key] = value`` in NumPy, or the error's name."""
    value = np.asarray(value)
    try:
        with np.errstate(all="ignore"):
            x[key] = (value.reshape(()) if value.size == 1 else value).astype(x.dtype)
    except ValueError as error:
        return type(error).__name__
    return x


def type_or_value(k):
    return k if k is None or k is Ellipsis else type(k)


def axes_of(key):
    return sum(k is not None and k is not Ellipsis for k in key) if isinstance(key, tuple) else 1


class Key:
    def __getitem__(self, key):
        return key if isinstance(key, tuple) else (key,)


class As:
    """Stands in for `nd`, and inside keys for `np`: arrays of NumPy's that it can index with."""

    @staticmethod
    def array(values, dtype):
        return np.array(values, dtype="int64") if isinstance(values, list) else values.astype(dtype)


def check(oracle, seed, writing):
    cases = lines(seed, writing)
    texts = [line for line, _, _ in cases]
    ours = NAMES["evaluate"](mx.nd, texts)
    theirs = [r for k in range(0, KEYS, 250) for r in
              oracle.run(EVALUATE + "result = evaluate(nd, lines)", lines=texts[k:k + 250])]
    wrong, compared = [], 0
    for (line, part, reason), a, b in zip(cases, ours, theirs):
        if not isinstance(part, str):
            part = [part.shape or (1,), part.reshape(part.shape or (1,))]      # one element has the shape (1,)
        for who, expected in (("NumPy", part), ("MXNet", b)):
            if who == "NumPy" or reason is None:
                compared += 1
                if differs(a, expected):
                    wrong.append(f"{line}: not as in {who}: {differs(a, expected)}")
    assert not wrong, f"seed {seed}, {len(wrong)} of {compared}:\n" + "\n".join(wrong[:20])
    errors = sum(isinstance(a, str) for a in ours)
    usual = sum(reason is None for _, _, reason in cases)
    assert 10 < errors < KEYS / 10 and usual > 0.6 * KEYS, f"{errors} errors, {usual} compared with MXNet"


def test_reading_equals_mxnet(oracle):
    """1000 keys: shape, dtype and values, or an error where MXNet raises one."""
    check(oracle, 1, writing=False)


def test_writing_equals_mxnet(oracle):
    """1000 keys and values: what the array holds afterwards, or an error."""
    check(oracle, 2, writing=True)


def test_edges_equal_mxnet(oracle):
    """Keys that chance seldom makes."""
    x, y = "nd.array(np.arange(24).reshape((2, 3, 4)), dtype='float32')", "x = nd.array([1, -2, 3.5]); "
    texts = [f"{x}[{key}]" for key in (
        "0:, [-1, 1], ..., -2", "::-1, nd.array([0, 2]), ..., [1, 3]", "..., [0, 1], [1, 2], [3, 0]", "True", "False",
        "np.True_", "0, [1, 2], ...", "[0.9, 1.2]", "np.array([0.0, -1.0])", "range(2)", "(0, 1), 1", "[[0], [1]]",
        "([0], [1])", "1.0", "'a'", "{}", "np.float32(1)", "object()", "..., ...", "::0", "[]",
        "10**20", "None, None, 0, None, ..., None", "nd.array([1]):", "1.5:", "2, 0", "-3", "[0, 1], [0, 1, 2]",
        "'a':'b'", "[0] * 300", "nd.array([[0, 1]], dtype='uint8')", "..., nd.array([3, -4])", "[5]", "[-3]")]
    texts += ["nd.array(5)[:]", "nd.array(5)[()]", "nd.array(5)[0]", "nd.array(5)[[0]]", "nd.array(5)[0:1]"]
    texts += [y + write for write in (
        "x[:] = x[::-1]", "x[0:1] = x[1:2]", "x[:] = 'a'", "x[:] = 1j", "x[[0, 0]] = [1, 2]", "x[5:9] = 1",
        "x[1:1] = 1",
        "x[2:9] = 1", "x[3] = 1", "x[0, 0] = 1", "x[:] = nd.ones((1, 3))", "x[:] = nd.ones((4,))", "x[:] = 1e300",
        "x[0] = [[7]]", "x[0] = [7, 8]", "x[0] = True", "x[:] = nd.array([1, 2, 3], dtype='bool')", "x[0:2] = (1, 2)",
        "x[::2] = np.array([1, 2], dtype='int8')", "x[[2, 0]] = x[:2]", "x[0] += 7", "x[1:] *= 2", "x[[0, 1]] += 7")]
    ours = NAMES["evaluate"](mx.nd, texts)
    theirs = oracle.run(EVALUATE + "result = evaluate(nd, lines)", lines=texts)
    wrong = [f"{t}: {differs(a, b)}" for t, a, b in zip(texts, ours, theirs) if differs(a, b)]
    assert [w.split(":")[0] for w in wrong] == [f"{x}[[]]"], "\n".join(wrong)      # MXNet has no empty arrays


def test_sharing_equals_mxnet(oracle):
    """Which results are views: what is written into them arrives in the array, or does not."""
    rng = np.random.default_rng(3)
    texts = []
    while len(texts) < 300:
        shape = SHAPES[rng.integers(len(SHAPES))]
        key, has_arrays = random_key(rng, shape, False)
        try:
            if not has_arrays and eval(f"np.zeros({shape})[{key}]").size:
                texts.append(f"x = nd.zeros({shape}); y = x[{key}]; y[:] = 1")
        except IndexError:
            pass
    texts += [f"x = nd.zeros((2, 3, 4)); y = x{y}; y[:] = 1" for y in (
        "[[0]]", "[0][1]", "[0][1][1:]", ".reshape((6, 4))", ".reshape((6, 4))[1]", ".T", ".flatten()", ".copy()",
        ".flatten(inplace=True)", ".expand_dims(0)", ".expand_dims(0, inplace=True)", ".detach()", ".astype('float32')",
        ".astype('float32', copy=False)", ".as_nd_ndarray()", ".tostype('default')", ".broadcast_to((2, 3, 4))",
        ".as_in_context(x.context)", ".squeeze(inplace=True)", ".swapaxes(0, 1)")]
    ours = NAMES["evaluate"](mx.nd, texts)
    theirs = oracle.run(EVALUATE + "result = evaluate(nd, lines)", lines=texts)
    # oneDNN cannot do some slices that bounds past the end make.
    wrong = [f"{t}: {differs(a, b)}" for t, a, b in zip(texts, ours, theirs) if b != "MXNetError" and differs(a, b)]
    assert not wrong and theirs.count("MXNetError") < 20, "\n".join(wrong)
    assert 50 < sum(bool(a[1].any()) for a in ours) < 270
