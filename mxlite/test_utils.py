"""Helpers for tests of networks and operators: random arrays, comparisons, gradients checked by differences."""
import contextlib
import functools
import json
import os
import time

import numpy as np

from . import ndarray as nd
from . import symbol as sym_module
from .comparison import (
    almost_equal,
    assert_allclose,
    assert_almost_equal,
    assert_almost_equal_ignore_nan,
    assert_almost_equal_with_err,
    default_atols,
    default_rtols,
    host,
    same,
    same_array,
    tolerances,
)
from .context import Context, current_context, num_gpus
from .namespace import hinted as _hinted

__all__ = ["default_context", "set_default_context", "default_dtype", "list_gpus", "rand_shape_2d", "rand_shape_3d",
           "rand_shape_nd", "rand_ndarray", "random_arrays", "same", "almost_equal", "assert_almost_equal",
           "assert_allclose", "assert_exception", "simple_forward", "numeric_grad", "check_numeric_gradient",
           "check_symbolic_forward", "check_symbolic_backward", "same_array", "assert_almost_equal_with_err",
           "assert_almost_equal_ignore_nan", "check_consistency", "check_speed", "environment",
           "random_uniform_arrays", "random_sample", "retry", "same_symbol_structure", "default_rtols",
           "default_atols", "default_numeric_eps"]

__getattr__ = _hinted(__name__)

_STEP = {"float16": 2.0 ** -6, "float32": 2.0 ** -9, "float64": 2.0 ** -14}


def default_context():
    """The device that tests run on; the environment variable MXNET_TEST_DEFAULT_CTX may name it, as ``gpu(0)``."""
    named = os.environ.get("MXNET_TEST_DEFAULT_CTX")
    if not named:
        return current_context()
    kind, _, number = named.rstrip(")").partition("(")
    return Context(kind, int(number or 0))


def set_default_context(ctx):
    """Make `ctx` the context of this thread's new arrays from here on."""
    ctx.__enter__()


def default_dtype():
    """float32."""
    return np.float32


def list_gpus():
    """The numbers of the GPUs that can be used: none, as long as there is no GPU backend."""
    return list(range(num_gpus()))


def rand_shape_nd(num_dim, dim=10, allow_zero_size=False):
    """A tuple of `num_dim` random sizes, from 1 (0 if `allow_zero_size`) to `dim`."""
    return tuple(int(size) for size in np.random.randint(0 if allow_zero_size else 1, dim + 1, size=num_dim))


def rand_shape_2d(dim0=10, dim1=10, allow_zero_size=False):
    """Two random sizes, up to `dim0` and `dim1`."""
    return rand_shape_nd(1, dim0, allow_zero_size) + rand_shape_nd(1, dim1, allow_zero_size)


def rand_shape_3d(dim0=10, dim1=10, dim2=10, allow_zero_size=False):
    """Three random sizes, up to `dim0`, `dim1` and `dim2`."""
    return rand_shape_2d(dim0, dim1, allow_zero_size) + rand_shape_nd(1, dim2, allow_zero_size)


def rand_ndarray(shape, stype="default", density=None, dtype=None, ctx=None, **_):
    """An NDArray of `shape`, uniform on [-1, 1), float32 unless `dtype` says else. Dense only: else ValueError."""
    if stype != "default":
        raise ValueError(f"stype={stype!r}: only dense arrays are supported")
    values = np.random.uniform(-1, 1, size=shape)
    return nd.array(values, ctx=ctx or default_context(), dtype=dtype or default_dtype())


def random_arrays(*shapes):
    """A float64 NumPy array of normal numbers for each shape; a single one not in a list."""
    arrays = [np.array(np.random.randn(*shape)) for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays


def default_numeric_eps():
    """The width of the central differences of `check_numeric_gradient` for each dtype, a dict by numpy.dtype."""
    return {np.dtype(name): step for name, step in _STEP.items()}


def random_uniform_arrays(*shapes, low=0.0, high=1.0, dtype=None):
    """A list with a NumPy array (float32), uniform on [low, high), for each shape."""
    return [np.random.uniform(low, high, size=shape).astype(dtype or default_dtype()) for shape in shapes]


def random_sample(population, k):
    """`k` distinct elements of the sequence `population`, in random order."""
    if not 0 <= k <= len(population):
        raise AssertionError(f"{k} elements of {len(population)}")
    return [population[i] for i in np.random.permutation(len(population))[:k]]


def retry(n):
    """A decorator for tests that depend on chance: up to `n` runs, until one raises no AssertionError."""
    if n < 1:
        raise AssertionError(f"retry({n}): at least once")

    def decorate(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            for left in reversed(range(n)):
                try:
                    return test(*args, **kwargs)
                except AssertionError:
                    if not left:
                        raise
        return run
    return decorate


@contextlib.contextmanager
def environment(*args):
    """``with environment(name, value):`` or ``environment({name: value})``: these variables hold within the block.

    A value None unsets. What MXLITE_... and OMP_... variables say is read once, at import: see docs/environment.md.
    """
    if len(args) not in (1, 2) or (len(args) == 1 and not isinstance(args[0], dict)):
        raise AssertionError("environment takes a name and a value, or one dict of them")
    wanted = args[0] if len(args) == 1 else {args[0]: args[1]}
    before = {name: os.environ.get(name) for name in wanted}

    def put(values):
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    try:
        put(wanted)
        yield
    finally:
        put(before)


def same_symbol_structure(sym1, sym2):
    """Whether two symbols have the same operators in the same order, and the same edges; names do not count."""
    first, second = (json.loads(sym.tojson()) for sym in (sym1, sym2))
    shape = [[(node["op"], [edge[:2] for edge in node["inputs"]]) for node in net["nodes"]] for net in (first, second)]
    return shape[0] == shape[1]


def assert_exception(f, exception_type, *args, **kwargs):
    """Raise AssertionError unless ``f(*args, **kwargs)`` raises `exception_type`."""
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f"{getattr(f, '__name__', f)} did not raise {exception_type.__name__}")


def _by_name(names, values, what):
    """`values` (a dict, or a list in the order of `names`) as a dict that has exactly `names`, or ValueError."""
    if not isinstance(values, dict):
        if len(values) != len(names):
            raise ValueError(f"{what}: {len(values)} arrays for {names}")
        values = dict(zip(names, values))
    if set(values) != set(names):
        raise ValueError(f"{what}: the symbol has {sorted(names)}, but given are {sorted(values)}")
    return {name: values[name] for name in names}


def _arrays(values, ctx, dtype):
    return {name: nd.array(host(value), ctx=ctx, dtype=dtype) for name, value in values.items()}


def _bind(sym, location, aux_states, ctx, dtype, grad_req):
    """An executor of `sym` at `location`, gradients starting at random values; and these values as NumPy arrays."""
    ctx = ctx or default_context()
    args = _arrays(_by_name(sym.list_arguments(), location, "location"), ctx, dtype)
    aux = _arrays(_by_name(sym.list_auxiliary_states(), aux_states if aux_states is not None else {}, "aux_states"),
                  ctx, dtype)
    if isinstance(grad_req, str):
        grad_req = dict.fromkeys(args, grad_req)
    elif isinstance(grad_req, (list, tuple)):
        grad_req = dict(zip(args, grad_req))
    start = {name: np.random.normal(size=args[name].shape).astype(dtype) for name in args}
    grads = _arrays(start, ctx, dtype)
    return sym.bind(ctx, args, args_grad=grads, grad_req={n: grad_req.get(n, "null") for n in args},
                    aux_states=aux), start


def simple_forward(sym, ctx=None, is_train=False, **inputs):
    """The outputs of `sym` for NumPy inputs given by name, as a NumPy array or a list of them."""
    ctx = ctx or default_context()
    executor = sym.bind(ctx, {name: nd.array(value, ctx=ctx) for name, value in inputs.items()})
    executor.forward(is_train=is_train)
    outputs = [output.asnumpy() for output in executor.outputs]
    return outputs[0] if len(outputs) == 1 else outputs


def numeric_grad(executor, location, aux_states=None, eps=1e-4, use_forward_train=True, dtype=np.float32):
    """The gradient of the sum of the executor's first output by central differences of width `eps`.

    `location` and `aux_states` are dicts name -> NumPy array; the result is a dict for the floating arguments.
    """
    def value():
        for name, array in (aux_states or {}).items():
            executor.aux_dict[name][:] = array
        executor.forward(is_train=use_forward_train)
        return float(executor.outputs[0].asnumpy().astype("float64").sum())

    grads = {}
    for name, start in location.items():
        if not np.issubdtype(start.dtype, np.floating):
            continue
        moved = start.astype(dtype).copy()
        grad = np.zeros(start.shape, dtype)
        for i in np.ndindex(*start.shape):
            ends = []
            for step in (eps / 2, -eps / 2):
                moved[i] = start[i] + step
                executor.arg_dict[name][:] = moved
                ends.append(value())
            moved[i] = start[i]
            grad[i] = (ends[0] - ends[1]) / eps
        executor.arg_dict[name][:] = moved
        grads[name] = grad
    return grads


def check_numeric_gradient(sym, location, aux_states=None, numeric_eps=None, rtol=None, atol=None, grad_nodes=None,
                           use_forward_train=True, ctx=None, grad_stype_dict=None, dtype=np.float32):
    """Raise AssertionError unless the gradients of `sym`'s single output agree with central differences.

    The output is multiplied by random positive numbers and summed. `location` is a dict, or a list in the order of
    arguments; `grad_nodes` a list of names, or a dict name -> request ("write", "add", "null"); default all.
    """
    names = sym.list_arguments()
    location = {name: host(value) for name, value in _by_name(names, location, "location").items()}
    requests = dict.fromkeys(names if grad_nodes is None else grad_nodes, "write")
    if isinstance(grad_nodes, dict):
        requests = dict(grad_nodes)
    _, (out_shape,), _ = sym.infer_shape(**{name: value.shape for name, value in location.items()})
    weighted = sym_module.make_loss(sym * sym_module.Variable("__random_proj"))
    location["__random_proj"] = np.random.rand(*out_shape) + 0.1
    executor, start = _bind(weighted, location, aux_states, ctx, dtype, requests)
    executor.forward(is_train=True)
    executor.backward()
    found = {name: executor.grad_dict[name].asnumpy() for name in requests if requests[name] != "null"}
    aux = {name: array.asnumpy() for name, array in executor.aux_dict.items()}
    eps = numeric_eps or _STEP[np.dtype(dtype).name]
    expected = numeric_grad(executor, {name: location[name] for name in found}, aux, eps, use_forward_train, dtype)
    for name, grad in found.items():
        grad = grad - start[name] if requests[name] == "add" else grad
        assert_almost_equal(expected[name], grad, rtol, atol, (f"NUMERICAL_{name}", f"BACKWARD_{name}"))


def check_symbolic_forward(sym, location, expected, rtol=None, atol=None, aux_states=None, ctx=None, equal_nan=False,
                           dtype=np.float32):
    """Raise AssertionError unless the outputs at `location` are `expected` (a list, or a dict by output name)."""
    executor, _ = _bind(sym, location, aux_states, ctx, dtype, "null")
    executor.forward(is_train=False)
    names = sym.list_outputs()
    for (name, value), output in zip(_by_name(names, expected, "expected").items(), executor.outputs):
        assert_almost_equal(value, output, rtol, atol, (f"EXPECTED_{name}", f"FORWARD_{name}"), equal_nan=equal_nan)
    return executor.outputs


def check_symbolic_backward(sym, location, out_grads, expected, rtol=None, atol=None, aux_states=None,
                            grad_req="write", ctx=None, grad_stypes=None, equal_nan=False, dtype=np.float32):
    """Raise AssertionError unless the gradients at `location` for `out_grads` are `expected`.

    `expected` is a dict name -> array, or a list in the order of arguments. Returns a dict name -> gradient.
    """
    executor, start = _bind(sym, location, aux_states, ctx, dtype, grad_req)
    if not isinstance(expected, dict):
        expected = dict(zip(sym.list_arguments(), expected))
    if isinstance(out_grads, dict):
        out_grads = [out_grads[name] for name in sym.list_outputs()]
    if out_grads is not None:
        out_grads = [nd.array(host(grad), ctx=ctx or default_context(), dtype=dtype) for grad in out_grads]
    executor.forward(is_train=True)
    executor.backward(out_grads)
    grads = {name: grad for name, grad in executor.grad_dict.items() if grad is not None}
    requests = grad_req if isinstance(grad_req, dict) else {}
    for name, value in expected.items():
        request = grad_req if isinstance(grad_req, str) else requests.get(name, "write")
        if request == "null":
            continue
        grad = grads[name].asnumpy()
        grad = grad - start[name] if request == "add" else grad
        assert_almost_equal(value, grad, rtol, atol, (f"EXPECTED_{name}", f"BACKWARD_{name}"), equal_nan=equal_nan)
    return grads


def check_speed(sym, location=None, ctx=None, N=20, grad_req=None, typ="whole", **kwargs):
    """Seconds that one pass of `sym` takes, the mean of `N`: forward and backward ("whole") or "forward" alone.

    Arguments are `location` (a dict of NumPy arrays), or random for the shapes in `kwargs`, as simple_bind takes them.
    """
    if typ not in ("whole", "forward"):
        raise ValueError(f'typ={typ!r} is neither "whole" nor "forward"')
    shapes = kwargs if location is None else {name: value.shape for name, value in location.items()}
    executor = sym.simple_bind(ctx=ctx or default_context(), grad_req=grad_req or "write", **shapes)
    for name, array in executor.arg_dict.items():
        if location is None:
            array[:] = np.random.normal(size=array.shape)
        elif name in location:
            array[:] = np.asarray(location[name])

    def once():
        executor.forward(is_train=typ == "whole")
        if typ == "whole":
            executor.backward(out_grads=executor.outputs)

    once()              # plans, and touches its memory for the first time
    began = time.perf_counter()
    for _ in range(N):
        once()
    return (time.perf_counter() - began) / N


def check_consistency(sym, ctx_list, scale=1.0, grad_req="write", arg_params=None, aux_params=None, rtol=None,
                      atol=None, raise_on_err=True, ground_truth=None, equal_nan=False, use_uniform=False,
                      rand_type=np.float64):
    """Raise AssertionError unless `sym` computes the same under each of `ctx_list`: outputs, and gradients too.

    `ctx_list` holds dicts of simple_bind's arguments, ``{"ctx": mx.cpu(), "data": (2, 3), "type_dict": {...}}``; `sym`
    may be a list of symbols, one for each. Arguments that `arg_params` lacks are normal with deviation `scale`, or
    uniform on +-0.92 `scale`; auxiliary states that `aux_params` lacks are 0. The first of the most precise
    executors, or the dict `ground_truth`, is what others are compared with, within tolerances of the less precise
    dtype. Without `raise_on_err` differences are printed. Returns the dict that was compared with.
    """
    symbols = list(sym) if isinstance(sym, (list, tuple)) else [sym] * len(ctx_list)
    if len(ctx_list) < 2 or len(symbols) != len(ctx_list):
        raise AssertionError(f"{len(symbols)} symbols and {len(ctx_list)} contexts: there must be two at least")
    outputs, names = symbols[0].list_outputs(), symbols[0].list_arguments()
    if any(other.list_outputs() != outputs or other.list_arguments() != names for other in symbols):
        raise AssertionError("the symbols differ in the names of their arguments or outputs")
    execs = [one.simple_bind(grad_req=grad_req, **options) for one, options in zip(symbols, ctx_list)]
    values, states = dict(arg_params or {}), dict(aux_params or {})
    for name in sorted(names):
        if name not in values:
            shape = execs[0].arg_dict[name].shape
            drawn = (np.random.uniform(-0.92 * scale, 0.92 * scale, shape) if use_uniform
                     else np.random.normal(0, scale, shape))
            values[name] = drawn.astype(rand_type)
    for executor in execs:
        for name, array in executor.arg_dict.items():
            array[:] = values[name]
        for name, array in executor.aux_dict.items():
            array[:] = states.get(name, 0)
        for array in executor.grad_arrays:
            if array is not None:
                array[:] = 0
        executor.forward(is_train=False)

    precision = [np.dtype(executor.outputs[0].dtype).itemsize for executor in execs]
    best = precision.index(max(precision))
    _compare(execs, best, ground_truth or execs[best].output_dict, outputs, rtol, atol, equal_nan, raise_on_err)
    if grad_req == "null":
        return ground_truth or execs[best].output_dict
    for executor in execs:
        executor.forward(is_train=True)
    heads = []
    for i, output in enumerate(execs[0].outputs):
        least = min((executor.outputs[i].dtype for executor in execs), key=lambda dtype: np.dtype(dtype).itemsize)
        heads.append(output.astype(least).asnumpy())
    for executor, options in zip(execs, ctx_list):
        executor.backward([nd.array(head, ctx=options["ctx"], dtype=output.dtype)
                           for head, output in zip(heads, executor.outputs)])
    truth = ground_truth or {**execs[best].output_dict, **execs[best].grad_dict}
    _compare(execs, best, truth, outputs + names, rtol, atol, equal_nan, raise_on_err)
    return truth


def _compare(execs, best, truth, names, rtol, atol, equal_nan, raise_on_err):
    """Compare outputs and gradients called `names` of all executors but number `best` with `truth`."""
    for i, executor in enumerate(execs):
        found = {**executor.output_dict, **executor.grad_dict}
        for name in names if i != best else ():
            if truth.get(name) is None or found.get(name) is None:
                continue
            # A float32 gradient of a float16 network is no better than that.
            kind = min((array.dtype for array in (found[name], truth[name], executor.outputs[0])),
                       key=lambda dtype: np.dtype(dtype).itemsize)
            want, got = host(truth[name]), host(found[name])
            try:
                assert_almost_equal(got, want, *tolerances(got.astype(kind), want.astype(kind), rtol, atol),
                                    (f"CONTEXT_{i}_{name}", f"CONTEXT_{best}_{name}"), equal_nan)
            except AssertionError as error:
                if raise_on_err:
                    raise
                print(error)
