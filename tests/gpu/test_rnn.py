"""Recurrent layers by cuDNN: what rnn.py hands to the library, and what it makes of the answers, against the CPU."""
import ctypes
import gc

import numpy as np
import pytest

import mxlite as mx
from mxlite.gpu import Backend, _libs, rnn
from mxlite.gpu.launch import Tensor
from mxlite.ops import settings
from mxlite.ops.record import RECORDS
from mxlite.ops.rnn import RNN
from mxlite.ops.rnn_reference import Sizes
from mxlite.ops.rnn_reference import blocks as reference_blocks

from .fake import Cupy
from .fake_rnn import FakeRnn
from .test_program import arrays, fill, forget, on_gpu, same

CASES = [dict(mode="rnn_tanh", state_size=3, num_layers=1), dict(mode="rnn_relu", state_size=5, num_layers=2),
         dict(mode="gru", state_size=4, num_layers=2, bidirectional=True),
         dict(mode="lstm", state_size=4, num_layers=3),
         dict(mode="lstm", state_size=5, num_layers=2, bidirectional=True),
         dict(mode="lstm", state_size=5, num_layers=2, projection_size=3)]
TRAINING = {"rng": 0, "rng_id": 0, "is_train": True}


def device(fake):
    dev = Backend(Cupy).device(0)
    dev.libraries["missing"] = {"lt": "no", "dnn": "no"}
    fake.xp = dev.xp
    dev.libraries["rnn"] = rnn.Rnn(fake, dev)
    return dev


def args_of(data=(3, 2, 4), **params):
    p = RNN.parse(params)
    ins, outs = RNN.infer(p, [data, *[None] * (len(RNN.inputs(p)) - 1)], [None] * len(RNN.outputs(p)))
    return p, RNN.launch(p, ins, outs), ins, outs


@pytest.mark.parametrize("params", CASES, ids=str)
def test_the_vector_of_parameters_is_the_references(params):
    p, args, ins, _ = args_of(**params)
    at, want = 0, []
    d = 1 + p.bidirectional
    for layer, direction, name, shape in reference_blocks(Sizes(p, ins[0])):
        want.append((layer * d + direction, name, at, shape[0], shape[1] if len(shape) > 1 else 1))
        at += int(np.prod(shape))
    assert rnn.blocks(args) == want and ins[1] == (at,)
    assert sum(n for *_, n in rnn.pieces(args)) == at


@pytest.mark.parametrize("scramble", [True, False], ids=["own order", "same order"])
@pytest.mark.parametrize("params", CASES, ids=str)
def test_training_gives_the_references_numbers(params, scramble):
    """Output, last states and all gradients, plainly and from a graph, twice each."""
    names = {"data": mx.sym.Variable("data"), "parameters": mx.sym.Variable("parameters"),
             "state": mx.sym.Variable("state")}
    if params["mode"] == "lstm":
        names["state_cell"] = mx.sym.Variable("state_cell")
    net = mx.sym.RNN(**names, state_outputs=True, name="rnn", **params)
    net = mx.sym.MakeLoss(sum((mx.sym.sum(mx.sym.sin(net[i])) for i in range(1, len(net.list_outputs()))),
                              mx.sym.sum(mx.sym.sin(net[0]))))
    exe = fill(net.simple_bind(mx.cpu(), data=(3, 2, 4)))
    for a in exe.arg_dict.values():
        a[:] = a.asnumpy() * 0.3
    exe.forward(is_train=True)
    exe.backward()
    want, fake = arrays(exe), FakeRnn(scramble)
    dev = device(fake)
    program = on_gpu(exe, dev)
    assert {s.name for s in program.steps if s.python is None} >= {"RNN", "_backward_RNN"}
    for _ in range(4):
        forget(exe)
        program.run(0, program.boundary)
        program.run(program.boundary, program.n)
        same(arrays(exe), want, 2e-4)
    assert {"forward", "backward data", "backward weights"} == set(fake.calls)
    copies = [one for s in program.steps for one in s.work if "copies" in one.text]
    assert len(copies) == (3 if scramble else 0)        # parameters twice, their gradient once
    del program, exe, copies, dev
    gc.collect()


def test_inference_keeps_no_notes():
    _, args, ins, outs = args_of(mode="lstm", state_size=4, num_layers=1, state_outputs=True)
    dev = device(FakeRnn())
    tensors = [Tensor(s, "float32", 4096) for s in ins]
    made = [Tensor(s, "float32", 4096) for s in outs[:-1]]
    with_notes = rnn.forward(dev, args, tensors, [*made, Tensor(outs[-1], "float32", 4096)], TRAINING)
    without = rnn.forward(dev, args, tensors, [*made, Tensor(outs[-1], "float32", 0)], {**TRAINING, "is_train": False})
    assert without.grow is None and list(with_notes.grow) == [3]
    assert with_notes.grow[3] * 4 >= 1000 + 4 * (3 * 2 * 4 + 2 * 4 + 2 * 4)


@pytest.mark.parametrize("params, covered", [
    (dict(p=0.5, num_layers=2), False), (dict(p=0.5, num_layers=1), True), (dict(use_sequence_length=True), False),
    (dict(lstm_state_clip_min=-1, lstm_state_clip_max=1), False), (dict(), True)])
def test_what_is_left_to_the_reference(params, covered):
    given = {"mode": "lstm", "state_size": 4, "num_layers": 1, **params}
    p = RNN.parse(given)
    ins, outs = RNN.infer(p, [(3, 2, 4), *[None] * (len(RNN.inputs(p)) - 1)], [None] * len(RNN.outputs(p)))
    args = RNN.launch(p, ins, outs)
    assert rnn.covered(args, "float32", True) == covered
    assert rnn.covered(args, "float32", False) == (covered or "p" in params), "dropout is for training"
    assert not rnn.covered(args, "int32", True)


def test_empty_sequences_are_the_references():
    _, args, _, _ = args_of(data=(0, 2, 3), mode="gru", state_size=3, num_layers=1)
    assert not rnn.covered(args, "float32", True)


@pytest.mark.parametrize("dtype, kind, precision, math", [("float32", 0, 0, 3), ("float64", 1, 1, 0),
                                                          ("float16", 2, 0, 1)])
def test_precision(dtype, kind, precision, math, monkeypatch):
    _, args, ins, outs = args_of(mode="gru", state_size=4, num_layers=1)
    fake = FakeRnn()
    dev = device(fake)
    dev.libraries["rnn"].of(args, dtype)
    assert fake.set == {"kind": kind, "precision": precision, "math": math}
    monkeypatch.setattr(settings, "tf32", True, raising=False)
    dev.libraries["rnn"].of(args, dtype)
    assert fake.set["math"] == (0 if dtype == "float32" else math)


def test_descriptors_are_destroyed():
    _, args, _, _ = args_of(mode="gru", state_size=4, num_layers=1)
    fake = FakeRnn()
    layers = rnn.Layers(fake, ctypes.c_void_p(55), args, "float32")
    assert fake.live > 5
    del layers
    gc.collect()
    assert fake.live == 0


def test_neighbours_are_copied_together():
    assert rnn.merged([(4, 14, 2), (0, 10, 4), (6, 20, 1), (7, 21, 0)]) == [(0, 10, 6), (6, 20, 1)]


@pytest.mark.skipif(not _libs.there("cudnn"), reason="libcudnn is not installed: pip install mxlite[gpu]")
def test_the_real_librarys_descriptors_need_no_gpu():
    lib = _libs.load("cudnn")
    made = ctypes.c_void_p()
    assert lib.cudnnCreateRNNDescriptor(ctypes.byref(made)) == 0
    lib.cudnnDestroyRNNDescriptor(made)


def test_the_record_names_these_kernels():
    assert RECORDS["RNN"].cpu == "rnn.forward" and RECORDS["_backward_RNN"].cpu == "rnn.backward"
    assert [RNN.parse(dict(mode=m, state_size=1, num_layers=1)).mode for m in rnn.CELLS] == list(rnn.CELLS)
