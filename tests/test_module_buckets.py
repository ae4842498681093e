"""BucketingModule: one set of parameters under several graphs, and the files that it is saved in."""
import logging

import numpy as np
import pytest

import mxlite as mx


def bucket_network(key):
    total = mx.sym.sum(mx.sym.Embedding(mx.sym.Variable("data"), input_dim=10, output_dim=2, name="emb"), axis=1)
    return mx.sym.SoftmaxOutput(total, name="softmax"), ("data",), ("softmax_label",)


def bucket_batch(key, tokens):
    return mx.io.DataBatch([mx.nd.array([tokens] * 2)], [mx.nd.array([0, 1])], bucket_key=key,
                           provide_data=[("data", (2, key))], provide_label=[("softmax_label", (2,))])


def test_buckets_share_their_parameters():
    mod = mx.mod.BucketingModule(bucket_network, default_bucket_key=4)
    mod.bind([("data", (2, 4))], [("softmax_label", (2,))])
    mod.init_params(mx.init.Zero())
    mod.init_optimizer(optimizer_params={"learning_rate": 1.0})
    for key in (4, 2, 4, 3):
        mod.forward_backward(bucket_batch(key, list(range(key))))
        assert mod.get_outputs()[0].shape == (2, 2)
        mod.update()
    weight = mod.get_params()[0]["emb_weight"].asnumpy()
    # The two labels pull in opposite directions as long as both outputs are one half.
    np.testing.assert_allclose(weight, 0, atol=1e-6)
    one_sided = bucket_batch(2, [5, 6])
    one_sided.label = [mx.nd.array([1, 1])]
    mod.forward_backward(one_sided)
    mod.update()
    expected = np.zeros((10, 2))
    expected[5:7] = [-0.5, 0.5]
    np.testing.assert_allclose(mod.get_params()[0]["emb_weight"].asnumpy(), expected, atol=1e-6)
    assert mod.symbol.list_arguments() == ["data", "emb_weight", "softmax_label"]


def test_a_bucket_with_more_parameters_is_refused():
    def network_of(key):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
        net = net if key == 4 else mx.sym.FullyConnected(net, num_hidden=2, name="more")
        return mx.sym.SoftmaxOutput(net, name="softmax"), ("data",), ("softmax_label",)

    mod = mx.mod.BucketingModule(network_of, default_bucket_key=4)
    mod.bind([("data", (2, 4))], [("softmax_label", (2,))])
    mod.init_params()
    with pytest.raises(ValueError, match="more_bias, more_weight"):
        mod.switch_bucket(5, [("data", (2, 4))], [("softmax_label", (2,))])


def bucketing_module(keys=(4, 2)):
    """A BucketingModule with these buckets, the first its default, and random parameters."""
    mod = mx.mod.BucketingModule(bucket_network, default_bucket_key=keys[0])
    mod.bind([("data", (2, keys[0]))], [("softmax_label", (2,))])
    mod.init_params(mx.init.Uniform(1))
    for key in keys[1:]:
        mod.switch_bucket(key, [("data", (2, key))], [("softmax_label", (2,))])
    return mod


def bucket_output(mod):
    mod.forward(bucket_batch(2, [5, 6]), is_train=False)
    return mod.get_outputs()[0].asnumpy()


def loaded_buckets(mod):
    mod.bind([("data", (2, 4))], [("softmax_label", (2,))])
    return bucket_output(mod)


def test_buckets_are_saved_in_mxnets_files(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    mod = bucketing_module()
    expected = bucket_output(mod)
    prefix = str(tmp_path / "net")
    mod.save_checkpoint(prefix, 3)
    assert not caplog.records
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net-0003.params", "net-2-symbol.json",
                                                                "net-4-symbol.json", "net.buckets"]
    (keys,) = mx.nd.load(f"{prefix}.buckets")
    assert keys.dtype == np.int32 and sorted(keys.asnumpy().tolist()) == [2, 4]
    twin = mx.mod.BucketingModule.load(prefix, 3, bucket_network, 4)
    assert twin.params_initialized and not twin.binded
    twin.save_checkpoint(str(tmp_path / "again"), 4)            # all that was loaded, though nothing is bound
    assert (tmp_path / "again-2-symbol.json").exists()
    np.testing.assert_array_equal(loaded_buckets(twin), expected)
    with pytest.raises(ValueError, match=r"default_bucket_key=5 is not one of the buckets \[4, 2\]"):
        mx.mod.BucketingModule.load(prefix, 3, bucket_network, 5)
    with pytest.raises(AssertionError, match="sym_gen"):
        mx.mod.BucketingModule.load(prefix, 3)


def test_buckets_from_parameters_alone(tmp_path):
    """What mx.callback.do_checkpoint writes has no file of buckets."""
    mod = bucketing_module()
    mx.model.save_checkpoint(str(tmp_path / "net"), 1, mod.symbol, *mod.get_params())
    twin = mx.mod.BucketingModule.load(str(tmp_path / "net"), 1, bucket_network, 4)
    np.testing.assert_array_equal(loaded_buckets(twin), bucket_output(mod))


def test_loaded_buckets_have_the_symbols_of_their_files(tmp_path):
    prefix = str(tmp_path / "net")
    bucketing_module().save_checkpoint(prefix, 0)

    def other_network(key):
        return mx.sym.SoftmaxOutput(mx.sym.Variable("data"), name="softmax"), ("data",), ("softmax_label",)

    mod = mx.mod.BucketingModule.load(prefix, 0, other_network, 4)
    mod.bind([("data", (2, 4))], [("softmax_label", (2,))])
    assert mod.symbol.list_arguments() == ["data", "emb_weight", "softmax_label"]


def test_saved_buckets_keep_their_amp_casts(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(mx.sym.Symbol, "save", lambda self, fname, **options: asked.append(options))
    mod = bucketing_module(keys=(4,))
    mod.save_checkpoint(str(tmp_path / "net"), 0)
    mod.save_checkpoint(str(tmp_path / "net"), 0, remove_amp_cast=True)
    assert asked == [{"remove_amp_cast": False}, {"remove_amp_cast": True}]


def test_buckets_that_can_not_be_saved(tmp_path):
    with pytest.raises(AssertionError, match="call bind first"):
        mx.mod.BucketingModule(bucket_network, default_bucket_key=4).save_checkpoint(str(tmp_path / "net"), 0)
    mod = mx.mod.BucketingModule(lambda key: bucket_network(4), default_bucket_key="long")
    mod.bind([("data", (2, 4))], [("softmax_label", (2,))])
    mod.init_params()
    with pytest.raises(ValueError, match=r"holds integers.*\['long'\]"):
        mod.save_checkpoint(str(tmp_path / "net"), 0)
    assert not list(tmp_path.iterdir())


def test_buckets_from_symbols_and_parameters():
    mod = bucketing_module()
    arg_params, aux_params = mod.get_params()
    symbols = {key: bucket_network(key)[0] for key in (4, 2)}
    given = {"sym_dict": symbols, "sym_gen": bucket_network, "default_bucket_key": 4, "arg_params": arg_params,
             "aux_params": aux_params}
    twin = mx.mod.BucketingModule.load_dict(**given)
    assert twin.params_initialized and not twin.binded
    np.testing.assert_array_equal(loaded_buckets(twin), bucket_output(mod))
    for name in given:
        with pytest.raises(AssertionError, match=name):
            mx.mod.BucketingModule.load_dict(**{**given, name: None})


def test_buckets_are_trained_on_their_labels():
    mod = mx.mod.BucketingModule(bucket_network, default_bucket_key=4)
    with pytest.raises(ValueError, match="trains on the label 'softmax_label'"):
        mod.fit(mx.io.NDArrayIter(np.zeros((4, 4)), batch_size=2), num_epoch=1)
