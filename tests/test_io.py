"""Batches of the data iterators, against what MXNet 1.9.1 gives."""
import struct
import threading

import numpy as np
import pytest

import mxlite as mx


def epochs(it, count=3):
    """For each epoch the batches as (data, labels, pad)."""
    result = []
    for _ in range(count):
        it.reset()
        result.append([(b.data[0].asnumpy().tolist(), b.label[0].asnumpy().tolist(), b.pad) for b in it])
    return result


def numbered(n, **kwargs):
    return mx.io.NDArrayIter(np.arange(n), np.arange(n) * 10, **kwargs)


def test_desc_is_a_pair_with_dtype_and_layout():
    desc = mx.io.DataDesc("data", (2, 3))
    assert desc == ("data", (2, 3))
    assert repr(desc) == "DataDesc[data,(2, 3),<class 'numpy.float32'>,NCHW]"
    assert (desc.dtype, desc.layout) == (np.float32, "NCHW")
    assert repr(mx.io.DataDesc.get_list([("a", (1, 2))], [("a", "int8")])) == "[DataDesc[a,(1, 2),int8,NCHW]]"
    assert [mx.io.DataDesc.get_batch_axis(layout) for layout in (None, "NCHW", "TNC", "C")] == [0, 0, 1, -1]


def test_batch_prints_its_shapes():
    batch = mx.io.DataBatch([mx.nd.zeros((2, 3))])
    assert str(batch) == "DataBatch: data shapes: [(2, 3)] label shapes: None"
    with pytest.raises(AssertionError):
        mx.io.DataBatch(mx.nd.zeros((2, 3)))


@pytest.mark.parametrize("handle, n, size, expected", [
    ("pad", 5, 2, [[([0, 1], [0, 10], 0), ([2, 3], [20, 30], 0), ([4, 0], [40, 0], 1)]] * 3),
    ("pad", 4, 2, [[([0, 1], [0, 10], 0), ([2, 3], [20, 30], 0)]] * 3),
    ("pad", 5, 4, [[([0, 1, 2, 3], [0, 10, 20, 30], 0), ([4, 0, 1, 2], [40, 0, 10, 20], 3)]] * 3),
    ("discard", 5, 4, [[([0, 1, 2, 3], [0, 10, 20, 30], 0)]] * 3),
    ("roll_over", 5, 2, [[([0, 1], [0, 10], 0), ([2, 3], [20, 30], 0)],
                         [([4, 0], [40, 0], 1), ([1, 2], [10, 20], 0), ([3, 4], [30, 40], 0)],
                         [([0, 1], [0, 10], 0), ([2, 3], [20, 30], 0)]]),
    ("roll_over", 5, 4, [[([0, 1, 2, 3], [0, 10, 20, 30], 0)], [([4, 0, 1, 2], [40, 0, 10, 20], 1)],
                         [([3, 4, 0, 1], [30, 40, 0, 10], 2)]]),
])
def test_last_batch(handle, n, size, expected):
    assert epochs(numbered(n, batch_size=size, last_batch_handle=handle)) == expected


def test_padding_wraps_as_often_as_needed():
    # MXNet returns five rows of a batch of seven here.
    (batch,), = epochs(numbered(2, batch_size=7), 1)
    assert batch == ([0, 1, 0, 1, 0, 1, 0], [0, 10, 0, 10, 0, 10, 0], 5)


def test_rolling_over_less_than_a_batch_loses_nothing():
    first, second, third = epochs(numbered(2, batch_size=5, last_batch_handle="roll_over"))
    assert (first, second) == ([], [])
    assert third == [([0, 1, 0, 1, 0], [0, 10, 0, 10, 0], 4)]


def test_shuffle_follows_numpys_generator():
    np.random.seed(3)
    it = numbered(5, batch_size=2, shuffle=True, last_batch_handle="roll_over")
    assert epochs(it) == [
        [([4, 2], [40, 20], 0), ([3, 1], [30, 10], 0)],
        [([0, 2], [0, 20], 1), ([1, 0], [10, 0], 0), ([4, 3], [40, 30], 0)],
        [([2, 1], [20, 10], 0), ([0, 4], [0, 40], 0)]]


def test_hard_reset_forgets_what_rolls_over():
    it = numbered(5, batch_size=2, last_batch_handle="roll_over")
    list(it)
    it.hard_reset()
    assert it.next().data[0].asnumpy().tolist() == [0, 1]


def test_names_shapes_and_dtypes():
    it = mx.io.NDArrayIter([np.zeros((3, 2)), np.ones((3, 4))], {"b": np.zeros(3), "a": np.zeros((3, 1))}, batch_size=2)
    assert [tuple(desc) for desc in it.provide_data] == [("_0_data", (2, 2)), ("_1_data", (2, 4))]
    assert [tuple(desc) for desc in it.provide_label] == [("a", (2, 1)), ("b", (2,))]
    it = mx.io.NDArrayIter(mx.nd.array([1, 2], dtype="int32"), data_name="x")
    assert it.provide_data[0].dtype == np.int32 == it.next().data[0].dtype
    assert mx.io.NDArrayIter(np.arange(4)).next().data[0].dtype == np.float32
    assert mx.io.NDArrayIter(np.arange(4)).provide_label == []


class OnDisk:
    """Sliced like an h5py dataset: row numbers must increase."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, key):
        assert isinstance(key, slice) or np.all(np.diff(key) > 0)
        return self.values[key]


@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_on_disk(shuffle):
    values = np.arange(5.0) * 2
    np.random.seed(3)
    expected = epochs(mx.io.NDArrayIter(values, values, batch_size=2, shuffle=shuffle), 2)
    np.random.seed(3)
    assert epochs(mx.io.NDArrayIter(OnDisk(values), OnDisk(values), batch_size=2, shuffle=shuffle), 2) == expected


@pytest.mark.parametrize("given, expected", [
    ({"data": {"data": [[1, 2], [3, 4]]}, "label": {"y": [0, 1]}}, {"data": [[1, 2]], "y": [0]}),
    ({"data": {"x": ((1, 2), (3, 4))}}, {"x": [[1, 2]]}),
    ({"data": [[1, 2], [3, 4]]}, {"_0_data": [1], "_1_data": [3]}),
    ({"data": [[[1, 2], [3, 4]]], "label": [[0, 1]]}, {"data": [[1, 2]], "softmax_label": [0]}),
    ({"data": [range(2)]}, {"data": [0]}), ({"data": {"x": [True, False]}}, {"x": [1]}),
    ({"data": {"x": [np.ones(2), np.zeros(2)]}}, {"x": [[1, 1]]})])
def test_lists_of_numbers_are_arrays(given, expected):
    it = mx.io.NDArrayIter(**given)
    batch = it.next()
    assert {d.name: a.asnumpy().tolist() for d, a in zip(it.provide_data + it.provide_label,
                                                         batch.data + batch.label)} == expected
    assert {d.dtype for d in it.provide_data + it.provide_label} == {np.float32}


@pytest.mark.parametrize("label, message", [
    ([0, 1], r"softmax_label has numbers in it: give numpy.array"), ((0.5, 1), "softmax_label has numbers in it"),
    ([np.float32(1)], "numbers in it"), ({"y": [[1, 2], [3]]}, "for y, .*nested lists of numbers: "),
    ({"y": ["a", "b"]}, "for y, "), ({"y": 3}, "'int'.* for y"), ({"y": None}, "'NoneType'.* for y")])
def test_lists_that_are_no_arrays(label, message):
    with pytest.raises(TypeError, match=message):
        mx.io.NDArrayIter(np.zeros((2, 2)), label)


@pytest.mark.parametrize("arguments, error", [
    ({"data": None}, AssertionError), ({"data": []}, AssertionError), ({"data": "text"}, TypeError),
    ({"data": np.zeros((3, 2)), "label": np.zeros(2)}, ValueError),
    ({"data": np.zeros(3), "last_batch_handle": "keep"}, ValueError)])
def test_wrong_arguments(arguments, error):
    with pytest.raises(error):
        mx.io.NDArrayIter(**arguments)


@pytest.mark.parametrize("internal, expected", [(True, [[0, 2, 4, 0], [0, 2, 4, 0]]),
                                                (False, [[0, 2, 4, 0], [2, 4, 0, 2]])])
def test_resize(internal, expected):
    it = mx.io.ResizeIter(numbered(5, batch_size=2), 4, reset_internal=internal)
    seen = []
    for _ in range(2):
        seen.append([batch.data[0].asnumpy()[0] for batch in it])
        it.reset()
    assert seen == expected


def test_prefetching_joins_iterators_and_ends_its_threads():
    before = threading.active_count()
    with mx.io.PrefetchingIter([numbered(5, batch_size=2), numbered(5, batch_size=2)],
                               rename_data=[{"data": "a"}, {"data": "b"}],
                               rename_label=[{"softmax_label": "x"}, {"softmax_label": "y"}]) as it:
        assert [desc.name for desc in it.provide_data + it.provide_label] == ["a", "b", "x", "y"]
        for _ in range(2):
            batches = list(it)
            assert [batch.pad for batch in batches] == [0, 0, 1]
            assert [len(batch.data) for batch in batches] == [2, 2, 2]
            assert batches[2].data[1].asnumpy().tolist() == [4, 0]
            it.reset()
    assert threading.active_count() == before


def test_prefetching_raises_the_iterators_error():
    class Broken(mx.io.NDArrayIter):
        def next(self):
            raise OSError("disk")

    with mx.io.PrefetchingIter(Broken(np.zeros(3))) as it, pytest.raises(OSError, match="disk"):
        it.next()


def test_prefetching_refuses_iterators_of_unequal_length():
    with mx.io.PrefetchingIter([numbered(4, batch_size=2), numbered(2, batch_size=2)]) as it:
        it.next()
        with pytest.raises(AssertionError, match="mismatch"):
            it.next()


@pytest.mark.parametrize("options, expected", [
    ({}, [[([0, 3], [0, 10], 0), ([6, 9], [20, 30], 0), ([12, 0], [40, 0], 1)],
          [([3, 6], [10, 20], 0), ([9, 12], [30, 40], 0)]]),
    ({"round_batch": False}, [[([0, 3], [0, 10], 0), ([6, 9], [20, 30], 0), ([12, 9], [40, 30], 1)]] * 2)])
def test_csv(tmp_path, options, expected):
    np.savetxt(tmp_path / "data.csv", np.arange(15).reshape(5, 3), delimiter=",", fmt="%g")
    np.savetxt(tmp_path / "label.csv", np.arange(5) * 10, fmt="%g")
    it = mx.io.CSVIter(data_csv=str(tmp_path / "data.csv"), data_shape=(3,), label_csv=str(tmp_path / "label.csv"),
                       batch_size=2, **options)
    assert tuple(it.provide_data[0]) == ("data", (2, 3))
    assert tuple(it.provide_label[0]) == ("softmax_label", (2,))
    seen = []
    for _ in range(2):
        seen.append([(b.data[0].asnumpy()[:, 0].tolist(), b.label[0].asnumpy().tolist(), b.pad) for b in it])
        it.reset()
    assert seen == expected


def test_csv_of_the_wrong_width(tmp_path):
    (tmp_path / "data.csv").write_text("1,2,3\n")
    with pytest.raises(ValueError, match="3 numbers a line"):
        mx.io.CSVIter(data_csv=str(tmp_path / "data.csv"), data_shape=(2, 2))


@pytest.fixture
def mnist(tmp_path):
    image, label = tmp_path / "image", tmp_path / "label"
    image.write_bytes(struct.pack(">IIII", 2051, 7, 4, 3) + np.arange(84, dtype=np.uint8).tobytes())
    label.write_bytes(struct.pack(">II", 2049, 7) + np.arange(7, dtype=np.uint8).tobytes())
    return {"image": str(image), "label": str(label)}


@pytest.mark.parametrize("options, expected", [
    ({"shuffle": False}, [[0, 1, 2], [3, 4, 5]]), ({"seed": 0}, [[0, 2, 3], [5, 4, 1]]),
    ({"seed": 10}, [[3, 1, 4], [6, 0, 2]]), ({"shuffle": False, "num_parts": 2, "part_index": 1}, [[3, 4, 5]])])
def test_mnist_order_is_mxnets(mnist, options, expected):
    it = mx.io.MNISTIter(batch_size=3, silent=True, **mnist, **options)
    batches = list(it)
    assert [batch.label[0].asnumpy().tolist() for batch in batches] == expected
    for batch in batches:
        assert (batch.data[0].asnumpy()[:, 0, 0, 1] == (batch.label[0].asnumpy() * 12 + 1) / 256).all()


def test_mnist_shapes(mnist):
    assert mx.io.MNISTIter(batch_size=3, **mnist).provide_data[0].shape == (3, 1, 4, 3)
    assert mx.io.MNISTIter(batch_size=3, flat=True, **mnist).next().data[0].shape == (3, 12)
    with pytest.raises(ValueError, match="magic number 2051"):
        mx.io.MNISTIter(image=mnist["label"], label=mnist["label"])
