"""Shapes and dtypes that contradict each other."""
from mxlite import MXNetError

from .snippets import NET

CASES = [
    ("infer_shape: two nodes disagree",
     "a = sym.FullyConnected(sym.Variable('data'), num_hidden=4, name='fc')\nnet = a + sym.Variable('b')\n"
     "net.infer_shape(data=(2, 3), b=(5, 4))", MXNetError,
     r"elemwise_add node '_plus\d*'(.|\n)*\(2, 4\)(.|\n)*\(5, 4\)(.|\n)*made at snippet.py:2"),
    ("an array where a symbol belongs", "sym.FullyConnected(nd.ones((2,)), num_hidden=3)", TypeError,
     r"FullyConnected: takes symbols as inputs, got NDArray"),
    ("bind: a state that is a gradient too",
     "net = sym.BatchNorm(sym.Variable('data'), name='bn')\ng, one = nd.zeros((2,)), nd.ones((2,))\n"
     "net.bind(mx.cpu(), {'data': nd.ones((4, 2)), 'bn_gamma': one, 'bn_beta': one}, {'bn_beta': g},\n"
     "         aux_states={'bn_moving_mean': g, 'bn_moving_var': one.copy()})", MXNetError,
     r"auxiliary state 'bn_moving_mean' shares memory with the gradient of 'bn_beta'"),
    ("Module: training with a label name that the network does not have",
     "import warnings\nwarnings.simplefilter('ignore')\n"
     "net = sym.SoftmaxOutput(sym.FullyConnected(sym.Variable('data'), num_hidden=4, name='fc'), name='softmax')\n"
     "mod = mx.mod.Module(net, label_names=['lab'])\n"
     "mod.bind([('data', (2, 3))], [('lab', (2,))])", ValueError, r"the network's label is softmax_label"),
    ("infer_shape: a weight of the wrong shape", NET + "\nnet.infer_shape(data=(2, 3), fc_weight=(4, 7))", MXNetError,
     r"FullyConnected node 'fc': shapes \(4, 7\) and \(4, 3\)(.|\n)*weight = fc_weight(.|\n)*made at snippet.py:1"),
    ("infer_shape: ranks differ", "net = sym.dot(sym.Variable('a'), sym.Variable('b'), name='d')\n"
     "net.infer_shape(a=(2, 3), b=(4, 5))", MXNetError, r"dot node 'd'(.|\n)*made at snippet.py:1"),
    ("infer_shape: a name that is no argument", NET + "\nnet.infer_shape(dta=(2, 3))", MXNetError,
     r"argument name dta not found(.|\n)*data"),
    ("infer_shape: an int for a tuple, `(10)`", NET + "\nnet.infer_shape(data=(10))", TypeError, r"written \(10,\)"),
    ("infer_shape: a list for a tuple", NET + "\nnet.infer_shape(data=[2, 3])", TypeError, r"tuple"),
    ("infer_shape: a shape of fractions", NET + "\nnet.infer_shape(data=(2.5, 3))", TypeError, r"integers"),
    ("infer_shape: a shape of texts", NET + "\nnet.infer_shape(data=('a', 3))", TypeError, r"integers"),
    ("infer_shape: a negative dimension", NET + "\nnet.infer_shape(data=(-7, 3))", TypeError, r"-7"),
    ("infer_shape: positional and named together", NET + "\nnet.infer_shape((2, 3), data=(2, 3))", ValueError,
     r"either by positional or kwargs"),
    ("infer_shape: too many positional", NET + "\nnet.infer_shape((2, 3), (4, 3), (4,), (1,))", MXNetError,
     r"4 values for 3 arguments"),
    ("infer_type: no dtype", NET + "\nnet.infer_type(data='float33')", TypeError, r"float33"),
    ("infer_type: an unsupported dtype", NET + "\nnet.infer_type(data=np.complex64)", TypeError, r"complex64"),
    ("infer_type: two dtypes for one node", "net = sym.elemwise_add(sym.Variable('a'), sym.Variable('b'), name='s')\n"
     "net.infer_type(a='float32', b='float64')", MXNetError, r"elemwise_add node 's'(.|\n)*float(.|\n)*snippet.py:1"),
    ("Variable: a declared shape that contradicts",
     "net = sym.FullyConnected(sym.Variable('data', shape=(2, 3)), sym.Variable('w', shape=(4, 9)), no_bias=True,\n"
     "                         num_hidden=4, name='fc')\nnet.infer_shape()", MXNetError, r"node 'fc'(.|\n)*\(4, 9\)"),
    ("Variable: a declared shape that is none",
     "net = sym.identity(sym.Variable('data', shape='two'))\nnet.infer_shape()", MXNetError, r"__shape__='two'"),
    ("Convolution: data of too few axes", "net = sym.Convolution(sym.Variable('x'), kernel=(3, 3), num_filter=2, "
     "name='c')\nnet.infer_shape(x=(2, 3))", MXNetError, r"Convolution node 'c'(.|\n)*snippet.py:1"),
    ("Convolution: a kernel larger than the picture", "net = sym.Convolution(sym.Variable('x'), kernel=(9, 9), "
     "num_filter=2, name='c')\nnet.infer_shape(x=(1, 1, 5, 5))", MXNetError,
     r"Convolution node 'c'(.|\n)*\(1, 1, 5, 5\)(.|\n)*snippet.py:1"),
    ("Convolution: groups that do not divide the channels", "net = sym.Convolution(sym.Variable('x'), kernel=(3, 3), "
     "num_filter=4, num_group=4, name='c')\nnet.infer_shape(x=(1, 6, 8, 8))", MXNetError, r"num_group(.|\n)*py:1"),
    ("Convolution: groups that do not divide the filters", "net = sym.Convolution(sym.Variable('x'), kernel=(3, 3), "
     "num_filter=5, num_group=2, name='c')\nnet.infer_shape(x=(1, 6, 8, 8))", MXNetError, r"num_group(.|\n)*py:1"),
    ("Pooling: a kernel larger than the picture", "net = sym.Pooling(sym.Variable('x'), kernel=(9, 9), name='p')\n"
     "net.infer_shape(x=(1, 1, 5, 5))", MXNetError, r"Pooling node 'p'(.|\n)*snippet.py:1"),
    ("Concat: sizes that differ off the axis", "net = sym.Concat(sym.Variable('a'), sym.Variable('b'), name='c')\n"
     "net.infer_shape(a=(2, 3), b=(4, 3))", MXNetError, r"Concat node 'c'(.|\n)*\(4, 3\)(.|\n)*snippet.py:1"),
    ("Reshape: another number of elements", "net = sym.Reshape(sym.Variable('x'), shape=(4, 2), name='r')\n"
     "net.infer_shape(x=(2, 3))", MXNetError, r"Reshape node 'r'(.|\n)*6 elements(.|\n)*snippet.py:1"),
    ("Reshape: two times -1", "net = sym.Reshape(sym.Variable('x'), shape=(-1, -1), name='r')\n"
     "net.infer_shape(x=(2, 3))", MXNetError, r"more than one -1(.|\n)*snippet.py:1"),
    ("SliceChannel: pieces that do not divide", "net = sym.SliceChannel(sym.Variable('x'), num_outputs=2, name='s')\n"
     "net.infer_shape(x=(2, 3))", MXNetError, r"2 equal pieces(.|\n)*snippet.py:1"),
    ("an intermediate result of nine axes", "net = sym.sum(sym.expand_dims(sym.Variable('x'), axis=0, name='e'))\n"
     "net.simple_bind(mx.cpu(), x=(1,) * 8)", RuntimeError, r"expand_dims node 'e'(.|\n)*8 axes(.|\n)*snippet.py:1"),
    ("broadcasting that does not fit", "net = sym.broadcast_add(sym.Variable('a'), sym.Variable('b'), name='s')\n"
     "net.infer_shape(a=(2, 3), b=(4, 3))", MXNetError, r"do not broadcast(.|\n)*snippet.py:1"),
    ("transpose: axes that are no permutation", "net = sym.transpose(sym.Variable('x'), axes=(0, 0), name='t')\n"
     "net.infer_shape(x=(2, 3))", MXNetError, r"permutation(.|\n)*snippet.py:1"),
]
