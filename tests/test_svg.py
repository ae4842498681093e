"""Pictures of graphs: well-formed SVG that shows every layer and edge, for any graph."""
import pathlib
import random
import re
import xml.etree.ElementTree as ElementTree

import pytest

import mxlite as mx
from mxlite.svg import BOX_HEIGHT, BOX_WIDTH

NAMESPACE = "{http://www.w3.org/2000/svg}"


def draw(symbol):
    """The picture's root element, and {node name: the rectangle (left, top, right, bottom) of its box}."""
    root = ElementTree.fromstring(symbol._repr_svg_())
    assert root.tag == NAMESPACE + "svg"
    boxes = {}
    for group in root.iter(NAMESPACE + "g"):
        title = group.find(NAMESPACE + "title").text
        box = group.find(NAMESPACE + "rect")
        if box is not None:
            left, top = float(box.get("x")), float(box.get("y"))
        else:
            ellipse = group.find(NAMESPACE + "ellipse")
            left = float(ellipse.get("cx")) - BOX_WIDTH / 2
            top = float(ellipse.get("cy")) - BOX_HEIGHT / 2
        assert title not in boxes
        boxes[title] = (left, top, left + BOX_WIDTH, top + BOX_HEIGHT)
    return root, boxes


def lines(root):
    """Where each line between boxes begins and ends, ((x, y), (x, y))."""
    out = []
    for path in root.findall(NAMESPACE + "path"):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
        out.append((tuple(numbers[:2]), tuple(numbers[-2:])))
    return out


def check(root, boxes):
    """Boxes lie in the picture and do not overlap; every line leaves one box below and enters another from above."""
    width, height = float(root.get("width")), float(root.get("height"))
    places = list(boxes.values())
    for i, (left, top, right, bottom) in enumerate(places):
        assert 0 <= left and right <= width and 0 <= top and bottom <= height
        for other in places[:i]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    ends = {(round((left + right) / 2), bottom) for left, _, right, bottom in places}
    begins = {(round((left + right) / 2), top) for left, top, right, _ in places}

    def near(point, points):
        return any(abs(point[0] - x) <= 1 and point[1] == y for x, y in points)
    for start, end in lines(root):
        assert near(start, ends) and near(end, begins) and start[1] < end[1]


def inception():
    data = mx.sym.Variable("data")
    towers = []
    for i, depth in enumerate([1, 2, 3]):
        tower = data
        for j in range(depth):
            tower = mx.sym.Convolution(tower, kernel=(3, 3), pad=(1, 1), num_filter=4, name=f"conv{i}_{j}")
            tower = mx.sym.BatchNorm(tower, name=f"bn{i}_{j}")
            tower = mx.sym.Activation(tower, act_type="relu", name=f"relu{i}_{j}")
        towers.append(tower)
    return mx.sym.Concat(*towers, name="concat")


def test_layers_and_parameters():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1")
    net = mx.sym.BatchNorm(net, name="bn")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")
    root, boxes = draw(net)
    # Inputs and labels are shown; weights, biases and moving statistics are what a layer has inside.
    assert set(boxes) == {"data", "fc1", "bn", "fc2", "softmax_label", "softmax"}
    check(root, boxes)
    assert len(lines(root)) == 5
    text = " ".join(t.text for t in root.iter(NAMESPACE + "text"))
    assert "FullyConnected 16" in text and "BatchNorm" in text


def test_both_sides_of_a_sum():
    _, boxes = draw(mx.sym.Variable("a") + mx.sym.Variable("b") * 2)
    assert {"a", "b"} < set(boxes) and len(boxes) == 4


def test_shared_weight_that_is_also_data():
    weight = mx.sym.Variable("weight")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), weight=weight, num_hidden=2, name="fc")
    assert "weight" not in draw(net)[1]
    assert "weight" in draw(mx.sym.Group([net, mx.sym.sum(weight, name="size")]))[1]


def test_branches_go_round_other_boxes():
    root, boxes = draw(inception())
    check(root, boxes)
    assert len(lines(root)) == 3 + (3 * 6 - 3) + 3        # out of data, inside the towers, into concat
    # The short tower's line passes the rows of the long one without touching its boxes.
    passing = [p.get("d") for p in root.findall(NAMESPACE + "path") if "V" in p.get("d")]
    assert len(passing) == 2
    for path in passing:
        column = float(re.search(r"([\d.]+) [\d.]+V", path)[1])
        last_rows = [box for name, box in boxes.items() if name.startswith(("conv2_2", "bn2_2", "relu2_2"))]
        assert len(last_rows) == 3 and all(not left < column < right for left, _, right, _ in last_rows)


def test_variable_alone():
    root, boxes = draw(mx.sym.Variable("data"))
    assert set(boxes) == {"data"} and lines(root) == []
    check(root, boxes)


def test_group():
    data = mx.sym.Variable("data")
    left = mx.sym.Activation(data, act_type="relu", name="left")
    right = mx.sym.FullyConnected(data, num_hidden=2, name="right")
    root, boxes = draw(mx.sym.Group([left, right, mx.sym.Variable("apart")]))
    assert set(boxes) == {"data", "left", "right", "apart"}
    check(root, boxes)
    root, boxes = draw(inception().get_internals())
    assert "concat" in boxes and "data" in boxes
    check(root, boxes)


def test_one_input_used_twice():
    a = mx.sym.Variable("a")
    root, boxes = draw(mx.sym.exp(mx.sym.exp(a)) * a * a)
    check(root, boxes)
    twice = mx.sym.elemwise_mul(a, a, name="square")
    assert len(lines(draw(twice)[0])) == 1


def test_names_with_markup():
    name = "<a & \"b\">"
    _, boxes = draw(mx.sym.Activation(mx.sym.Variable(name), act_type="relu", name="é]]>"))
    assert set(boxes) == {name, "é]]>"}


def test_long_names_are_cut_and_kept_as_titles():
    name = "stage4_unit2_bottleneck_convolution"
    root, boxes = draw(mx.sym.exp(mx.sym.Variable("data"), name=name))
    assert name in boxes
    shown = [t.text for t in root.iter(NAMESPACE + "text")]
    assert name not in shown and any(t.startswith("stage4_unit2") and t.endswith("…") for t in shown)


def test_deep_chain():
    net = data = mx.sym.Variable("data")
    for _ in range(5000):
        net = mx.sym.exp(net)
    root, boxes = draw(net + data)          # with a line from top to bottom
    assert len(boxes) == 5002 and len(lines(root)) == 5002


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs(seed):
    print("seed", seed)
    choose = random.Random(seed)
    pool = [mx.sym.Variable(f"v{i}") for i in range(choose.randint(1, 4))]
    for i in range(choose.randint(1, 40)):
        parents = [choose.choice(pool[-6:] if choose.random() < 0.7 else pool) for _ in range(choose.randint(1, 4))]
        pool.append(mx.sym.add_n(*parents, name=f"n{i}"))
    root, boxes = draw(mx.sym.Group(choose.sample(pool, choose.randint(1, len(pool)))))
    check(root, boxes)


def test_a_picture_can_be_written_to_a_file(tmp_path):
    path = pathlib.Path(tmp_path, "net.svg")
    path.write_text(inception()._repr_svg_(), encoding="utf-8")
    assert ElementTree.parse(path).getroot().get("viewBox").startswith("0 0 ")
