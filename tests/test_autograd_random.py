"""Random graphs, recorded call by call: outputs, gradients and auxiliary states equal the bound graph's."""
import numpy as np
from hypothesis import HealthCheck, given, settings
from mxlite._core.graph import topological

import mxlite as mx
from mxlite import autograd as ag

from . import numpy_graph as N
from . import strategies as S


def record(graph):
    """Run `graph`'s symbol one imperative call at a time; (outputs, gradients, auxiliary states) as NumPy arrays."""
    arrays = {k: mx.nd.array(v, dtype=v.dtype) for k, v in {**graph.args, **graph.aux}.items()}
    for name, grad in graph.grads.items():
        if graph.reqs[name] != "null":
            ag.mark_variables([arrays[name]], [mx.nd.array(grad, dtype=grad.dtype)], graph.reqs[name])
    for _ in range(graph.rounds):
        made = {}
        with ag.record(train_mode=graph.is_train):
            for node in topological(graph.symbol._entries):
                if node.op is None:
                    made[node, 0] = arrays[node.name]
                    continue
                params = {k: getattr(node.p, k) for k, p in node.op.params.items() if getattr(node.p, k) != p.default}
                result = mx.nd.functions.get(node.op.name)(*[made[e] for e in node.inputs], **params)
                for i, x in enumerate(result if isinstance(result, list) else [result]):
                    made[node, i] = x
        heads = [made[e] for e in graph.symbol._entries]
        if any(graph.reqs[n] != "null" for n in graph.grads):
            known = [(x, h) for x, h in zip(heads, graph.heads) if x._entry is not None]
            ag.backward([x for x, _ in known], [mx.nd.array(h, dtype=h.dtype) for _, h in known])
    return ([x.asnumpy() for x in heads], {n: arrays[n].grad.asnumpy() for n in graph.grads if graph.reqs[n] != "null"},
            {n: arrays[n].asnumpy() for n in graph.aux})


@settings(max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(S.graphs())
def test_equals_the_bound_graph(graph):
    outputs, grads, _, aux = graph.run()
    mine, my_grads, my_aux = record(graph)
    for i, (a, b) in enumerate(zip(mine, outputs)):
        if i not in graph.random_heads:
            assert np.array_equal(a, b, equal_nan=True), f"output {i}"
    for name, b in my_grads.items():
        N.assert_close(b, grads[name], graph.dtype, f"gradient of {name}")
    for name, b in my_aux.items():
        assert np.array_equal(b, aux[name], equal_nan=True), name
