"""``mx.autograd`` misused."""
from mxlite import MXNetError

from .snippets import CALLED, FUNCTION, RECORDED

CASES = [
    # -- backward
    ("backward: of an array that nothing was recorded of", "x.backward()", MXNetError,
     r"shape \(2, 3\) is not part of a recorded graph.*attach_grad\(\).*record\(\)"),
    ("backward: computed outside record()", "x.attach_grad()\ny = x * 2\ny.backward()", MXNetError,
     r"not part of a recorded graph"),
    ("backward: computed inside pause()", "x.attach_grad()\nwith mx.autograd.record(), mx.autograd.pause():\n"
     "    y = x * 2\ny.backward()", MXNetError, r"not part of a recorded graph"),
    ("backward: of a detached array", RECORDED + "\ny.detach().backward()", MXNetError, r"not part of a recorded"),
    ("backward: recorded of arrays without gradients", "with mx.autograd.record():\n    y = x * 2\ny.backward()",
     MXNetError, r"attach_grad\(\)"),
    ("backward: twice", RECORDED + "\ny.backward()\ny.backward()", MXNetError,
     r"released by an earlier backward\(\); pass retain_graph=True"),
    ("backward: through half of a graph that is gone", RECORDED + "\n    z = y + 1\ny.backward()\nz.backward()",
     MXNetError, r"_mul_scalar has been released"),
    ("backward: a head gradient of another shape", RECORDED + "\ny.backward(nd.ones((3, 2)))", MXNetError,
     r"head gradient 0 has shape \(3, 2\), the array \(2, 3\)"),
    ("backward: a number for a head gradient", RECORDED + "\ny.backward(3)", TypeError, r"head gradient 0.*int"),
    ("backward: a NumPy array for a head gradient", RECORDED + "\ny.backward(np.ones((2, 3)))", TypeError,
     r"head gradient 0.*NDArray.*ndarray"),
    ("backward: of nothing", "mx.autograd.backward([])", ValueError, r"heads is empty"),
    ("backward: of None", "mx.autograd.backward(None)", TypeError, r"heads must be.*NoneType"),
    ("backward: of numbers", "mx.autograd.backward([1, 2])", TypeError, r"heads must be NDArrays, got int"),
    ("autograd.backward: too many head gradients", RECORDED + "\nmx.autograd.backward([y], [x, x])", ValueError,
     r"2 head gradients for 1 heads"),
    ("backward: texts for head gradients", RECORDED + "\nmx.autograd.backward([y], ['a'])", TypeError,
     r"head gradient 0.*str"),

    # -- writing into what was recorded
    ("recording: += on a recorded array", "x.attach_grad()\nwith mx.autograd.record():\n    y = x * 2\n    y += 1",
     MXNetError, r"_plus_scalar: writing into an array of shape \(2, 3\) that is recorded"),
    ("recording: an assignment to a variable", "x.attach_grad()\nwith mx.autograd.record():\n    x[:] = 1", MXNetError,
     r"writing into an array of shape \(2, 3\) that is recorded"),
    ("recording: out= of a recorded array", "x.attach_grad()\nwith mx.autograd.record():\n    y = x * 2\n"
     "    nd.relu(x, out=y)", MXNetError, r"relu: writing into an array.*recorded"),
    ("recording: copyto a recorded array", "x.attach_grad()\nwith mx.autograd.record():\n    y = x * 2\n"
     "    y.copyto(x)", MXNetError, r"writing into an array.*recorded"),
    ("recording: an input overwritten before backward", "x.attach_grad()\nwith mx.autograd.record():\n    y = x * x\n"
     "x[:] = 5\ny.backward()", MXNetError, r"input 0 of .*was overwritten after it was recorded"),
    ("recording: an output overwritten before backward", "x.attach_grad()\nwith mx.autograd.record():\n"
     "    y = nd.exp(x)\ny[:] = 5\ny.backward()", MXNetError, r"output 0 of exp.*was overwritten"),

    # -- variables and grad
    ("attach_grad: an unknown grad_req", "x.attach_grad('wirte')", ValueError, r"'null', 'write', 'add'.*'wirte'"),
    ("attach_grad: sparse", "x.attach_grad(stype='csr')", MXNetError, r"sparse"),
    ("a gradient that is assigned", "x.grad = 3", AttributeError, r"grad"),
    ("mark_variables: a gradient of another shape", "mx.autograd.mark_variables([x], [nd.ones((3, 2))])", MXNetError,
     r"gradient 0 is \(3, 2\).*\(2, 3\)"),
    ("mark_variables: a gradient of another dtype", "mx.autograd.mark_variables([x], [x.astype('float64')])",
     MXNetError, r"float64.*float32"),
    ("mark_variables: a gradient too few", "mx.autograd.mark_variables([x], [])", ValueError,
     r"1 variables, 0 gradients"),
    ("mark_variables: its own gradient", "mx.autograd.mark_variables([x], [x])", MXNetError, r"shares memory"),
    ("mark_variables: an unknown request", "mx.autograd.mark_variables([x], [x.copy()], 'no')", ValueError, r"'no'"),
    ("mark_variables: requests of another number", "mx.autograd.mark_variables([x], [x.copy()], ['write', 'add'])",
     ValueError, r"2 requests"),
    ("mark_variables: names", "mx.autograd.mark_variables(['x'], [x])", TypeError, r"variables.*str"),
    ("grad: of an array that has no gradient", RECORDED + "\nmx.autograd.grad(y, [nd.ones((2, 3))])", MXNetError,
     r"variable 0 of shape \(2, 3\) has no gradient attached"),
    ("grad: of an array that the heads do not use", "z = nd.ones((4,))\nz.attach_grad()\n" + RECORDED
     + "\nmx.autograd.grad(y, [z])", MXNetError, r"variable 0 of shape \(4,\) cannot be reached"),
    ("grad: with respect to nothing", RECORDED + "\nmx.autograd.grad(y, [])", ValueError, r"variables is empty"),
    ("grad: with respect to a name", RECORDED + "\nmx.autograd.grad(y, 'x')", TypeError, r"variables.*str"),
    ("grad: too many head gradients", RECORDED + "\nmx.autograd.grad(y, [x], head_grads=[x, x])", ValueError,
     r"2 head gradients for 1"),
    ("get_symbol: of an array that nothing was recorded of", "mx.autograd.get_symbol(x)", MXNetError,
     r"not part of a recorded graph"),
    ("get_symbol: of a number", "mx.autograd.get_symbol(3)", TypeError, r"NDArray.*int"),

    # -- Function
    ("Function: too many gradients", FUNCTION + "    def backward(self, dy):\n        return dy, dy\n" + CALLED
     + "\ny.backward()", MXNetError, r"Twice.backward returned 2 gradients for 1 inputs"),
    ("Function: a gradient of another shape", FUNCTION + "    def backward(self, dy):\n        return nd.ones((7,))\n"
     + CALLED + "\ny.backward()", MXNetError, r"Twice.backward: gradient 0 has shape \(7,\), the input \(2, 3\)"),
    ("Function: a gradient that is a number", FUNCTION + "    def backward(self, dy):\n        return 3\n" + CALLED
     + "\ny.backward()", TypeError, r"Twice.backward: gradient 0.*int"),
    ("Function: no gradient returned", FUNCTION + "    def backward(self, dy):\n        pass\n" + CALLED
     + "\ny.backward()", TypeError, r"Twice.backward: gradient 0.*NoneType"),
    ("Function: its backward raises", FUNCTION + "    def backward(self, dy):\n        raise KeyError('mine')\n"
     + CALLED + "\ny.backward()", KeyError, r"mine"),
    ("Function: no backward", FUNCTION + CALLED + "\ny.backward()", NotImplementedError, r"Twice.*backward"),
    ("Function: no forward", "class Twice(mx.autograd.Function):\n    pass\nTwice()(x)", NotImplementedError,
     r"Twice.*forward"),
    ("Function: a number for the output", "class Twice(mx.autograd.Function):\n    def forward(self, a):\n"
     "        return 3\nTwice()(x)", TypeError, r"outputs of Twice.forward.*int"),
    ("Function: a number for an input", FUNCTION + "Twice()(3)", TypeError, r"inputs of Twice.*int"),
    ("Function: no inputs", FUNCTION + "Twice()()", MXNetError, r"Twice is called with no inputs"),
    ("Function: too many inputs", FUNCTION + "Twice()(x, x)", TypeError, r"forward\(\) takes 2"),
    ("Function: no outputs", "class None_(mx.autograd.Function):\n    def forward(self, a):\n        return []\n"
     "None_()(x)", MXNetError, r"None_.forward returned no outputs"),
    ("head gradients that are a number", "mx.autograd.backward([x], 3)", TypeError, r"head_grads"),
    ("grad_reqs that are a number", "mx.autograd.mark_variables([x], [x * 1], 3)", TypeError, r"grad_reqs"),
    ("Function: one object recorded twice", FUNCTION + "x.attach_grad()\ntwice = Twice()\nwith mx.autograd.record():\n"
     "    twice(twice(x))", MXNetError, r"Twice: each Function object is called once"),
    ("Function: its symbol", FUNCTION + CALLED + "\nmx.autograd.get_symbol(y)", MXNetError,
     r"computed by an autograd.Function"),
]
