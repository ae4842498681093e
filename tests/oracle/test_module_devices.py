"""A Module over several CPU contexts, step by step in both libraries."""
import numpy as np
import pytest

import mxlite as mx

# Runs in both libraries, over their own `mx`.
SOURCE = """
import numpy as np

def network(mx):
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, no_bias=True, name="fc1")
    x = mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-3, momentum=0.5, name="bn")
    x = mx.sym.Activation(x, act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc2"), name="softmax")

def module(mx, devices, loads, kvstore, optimizer, options, grad_req, rows):
    mod = mx.mod.Module(network(mx), context=[mx.cpu(k) for k in range(devices)], work_load_list=loads)
    mod.bind([("data", (rows, 4))], [("softmax_label", (rows,))], inputs_need_grad=True, grad_req=grad_req)
    rng = np.random.RandomState(2)
    shapes = dict(zip(mod.symbol.list_arguments(), mod.symbol.infer_shape(data=(rows, 4))[0]))
    names = sorted(n for n in shapes if n not in ("data", "softmax_label"))
    mod.init_params(mx.init.One(), arg_params={n: mx.nd.array(rng.randn(*shapes[n])) for n in names}, aux_params=None,
                    allow_missing=True)
    mod.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=options)
    return mod

def params(mod):
    return {n: a.asnumpy() for table in mod.get_params() for n, a in table.items()}

def run(mx, devices, loads, kvstore, optimizer, options, grad_req, rows, sizes):
    mod = module(mx, devices, loads, kvstore, optimizer, options, grad_req, rows)
    rng, found = np.random.RandomState(1), []
    metric = mx.metric.create(["acc", "ce"])
    for n in sizes:
        labels = [mx.nd.array(rng.randint(0, 3, n))]
        batch = mx.io.DataBatch([mx.nd.array(rng.randn(n, 4))], labels)
        mod.forward_backward(batch)
        mod.update()
        mod.update_metric(metric, labels)
        found.append([mod.get_outputs()[0].asnumpy(), mod.get_input_grads()[0].asnumpy()])
        found.append([a.asnumpy() for a in mod.get_outputs(merge_multi_context=False)[0]])
        found.append([a.asnumpy() for a in mod.get_input_grads(merge_multi_context=False)[0]])
    devices_agree = all(np.array_equal(a.asnumpy(), arrays[0].asnumpy())
                        for arrays in mod._exec_group.param_arrays for a in arrays)
    mod.forward(batch, is_train=False)
    after = mod.get_outputs()[0].asnumpy()
    values = params(mod)
    arg, aux = mod.get_params()
    mod.set_params(arg, aux)                # statistics are then the average on every device
    mod.forward(batch, is_train=False)
    return (found, [v for _, v in metric.get_name_value()], values, devices_agree, after,
            mod.get_outputs()[0].asnumpy())
"""
MOMENTUM, ADAM = ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01}), ("adam", {"learning_rate": 0.01})
CASES = [(2, None, "local", *MOMENTUM, "write", 6, [6, 6, 6]), (2, None, "device", *MOMENTUM, "write", 7, [7, 5, 7]),
         (2, [1, 2], "device", *MOMENTUM, "write", 6, [6, 3]),
         (3, [3, 1, 2], "local", *ADAM, "write", 23, [23, 17, 23]),
         (3, None, "local", *ADAM, "write", 12, [12, 9, 12]), (2, None, "local", *MOMENTUM, "add", 4, [4, 4, 4]),
         (1, None, "local", *ADAM, "write", 5, [5, 2, 5])]


def close(got, want):
    if isinstance(want, dict):
        assert got.keys() == want.keys()
        got, want = [got[k] for k in sorted(got)], [want[k] for k in sorted(want)]
    if isinstance(want, (list, tuple)):
        assert len(got) == len(want)
        for a, b in zip(got, want):
            close(a, b)
    else:
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]} {case[2]} {case[3]} {case[5]}")
def test_steps_over_several_contexts(oracle, case):
    here = {}
    exec(SOURCE, here)
    theirs = oracle.run(f"{SOURCE}\nglobals().update(locals())\nresult = run(mx, *case)", case=list(case))
    ours = here["run"](mx, *case)
    assert ours[3] is True and theirs[3] is True
    close(ours, theirs)


def test_without_a_kvstore_mxnets_devices_part(oracle):
    """There each device learns from its own rows alone, and `get_params` averages; here kvstore=None adds up, too."""
    here, case = {}, [2, None, None, *MOMENTUM, "write", 8, [8, 8]]
    exec(SOURCE, here)
    theirs = oracle.run(f"{SOURCE}\nglobals().update(locals())\nresult = run(mx, *case)", case=case)
    ours = here["run"](mx, *case)
    assert (ours[3], theirs[3]) == (True, False)
    close(ours, here["run"](mx, *case[:2], "local", *case[3:]))
