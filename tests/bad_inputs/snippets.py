"""What several cases start from."""
NET = "net = sym.FullyConnected(sym.Variable('data'), num_hidden=4, name='fc')"
EXE = NET + "\nexe = net.simple_bind(mx.cpu(), data=(2, 3))"
JSON = NET + "\ntext = net.tojson()"
PARAMS = ("nd.save(path, {'w': nd.ones((2, 3)), 'b': nd.zeros((4,))})\n"
          "data = open(path, 'rb').read()")
MODULE = ("net = sym.SoftmaxOutput(sym.FullyConnected(sym.Variable('data'), num_hidden=4, name='fc'), name='softmax')\n"
          "mod = mx.mod.Module(net, context=mx.cpu())")
BOUND = MODULE + "\nmod.bind([('data', (2, 3))], [('softmax_label', (2,))])"
READY = BOUND + "\nmod.init_params()"
BATCH = "mx.io.DataBatch([nd.ones((2, 3))], [nd.zeros((2,))])"
RECORDED = "x.attach_grad()\nwith mx.autograd.record():\n    y = x * 2"
FUNCTION = "class Twice(mx.autograd.Function):\n    def forward(self, a):\n        return a * 2\n"
CALLED = "x.attach_grad()\nwith mx.autograd.record():\n    y = Twice()(x)"
