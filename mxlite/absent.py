"""What MXNet has and this version has not, and what to use instead: said when somebody reaches for it.

Nothing here is loaded before that: lookups that fail ask `why`, see `namespace.missing`.
"""
_NUMPY = "the NumPy interface is not part of mxlite; mx.nd has the operators, x.asnumpy() gives a NumPy array"
_KVSTORE = ("KVStore is not there yet; Module adds gradients over its contexts by itself, autograd and an Updater "
            "train without one")
_IMAGE = ("reading and transforming images is not there yet; decode them to NumPy arrays and give these to "
          "mx.io.NDArrayIter")
_RECORDIO = "RecordIO is not there yet; mx.io.NDArrayIter takes arrays, also from HDF5, mx.io.CSVIter text files"
_SPARSE = "sparse arrays are not there yet; all arrays are dense"
_CUSTOM = ("operators written in Python are not there yet; mx.autograd.Function has its own backward, a new operator "
           "is one record (CONTRIBUTING.md)")
_LOOPS = "control flow in a graph is not there yet; write the loop in Python, unrolled where it makes a symbol"
_CONV_RNN = "convolutional cells are not there yet; derive one from mx.rnn.BaseRNNCell"
_CONTRIB = "the contrib namespace is not there yet: no detection, quantisation, control flow or FFT operators"
_SPATIAL = "sampling at computed places is not there yet"
_REGIONS = "operators of object detection are not there yet"
_CTC = "connectionist temporal classification is not there yet"
_HELPERS = "MXNet's internal helpers are not part of mxlite"
_DOWNLOAD = "nothing here downloads; fetch the files yourself: mx.io.MNISTIter reads MNIST's, mx.io.CSVIter text"
_PYTHON_MODULE = "modules written in Python are not there yet; derive from mx.mod.BaseModule"
_LAYERWISE = "this optimizer is not there yet; mx.optimizer.Optimizer.register adds one"
_GLUON = "Gluon is not part of mxlite; networks are symbols (mx.sym), trained by mx.mod.Module"
_PLACES = "what MXNet has in that file is in the package itself"
_OPTIMIZED = "compiled and accelerated extensions of MXNet are not part of mxlite"

# name in the package -> what to say
_MODULES = {
    "gluon": _GLUON,
    **dict.fromkeys(("np", "npx", "numpy", "numpy_extension", "np_array", "np_shape", "is_np_array", "is_np_shape",
                     "set_np_shape", "use_np", "use_np_array", "use_np_shape"), _NUMPY),
    **dict.fromkeys(("kv", "kvstore"), _KVSTORE), **dict.fromkeys(("image", "img"), _IMAGE),
    "operator": _CUSTOM, "recordio": _RECORDIO,
    "profiler": "the profiler is not there yet; mx.explain shows what a bound graph runs",
    "engine": "there is no asynchronous engine: every call has finished when it returns",
    "onnx": "ONNX is not supported; net.save and mx.nd.save write MXNet's own formats",
    "log": "it is not part of mxlite, which writes to Python's logging",
    "libinfo": "mx.runtime.info() says what this build is",
    "util": _HELPERS, "executor_manager": "it is not part of mxlite; mx.mod.Module runs over several contexts",
    **dict.fromkeys(("rtc", "library", "tvmop", "th", "torch"), _OPTIMIZED),
    "error": "errors are mx.MXNetError or Python's own",
    "notebook": "callbacks for notebooks are not there; mx.callback has the ones for logs",
}

_OPERATORS = {
    "Custom": _CUSTOM, "cast_storage": _SPARSE,
    **dict.fromkeys(("CTCLoss", "ctc_loss"), _CTC), "ROIPooling": _REGIONS,
    **dict.fromkeys(("BilinearSampler", "GridGenerator", "SpatialTransformer", "Correlation"), _SPATIAL),
    **dict.fromkeys(("_cvimread", "_cvimdecode", "_cvimresize", "_cvcopyMakeBorder", "_imdecode"), _IMAGE),
    **dict.fromkeys(("_foreach", "_while_loop", "_cond"), _LOOPS),
    **dict.fromkeys(("_square_sum", "_scatter_elemwise_div", "_scatter_plus_scalar", "_scatter_minus_scalar"),
                    _SPARSE),
    **dict.fromkeys(("utils", "register"), _PLACES),
    "CachedOp": _GLUON, "contrib": _CONTRIB, "sparse": _SPARSE, "image": _IMAGE,
    **dict.fromkeys(("np", "npx", "numpy", "numpy_extension"), _NUMPY),
}

_MEMBERS = {
    "ndarray": _OPERATORS, "symbol": _OPERATORS,
    "rnn": dict.fromkeys(("BaseConvRNNCell", "ConvRNNCell", "ConvLSTMCell", "ConvGRUCell"), _CONV_RNN),
    "model": {"FeedForward": "it is not there yet; mx.mod.Module trains, scores and predicts"},
    "module": {"SequentialModule": "chains of modules are not there yet; make one symbol of the parts, net2(data=net1)",
               **dict.fromkeys(("PythonModule", "PythonLossModule", "python_module"), _PYTHON_MODULE)},
    "io": {**dict.fromkeys(("ImageRecordIter", "ImageRecordIter_v1", "ImageRecordInt8Iter", "ImageRecordUInt8Iter",
                            "ImageRecordUInt8Iter_v1", "ImageDetRecordIter"), f"{_RECORDIO}; {_IMAGE}"),
           "LibSVMIter": _SPARSE, "MXDataIter": _OPTIMIZED, "io": _PLACES, "utils": _PLACES},
    "optimizer": {**dict.fromkeys(("LAMB", "LARS", "LBSGD"), _LAYERWISE), "contrib": _LAYERWISE, "optimizer": _PLACES},
    "contrib": {**dict.fromkeys(("nd", "ndarray", "sym", "symbol"), _CONTRIB), **dict.fromkeys(
        ("io", "autograd"), _PLACES), **dict.fromkeys(("onnx", "quantization", "text", "tensorboard",
                                                       "svrg_optimization"), "of mx.contrib only amp is there")},
    "contrib.amp": {"convert_hybrid_block": _GLUON},
    "test_utils": {
        **dict.fromkeys(("download", "download_model", "get_mnist", "get_mnist_iterator", "get_mnist_pkl",
                         "get_mnist_ubyte", "get_cifar10", "get_zip_data", "get_bz2_data"), _DOWNLOAD),
        **dict.fromkeys(("rand_sparse_ndarray", "create_sparse_array", "create_sparse_array_zd",
                         "shuffle_csr_column_indices"), _SPARSE),
        "check_gluon_hybridize_consistency": _GLUON, "get_im2rec_path": _RECORDIO,
    },
}


def why(package, name):
    """What to say of `name`, missing in `package` ("mxlite", "mxlite.io", ...); None where MXNet has no such thing."""
    path = package.partition(".")[2]
    table = (_MEMBERS.get(path) or _MEMBERS.get(path.partition(".")[0], {})) if path else _MODULES
    return table.get(name)


def known():
    """(package, name) of everything that is known to be missing."""
    return [("mxlite", name) for name in _MODULES] + [(f"mxlite.{package}", name)
                                                      for package, names in _MEMBERS.items() for name in names]
