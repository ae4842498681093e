"""Binding, and running what is bound."""
from mxlite import MXNetError

from .snippets import EXE, NET

CASES = [
    ("bind: no context", NET + "\nnet.bind('cpu', [])", TypeError, r"Context"),
    ("bind: too few arrays in a list", NET + "\nnet.bind(mx.cpu(), [x])", ValueError, r"1 arrays for 3"),
    ("bind: too many arrays in a list", NET + "\nnet.bind(mx.cpu(), [x] * 4)", ValueError, r"4 arrays for 3"),
    ("bind: a name missing in a dict",
     NET + "\nnet.bind(mx.cpu(), {'data': x})", ValueError, r"`fc_weight` is missing"),
    ("bind: None for the arrays", NET + "\nnet.bind(mx.cpu(), None)", TypeError, r"args.*NoneType"),
    ("bind: NumPy arrays", "net = sym.relu(sym.Variable('x'))\nnet.bind(mx.cpu(), {'x': np.ones((2, 3))})", TypeError,
     r"'x' is ndarray"),
    ("bind: a shape that does not fit", NET + "\nnet.bind(mx.cpu(), [x, nd.ones((4, 9)), nd.ones((4,))])", MXNetError,
     r"FullyConnected node 'fc'(.|\n)*\(4, 9\)(.|\n)*snippet.py:1"),
    ("bind: a rank that does not fit", NET + "\nnet.bind(mx.cpu(), [x, nd.ones((4, 3)), nd.ones((4, 1))])", MXNetError,
     r"FullyConnected node 'fc'(.|\n)*snippet.py:1"),
    ("bind: dtypes that differ", "net = sym.elemwise_add(sym.Variable('a'), sym.Variable('b'), name='s')\n"
     "net.bind(mx.cpu(), [x, x.astype('float64')])", MXNetError, r"node 's'(.|\n)*float64(.|\n)*snippet.py:1"),
    ("bind: an array on another device", "net = sym.relu(sym.Variable('x'))\n"
     "net.bind(mx.cpu(0), {'x': x.copyto(mx.cpu(1))})", MXNetError, r"cpu\(1\).*as_in_context"),
    ("bind: on a GPU", "net = sym.relu(sym.Variable('x'))\nnet.bind(mx.gpu(), {'x': x})", MXNetError, r"gpu\(0\)"),
    ("bind: an auxiliary state missing", "net = sym.BatchNorm(sym.Variable('x'), name='bn')\n"
     "net.bind(mx.cpu(), [x, nd.ones((3,)), nd.ones((3,))])", ValueError, r"aux_states.*bn_moving_mean"),
    ("bind: two variables of one name", "net = sym.Variable('x') + sym.Variable('x')\nnet.bind(mx.cpu(), [x, x])",
     MXNetError, r"two different variables.*'x'"),
    ("bind: a gradient array of the wrong shape", "net = sym.relu(sym.Variable('x'))\n"
     "net.bind(mx.cpu(), [x], [nd.ones((3, 2))])", MXNetError, r"gradient array of 'x' has shape \(3, 2\)"),
    ("bind: a gradient array of the wrong dtype", "net = sym.relu(sym.Variable('x'))\n"
     "net.bind(mx.cpu(), [x], [nd.ones((2, 3), dtype='float64')])", MXNetError, r"dtype float64"),
    ("bind: a gradient array on another device", "net = sym.relu(sym.Variable('x'))\n"
     "net.bind(mx.cpu(), [x], [x.copyto(mx.cpu(1))])", MXNetError, r"gradient array of 'x' is on cpu\(1\)"),
    ("bind: a gradient over its argument",
     "net = sym.relu(sym.Variable('x'))\nnet.bind(mx.cpu(), [x], [x])", MXNetError,
     r"gradient of 'x' shares memory"),
    ("bind: a gradient over part of an argument", "both = nd.ones((3, 3))\nnet = sym.relu(sym.Variable('x'))\n"
     "net.bind(mx.cpu(), [both[:2]], [both[1:]])", MXNetError, r"shares memory with argument 'x'"),
    ("bind: one gradient array twice", "net = sym.Variable('a') + sym.Variable('b')\ng = nd.ones((2, 3))\n"
     "net.bind(mx.cpu(), [x, x.copy()], [g, g])", MXNetError, r"gradients of 'a' and 'b' share memory"),
    ("bind: an auxiliary state over an argument", "net = sym.BatchNorm(sym.Variable('x'), name='bn')\n"
     "a = nd.ones((3,))\nnet.bind(mx.cpu(), [x, a, nd.ones((3,))], aux_states=[a, nd.ones((3,))])", MXNetError,
     r"auxiliary state 'bn_moving_mean' shares memory"),
    ("bind: an unknown grad_req", "net = sym.relu(sym.Variable('x'))\nnet.bind(mx.cpu(), [x], [x.copy()], 'wirte')",
     ValueError, r"wirte"),
    ("bind: a number for grad_req", "net = sym.relu(sym.Variable('x'))\nnet.bind(mx.cpu(), [x], [x.copy()], 1)",
     TypeError, r"grad_req"),
    ("bind: grad_req of the wrong length", "net = sym.relu(sym.Variable('x'))\n"
     "net.bind(mx.cpu(), [x], [x.copy()], ['write', 'add'])", ValueError, r"2 entries for 1"),
    ("bind: a shared_exec that is none", "net = sym.relu(sym.Variable('x'))\n"
     "net.bind(mx.cpu(), [x], shared_exec=net)", TypeError, r"shared_exec.*Symbol"),
    ("simple_bind: nothing known", NET + "\nnet.simple_bind(mx.cpu())", RuntimeError, r"cannot be inferred(.|\n)*data"),
    ("simple_bind: shapes that contradict", NET + "\nnet.simple_bind(mx.cpu(), data=(2, 3), fc_weight=(4, 9))",
     RuntimeError, r"FullyConnected node 'fc'(.|\n)*snippet.py:1"),
    ("simple_bind: an int for a tuple",
     NET + "\nnet.simple_bind(mx.cpu(), data=(10))", RuntimeError, r"written \(10,\)"),
    ("simple_bind: a name for a context", NET + "\nnet.simple_bind('gpu', data=(2, 3))", TypeError, r"Context"),
    ("simple_bind: on a GPU", NET + "\nnet.simple_bind(mx.gpu(1), data=(2, 3))", MXNetError, r"gpu\(1\)"),
    ("simple_bind: an unknown dtype", NET + "\nnet.simple_bind(mx.cpu(), type_dict={'data': 'flt'}, data=(2, 3))",
     RuntimeError, r"flt"),
    ("simple_bind: more than 64 bits can count", NET + "\nnet.simple_bind(mx.cpu(), data=(2**40, 2**40))", MemoryError,
     r"bytes"),
    ("simple_bind: more than the machine has", NET + "\nnet.simple_bind(mx.cpu(), data=(2**28, 2**12))", MemoryError,
     r"bytes"),
    ("simple_bind: a node larger than the machine", "net = sym.sum(sym.tile(sym.Variable('x'), reps=(2**20, 2**20)))\n"
     "net.simple_bind(mx.cpu(), x=(2, 3))", MemoryError, r"tile.*bytes(.|\n)*snippet.py:1"),
    ("eval: an array missing", NET + "\nnet.eval(data=x)", ValueError, r"`fc_weight` is missing"),
    ("eval: a NumPy array", "net = sym.relu(sym.Variable('x'))\nnet.eval(x=np.ones(3))", TypeError, r"ndarray"),
    ("forward: an unknown argument", EXE + "\nexe.forward(dta=x)", TypeError, r"Unknown argument dta"),
    ("forward: another shape", EXE + "\nexe.forward(data=nd.ones((5, 3)))", ValueError, r"need: \(2, 3\).*\(5, 3\)"),
    ("forward: a list", EXE + "\nexe.forward(data=[[1, 2, 3], [4, 5, 6]])", ValueError, r"data is list"),
    ("forward: texts", EXE + "\nexe.forward(data=np.full((2, 3), 'a'))", TypeError, r"<U1|str"),
    ("backward: without a head gradient", EXE + "\nexe.forward(is_train=True)\nexe.backward()", MXNetError,
     r"output 0 \('fc'\) is not a loss(.|\n)*snippet.py:1"),
    ("backward: a head gradient of the wrong shape",
     EXE + "\nexe.forward(is_train=True)\nexe.backward(nd.ones((2, 3)))",
     MXNetError, r"head gradient of output 0 has shape \(2, 3\).*\(2, 4\)"),
    ("backward: a head gradient of NumPy", EXE + "\nexe.forward(is_train=True)\nexe.backward(np.ones((2, 4)))",
     TypeError, r"ndarray"),
    ("backward: too many head gradients", EXE + "\nexe.forward(is_train=True)\n"
     "exe.backward([nd.ones((2, 4)), nd.ones((2, 4))])", MXNetError, r"2 head gradients for 1 outputs"),
    ("backward: a head gradient of an unknown output", EXE + "\nexe.backward({'nothing': nd.ones((2, 4))})", ValueError,
     r"nothing.*fc_output"),
    ("copy_params_from: an unknown name", EXE + "\nexe.copy_params_from({'nothing': x})", ValueError, r"nothing"),
    ("copy_params_from: another shape", EXE + "\nexe.copy_params_from({'fc_weight': nd.ones((9, 9))})", MXNetError,
     r"\(9, 9\)"),
    ("Executor.reshape: an argument that was not named", EXE + "\nexe.reshape(data=(1, 6))", MXNetError,
     r"fc_weight.*partial_shaping"),
    ("Executor.reshape: an array that grows", EXE + "\nexe.reshape(data=(20, 3))", MXNetError, r"allow_up_sizing"),
    ("Executor.reshape: nothing", EXE + "\nexe.reshape()", MXNetError, r"reshape.*name every input"),
    ("Executor.reshape: an unknown name", EXE + "\nexe.reshape(dta=(2, 3))", MXNetError, r"reshape"),
    ("Executor.reshape: an int for a tuple", EXE + "\nexe.reshape(data=3)", TypeError, r"'data'.*int"),
    ("Executor.reshape: a text for a tuple", EXE + "\nexe.reshape(data='ab')", TypeError, r"'data'.*str"),
    ("Executor.reshape: a negative dimension", EXE + "\nexe.reshape(data=(-2, 3))", TypeError, r"\(-2, 3\) of 'data'"),
    ("Executor.reshape: shapes that contradict", EXE + "\nexe.reshape(data=(2, 3), fc_weight=(9, 9))", MXNetError,
     r"FullyConnected node 'fc'(.|\n)*\(9, 9\)(.|\n)*snippet.py:1"),
    ("Executor.reshape: more than the machine has", EXE + "\nexe.reshape(allow_up_sizing=True, data=(2**40, 3))",
     MemoryError, r"bytes"),
    ("group2ctx: a text for a context", NET + "\nnet.simple_bind(mx.cpu(), group2ctx={'a': 'gpu'}, data=(2, 3))",
     TypeError, r"group2ctx\['a'\] must be a Context.*str"),
    ("group2ctx: a list", NET + "\nnet.simple_bind(mx.cpu(), group2ctx=[mx.cpu(1)], data=(2, 3))", TypeError,
     r"group2ctx must be a dict.*list"),
    ("group2ctx: a GPU that is not there", NET + "\nnet.simple_bind(mx.cpu(), group2ctx={'a': mx.gpu(3)}, data=(2, 3))",
     MXNetError, r"gpu\(3\).*no GPU"),
    ("group2ctx: an argument on the wrong device", "net = sym.relu(sym.Variable('a', attr={'ctx_group': 'g'}))\n"
     "net.bind(mx.cpu(), [x], group2ctx={'g': mx.cpu(1)})", MXNetError,
     r"'a' is on cpu\(0\), its ctx_group 'g' on cpu\(1\)(.|\n)*snippet.py:1"),
    ("group2ctx: a gradient on the wrong device", "net = sym.relu(sym.Variable('a', attr={'ctx_group': 'g'}))\n"
     "net.bind(mx.cpu(), [x.copyto(mx.cpu(1))], [x], group2ctx={'g': mx.cpu(1)})", MXNetError,
     r"gradient array of 'a' is on cpu\(0\)"),
    ("a monitor that cannot be called", EXE + "\nexe.set_monitor_callback('print')", TypeError, r"callback.*str"),
    ("memory_plan: an unknown program", EXE + "\nexe.memory_plan('test')", MXNetError, r"'train' or 'infer'"),
    ("an index out of range inside a graph", "net = sym.take(sym.Variable('a'), sym.Variable('i'), mode='raise', "
     "name='t')\nexe = net.bind(mx.cpu(), [x, nd.array([0, 5])])\nexe.forward()", MXNetError,
     r"take node 't': an index is out of range(.|\n)*i: \(2,\)(.|\n)*snippet.py:1"),
]
