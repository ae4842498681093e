"""Pictures of executors: well-formed, complete, and the memory picture says what the planner decided."""
import xml.etree.ElementTree as ElementTree

import pytest

import mxlite as mx
from mxlite import svg_plan

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def executor():
    net = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(net, num_hidden=64, name="fc1")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = mx.sym.Activation(net, act_type="relu", name="relu")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
    net = mx.sym.SoftmaxOutput(net, name="<softmax>")       # a name that XML must escape
    return net.simple_bind(mx.cpu(), data=(32, 20))


def read(picture):
    """The picture's root, and [(title, rectangle (left, top, right, bottom))] of its boxes."""
    root = ElementTree.fromstring(picture._repr_svg_())
    assert root.tag == NAMESPACE + "svg"
    out = []
    for group in root.iter(NAMESPACE + "g"):
        box = group.find(NAMESPACE + "rect")
        left, top, width, height = (float(box.get(k)) for k in ("x", "y", "width", "height"))
        assert 0 <= left and left + width <= float(root.get("width")) + 0.1
        assert 0 <= top and top + height <= float(root.get("height")) + 0.1
        out.append((group.find(NAMESPACE + "title").text, (left, top, left + width, top + height)))
    return root, out


def apart(boxes, slack=0.2):
    for i, (_, a) in enumerate(boxes):
        for _, b in boxes[:i]:
            assert a[2] <= b[0] + slack or b[2] <= a[0] + slack or a[3] <= b[1] + slack or b[3] <= a[1] + slack


def test_bindings_shows_every_array(executor):
    _, boxes = read(svg_plan.bindings(executor))
    names = [title for title, _ in boxes]
    arguments = ["data", "fc1_weight", "fc1_bias", "bn_gamma", "bn_beta", "fc2_weight", "fc2_bias", "<softmax>_label"]
    assert set(names) == {"<softmax>", "<softmax>_output", "bn_moving_mean", "bn_moving_var", *arguments,
                          *(f"gradient of {n}" for n in arguments)}
    apart(boxes)


@pytest.fixture
def step_by_step(executor):
    """The executor, with a row for every operator."""
    with mx.runtime.option("fuse", False):
        yield executor


def test_a_fused_row_names_all_its_operators(executor):
    _, boxes = read(svg_plan.program(executor))
    assert "bn + relu" in [t for t, _ in boxes]


def test_program_shows_every_step(step_by_step):
    executor = step_by_step
    root, boxes = read(svg_plan.program(executor))
    steps = executor.explain().splitlines()[1:-1]
    numbered = [line.split()[2] for line in steps if line[0] != " "]
    assert [t for t, _ in boxes].count("fc1_backward") == 3
    assert sorted(t for t, _ in boxes if t in set(numbered)) == sorted(numbered)
    assert {f"gradient of {n}" for n in executor.arg_dict} <= {t for t, _ in boxes}
    apart(boxes)
    kept = [p for p in root.findall(NAMESPACE + "path") if p.get("stroke-dasharray")]
    assert len(kept) == 6       # fc1 and three results of bn to bn_backward, relu and softmax to their readers
    _, forward_only = read(svg_plan.program(executor, "infer"))
    assert not [t for t, _ in forward_only if "backward" in t or "gradient" in t]


@pytest.mark.parametrize("mode", ["train", "infer"])
def test_memory_is_the_plan(executor, mode):
    plan, blocks = executor.memory_plan(mode), svg_plan.blocks(executor, mode)
    assert max(b.offset + b.bytes for b in blocks) == plan["entries"]
    for i, a in enumerate(blocks):
        for b in blocks[:i]:
            assert a.last < b.first or b.last < a.first or a.offset + a.bytes <= b.offset \
                or b.offset + b.bytes <= a.offset
    alive = max(sum(b.bytes for b in blocks if b.first <= t <= b.last) for t in range(20))
    assert alive == plan["lower_bound"] - plan["outputs"]
    _, boxes = read(svg_plan.memory(executor, mode))
    apart(boxes)
    assert len([t for t, _ in boxes if "scratch" not in t]) == len(blocks)


def test_blocks_share_memory_in_place(step_by_step):
    chains = {b.nodes: b for b in svg_plan.blocks(step_by_step)}
    assert chains["bn", "relu"].bytes == 32 * 64 * 4 and not chains["bn", "relu"].backward
    assert chains["fc2_backward", "relu_backward", "bn_backward"].backward
    # bn_backward, step 10, is the last reader of what fc1 made at step 0.
    assert (chains["fc1",].first, chains["fc1",].last) == (0, 10)


def test_arenas_of_several_contexts_stand_on_top_of_each_other():
    with mx.AttrScope(ctx_group="first"):
        net = mx.sym.tanh(mx.sym.exp(mx.sym.Variable("data")), name="tanh")
    with mx.AttrScope(ctx_group="second"):
        net = mx.sym.FullyConnected(net, num_hidden=300, name="fc")
        net = mx.sym.MakeLoss(mx.sym.sum(net), name="loss")
    both = net.simple_bind(mx.cpu(), group2ctx={"first": mx.cpu(0), "second": mx.cpu(1)}, data=(20, 300))
    plan, blocks = both.memory_plan(), svg_plan.blocks(both)
    assert set(plan["contexts"]) == {"cpu(0)", "cpu(1)"}
    assert max(b.offset + b.bytes for b in blocks) > plan["contexts"]["cpu(0)"]["arena"]
    fc, = (b for b in blocks if b.nodes[0] == "fc")
    assert fc.offset >= plan["contexts"]["cpu(0)"]["arena"]
    _, boxes = read(svg_plan.memory(both))
    apart(boxes)


def test_a_graph_without_steps():
    bare = mx.sym.Variable("a").simple_bind(mx.cpu(), a=(2,), grad_req="null")
    for draw in (svg_plan.bindings, svg_plan.program, svg_plan.memory):
        read(draw(bare))
    assert svg_plan.blocks(bare) == []
