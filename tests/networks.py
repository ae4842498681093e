"""Networks that several tests and benchmarks bind: an MLP, LeNet, ResNet-18 (He et al. 2015) for 32x32 or 224x224."""


def mlp(mx, hidden=(128, 64), classes=10):
    """Fully connected layers with relu and a softmax."""
    net = mx.sym.Variable("data")
    for i, n in enumerate(hidden):
        net = mx.sym.FullyConnected(net, num_hidden=n, name=f"fc{i + 1}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i + 1}")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def lenet(mx, classes=10):
    """LeCun et al. 1998 with tanh and max pooling, as MXNet's examples have it."""
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{i + 1}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{i + 1}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{i + 1}")
    net = mx.sym.Flatten(net, name="flatten")
    net = mx.sym.FullyConnected(net, num_hidden=500, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh3")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def resnet18(mx, classes=10, small=True):
    """Residual network of 18 layers; `small`: a 3x3 stem for pictures of 32x32, else the 7x7 stem of ImageNet."""
    def unit(x, filters, kernel, stride, pad, name, relu=True):
        x = mx.sym.Convolution(x, kernel=kernel, stride=stride, pad=pad, num_filter=filters, no_bias=True,
                               name=f"{name}_conv")
        x = mx.sym.BatchNorm(x, fix_gamma=False, eps=2e-5, momentum=0.9, name=f"{name}_bn")
        return mx.sym.Activation(x, act_type="relu", name=f"{name}_relu") if relu else x
    net = mx.sym.Variable("data")
    if small:
        net = unit(net, 64, (3, 3), (1, 1), (1, 1), "stem")
    else:
        net = unit(net, 64, (7, 7), (2, 2), (3, 3), "stem")
        net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max", name="stem_pool")
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = (2, 2) if stage and not block else (1, 1)
            name = f"stage{stage + 1}_unit{block + 1}"
            body = unit(net, filters, (3, 3), stride, (1, 1), f"{name}_a")
            body = unit(body, filters, (3, 3), (1, 1), (1, 1), f"{name}_b", relu=False)
            if stride != (1, 1):
                net = unit(net, filters, (1, 1), stride, (0, 0), f"{name}_sc", relu=False)
            net = mx.sym.Activation(body + net, act_type="relu", name=f"{name}_relu")
    net = mx.sym.Pooling(net, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=classes, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")
