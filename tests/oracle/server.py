"""The oracle's end of the line: runs source text under the real MXNet 1.9.1 and sends the result back.

Started by client.py with the oracle's own interpreter (Python 3.11, NumPy 1.23); the client also imports the wire
format from here, so nothing at module level may need MXNet.

The wire: frames of an 8-byte little-endian length and a pickle (protocol 4) of plain values. Arrays travel as
(dtype text, shape, bytes), because NumPy 2 and NumPy 1.23 name their classes differently inside pickles.
    to the server      (source text, encoded dict of values)
    from the server    ("ok", encoded result)  or  ("error", type name, text, traceback text)
"""
import os
import pickle
import struct
import sys

import numpy as np

_LENGTH = struct.Struct("<Q")
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def encode(value, convert=lambda value: value):
    """`value` as nested tuples of plain Python values, each with a tag in front.

    Plain values, tuples (named ones become plain), lists, dicts, arrays of any dtype without objects, NumPy scalars,
    dtypes and scalar classes can travel. `convert` is asked first, to turn what only one side knows into one of those.
    Raises TypeError for anything else.
    """
    value = convert(value)
    if isinstance(value, np.generic):                   # before _PLAIN: np.float64 is a float
        return "scalar", encode(np.asarray(value))
    for kind in _PLAIN:
        if isinstance(value, kind):
            # kind(value) makes a str of MXNet's InitDesc, an int of an enum; bool comes before int on purpose.
            return "plain", value if type(value) is kind else kind(value)
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject or value.dtype.kind == "V":
            raise TypeError(f"an array of dtype {value.dtype} cannot travel")
        return "array", value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.dtype):
        return "dtype", value.str
    if isinstance(value, type) and issubclass(value, np.generic):
        return "class", np.dtype(value).str
    if isinstance(value, tuple):
        return "tuple", [encode(item, convert) for item in value]
    if isinstance(value, list):
        return "list", [encode(item, convert) for item in value]
    if isinstance(value, dict):
        return "dict", [(encode(key, convert), encode(item, convert)) for key, item in value.items()]
    raise TypeError(f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot travel")


def decode(message):
    """The value that `encode` was given; arrays are fresh, contiguous and writable."""
    tag, *parts = message
    if tag == "array":
        dtype, shape, data = parts
        array = np.empty(shape, dtype)
        # Not frombuffer: it refuses an empty buffer, and gives read-only arrays.
        array.reshape(-1).view(np.uint8)[...] = np.frombuffer(data, np.uint8) if data else 0
        return array
    part, = parts
    if tag == "plain":
        return part
    if tag == "scalar":
        return decode(part)[()]
    if tag == "dtype":
        return np.dtype(part)
    if tag == "class":
        return np.dtype(part).type
    if tag == "dict":
        return {decode(key): decode(item) for key, item in part}
    return {"tuple": tuple, "list": list}[tag](decode(item) for item in part)


def pack(message):
    """One frame: the length, then the pickle."""
    body = pickle.dumps(message, protocol=4)
    return _LENGTH.pack(len(body)) + body


def unpack(read):
    """The next message of a stream, where `read(n)` gives exactly n bytes or raises EOFError."""
    size, = _LENGTH.unpack(read(_LENGTH.size))
    return pickle.loads(read(size))


def _evaluate(mx, source, values):
    """Run `source`, whose names are mx, np, nd, sym and `values`; gives the encoded `result`."""
    import linecache
    linecache.cache["<oracle>"] = len(source), None, source.splitlines(True), "<oracle>"    # lines for tracebacks
    # What one request leaves behind must not reach the next: names count from 0, random numbers start anew.
    mx.autograd.set_recording(False)
    mx.autograd.set_training(False)
    mx.random.seed(0)
    np.random.seed(0)
    namespace = {"__name__": "oracle", "mx": mx, "np": np, "nd": mx.nd, "sym": mx.sym, **decode(values)}
    with mx.name.NameManager():
        try:
            exec(compile(source, "<oracle>", "exec"), namespace)
        finally:
            # Work still queued may fail only now, or write what the result is about to read (BatchNorm's moving
            # statistics are such: an immediate read races with backward).
            mx.nd.waitall()
    if "result" not in namespace:
        raise NameError("the source must set `result`")
    return encode(namespace["result"], lambda value: value.asnumpy() if isinstance(value, mx.nd.NDArray) else value)


def serve(receive, send):
    """Answer requests until the client closes the line."""
    import faulthandler
    import signal
    import traceback
    import warnings
    warnings.simplefilter("ignore")                     # MXNet meets NumPy 1.23 and Python 3.11 with many
    np.bool = bool                                      # mxnet 1.9.1 uses the old alias at import
    import mxnet as mx
    # MXNet turns a fault into exit status 255. The client is to see the signal, and where in Python it happened.
    for fault in (signal.SIGSEGV, signal.SIGFPE, signal.SIGBUS, signal.SIGILL, signal.SIGABRT):
        signal.signal(fault, signal.SIG_DFL)
    faulthandler.enable()

    send(("ok", encode({"mxnet": mx.__version__, "numpy": np.__version__})))
    while True:
        try:
            source, values = receive()
        except EOFError:
            return
        try:
            reply = "ok", _evaluate(mx, source, values)
        except BaseException as error:                  # SystemExit too: only a crash may end the server
            reply = "error", type(error).__name__, str(error), traceback.format_exc()
        send(reply)


def main():
    # MXNet's C++ and the requests print to descriptor 1; frames need a line of their own.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def read(size):
        data = requests.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def send(message):
        output.write(pack(message))
        output.flush()

    serve(lambda: unpack(read), send)
    sys.stderr.flush()
    os._exit(0)                                         # MXNet's own shutdown can fail or hang


if __name__ == "__main__":
    main()
