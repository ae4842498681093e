"""The code blocks of three printings of the R tutorial "Symbol and Automatic Differentiation", as they stand there.

Each printing has blocks of R and, except the older page, blocks of printed output (``## ...``), in turn. The source of
the site lost the code of its first block, and the older page lost the ``arguments(net)`` lines, all outputs, and in one
line the name that the result is assigned to. Quoted from the Apache MXNet project's documentation (Apache-2.0).
``DIGESTS``: SHA-256 of each printing's blocks joined.
"""
SITE_SOURCE = [
    """\
require(mxnet)
## [1] "Rcpp_MXSymbol"
## attr(,"package")
## [1] "mxnet"
""",
    """\
data <- mx.symbol.Variable("data")
w <- mx.symbol.Variable("myweight")
net <- mx.symbol.FullyConnected(data=data, weight=w, name="fc1", num_hidden=128)
arguments(net)
""",
    """\
## [1] "data"     "myweight" "fc1_bias"
""",
    """\
lhs <- mx.symbol.Variable("data1")
rhs <- mx.symbol.Variable("data2")
net <- mx.symbol.FullyConnected(data=lhs + rhs, name="fc1", num_hidden=128)
arguments(net)
""",
    """\
## [1] "data1"      "data2"      "fc1_weight" "fc1_bias"
""",
    """\
net <- mx.symbol.Variable("data")
net <- mx.symbol.FullyConnected(data=net, name="fc1", num_hidden=128)
net2 <- mx.symbol.Variable("data2")
net2 <- mx.symbol.FullyConnected(data=net2, name="net2", num_hidden=128)
composed.net <- mx.apply(net, data=net2, name="compose")
arguments(composed.net)
""",
    """\
## [1] "data2"       "net2_weight" "net2_bias"   "fc1_weight"  "fc1_bias"
""",
]
SITE_PAGE = [
    """\
require(mxnet)
net <- mx.symbol.Variable("data")
net <- mx.symbol.FullyConnected(data=net, name="fc1", num_hidden=128)
net <- mx.symbol.Activation(data=net, name="relu1", act_type="relu")
net <- mx.symbol.FullyConnected(data=net, name="fc2", num_hidden=64)
net <- mx.symbol.Softmax(data=net, name="out")
class(net)
""",
    """\
## [1] "Rcpp_MXSymbol"
## attr(,"package")
## [1] "mxnet"
""",
    """\
arguments(net)
""",
    """\
## [1] "data" "fc1_weight" "fc1_bias" "fc2_weight" "fc2_bias"
## [6] "out_label"
""",
    """\
data <- mx.symbol.Variable("data")
w <- mx.symbol.Variable("myweight")
net <- mx.symbol.FullyConnected(data=data, weight=w, name="fc1", num_hidden=128)
arguments(net)
""",
    """\
## [1] "data" "myweight" "fc1_bias"
""",
    """\
lhs <- mx.symbol.Variable("data1")
rhs <- mx.symbol.Variable("data2")
net <- mx.symbol.FullyConnected(data=lhs + rhs, name="fc1", num_hidden=128)
arguments(net)
""",
    """\
## [1] "data1" "data2" "fc1_weight" "fc1_bias"
""",
    """\
net <- mx.symbol.Variable("data")
net <- mx.symbol.FullyConnected(data=net, name="fc1", num_hidden=128)
net2 <- mx.symbol.Variable("data2")
net2 <- mx.symbol.FullyConnected(data=net2, name="net2", num_hidden=128)
composed.net <- mx.apply(net, data=net2, name="compose")
arguments(composed.net)
""",
    """\
## [1] "data2" "net2_weight" "net2_bias" "fc1_weight" "fc1_bias"
""",
]
OLDER_PAGE = [
    """\
net <- mx.symbol.Variable("data")
net <- mx.symbol.FullyConnected(data=net, name="fc1", num_hidden=128)
net <- mx.symbol.Activation(data=net, name="relu1", act_type="relu")
net <- mx.symbol.FullyConnected(data=net, name="fc2", num_hidden=64)
net <- mx.symbol.Softmax(data=net, name="out")
""",
    """\
data <- mx.symbol.Variable("data")
w <- mx.symbol.Variable("myweight")
net <- mx.symbol.FullyConnected(data=data, weight=w, name="fc1", num_hidden=128)
""",
    """\
lhs <- mx.symbol.Variable("data1")
rhs <- mx.symbol.Variable("data2")
net <- mx.symbol.FullyConnected(data=lhs + rhs, name="fc1", num_hidden=128)
""",
    """\
net <- mx.symbol.Variable("data")
net <- mx.symbol.FullyConnected(data=net, name="fc1", num_hidden=128)
net2 <- mx.symbol.Variable("data2")
net2 <- mx.symbol.FullyConnected(data=net2, name="net2", num_hidden=128) <- mx.apply(net, data=net2, name="compose")
""",
]
DIGESTS = {
    "SITE_SOURCE": "54ef7253d13c7f2f77e2389ef0d0733203666a8ffb8dd7fdd5c692bb7fde5945",
    "SITE_PAGE": "789d85c6ddcbe95794108d45667e14424b2ce325f0ecbf08bf2493389c1f11ce",
    "OLDER_PAGE": "2e155cd04039ed24cd93bf8848d236c13a26b8de9e1350dd54b4f0b9c5fa000a",
}
