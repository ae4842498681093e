"""Train a small convolutional network on scanned digits, from Symbols, in under a minute.

    python tutorials/digits.py
    python tutorials/digits.py --gpu        (on mx.gpu(0))

The data are the 1,797 real 8x8 scans that scikit-learn carries in its wheel, split 80/20 (stratified, fixed seed). The
script shows its progress, writes `digits-symbol.json` and `digits-00NN.params`, the learning curve `digits-curve.png`
and the network `digits-network.svg` into `tutorials/out/`, then loads the checkpoint again and checks that it predicts
the same numbers bit for bit.
"""
import argparse
import logging
import os
import sys
import time

import numpy as np

import mxlite as mx

HERE = os.path.dirname(os.path.abspath(__file__))


def load_digits(seed=0):
    """(training images, labels, validation images, labels): float32 (n, 1, 8, 8) in [0, 1], labels float32 (n,)."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split
    images, labels = load(return_X_y=True)
    images = (images / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    x, xv, y, yv = train_test_split(images, labels.astype(np.float32), test_size=0.2, stratify=labels,
                                    random_state=seed)
    return x, y, xv, yv


def network():
    """Two 3x3 convolutions, pooling, two more, global pooling and a softmax: made for pictures of 8x8."""
    net = mx.sym.Variable("data")
    for i, (filters, pool) in enumerate([(32, False), (32, True), (64, False), (64, True)]):
        net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=filters, no_bias=True, name=f"conv{i}")
        net = mx.sym.BatchNorm(net, fix_gamma=False, name=f"bn{i}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i}")
        if pool:
            net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name=f"pool{i}")
    net = mx.sym.Flatten(net, name="flatten")
    net = mx.sym.Dropout(net, p=0.3, name="dropout")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


class Curve:
    """Keeps the accuracy of every epoch, shows a line of progress, and draws the curve."""

    def __init__(self, epochs, began):
        self.train, self.validation, self.epochs, self.began = [], [], epochs, began

    def on_validation(self, param):
        """eval_end_callback of Module.fit."""
        accuracy = dict(param.eval_metric.get_name_value())["accuracy"]
        self.validation.append(accuracy)
        done = len(self.validation)
        bar = "=" * (30 * done // self.epochs)
        print(f"\r[{bar:<30}] epoch {done}/{self.epochs}  validation accuracy {accuracy:.4f}  "
              f"{time.time() - self.began:5.1f} s", end="" if sys.stdout.isatty() else "\n", flush=True)

    def draw(self, path):
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
        figure, axes = plt.subplots(figsize=(6, 4))
        epochs = range(1, len(self.validation) + 1)
        axes.plot(epochs, [100 * (1 - a) for a in self.validation], marker="o", color="#1f6f8b")
        axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation error, %")
        axes.set_title("Digits: a small convolutional network")
        axes.grid(True, which="both", alpha=0.3)
        figure.tight_layout()
        figure.savefig(path, dpi=120)
        plt.close(figure)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", default=os.path.join(HERE, "out"), help="folder for checkpoint and pictures")
    parser.add_argument("--gpu", action="store_true", help="train on mx.gpu(0) instead of the CPU")
    options = parser.parse_args(argv)
    context = mx.gpu(0) if options.gpu else mx.cpu()
    try:
        mx.nd.zeros((1,), ctx=context)
    except mx.MXNetError as e:          # no GPU: the text says what is missing and what to install
        raise SystemExit(str(e)) from None
    os.makedirs(options.out, exist_ok=True)
    logging.basicConfig(level=logging.WARNING)
    mx.random.seed(7)
    np.random.seed(7)           # NDArrayIter shuffles with NumPy's generator, as MXNet does
    began = time.time()

    x, y, xv, yv = load_digits()
    train = mx.io.NDArrayIter(x, y, batch_size=32, shuffle=True, last_batch_handle="discard")
    validation = mx.io.NDArrayIter(xv, yv, batch_size=60)
    net = network()
    shapes = zip(net.list_arguments(), net.infer_shape(data=(1, 1, 8, 8))[0])
    parameters = sum(int(np.prod(shape)) for name, shape in shapes if name not in ("data", "softmax_label"))
    print(f"{len(x)} training and {len(xv)} validation pictures, {parameters} parameters, on {context}")

    prefix = os.path.join(options.out, "digits")
    curve = Curve(options.epochs, began)
    module = mx.mod.Module(net, context=context)
    module.fit(train, eval_data=validation, optimizer="adam", optimizer_params={"learning_rate": 2e-3, "wd": 1e-4},
               initializer=mx.init.Xavier(magnitude=2.0), eval_metric="acc", num_epoch=options.epochs,
               eval_end_callback=curve.on_validation)
    accuracy = dict(module.score(validation, "acc"))["accuracy"]
    print(f"\nvalidation accuracy {accuracy:.4f} after {time.time() - began:.1f} s")

    module.save_checkpoint(prefix, options.epochs)
    curve.draw(os.path.join(options.out, "digits-curve.png"))
    with open(os.path.join(options.out, "digits-network.svg"), "w", encoding="utf-8") as f:
        f.write(net._repr_svg_())
    before = module.predict(validation).asnumpy()
    again = mx.mod.Module.load(prefix, options.epochs, context=context)
    again.bind(data_shapes=validation.provide_data, label_shapes=validation.provide_label, for_training=False)
    after = again.predict(validation).asnumpy()
    same = before.tobytes() == after.tobytes()
    print(f"checkpoint {prefix}-{options.epochs:04d}.params predicts the same numbers bit for bit: {same}")
    if not same or accuracy < 0.98:
        raise SystemExit(f"expected 98 % accuracy and equal predictions, got {accuracy:.4f} and {same}")
    return accuracy


if __name__ == "__main__":
    main()
