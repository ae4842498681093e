"""What comes from elsewhere: memory shared with other libraries (DLPack), and images."""
from .._core import dlpack as _dlpack
from .._core.context import Context, check_usable
from .._core.errors import MXNetError
from .ndarray import NDArray
from .on_device import receive, written_before

ON_THE_HOST = (1, 3)            # DLPack's device types for memory that the CPU reads: its own, and pinned
ON_CUDA = 2


def from_dlpack(dlpack):
    """An array over the memory of `dlpack`, no copy: an object with ``__dlpack__`` (a PyTorch tensor, a NumPy array) or
    a DLPack capsule, which can be taken once.

    The memory stays alive as long as the array does. ValueError for what cannot be shared: a read-only tensor, one with
    gaps between its elements. MXNetError for a tensor on another kind of device or of a dtype that is not supported.
    """
    ordered = {}                        # a tensor on a GPU is put in order with our stream by who lends it
    if hasattr(dlpack, "__dlpack__"):
        if hasattr(dlpack, "__dlpack_device__"):
            kind, number = dlpack.__dlpack_device__()
            if kind == ON_CUDA:
                ordered = {"stream": receive(check_usable(Context("gpu", number)))}
            elif kind not in ON_THE_HOST:
                raise MXNetError(f"the tensor is on DLPack device ({int(kind)}, {number}), neither on the CPU nor on "
                                 f"a GPU of CUDA: copy it there first")
        try:
            capsule = dlpack.__dlpack__(max_version=(1, 0), **ordered)
        except TypeError:               # a library older than DLPack 1.0
            capsule = dlpack.__dlpack__(**ordered)
        return _dlpack.take(capsule)
    array = _dlpack.take(dlpack)
    if array.context.device_type == "gpu":      # a bare capsule does not say where it was written
        written_before(array)
    return array


def to_dlpack_for_read(data):
    """A DLPack capsule over the memory of the NDArray `data`, for reading."""
    return _checked(data).to_dlpack_for_read()


def to_dlpack_for_write(data):
    """A DLPack capsule over the memory of the NDArray `data`, for writing."""
    return _checked(data).to_dlpack_for_write()


def _checked(data):
    if not isinstance(data, NDArray):
        raise TypeError(f"data must be an NDArray, got {type(data).__name__}")
    return data


def imdecode(str_img, clip_rect=(0, 0, 0, 0), out=None, index=0, channels=3, mean=None):
    """MXNet's decoder for the bytes of an image file: not there, raises MXNetError."""
    raise MXNetError("imdecode: images are not supported; decode with another library and pass its array to nd.array")


__all__ = ["from_dlpack", "imdecode", "to_dlpack_for_read", "to_dlpack_for_write"]
