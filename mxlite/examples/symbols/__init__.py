"""Well-known image classifiers as symbols, one module a family.

==================  ===========================================================================================
module              networks
==================  ===========================================================================================
``mlp``             three fully connected layers
``lenet``           LeNet
``alexnet``         AlexNet, and CaffeNet with ``caffenet=True``
``vgg``             VGG of 11, 13, 16, 19 layers, with ``batch_norm=True`` normalized
``inception_bn``    Inception with batch normalization, for 224x224, and a small form for pictures up to 28x28
``inception_v3``    Inception-v3, for 299x299
``resnet``          residual networks, pre-activation ("v2"): 18 to 269 layers; 6n+2 and 9n+2 for small pictures
``resnet_v1``       the same depths, original ("v1") units
``mobilenet``       MobileNet (v1) of any width
``mobilenet_v2``    MobileNetV2 of any width
==================  ===========================================================================================

Every module has one public function, ``get_symbol(num_classes=..., ..., dtype="float32", **kwargs)``. It gives a Symbol
with inputs ``data`` (batch, channels, height, width) and ``softmax_label`` (batch,) and one output, ``softmax_output``
(batch, num_classes), the classes' probabilities. With ``dtype="float16"`` the layers compute in float16 between a Cast
after ``data`` and a Cast before the softmax. Keyword arguments that a network has no use for are ignored, so that one
set of a script's options fits all of them.

Layers carry the names that MXNet's own example networks have, so parameters trained with those load by name::

    from mxlite.examples.symbols import resnet
    net = resnet.get_symbol(num_classes=1000, num_layers=18, image_shape="3,224,224")
    saved = mx.nd.load("resnet-18-0000.params")             # "arg:conv0_weight", "aux:bn0_moving_mean", ...
    args = {k[4:]: v for k, v in saved.items() if k.startswith("arg:")}
    aux = {k[4:]: v for k, v in saved.items() if k.startswith("aux:")}
    mod = mx.mod.Module(net)
    mod.bind([("data", (1, 3, 224, 224))], for_training=False)
    mod.set_params(args, aux)

Where the file's own ``-symbol.json`` lies beside it, ``mx.model.load_checkpoint("resnet-18", 0)`` reads both.
"""
__all__ = ["alexnet", "inception_bn", "inception_v3", "lenet", "mlp", "mobilenet", "mobilenet_v2", "resnet",
           "resnet_v1", "vgg"]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: there are {', '.join(__all__)}")
    from importlib import import_module
    return import_module(f"{__name__}.{name}")


def __dir__():
    return sorted({*globals(), *__all__})
