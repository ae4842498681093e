"""Checkpoints of a BucketingModule: what one library writes, the other reads."""
import numpy as np

import mxlite as mx

# Runs in both libraries, over their own `mx`.
SOURCE = """
def network(key):
    embedded = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=10, output_dim=2, name="emb")
    total = mx.sym.sum(embedded, axis=1, name="sum")
    return mx.sym.SoftmaxOutput(total, name="softmax"), ("data",), ("softmax_label",)

def shapes(key):
    return [("data", (2, key))], [("softmax_label", (2,))]

def output(mod, key):
    data, label = shapes(key)
    mod.forward(mx.io.DataBatch([mx.nd.array([[5] * key, [6] * key])], [mx.nd.zeros((2,))], bucket_key=key,
                                provide_data=data, provide_label=label), is_train=False)
    return mod.get_outputs()[0].asnumpy()

def written(prefix):
    mod = mx.mod.BucketingModule(network, default_bucket_key=4)
    mod.bind(*shapes(4))
    mod.init_params(mx.init.Uniform(1))
    result = output(mod, 2)
    mod.save_checkpoint(prefix, 3)
    return result

def read(prefix):
    mod = mx.mod.BucketingModule.load(prefix, 3, network, 4)
    mod.bind(*shapes(4))
    return output(mod, 2)
"""


def test_checkpoints_of_buckets_travel(oracle, tmp_path):
    here = {"mx": mx}
    exec(SOURCE, here)
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    wrote = here["written"](ours)
    their_wrote, their_read = oracle.run(f"{SOURCE}\nglobals().update(locals())\nresult = written(theirs), read(ours)",
                                         ours=ours, theirs=theirs)
    np.testing.assert_allclose(their_read, wrote, rtol=1e-6)
    np.testing.assert_allclose(here["read"](theirs), their_wrote, rtol=1e-6)
    names = {p.name for p in tmp_path.iterdir()}
    assert {n.replace("ours", "theirs") for n in names if n.startswith("ours")} == {n for n in names if "theirs" in n}
    for key in (2, 4):
        ours_text, theirs_text = ((tmp_path / f"{who}-{key}-symbol.json").read_text() for who in ("ours", "theirs"))
        assert ours_text == theirs_text
    assert (tmp_path / "ours.buckets").read_bytes() == (tmp_path / "theirs.buckets").read_bytes()
