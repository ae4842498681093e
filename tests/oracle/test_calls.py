"""What may stand where in a call: the same positional arguments as MXNet takes, the same spellings of a dtype, and
functions of two numbers; an error where MXNet raises one."""
import numpy as np

import mxlite as mx

# Expressions over arrays x, z, y of shape (2, 2), of which y is written, an index i, and the symbol a.
POSITIONS = """
nd.abs(x, y) ;; nd.abs(x, y, 'n') ;; nd.abs(x, None, 'n') ;; nd.abs(x, None) ;; nd.abs(x, 3) ;; nd.abs(x, 'n') ;;
nd.abs(x, y, 'n', 5) ;; nd.abs(x, y, out=y) ;; nd.elemwise_add(x, z, y) ;; nd.relu(x, y) ;; nd.zeros_like(x, y) ;;
x.exp(y) ;; x.exp(x) ;; nd.clip(x, 0, 1, y) ;; nd.clip(x, 0, 1, y, 'n') ;; nd.clip(x, 0, 1, y, 'n', 5) ;;
nd.clip(x, 0, 1, 5) ;; nd.clip(x, np.float32(0), 1) ;; x.clip(0, 2, y) ;; nd.dot(x, z, False, False, None, y) ;;
nd.dot(x, z, False, False, y) ;; nd.dot(x, 3) ;; nd.sum(x, 1, True, False, y) ;; nd.sum(x, (), True, False, y) ;;
nd.sum([1, 2]) ;; nd.sum(x, y) ;; nd.sum(x, axis=1.0) ;; nd.sum(x, 1.0) ;; x.transpose(1, 0) ;; x.transpose((1, 0)) ;;
nd.transpose(x, 1, 0) ;; x.reshape(2, 2) ;; nd.concat(x, z, 0) ;; nd.concat(x, z, dim=0) ;; nd.stack(x, z, 0) ;;
nd.cast(x, 'float32', y) ;; nd.cast(x, np.dtype('int32')) ;; nd.expand_dims(x, y) ;; nd.squeeze(x, None, y) ;;
nd.FullyConnected(x, z, None, 2, True, True, y) ;; nd.FullyConnected(x, z, None, 2, True, True, y, 'n') ;;
nd.softmax(x, None, -1) ;; nd.sgd_update(x, z, 0.1, 0, 1, -1, True, y) ;; nd.split(x, 2, 1, False, y) ;;
nd.split(x, 2, 1, False, [y, z]) ;; nd.split(nd.zeros((2, 4)), 2, 1, False, [y, z]) ;; x.sum(1) ;; x.sum(1, True) ;;
nd.random_uniform(0, 1, (2, 2), 'cpu(0)', 'float32', y).shape ;; nd.random_uniform(0, 1, (2,), mx.cpu()).shape ;;
mx.random.uniform(0, 1, (2, 2), mx.cpu()) ;; nd.random.randint(5, 0, (2,)) ;;
sym.FullyConnected(a, None, None, 3, True, True, 'fc') ;;
sym.FullyConnected(a, None, None, 3, True, True, 'fc', None) ;;
sym.FullyConnected(a, None, None, 3, True, True, 'fc', {'__k__': 'v'}) ;;
sym.FullyConnected(a, None, None, 3, True, True, 'fc', None, None) ;;
sym.FullyConnected(a, None, None, 3, True, True, 'fc', None, None, 5) ;;
sym.FullyConnected(a, None, None, 3, True, True, 'fc', 'out') ;;
sym.FullyConnected(a, None, None, 3, True, True, 'fc', name='fc') ;; sym.abs(a, 'n') ;;
sym.abs(a, 'n', {'__a__': 'b'}) ;;
sym.abs(a, None, 'n') ;; sym.abs(a, None) ;; sym.abs(a, 3) ;; sym.abs(a, a) ;; sym.abs(x) ;; a.clip(0, 1, 'n') ;;
a.abs('n') ;; sym.concat(a, 'n') ;; sym.concat(a, a, 0) ;; sym.concat(a, None) ;; a.reshape(2, 2) ;;
sym.reshape(a, 2, 2) ;; a.reshape((2, 2)) ;; sym.reshape(a, (2, 2), False, 'n') ;; sym.transpose(a, (1, 0), 't') ;;
sym.dot(a, 3) ;; sym.sum([1, 2]) ;; sym.sum(3) ;; sym.sum(a, 1, False, True, 'n') ;;
sym.random_uniform(0, 1, (2,), 'None', 'float32', 'n') ;; sym.random.uniform(0, 1, (2,), mx.cpu()) ;;
sym._internal._random_uniform(0, 1, (2,), mx.cpu(), 'float32', 'n') ;;
sym.random_uniform(0, 1, (2,), mx.cpu(1), name='n').attr('ctx') ;; nd.Activation(x, mx.cpu()) ;;
sym.maximum(4, 3) ;; sym.minimum(4, 3) ;;
sym.pow(2, 3) ;; sym.power(2.5, 3) ;; sym.maximum(3, 4) ;; sym.maximum(3, 4.0) ;; sym.maximum(3, 3.0) ;;
sym.minimum(3, 3.0) ;; sym.maximum(float('nan'), 1) ;; sym.maximum(1, float('nan')) ;; sym.minimum(1, float('nan')) ;;
sym.minimum(3, 4) ;; sym.hypot(3, 4) ;; sym.maximum(True, 4) ;; sym.maximum('a', 4.0) ;; sym.pow(None, 4) ;;
sym.hypot(3, 'a') ;; sym.hypot(a, 'a') ;; sym.pow('a', a) ;; sym.pow(2, -1) ;; sym.pow(0, -1) ;; sym.minimum(a, a) ;;
sym.maximum(np.float32(3), 4.0)
"""
SPELLINGS = """float f double i4 int d f8 e half float16 u1 b i1 int8 long i8 q l ? bool uint8 >f4 <f4 single longlong
intc str int16 u2 uint32 foo bf16 F c8 None object S np.float32 0 6 12 f4,f4""".split() + ["", "float32 "]
TAKERS = """
nd.cast(x, d) ;; nd.cast(x, dtype=d) ;; sym.Cast(a, dtype=d) ;; sym.Cast(a, d, 'n') ;; sym.zeros((2,), dtype=d) ;;
nd.random.uniform(0, 1, (2,), dtype=d) ;; nd.one_hot(i, 2, dtype=d) ;; sym.one_hot(a, 2, dtype=d) ;;
nd.softmax(x, dtype=d) ;; nd.argsort(x, dtype=d) ;; x.astype(d) ;; a.astype(d) ;; nd.zeros((2,), dtype=d)
"""
RUN = '''
def evaluate(mx, lines, **more):
    import warnings
    warnings.simplefilter("ignore")
    def told(v):
        if isinstance(v, mx.sym.Symbol):
            return v.list_outputs(), {k: sorted(a.items()) for k, a in sorted(v.attr_dict().items())}
        if isinstance(v, mx.nd.NDArray):
            return str(np.dtype(v.dtype)), (v.asnumpy().astype(float).round(5) + 0).tolist()
        return [told(w) for w in v] if isinstance(v, list) else (type(v).__name__, str(v))
    out = []
    for line in lines:
        x, z, y = mx.nd.array([[1, -2], [3, 4.]]), mx.nd.array([[2, 0], [1, 5.]]), mx.nd.zeros((2, 2))
        mx.name.NameManager.current = mx.name.NameManager()
        space = dict(mx=mx, np=np, nd=mx.nd, sym=mx.sym, x=x, y=y, z=z, i=mx.nd.array([0, 1]), a=mx.sym.Variable("a"))
        try:
            got = told(eval(line, {**space, **more}))
            out.append([got[0]] if "nd.random" in line or "mx.random" in line else [got, told(y), told(x)])
        except Exception as e:
            out.append(type(e).__name__)
    return out
'''
# Taken here, refused by MXNet: text of a parameter that may be None, as JSON has it; two names of int64.
TAKEN = {"nd.softmax(x, dtype='None')", "nd.softmax(x, dtype='')", "nd.random.uniform(0, 1, (2,), dtype='None')",
         "nd.random.uniform(0, 1, (2,), dtype='')", "x.astype('q')", "x.astype('longlong')"}
# Refused here, and taken by MXNet as something that the writer did not mean.
REFUSED = {"nd.cast(x, y)", "a.transpose(1, 0)"}


def lines(text):
    return [" ".join(line.split()) for line in text.split(";;")]


def different(oracle, asked, **more):
    """"expression: what MXNet says / what mxlite says" for each that differs; all errors count as alike."""
    space = {"np": np}
    exec(RUN, space)
    theirs = oracle.run(RUN + "result = evaluate(mx, lines, **more)", lines=asked, more=more)
    ours = space["evaluate"](mx, asked, **more)
    alike = sum(isinstance(t, str) for t in theirs)
    assert 0 < alike < len(asked)
    return [f"{line} {more or ''}\n    MXNet  {t}\n    mxlite {o}" for line, t, o in zip(asked, theirs, ours)
            if (isinstance(t, str) != isinstance(o, str)) or (not isinstance(t, str) and repr(t) != repr(o))]


def test_positional_arguments(oracle):
    asked = lines(POSITIONS)
    wrong = different(oracle, asked)
    assert not wrong, "\n".join(wrong)
    print(f"{len(asked)} calls")


def test_spellings_of_a_dtype(oracle):
    asked = [line.replace("d)", f"{d!r})").replace("d, 'n'", f"{d!r}, 'n'") for d in SPELLINGS
             for line in lines(TAKERS)]
    asked = [line for line in asked if line not in TAKEN]
    wrong = different(oracle, asked)
    assert not wrong, "\n".join(wrong)
    print(f"{len(asked)} calls")


def test_what_is_refused_here(oracle):
    space = {"np": np}
    exec(RUN, space)
    asked = sorted(REFUSED)
    assert not any(isinstance(t, str) for t in oracle.run(RUN + "result = evaluate(mx, lines)", lines=asked))
    assert space["evaluate"](mx, asked) == ["TypeError"] * len(asked)
