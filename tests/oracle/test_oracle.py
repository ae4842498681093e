"""The oracle client itself: what travels, what errors say, and that no crash of its process ends the tests."""
import os
import signal
import time

import numpy as np
import pytest

from .client import Oracle, OracleCrash, OracleError, OracleTimeout
from .server import decode, encode

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128", ">f4", ">i2", "S3", "U5", "M8[s]"]
SHAPES = [(), (0,), (3,), (2, 0, 4), (2, 3, 4)]


def assert_same(got, expected):
    """Equal in type, dtype, shape and every bit, through containers."""
    assert type(got) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (got.dtype, got.shape, got.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for pair in zip(got, expected):
            assert_same(*pair)
    elif isinstance(expected, dict):
        assert_same(list(got.items()), list(expected.items()))
    else:
        assert got == expected or got != got and expected != expected


def sample(dtype, shape):
    """An array of raw counting bytes that are a legal value of every dtype."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.arange(size, dtype=np.uint8) % (2 if dtype == "bool" else 251)
    if np.dtype(dtype).kind == "U":
        return np.resize(np.array(["", "é", "abc", "\U0001f600"], dtype), shape)
    return np.frombuffer(raw.tobytes() or b"", np.uint8).view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_travel(oracle, dtype):
    arrays = [sample(dtype, shape) for shape in SHAPES]
    arrays += [arrays[-1].transpose(2, 0, 1), arrays[-1][:, ::-2]]      # strided ones arrive contiguous
    got = oracle.run("""
        result = arrays, [(a.dtype.str, a.shape, a.flags.c_contiguous, a.flags.writeable) for a in arrays]
    """, arrays=arrays)
    assert_same(got[0], arrays)
    assert got[1] == [(a.dtype.str, a.shape, True, True) for a in arrays]
    assert all(a.flags.c_contiguous and a.flags.writeable for a in got[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"])
def test_ndarrays_come_back_as_numpy(oracle, dtype):
    x = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    assert_same(oracle.run("a = nd.array(x, dtype=x.dtype); result = {'a': [a, (a[1],)]}", x=x), {"a": [x, (x[1],)]})


def test_plain_values_travel(oracle):
    values = [None, True, False, 0, -1, 2**70, 1.5, float("inf"), float("nan"), 1j, "é\n", b"\0\xff", [], (), {},
              {(1, 2): [3]}, {"b": 1, "a": 2}, np.float32(0.1), np.float64(0.1), np.int8(-3), np.bool_(True),
              np.dtype("int32"), np.float16, np.bool_, np.float64]
    assert_same(oracle.run("result = values", values=values), values)
    assert_same(decode(encode(values)), values)


def test_numpy_versions_differ(oracle):
    """The wire is only proven where the two sides' NumPys name their classes differently."""
    assert oracle.run("result = mx.__version__, np.__version__") == ("1.9.1", "1.23.5")
    assert oracle.versions == {"mxnet": "1.9.1", "numpy": "1.23.5"}
    assert np.lib.NumpyVersion(np.__version__) >= "2.0.0"


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([None]), np.zeros(1, "i4,f4"), [lambda: 0]])
def test_other_values_are_refused(value):
    with pytest.raises(TypeError, match="cannot travel"):
        encode(value)


def test_large_arrays_travel(oracle):
    """Many pipe buffers in both directions."""
    x = np.arange(5_000_000, dtype="float64")
    assert_same(oracle.run("result = x * 2", x=x), x * 2)


def test_errors_have_type_and_text(oracle):
    with pytest.raises(OracleError) as error:
        oracle.run("""
            x = sym.Variable("data")
            sym.FullyConnected(x, num_hidden=3, name="fc").infer_shape(data=(2, 5), fc_weight=(3, 6))
        """)
    assert error.value.type == "MXNetError"
    assert "Error in operator fc: Shape inconsistent, Provided = [3,6], inferred shape=(3,5)" in error.value.text
    assert 'File "<oracle>", line 3' in error.value.traceback and "fc_weight=(3, 6))" in error.value.traceback

    for source, type, text in [
            ("raise ValueError('é')", "ValueError", "é"),
            ("x = 1", "NameError", "the source must set `result`"),
            ("result = object()", "TypeError", "a value of type builtins.object cannot travel"),
            ("1 +", "SyntaxError", "invalid syntax"),
            ("raise SystemExit(3)", "SystemExit", "3"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt", "")]:
        with pytest.raises(OracleError) as error:
            oracle.run(source)
        assert error.value.type == type and error.value.text.startswith(text)
    assert oracle.run("result = 1") == 1


def test_queued_work_fails_in_its_own_request(oracle):
    """MXNet's engine reports an error at the next wait, which must not be the next request's."""
    with pytest.raises(OracleError, match="batch_dot|shape|dot only supports"):
        oracle.run("x = nd.array([1, 2], dtype='int32'); nd.dot(x, x); result = 0")
    assert oracle.run("result = nd.ones((1,))") == 1


def test_printing_does_not_disturb(oracle):
    assert oracle.run("""
        import os, sys
        print("to stdout", flush=True); print("to stderr", file=sys.stderr)
        os.write(1, b"\\0" * 100); os.system("echo from a child")
        result = sys.stdin.read()
    """) == ""


def test_requests_are_alike(oracle):
    """Names count from zero and random numbers start anew, whatever came before."""
    source = """
        data = sym.Variable("data")
        names = [(data + 1).name, sym.relu(data).name]
        result = names, nd.random.uniform(shape=(3,)), np.random.rand(), "left" in globals()
        left = mx.autograd.record().__enter__()
    """
    assert_same(oracle.run(source), oracle.run(source))
    assert oracle.run(source)[0] == ["_plusscalar0", "relu0"]
    assert oracle.run("result = mx.autograd.is_recording(), mx.autograd.is_training()") == (False, False)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT, signal.SIGKILL])
def test_survives_a_crash(oracle, number):
    oracle.run("print('said by an earlier request'); result = 0")
    with pytest.raises(OracleCrash, match=number.name) as crash:
        oracle.run("import os; os.kill(os.getpid(), number)", number=int(number))
    assert crash.value.signal is number and crash.value.status is None
    assert "earlier" not in str(crash.value)
    if number != signal.SIGKILL:
        assert 'File "<oracle>", line 1' in str(crash.value)
    assert oracle.run("result = nd.ones((2,)).sum()") == 2


def test_survives_what_mxnet_does_to_itself(oracle):
    """Integer division by zero kills the process: the reason why it is one."""
    with pytest.raises(OracleCrash) as crash:
        oracle.run("result = nd.array([1], dtype='int32') / nd.array([0], dtype='int32')")
    assert crash.value.signal is signal.SIGFPE


def test_survives_an_exit(oracle):
    with pytest.raises(OracleCrash, match="(?s)exit status 7.*some last words") as crash:
        oracle.run("import os; os.write(2, b'some last words'); os._exit(7)")
    assert crash.value.signal is None and crash.value.status == 7
    assert oracle.run("result = 1") == 1


def test_notices_a_crash_behind_an_open_pipe(oracle):
    """A forked child keeps the pipe open, so its end comes late."""
    start = time.monotonic()
    with pytest.raises(OracleCrash, match="SIGKILL"):
        oracle.run("""
            import os, time
            if not os.fork():
                time.sleep(5); os._exit(0)
            os.kill(os.getpid(), 9)
        """)
    assert time.monotonic() - start < 4


def test_timeout_kills(oracle):
    oracle.run("result = 0")
    pid, timeout, oracle.timeout = oracle.run("import os; result = os.getpid()"), oracle.timeout, 0.5
    try:
        with pytest.raises(OracleTimeout, match="within 0.5 seconds"):
            oracle.run("while True: pass")
    finally:
        oracle.timeout = timeout
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert oracle.run("import os; result = os.getpid()") != pid


def test_interrupt_ends_the_conversation(oracle, monkeypatch):
    """Ctrl-C while waiting: the late answer must not become the next request's."""
    def interrupted(*arguments):
        raise KeyboardInterrupt
    oracle.run("result = 0")
    with monkeypatch.context() as patch:
        patch.setattr(oracle, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            oracle.run("result = 'late'")
    assert oracle.run("result = 'next'") == "next"


def test_starts_lazily_and_closes(oracle):
    with Oracle(oracle.python) as own:
        assert own._process is None
        pid = own.run("import os; result = os.getpid()")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    own.close()                                         # twice is fine
    assert Oracle("/nonexistent/python")._process is None
    with pytest.raises(FileNotFoundError):
        Oracle("/nonexistent/python").run("result = 1")


def test_a_forked_child_gets_its_own(oracle):
    pid = oracle.run("import os; result = os.getpid()")
    child = os.fork()
    if not child:
        status = 1
        try:
            status = oracle.run("import os; result = os.getpid()") == pid
            oracle.close()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert oracle.run("import os; result = os.getpid()") == pid


def test_an_interpreter_without_mxnet_says_so(oracle, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho nothing of the kind here >&2\nexit 5\n")
    python.chmod(0o755)
    with pytest.raises(OracleCrash, match="(?s)exit status 5.*nothing of the kind"):
        Oracle(python).run("result = 1")
