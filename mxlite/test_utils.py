"""Helpers for tests of networks and operators: random arrays, comparisons, gradients checked by differences."""
import os

import numpy as np

from . import ndarray as nd
from . import symbol as sym_module
from .context import Context, current_context, num_gpus

__all__ = ["default_context", "set_default_context", "default_dtype", "list_gpus", "rand_shape_2d", "rand_shape_3d",
           "rand_shape_nd", "rand_ndarray", "random_arrays", "same", "almost_equal", "assert_almost_equal",
           "assert_allclose", "assert_exception", "simple_forward", "numeric_grad", "check_numeric_gradient",
           "check_symbolic_forward", "check_symbolic_backward"]

_RTOL = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-5}
_ATOL = {"float16": 1e-1, "float32": 1e-3, "float64": 1e-20}
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
    """The numbers of the GPUs that can be used; empty without a GPU or without CuPy."""
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


def _host(array):
    return array.asnumpy() if isinstance(array, nd.NDArray) else np.asarray(array)


def _tolerances(a, b, rtol, atol):
    """Tolerances for a comparison: of the less precise of the two dtypes, where not given."""
    names = [str(array.dtype) for array in (a, b)]
    return tuple(max(table.get(name, 0) for name in names) if given is None else given
                 for given, table in ((rtol, _RTOL), (atol, _ATOL)))


def same(a, b):
    """Whether `a` and `b` (NDArray or NumPy) have the same shape and values."""
    return np.array_equal(_host(a), _host(b))


def almost_equal(a, b, rtol=None, atol=None, equal_nan=False, use_broadcast=True):
    """Whether ``|a - b| <= atol + rtol |b|`` everywhere. Tolerances default by dtype (float32: 1e-4 and 1e-3)."""
    a, b = _host(a), _host(b)
    if not use_broadcast and a.shape != b.shape:
        return False
    rtol, atol = _tolerances(a, b, rtol, atol)
    return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


def assert_almost_equal(a, b, rtol=None, atol=None, names=("a", "b"), equal_nan=False, use_broadcast=True,
                        mismatches=(10, 10)):
    """Raise AssertionError unless :func:`almost_equal`, telling how far off the worst element is and where.

    `mismatches` is taken for MXNet's sake.
    """
    a, b = _host(a), _host(b)
    if not use_broadcast and a.shape != b.shape:
        raise AssertionError(f"{names[0]} has shape {a.shape}, {names[1]} has shape {b.shape}")
    if almost_equal(a, b, rtol, atol, equal_nan):
        return
    rtol, atol = _tolerances(a, b, rtol, atol)
    a, b = np.broadcast_arrays(a, b)
    with np.errstate(all="ignore"):
        wide_a, wide_b = a.astype("float64"), b.astype("float64")
        error = np.abs(wide_a - wide_b) / (atol + rtol * np.abs(wide_b) + 1e-300)
    error = np.where(a == b, 0, np.where(np.isnan(error), np.inf, error))
    if equal_nan:
        error = np.where(np.isnan(wide_a) & np.isnan(wide_b), 0, error)
    worst = np.unravel_index(np.argmax(error), error.shape)
    where = tuple(int(i) for i in worst)
    raise AssertionError(
        f"\nItems are not equal:\nError {error[worst]:f} exceeds tolerance rtol={rtol:e}, atol={atol:e} "
        f"(mismatch {100 * np.mean(error > 1):f}%).\nLocation of maximum error: {where}, {names[0]}={a[worst]:.8f}, "
        f"{names[1]}={b[worst]:.8f}\n ACTUAL: {a!r}\n DESIRED: {b!r}")


def assert_allclose(a, b, rtol=1e-07, atol=0, equal_nan=True):
    """:func:`assert_almost_equal` with NumPy's tolerances."""
    assert_almost_equal(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


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
    return {name: nd.array(_host(value), ctx=ctx, dtype=dtype) for name, value in values.items()}


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
    location = {name: _host(value) for name, value in _by_name(names, location, "location").items()}
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
        out_grads = [nd.array(_host(grad), ctx=ctx or default_context(), dtype=dtype) for grad in out_grads]
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
