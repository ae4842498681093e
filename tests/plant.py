"""A pytest plugin that plants one fault, named by MXLITE_PLANT, before the tests run: see test_planted_faults.py."""
import os


def gradient():
    """tanh's derivative with a factor of 1.01."""
    from mxlite.ops import RECORDS
    op = RECORDS["tanh"]
    right = op.grad
    op.grad = staticmethod(lambda F, n, dy: F._mul_scalar(right(F, n, dy), scalar=1.01))


def inplace():
    """reverse claims that it may write over its input, which it reads back to front."""
    from mxlite.ops import RECORDS
    RECORDS["reverse"].inplace = {0: 0}


def shape():
    """transpose says that the shape stays as it is."""
    from mxlite.ops import RECORDS
    RECORDS["transpose"].infer = staticmethod(lambda p, ins, outs: (ins, [ins[0]]))


def kernel():
    """exp runs the kernel of expm1."""
    from mxlite.ops import RECORDS
    RECORDS["exp"].cpu = RECORDS["expm1"].cpu


def dtype():
    """argmax says that it gives int64."""
    from mxlite.ops import RECORDS
    RECORDS["argmax"].infer_dtype = staticmethod(lambda p, ins, outs: (ins, ["int64"]))


def overlap():
    """The planner puts every block at offset 0."""
    import mxlite._core.executor as executor
    right = executor.plan

    def wrong(*args, **kwargs):
        p = right(*args, **kwargs)
        p.offset = [0] * len(p.offset)
        return p
    executor.plan = wrong


FAULTS = {f.__name__: f for f in (gradient, inplace, shape, kernel, dtype, overlap)}


def pytest_configure(config):
    FAULTS[os.environ["MXLITE_PLANT"]]()
