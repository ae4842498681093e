"""Modules on a GPU that is made up: training gives the CPU's numbers, a step is one launch."""
import gc

import numpy as np
import pytest

import mxlite as mx
from mxlite.io import DataBatch, DataDesc

from . import shim

pytestmark = [shim.needs_cxx, pytest.mark.usefixtures("gpus")]
RNG = np.random.default_rng(5)
BATCH, STEPS = 8, 5
X = RNG.normal(size=(BATCH * STEPS, 6)).astype("float32")
Y = RNG.integers(0, 4, BATCH * STEPS).astype("float32")
SIZES = {"float32": 4, "float64": 8, "float16": 2}


def mlp(dropout=False):
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1")
    x = mx.sym.Activation(x, act_type="relu")
    if dropout:
        x = mx.sym.Dropout(mx.sym.BatchNorm(x, fix_gamma=False, name="bn"), p=0.3)
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=4, name="fc2"), name="softmax")


def lenet():
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=4, name="conv1")
    x = mx.sym.Pooling(mx.sym.Activation(x, act_type="tanh"), kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=10, name="fc1")
    x = mx.sym.FullyConnected(mx.sym.Activation(x, act_type="tanh"), num_hidden=4, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def two_dtypes():
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc1")
    x = mx.sym.Cast(mx.sym.FullyConnected(mx.sym.Cast(x, dtype="float64"), num_hidden=4, name="fc2"), dtype="float32")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def bound(ctx, symbol=None, shape=(BATCH, 6), dtype="float32", seed=3, **options):
    """A module with the same parameters for the same seed."""
    mod = mx.mod.Module(mlp() if symbol is None else symbol, context=ctx)
    mod.bind([DataDesc("data", shape, dtype)], [DataDesc("softmax_label", shape[:1], dtype)], **options)
    rng = np.random.default_rng(seed)
    args = {name: mx.nd.array(0.5 * rng.normal(size=a.shape), dtype=dtype) for name, a in mod._host_zeros()[0].items()}
    aux = {name: mx.nd.ones(a.shape, dtype=a.dtype) for name, a in mod._host_zeros()[1].items()}
    mod.set_params(args, aux)
    return mod


def batch(k, rows=BATCH, shape=None):
    x = X[BATCH * k:BATCH * k + rows]
    if shape is not None:
        x = np.random.default_rng(k).normal(size=shape).astype("float32")
    return DataBatch([mx.nd.array(x)], [mx.nd.array(Y[BATCH * k:BATCH * k + len(x)])])


def trained(ctx, optimizer, options=(), steps=STEPS, kvstore="local", shape=(BATCH, 6), pieces=False, **kw):
    """(the module, its parameters and states after some steps)."""
    mod = bound(ctx, shape=shape, **kw)
    mod.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=dict(options))
    mx.random.seed(11)
    for k in range(steps):
        one = batch(k, shape=None if len(shape) == 2 else shape)
        if pieces:
            mod.forward(one, is_train=True)
            mod.backward()
            mod.update()
        else:
            mod.train_step(one)
    return mod, values(mod)


def values(mod):
    return {name: a.asnumpy() for table in mod.get_params() for name, a in table.items()}


def same(got, want, tol=2e-5):
    assert got.keys() == want.keys()
    for name in want:
        np.testing.assert_allclose(got[name].astype("float64"), want[name].astype("float64"), rtol=tol, atol=tol,
                                   err_msg=name)


def states_of(mod):
    """All arrays of the optimizer's states, in order."""
    found = []

    def walk(state):
        if isinstance(state, mx.nd.NDArray):
            found.append(state)
        elif isinstance(state, (tuple, list)):
            for one in state:
                walk(one)
    for index in sorted(mod._updater.states):
        walk(mod._updater.states[index])
    return found


def step_of(mod):
    return mod._exec_group._now.step


FLAT = [("sgd", {"learning_rate": 0.2, "wd": 0.1}), ("sgd", {"learning_rate": 0.2, "momentum": 0.9, "wd": 0.01}),
        ("nag", {"learning_rate": 0.2, "momentum": 0.9, "clip_gradient": 0.3}), ("adam", {"learning_rate": 0.05}),
        ("rmsprop", {"learning_rate": 0.01, "clip_weights": 0.8}), ("rmsprop", {"centered": True, "gamma1": 0.7}),
        ("ftrl", {"learning_rate": 0.1}), ("signum", {"learning_rate": 0.01}),
        ("signum", {"learning_rate": 0.01, "momentum": 0.0, "wd": 0.1})]


# -- the numbers ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer, options", FLAT)
def test_training_gives_the_cpus_numbers(optimizer, options):
    cpu, want = trained(mx.cpu(), optimizer, options)
    gpu, got = trained(mx.gpu(0), optimizer, options)
    same(got, want)
    assert step_of(gpu) is not None, "the steps were graphs"
    assert [a.context for a in states_of(gpu)] == [mx.gpu(0)] * len(states_of(cpu))
    for a, b in zip(states_of(gpu), states_of(cpu)):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer, options", [FLAT[0], FLAT[1], FLAT[2], FLAT[3]])
def test_float16_with_float32_copies(optimizer, options):
    options = {**options, "multi_precision": True}
    cpu, want = trained(mx.cpu(), optimizer, options, dtype="float16")
    gpu, got = trained(mx.gpu(0), optimizer, options, dtype="float16")
    assert step_of(gpu) is not None and got["fc1_weight"].dtype == np.float16
    same(got, want, 5e-3)
    assert [a.dtype for a in states_of(gpu)] == [a.dtype for a in states_of(cpu)]
    assert np.float32 in {a.dtype for a in states_of(gpu)}


@pytest.mark.parametrize("optimizer", ["adagrad", "adadelta", "adamax", "nadam", "ftml"])
def test_other_optimizers_run_their_own_calls_on_the_device(optimizer):
    _, want = trained(mx.cpu(), optimizer, {"learning_rate": 0.1}, steps=3)
    gpu, got = trained(mx.gpu(0), optimizer, {"learning_rate": 0.1}, steps=3)
    same(got, want)
    assert step_of(gpu) is None


def test_a_subclass_of_an_optimizer_runs_its_own_code():
    class Twice(mx.optimizer.SGD):
        def _get_lr(self, index):
            return 2 * super()._get_lr(index)
    _, want = trained(mx.cpu(), Twice(learning_rate=0.1, rescale_grad=1 / BATCH), steps=2)
    gpu, got = trained(mx.gpu(0), Twice(learning_rate=0.1, rescale_grad=1 / BATCH), steps=2)
    same(got, want)
    assert step_of(gpu) is None


@pytest.mark.parametrize("symbol", [mlp(dropout=True), lenet()], ids=["dropout", "references between"])
def test_a_step_equals_forward_backward_and_update_bit_for_bit(symbol, gpus):
    """Random numbers and moving averages too; and where references (convolutions without cuDNN) cut the graph."""
    kw = {"symbol": symbol}
    if "conv1_weight" in symbol.list_arguments():
        kw["shape"] = (4, 1, 8, 8)
    _, want = trained(mx.cpu(), "adam", **kw)
    whole, got = trained(mx.gpu(0), "adam", **kw)
    pieces, other = trained(mx.gpu(0), "adam", pieces=True, **kw)
    same(got, want, 1e-4)
    for name in got:
        np.testing.assert_array_equal(got[name], other[name])
    for a, b in zip(states_of(whole), states_of(pieces)):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
    assert step_of(whole) is not None and step_of(pieces) is None
    kinds = [type(piece) for _, piece in next(iter(step_of(whole).program.ranges.values()))]
    assert (list in kinds) == ("shape" in kw)


def test_steps_and_pieces_may_take_turns():
    _, want = trained(mx.cpu(), "sgd", FLAT[1][1], symbol=mlp(dropout=True))
    mod = bound(mx.gpu(0), mlp(dropout=True))
    mod.init_optimizer(optimizer="sgd", optimizer_params=FLAT[1][1])
    mx.random.seed(11)
    for k in range(STEPS):
        if k % 2:
            mod.forward_backward(batch(k))
            mod.update()
        else:
            mod.train_step(batch(k))
    same(values(mod), want, 1e-4)


# -- launches ---------------------------------------------------------------------------------------------------------

def test_a_step_is_one_launch_without_allocation_copy_or_wait(gpus):
    mod, _ = trained(mx.gpu(0), "adam", steps=3)
    gc.collect()
    mod._load(batch(0))
    before, allocated, start = gpus.count("graph"), gpus.allocated, len(gpus.log)
    with gpus.guard():
        for k in range(4):
            assert mod._exec_group.train_step(mod._updater, mod._index_of)
            assert gpus.count("graph") == before + k + 1
    assert gpus.allocated == allocated
    small = [entry for entry in gpus.log[start:] if entry[0] != "graph"]
    # A step's numbers, through pinned memory that is free again once its event is through.
    assert {entry[0] for entry in small} == {"copy", "record"}, small
    assert all(entry[1] == 1 and entry[2] < 4096 for entry in small if entry[0] == "copy"), small


def test_separate_calls_take_three_launches(gpus):
    mod, _ = trained(mx.gpu(0), "sgd", pieces=True)
    before = gpus.count("graph"), gpus.count("launch")
    mod.forward_backward(batch(0))
    mod.update()
    assert (gpus.count("graph") - before[0], gpus.count("launch") - before[1]) == (2, 1)
    assert gpus.log[-1] == ("launch", "update_many")


def test_what_does_not_change_is_not_written_again(gpus):
    mod, _ = trained(mx.gpu(0), "sgd", FLAT[1][1])
    mod._load(batch(0))
    start = len(gpus.log)
    mod._exec_group.train_step(mod._updater, mod._index_of)
    assert [entry[0] for entry in gpus.log[start:]] == ["graph"]


def test_parameters_gradients_and_states_lie_side_by_side(gpus):
    mod, _ = trained(mx.gpu(0), "adam")
    group = mod._exec_group
    for arrays in ([a for a, in group.param_arrays], [g for g, in group.grad_arrays], states_of(mod)):
        assert len({id(a.storage) for a in arrays}) == 1
        assert all(a.address % 256 == 0 for a in arrays)
        spans = sorted((a.address, a.address + a.size * 4) for a in arrays)
        assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:]))


def test_parameters_of_two_dtypes_are_two_launches(gpus):
    def run(ctx):
        mod = bound(ctx, two_dtypes())
        mod.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": 0.2, "wd": 0.3})
        mod._optimizer.set_lr_mult({"fc2_weight": 0.1, "fc1_weight": 2.0})
        for k in range(3):
            mod.train_step(batch(k))
        return mod, values(mod)
    gpu, got = run(mx.gpu(0))
    same(got, run(mx.cpu())[1])
    assert {a.dtype for a in got.values()} == {np.dtype("float32"), np.dtype("float64")}
    assert [one.text for one in step_of(gpu).program.steps[-1].work] == ["update_many"] * 2


# -- what may change between steps ------------------------------------------------------------------------------------

def altered(ctx, change, optimizer="sgd", options=FLAT[1][1]):
    mod, _ = trained(ctx, optimizer, options, steps=3)
    change(mod)
    for k in range(2):
        mod.train_step(batch(3 + k))
    return mod, values(mod)


def _lower(mod):
    mod._optimizer.set_learning_rate(0.01)


def _multiply(mod):
    mod._optimizer.set_lr_mult({"fc1_weight": 0.1})
    mod._optimizer.wd_mult["fc2_bias"] = 3.0


def _rescale(mod):
    mod._optimizer.rescale_grad = 0.01


def _stop(mod):
    mod._optimizer.momentum = 0.0


def _pause(mod):
    """A step without momentum leaves it as it is for the next ones."""
    mod._optimizer.momentum = 0.0
    mod.train_step(batch(0))
    mod._optimizer.momentum = 0.9


def _write(mod):
    states_of(mod)[0][:] = 0.25


def _replace(mod):
    index = min(mod._updater.states)
    mod._updater.states[index] = mx.nd.ones(mod._updater.states[index].shape)
    mod._updater.states_synced[index] = False


def _reload(mod):
    mod._updater.set_states(mod._updater.get_states())


def _parameters(mod):
    mod.set_params({name: 2 * a for name, a in mod.get_params()[0].items()}, {})


def _one_more(mod):
    """One parameter has been updated more often than the others."""
    index = min(mod._updater.states)
    mod._optimizer._update_count(index)


CHANGES = [_lower, _multiply, _rescale, _stop, _pause, _write, _replace, _reload, _parameters, _one_more]


@pytest.mark.parametrize("change", CHANGES)
def test_a_captured_step_follows_what_changes(change):
    start = trained(mx.cpu(), "sgd", FLAT[1][1])[1]
    _, want = altered(mx.cpu(), change)
    gpu, got = altered(mx.gpu(0), change)
    same(got, want)
    if change not in (_reload, _one_more):
        assert any(not np.allclose(got[name], start[name], rtol=1e-4) for name in got), "the change changes nothing"


def test_updates_of_unequal_counts_are_corrected_each_by_its_own():
    _, want = altered(mx.cpu(), _one_more, "adam", {"learning_rate": 0.1})
    _, got = altered(mx.gpu(0), _one_more, "adam", {"learning_rate": 0.1})
    same(got, want)


def test_a_schedule_reaches_a_captured_step():
    def run(ctx):
        schedule = mx.lr_scheduler.FactorScheduler(step=1, factor=0.5)
        mod, found = trained(ctx, "sgd", {"learning_rate": 0.4, "lr_scheduler": schedule})
        return mod._optimizer.num_update, mod._optimizer.learning_rate, found
    want, got = run(mx.cpu()), run(mx.gpu(0))
    assert got[:2] == want[:2] and got[0] == STEPS
    same(got[2], want[2])


def test_states_go_to_a_file_and_come_back(tmp_path):
    mod, _ = trained(mx.gpu(0), "adam", steps=3)
    mod.save_optimizer_states(str(tmp_path / "states"))
    params = mod.get_params()
    other = bound(mx.gpu(0), seed=9)
    other.init_optimizer(optimizer="adam", optimizer_params={})
    other.set_params(*params)
    other.load_optimizer_states(str(tmp_path / "states"))
    other._optimizer.begin_num_update = 3
    for one in (mod, other):
        for k in (3, 4):
            one.train_step(batch(k))
    for a, b in zip(values(mod).values(), values(other).values()):
        np.testing.assert_array_equal(a, b)


def test_a_step_that_fails_is_not_counted(monkeypatch):
    mod, _ = trained(mx.gpu(0), "adam", steps=2)

    def fails(moves):
        raise KeyboardInterrupt
    monkeypatch.setattr(step_of(mod), "run", fails)
    before = dict(mod._optimizer._index_update_count), mod._optimizer.num_update
    with pytest.raises(KeyboardInterrupt):
        mod.train_step(batch(2))
    assert (mod._optimizer._index_update_count, mod._optimizer.num_update) == before


# -- fit --------------------------------------------------------------------------------------------------------------

def fitted(ctx, **kw):
    mod = mx.mod.Module(mlp(), context=ctx)
    mx.random.seed(2)
    np.random.seed(2)
    mod.fit(mx.io.NDArrayIter(X[:36], Y[:36], BATCH), num_epoch=2, initializer=mx.init.Xavier(), optimizer="adam", **kw)
    return mod


def test_fit_launches_one_graph_a_batch(gpus):
    want = values(fitted(mx.cpu()))
    start = gpus.count("graph")
    mod = fitted(mx.gpu(0))
    same(values(mod), want, 1e-4)
    assert gpus.count("graph") - start == 2 * 5 - 1             # the first batch runs plainly


def test_batches_of_another_size_have_graphs_of_their_own():
    def run(ctx):
        mod = bound(ctx)
        mod.init_optimizer(optimizer="sgd", optimizer_params=FLAT[1][1])
        for rows in (8, 8, 3, 8, 3, 8):
            mod.train_step(batch(0, rows))
        return mod, values(mod)
    gpu, got = run(mx.gpu(0))
    same(got, run(mx.cpu())[1])
    assert len(gpu._exec_group._bounds) == 2 and all(b.step is not None for b in gpu._exec_group._bounds.values())


def test_who_watches_gets_pieces(gpus):
    seen = []
    monitor = mx.mon.Monitor(1, pattern="fc1_output")
    monitor.stat_func = lambda array: seen.append(array) or array
    mod = fitted(mx.gpu(0), monitor=monitor)
    assert step_of(mod) is None and len(seen) == 10

    class Mine(mx.mod.Module):
        def backward(self, out_grads=None):
            seen.append("mine")
            super().backward(out_grads)
    mod = Mine(mlp(), context=mx.gpu(0))
    mod.bind([("data", (BATCH, 6))], [("softmax_label", (BATCH,))])
    mod.init_params()
    mod.init_optimizer()
    mod.train_step(batch(0))
    assert seen[-1] == "mine" and step_of(mod) is None


def test_outputs_that_are_no_loss_need_separate_calls():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3)
    mod = mx.mod.Module(net, context=mx.gpu(0), label_names=None)
    mod.bind([("data", (BATCH, 6))])
    mod.init_params()
    mod.init_optimizer()
    with pytest.raises(mx.MXNetError, match="needs its head"):
        mod.train_step(DataBatch([mx.nd.array(X[:BATCH])]))
    assert step_of(mod) is None


def test_buckets_share_regions_and_states():
    def gen(key):
        x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1", flatten=False)
        x = mx.sym.FullyConnected(mx.sym.sum(x, axis=1), num_hidden=4, name="fc2")
        return mx.sym.SoftmaxOutput(x, name="softmax"), ("data",), ("softmax_label",)

    def run(ctx):
        mod = mx.mod.BucketingModule(gen, default_bucket_key=5, context=ctx)
        mod.bind([("data", (4, 5, 6))], [("softmax_label", (4,))])
        rng = np.random.default_rng(1)
        mod.init_params(mx.init.Zero())
        mod.set_params({n: mx.nd.array(rng.normal(size=a.shape)) for n, a in sorted(mod.get_params()[0].items())}, {})
        mod.init_optimizer(optimizer="adam", optimizer_params={"learning_rate": 0.1})
        for key in (5, 3, 5, 3, 3, 5):
            x = mx.nd.array(rng.normal(size=(4, key, 6)))
            mod.train_step(DataBatch([x], [mx.nd.array(Y[:4])], bucket_key=key, provide_data=[("data", x.shape)],
                                     provide_label=[("softmax_label", (4,))]))
        return mod, {n: a.asnumpy() for n, a in mod.get_params()[0].items()}
    gpu, got = run(mx.gpu(0))
    same(got, run(mx.cpu())[1], 1e-4)
    groups = [module._exec_group for module in gpu._buckets.values()]
    assert len(groups) == 2 and all(group._now.step is not None for group in groups)
    assert groups[0]._param_regions is groups[1]._param_regions and len(groups[0]._param_regions[0]) == 1
    assert groups[0]._device_update.flat.states is groups[1]._device_update.flat.states
