"""Ask the real MXNet 1.9.1, in an interpreter of its own.

    oracle = Oracle()
    oracle.run("result = nd.relu(nd.array(x))", x=np.array([-1.0, 2.0]))     # array([0., 2.], dtype=float32)

The source sees mx, np, nd, sym and the given values, and sets `result`. See server.py for what can travel.
"""
import atexit
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import textwrap
import threading
import time

from .server import decode, encode, pack, unpack

_SERVER = pathlib.Path(__file__).with_name("server.py")
_REPOSITORY = _SERVER.parents[2]


class OracleError(Exception):
    """The source raised. `type` is the exception's class name, `text` its text, `traceback` where it happened."""

    def __init__(self, type, text, traceback):
        super().__init__(f"{type}: {text}\n{textwrap.indent(traceback, '  | ')}")
        self.type, self.text, self.traceback = type, text, traceback


class OracleCrash(Exception):
    """The process died. `signal` is a signal.Signals, or None where it left with exit status `status` (else None)."""

    def __init__(self, returncode, stderr):
        self.signal = signal.Signals(-returncode) if returncode < 0 else None
        self.status = returncode if returncode >= 0 else None
        what = f"died of {self.signal.name}" if self.signal else f"left with exit status {returncode}"
        super().__init__(f"MXNet's process {what}; it said:\n{textwrap.indent(stderr, '  | ')}")


class OracleTimeout(Exception):
    """No answer within `Oracle.timeout` seconds; the process was killed."""


def interpreter():
    """Path of the oracle's Python: $MXLITE_ORACLE, else .oracle/bin/python of the repository. It may be missing."""
    return pathlib.Path(os.environ.get("MXLITE_ORACLE") or _REPOSITORY / ".oracle/bin/python")


class Oracle:
    """One MXNet process, started by the first `run`, and again after a crash, a timeout or `close`.

    python: path of an interpreter that has mxnet 1.9.1 (default: `interpreter()`)
    timeout: seconds one `run` may take; may be set at any time
    start_timeout: seconds for importing MXNet, more than a second or two only from a cold disk
    """

    def __init__(self, python=None, timeout=60.0, start_timeout=180.0):
        self.python, self.timeout, self.start_timeout = python or interpreter(), timeout, start_timeout
        self.versions = None                            # {"mxnet": ..., "numpy": ...} once started
        self._process = self._stderr = None
        self._lock = threading.RLock()

    def run(self, source, /, **values):
        """Execute `source` (indented text is fine) and give back its `result`, NDArrays as NumPy arrays.

        Names count from zero and random seeds are 0 at each call. Raises OracleError, OracleCrash or OracleTimeout;
        TypeError where a value cannot travel; FileNotFoundError where the interpreter is missing.
        """
        request = pack((textwrap.dedent(source), encode(values)))
        with self._lock:
            self._start()
            return self._exchange(request, self.timeout, self._said())

    def close(self):
        """End the process, if there is one."""
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            atexit.unregister(self.close)
            # In a forked child both do nothing: the process is not its own, which poll() takes for ended. So the
            # parent keeps it, and a child that runs something starts another.
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
            self._stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _start(self):
        process = self._process
        if process and process.poll() is None:
            return
        self.close()
        # A file, not a pipe: nobody would empty a pipe while a request runs.
        self._stderr = tempfile.TemporaryFile()
        try:
            # -I: no PYTHONPATH, no user packages, and this folder's names stay out of MXNet's imports.
            # Its own session: Ctrl-C is for the tests, which then end this process themselves.
            # Unbuffered: leftovers of a broken frame must not be flushed into a dead pipe later.
            self._process = subprocess.Popen(
                [self.python, "-I", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
                bufsize=0, start_new_session=True, env={"OMP_NUM_THREADS": "1", **os.environ})
        except BaseException:
            self._stderr.close()
            raise
        atexit.register(self.close)
        self.versions = self._exchange(b"", self.start_timeout, 0)

    def _said(self):
        """Bytes of stderr so far. Nothing here may seek that file: the process writes at the same offset."""
        return os.fstat(self._stderr.fileno()).st_size

    def _exchange(self, request, timeout, said_before):
        """Send a frame and wait for the answer. A broken conversation ends the process: its state is unknown."""
        deadline = time.monotonic() + timeout
        try:
            self._send(request, deadline)
            kind, *answer = unpack(lambda size: self._read(size, deadline))
        except EOFError:
            try:
                returncode = self._process.wait(10)
            except subprocess.TimeoutExpired:           # alive, but the request closed its line
                self._process.kill()
                returncode = self._process.wait()
            said = os.pread(self._stderr.fileno(), 4000, max(said_before, self._said() - 4000))
            self.close()
            raise OracleCrash(returncode, said.decode(errors="replace").strip()) from None
        except TimeoutError:
            self.close()
            raise OracleTimeout(f"no answer from MXNet within {timeout} seconds; its process was killed") from None
        except BaseException:
            self.close()
            raise
        if kind == "error":
            raise OracleError(*answer)
        return decode(*answer)

    def _send(self, data, deadline):
        stdin = self._process.stdin
        view = memoryview(data)
        while view:
            self._wait([], [stdin], deadline)
            try:
                # At most what select promises to take without blocking, which is PIPE_BUF.
                view = view[stdin.write(view[:select.PIPE_BUF]):]
            except BrokenPipeError:
                raise EOFError from None

    def _read(self, size, deadline):
        stdout, data = self._process.stdout, bytearray()
        while len(data) < size:
            self._wait([stdout], [], deadline)
            part = stdout.read(min(size - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _wait(self, reading, writing, deadline):
        """Return when a pipe is ready. EOFError where the process died, TimeoutError past the deadline."""
        while not any(select.select(reading, writing, [], min(1.0, max(0.0, deadline - time.monotonic())))):
            # The pipe's end alone does not tell: a child that the process forked may hold it open.
            if self._process.poll() is not None:
                raise EOFError
            if time.monotonic() >= deadline:
                raise TimeoutError
