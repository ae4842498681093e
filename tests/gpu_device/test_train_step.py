"""A Module's train step on a GPU: one graph that gives what its pieces give; and several GPUs beside one."""
import time

import numpy as np
import pytest

import mxlite as mx
import mxlite.gpu

from ..networks import mlp
from .test_training import BATCH, NETWORKS, data

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
OPTIMIZERS = [("sgd", {"momentum": 0.9, "wd": 1e-3}), ("nag", {"momentum": 0.9}), ("adam", {}), ("ftrl", {}),
              ("rmsprop", {"centered": True}), ("signum", {})]


def module(net, ctx, shape, optimizer="sgd", options=(), dtype="float32", kvstore="local"):
    """A bound module with the same parameters every time, and a batch for it."""
    mx.random.seed(1)
    np.random.seed(1)
    x, y = data(shape, BATCH)
    made = mx.mod.Module(net, context=ctx)
    made.bind([mx.io.DataDesc("data", x.shape, dtype)], [mx.io.DataDesc("softmax_label", y.shape, dtype)])
    made.init_params(mx.init.Xavier())
    made.init_optimizer(kvstore=kvstore, optimizer=optimizer,
                        optimizer_params={"learning_rate": 0.01, **dict(options)})
    return made, mx.io.DataBatch([mx.nd.array(x, dtype=dtype)], [mx.nd.array(y, dtype=dtype)])


def values(made):
    return {name: a.asnumpy() for table in made.get_params() for name, a in table.items()}


def stepped(made, batch, steps):
    for _ in range(steps):
        made.train_step(batch)
    return values(made)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_is_one_graph_and_gives_what_its_pieces_give(gpu, name):
    make, shape, _, few = NETWORKS[name]
    steps, net = gpu.times(20, few), make()
    made, batch = module(net, gpu.ctx, shape, "sgd", {"momentum": 0.9})
    got = stepped(made, batch, steps)
    other, batch = module(net, gpu.ctx, shape, "sgd", {"momentum": 0.9})
    for _ in range(steps):
        other.forward_backward(batch)
        other.update()
    want = values(other)
    for key in want:
        np.testing.assert_array_equal(got[key], want[key], err_msg=key)
    (pieces,) = made._exec_group._now.step.program.ranges.values()
    assert len(pieces) == 1 and not isinstance(pieces[0][1], list), "all of it is one graph"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("optimizer, options", OPTIMIZERS)
def test_all_weights_at_once_move_as_on_the_cpu(gpu, optimizer, options, dtype):
    options = {**options, "multi_precision": dtype == "float16"}
    steps = gpu.times(10, 3)
    results = [stepped(*module(mlp(mx, (300, 70)), ctx, (20,), optimizer, options, dtype), steps)
               for ctx in (gpu.ctx, mx.cpu())]
    tol = 2e-3 if dtype == "float32" else 3e-2
    for key, want in results[1].items():
        np.testing.assert_allclose(results[0][key].astype("f8"), want.astype("f8"), rtol=tol, atol=tol, err_msg=key)


def test_steps_allocate_nothing_and_take_little_of_the_host(gpu, record_property):
    made, batch = module(mlp(mx, (64, 64)), gpu.ctx, (20,), "adam")
    stepped(made, batch, 3)
    group, steps = made._exec_group, gpu.times(1000, 20)
    before = gpu.live()
    with gpu.no_allocation():
        began = time.perf_counter()
        for _ in range(steps):
            assert group.train_step(made._updater, made._index_of)
        took = (time.perf_counter() - began) / steps
    record_property("host_us_a_step", round(took * 1e6, 2))
    stepped(made, batch, steps)
    assert gpu.live() <= before


@pytest.mark.parametrize("kvstore", ["nccl", "device"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad"])
def test_two_devices_learn_as_one(gpu, kvstore, optimizer):
    if mxlite.gpu.count() < 2:
        pytest.skip("this machine has one GPU")
    steps = gpu.times(10, 3)
    want = stepped(*module(mlp(mx, (300, 70)), gpu.ctx, (20,), optimizer), steps)
    made, batch = module(mlp(mx, (300, 70)), [mx.gpu(0), mx.gpu(1)], (20,), optimizer, kvstore=kvstore)
    got = stepped(made, batch, steps)
    for first, second in made._exec_group.param_arrays:
        np.testing.assert_array_equal(first.asnumpy(), second.asnumpy())
    for key in want:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-3, atol=1e-4, err_msg=key)
