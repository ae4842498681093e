"""Methods, operators and functions of NDArray on every dtype and on wrong arguments: the same results as MXNet's, or an
error where MXNet raises one."""
import numpy as np

import mxlite as mx

# Statements that end with an expression, or that set r. The arrays' names are in EVALUATE.
CALLS = """
x.shape_array() ;; m.size_array() ;; m.diag() ;; m.diag(k=1) ;; m.split_v2(2) ;; m.split_v2((1,2), axis=1) ;;
m.split_v2(2, squeeze_axis=True) ;; nd.split_v2(m, 2, axis=2, squeeze_axis=True) ;;
nd.split_v2(m, (1,1,2), axis=1) ;; nd.split_v2(m, [1,2], axis=1) ;; nd.split_v2(m, 5) ;; nd.split_v2(m, 2.5) ;;
nd.split_v2(m, 3, axis=1, squeeze_axis=True) ;; nd.split_v2(m, (0,), axis=1) ;; nd.split_v2(m, (), axis=1) ;;
nd.split_v2(m, 1, axis=1) ;; nd.split_v2(m, (1,), axis=-1) ;; m.reshape_like(nd.zeros((6,4))) ;;
m.reshape_like(nd.zeros((6,5))) ;; nd.histogram(x, bins=3, range=(0,4)) ;;
nd.histogram(x, bins=nd.array([0,1,2,4])) ;; nd.histogram(x, bins=[0,1,2]) ;;
nd.histogram(x, bins=nd.array([0,1,2,4]), range=(0,1)) ;;
m.slice_assign(nd.zeros((1,3,4)), (0,None,None), (1,None,None), ()) ;;
m.slice_assign(nd.zeros((1,3,4)), (0,None,None), (1,None,None), (1,1,1)); r=m ;;
m.slice_assign(nd.zeros((1,3,4)), (0,), (1,), ()); r=m ;;
m.slice_assign_scalar(5, (0,None,None), (1,None,None), ()) ;;
m.slice_assign_scalar(5, (0,0,None), (1,None,None), (1,2,None)) ;; m.slice_assign_scalar(5, (0,), (1,), (1,)) ;;
m.slice_assign_scalar(5, (0,None,-1), (1,None,-5), (None,None,-2)) ;;
r=m.slice_assign_scalar(5.7, (0,), (1,), (1,)) is m ;;
r=m.slice_assign(nd.zeros((1,3,4)), (0,), (1,), (1,)) is m ;; m.asscalar() ;; x[0].asscalar() ;; b[0].asscalar() ;;
h[0].asscalar() ;; m.size ;; type(m.size) ;; x.stype ;; x.tostype('default') ;; x.tostype('default') is x ;;
x.wait_to_read() ;; x.astype('int32', copy=False) ;; x.astype('float32', copy=False) is x ;;
x.astype(np.float32, copy=False) is x ;; x.astype(x.dtype) is x ;; x.astype('float32') is x ;; x.astype('foo') ;;
x.astype(None) ;; x.astype(int) ;; x.astype(float) ;; x.astype(bool) ;; x.astype('bool') ;; u.astype('int8') ;;
nd.array([300,-1,1e10]).astype('uint8') ;; nd.array([300,-1,1e10]).astype('int32') ;;
nd.array([float('nan'),float('inf')]).astype('int64') ;;
nd.array([float('nan'),float('inf'),0.5,0]).astype('bool') ;; nd.array([1e5]).astype('float16') ;;
x.copyto(nd.zeros((2,))) ;; x.copyto(nd.zeros((3,1))) ;; x.copyto(nd.zeros((3,),dtype='int32')) ;;
y=nd.zeros((3,)); r=x.copyto(y) is y ;; x.copyto(3) ;; x.copyto('cpu') ;; x.copyto(np.zeros(3)) ;;
x.copyto(mx.cpu(0)) ;; x.copyto(mx.cpu(0)) is x ;; x.copyto(None) ;; x.as_in_context(mx.cpu(0)) is x ;;
x.as_in_context('cpu') ;; str(x.context) ;; str(x.ctx) ;; x.context = 3 ;; x.shape = (1,3) ;; x.size = 3 ;;
x.dtype = 3 ;; m.reshape((4,6)) ;; m.reshape(4,6) ;; m.reshape(-1) ;; m.reshape((0,-1)) ;; m.reshape((-1,-1)) ;;
m.reshape((0,0,0,0)) ;; m.reshape((-2,)) ;; m.reshape((-3,0)) ;; m.reshape((-4,1,-1,-2)) ;;
m.reshape((8,0), reverse=True) ;; m.reshape((-1,0), reverse=True) ;; m.reshape((-1,0)) ;; x[0].reshape(()) ;;
m.reshape(shape=(6,4)) ;; m.reshape((6,4), shape=(4,6)) ;; m.reshape((5,5)) ;; m.reshape((6,4), foo=3) ;;
m.reshape('a') ;; m.reshape(2.5) ;; m.reshape((2,12.0)) ;; m.reshape(-5) ;; m.reshape((-6,)) ;; m.expand_dims(0) ;;
m.expand_dims(-1) ;; m.expand_dims(3) ;; m.expand_dims(4) ;; m.expand_dims(-4) ;; m.expand_dims(-5) ;;
m.expand_dims(0, inplace=True) ;; m.expand_dims(-1, inplace=True) ;; m.expand_dims(3, inplace=True) ;;
m.expand_dims(-4, inplace=True) ;; y=m.expand_dims(1, inplace=True); y[:]=0; r=m ;;
y=m.expand_dims(1); y[:]=0; r=m ;; nd.zeros((1,3,1)).squeeze() ;; nd.zeros((1,3,1)).squeeze(0) ;;
nd.zeros((1,3,1)).squeeze((0,2)) ;; nd.zeros((1,3,1)).squeeze(1) ;; nd.zeros((1,3,1)).squeeze(3) ;;
nd.zeros((1,1)).squeeze() ;; nd.zeros((1,3,1)).squeeze(inplace=True) ;;
nd.zeros((1,3,1)).squeeze(0,inplace=True) ;; nd.zeros((1,3,1)).squeeze([0,2],inplace=True) ;;
nd.zeros((1,3,1)).squeeze((0,-1),inplace=True) ;; nd.zeros((1,1)).squeeze(inplace=True) ;;
m.squeeze(inplace=True) ;; m.flatten() ;; m.flatten(inplace=True) ;; x.flatten() ;; x.flatten(inplace=True) ;;
y=m.flatten(inplace=True); y[:]=0; r=m ;; x.broadcast_to((2,3)) ;; x.broadcast_to((3,2)) ;;
x.broadcast_to((1,2,3)) ;; m.broadcast_to((2,3)) ;; m.broadcast_to((2,3,5)) ;; x.broadcast_to(3) ;;
x.broadcast_to((0,3)) ;; x.broadcast_to((2,0)) ;; x.broadcast_to(shape=(2,3)) ;;
nd.zeros((1,3)).broadcast_to((2,0)) ;; nd.zeros((1,3)).broadcast_to((2,3)) ;;
nd.zeros((1,3)).broadcast_to((0,3)) ;; x.broadcast_like(nd.zeros((2,3))) ;; x.broadcast_like(nd.zeros((2,4))) ;;
nd.zeros((1,3)).broadcast_like(nd.zeros((2,3))) ;; nd.zeros((2,1,3)).broadcast_like(nd.zeros((2,2))) ;; x.T ;;
m.T ;; m.T.shape ;; len(x) ;; len(m) ;; list(x) ;; [y for y in m[0]] ;; list(x[0]) ;; 2.0 in x ;; 3.5 in x ;;
7 in x ;; 3.5 in m ;; bool(x) ;; bool(x[0]) ;; bool(x[:0]) ;; bool(nd.zeros((1,1,1))) ;; operator.index(x[0]) ;;
operator.index(l) ;; round(x[0]) ;; divmod(x, 2) ;; x // 2 ;; 2 // x ;; x @ x ;; m[0] @ m[1].T ;; x << 1 ;;
b & b ;; i & i ;; i | 1 ;; +x ;; -x ;; abs(x) ;; -u ;; -b ;; -h ;; {x: 1}[x] ;; x == None ;; x != None ;;
None == x ;; x > None ;; x + None ;; None + x ;; x == 'a' ;; x + 'a' ;; x + [1,2,3] ;; [1,2,3] + x ;;
x + (1,2,3) ;; x + np.float32(2) ;; np.float32(2) + x ;; x * np.float64(2.5) ;; np.float64(2.5) * x ;;
np.int64(2) + i ;; i + np.float64(2.5) ;; i + 2.5 ;; 2.5 + i ;; i * 2.5 ;; i / 2 ;; i / 2.5 ;; i % 2.5 ;; i ** 2 ;;
i ** 0.5 ;; 2 ** i ;; u + 10 ;; u + 300 ;; u - 3 ;; u * 2 ;; u * 1.7 ;; -1 * u ;; u > 100 ;; u == 250.0 ;; u / 2 ;;
h + 1e5 ;; d * 0.1 ;; b + 1 ;; b * 2 ;; b == 1 ;; b + x ;; i + x ;; x + i ;; x + d ;; d + x ;; x + h ;; h + x ;;
i + l ;; l + i ;; u + i ;; u + s ;; i < 2.5 ;; i == 2.5 ;; l == l ;; type((x > 1).dtype) ;; (i > 1).dtype ;;
(b == b).dtype ;; (h > 1).dtype ;; x == i ;; x > d ;; x + nd.zeros((2,3)) ;; x + nd.zeros((2,)) ;; x += 1; r=x ;;
x += i; r=x ;; x += d; r=x ;; x += nd.ones((2,3)); r=x ;; x += None ;; x += 'a' ;; x += [1,2,3] ;;
x += np.float32(2); r=x ;; i += 1.5; r=i ;; i += 2; r=i ;; i /= 2; r=i ;; i *= 2.5; r=i ;; i %= 2; r=i ;;
u -= 3; r=u ;; x -= 1; r=x ;; x *= x; r=x ;; x /= 2; r=x ;; x %= 2; r=x ;; x **= 2; r=x ;; x //= 2; r=x ;;
x -= i ;; y=x; y+=1; r=x ;; y=x; y**=2; r=x ;; x += True; r=x ;; x + True ;; True + x ;; x + 1j ;; x + 10**400 ;;
l + 2**60 ;; l + (2**53+1) ;; l * (2**53+1) ;; l == 2**53+1 ;; x / 0 ;; i % 3 ;; i % -3 ;; x % -3 ;; 3 % x ;;
-3 % i ;; nd.array([nd.array([1,2]), nd.array([3,4])]) ;; nd.array((nd.array([1]), nd.array([2]))) ;;
nd.array([x[0], x[1]]) ;; nd.array([nd.array([1,2],dtype='int32')]) ;; nd.array([nd.array([1]), 2]) ;;
nd.array([nd.array([1,2]), nd.array([1])]) ;; nd.array(5) ;; nd.array(5.5, dtype='int32') ;; nd.array(True) ;;
nd.array([True, False]) ;; nd.array(np.array([True,False])) ;; nd.array(np.array([1,2],dtype='int8')) ;;
nd.array(np.array([1,2],dtype='uint16')) ;; nd.array(np.float16(1.5)) ;; nd.array('abc') ;; nd.array(['1','2']) ;;
nd.array([[1,2],[3]]) ;; nd.array([]) ;; nd.array([[]]) ;; nd.array({}) ;; nd.array({1,2}) ;;
nd.array(v for v in range(3)) ;; nd.array(range(3)) ;; nd.array(map(int,[1,2])) ;; nd.array(object()) ;;
nd.array([1+2j]) ;; nd.array(np.array([1+2j])) ;; nd.array(np.array([1,2],dtype=object)) ;;
nd.array(x, dtype='int32') ;; nd.array(x, ctx=mx.cpu(0)) ;; nd.array(i) ;; nd.array(b) ;; nd.array(u) ;;
nd.array([1,2], mx.cpu(), 'int64') ;; nd.array([2**53+1], dtype='int64') ;;
nd.array(np.array([2**53+1]), dtype='int64') ;; nd.array([1.7,-1.7], dtype='int32') ;;
nd.array([300,-1], dtype='uint8') ;; nd.array([1e400]) ;; nd.array([0.5,0], dtype='bool') ;;
nd.array([1,2], dtype='foo') ;; nd.array([1,2], dtype=np.dtype('float64')) ;; nd.array([1,2], dtype=float) ;;
nd.array([1,2], dtype=int) ;; nd.array([1,2], dtype=bool) ;; nd.array(np.arange(6).reshape(2,3).T) ;;
nd.array(np.arange(6)[::2]) ;; nd.array(np.zeros((0,3))) ;; nd.array(b'ab') ;; nd.array(bytearray(b'ab')) ;;
nd.array(memoryview(b'ab')) ;; nd.array(np.datetime64('2020-01-01')) ;; nd.empty(3).shape ;;
nd.empty((2,3),dtype='int8').dtype ;; nd.empty('a') ;; nd.empty((2.5,)) ;; nd.empty(None) ;;
nd.zeros((2,),dtype='bool') ;; nd.zeros((2,),dtype=None) ;; nd.zeros(shape=(2,), ctx=mx.cpu(), dtype='float16') ;;
nd.zeros((2,), stype='default') ;; nd.zeros(2, out=nd.ones((2,))) ;; nd.ones((2,), dtype='float64') ;;
nd.ones(2, mx.cpu(), 'int32') ;; nd.full((2,), 3) ;; nd.full((2,), 3.5, dtype='int8') ;;
nd.full((2,), 3, out=nd.zeros((2,))) ;; nd.full(2, True, dtype='bool') ;; nd.full((2,), 'a') ;;
nd.full((2,), 300, dtype='uint8') ;; nd.full((2,), float('nan')) ;; nd.arange(5) ;; nd.arange(0) ;;
nd.zeros((2,), name='a') ;; nd.ones((2,), name='a') ;; nd.ones((2,), foo=3) ;; nd.eye(2, foo=3) ;;
nd.eye(2, name='a') ;; nd.zeros((3,), out=nd.ones((2,))) ;; nd.ones((3,), out=nd.zeros((2,))) ;;
nd.full((3,), 2, out=nd.zeros((2,))) ;; nd.zeros((3,), out=nd.ones((3,), dtype='int32')) ;;
nd.zeros((3,), dtype='float16', out=nd.ones((3,), dtype='int32')) ;; nd.ones((3,), stype='default') ;;
nd.arange(5, dtype='int32') ;; nd.arange(2, 10, 3) ;; nd.arange(10, 2) ;; nd.arange(2, 10, 0) ;;
nd.arange(0,1,0.1) ;; nd.arange(3, repeat=2) ;; nd.arange(3, dtype='float16') ;; nd.linspace(0, 1, 3) ;;
nd.linspace(0, 1, 1) ;; nd.linspace(0, 1, 0) ;; nd.linspace(0, 1, 3, False) ;; nd.linspace(0, 1, -3) ;;
nd.eye(2) ;; nd.eye(2,3) ;; nd.eye(2,3,1) ;; nd.eye(2,3,-1,dtype='int32') ;; nd.eye(0) ;; nd.concatenate([x,x]) ;;
nd.concatenate([m,m],axis=1) ;; nd.concatenate([m,m],axis=2) ;; nd.concatenate([x]) ;;
nd.concatenate([x], always_copy=False) is x ;; nd.concatenate([x]) is x ;; nd.concatenate([u,u]) ;;
nd.concatenate([h,h]) ;; nd.onehot_encode(nd.array([0,2]), nd.zeros((2,3))) ;;
nd.onehot_encode(nd.array([0,5]), nd.zeros((2,3))) ;; nd.onehot_encode(nd.array([0,-1]), nd.zeros((2,3))) ;;
nd.onehot_encode(nd.array([0]), nd.zeros((2,3))) ;; nd.onehot_encode(nd.array([[0,1]]), nd.zeros((2,3))) ;;
o=nd.ones((2,3)); r=nd.onehot_encode(nd.array([0,1]), o) is o ;;
nd.onehot_encode(nd.array([0.9,1.9]), nd.zeros((2,3))) ;; nd.moveaxis(m,0,1) ;; nd.moveaxis(m,0,-1) ;;
nd.moveaxis(m,(0,1),(1,2)) ;; nd.moveaxis(m,[0,1],[-1,-2]) ;; nd.moveaxis(m,0,5) ;; nd.moveaxis(m,-4,0) ;;
nd.moveaxis(m,(0,1),(1,)) ;; nd.moveaxis(m,(0,0),(1,2)) ;; nd.moveaxis(m,(0,1),(2,2)) ;; nd.moveaxis(m,1.5,2) ;;
nd.imdecode(b'abc') ;; nd.waitall() ;; nd.from_numpy(np.arange(3)) ;; nd.from_numpy(np.arange(3.)) ;;
nd.from_numpy(np.arange(3), zero_copy=False) ;; nd.from_numpy(np.arange(3.), zero_copy=False) ;;
nd.from_numpy(np.arange(6).reshape(2,3).T) ;; nd.from_numpy(np.arange(6).reshape(2,3).T, zero_copy=False) ;;
nd.from_numpy(np.array(5)) ;; nd.from_numpy(np.array([True])) ;; nd.from_numpy(np.zeros((0,3))) ;;
a=np.arange(3); y=nd.from_numpy(a); y[0]=7; r=a ;;
a=np.arange(3); y=nd.from_numpy(a,zero_copy=False); r=a.flags.writeable ;;
nd.from_numpy(np.broadcast_to(np.arange(3.),(2,3))) ;; nd.add(x, x) ;; nd.add(x, 1) ;; nd.add(1, x) ;;
nd.add(1, 2) ;; nd.subtract(1,2) ;; nd.maximum(1, 2) ;; nd.power(2, 3) ;; nd.power(base=2, exp=x) ;;
nd.modulo(7, 4) ;; nd.equal(1,2) ;; nd.logical_and(1,0) ;; nd.lesser(1,2) ;; nd.true_divide(1,2) ;;
nd.add(x, 'a') ;; nd.add(x, None) ;; nd.add(x, [1]) ;; nd.add(lhs=x, rhs=2) ;; nd.maximum(x, 0) ;;
nd.maximum(0, x) ;; nd.minimum(x, i) ;; nd.logical_xor(x, i) ;; nd.greater(5, x) ;; nd.lesser_equal(5, x) ;;
nd.concat(x, i, dim=0) ;; nd.stack(x, i) ;; nd.dot(x, d) ;; nd.broadcast_add(x, i) ;; nd.elemwise_add(x, i) ;;
nd.where(x, i, i) ;; nd.where(i, x, x) ;; nd.sum(u) ;; nd.sum(b) ;; nd.mean(i) ;; nd.max(b) ;; nd.exp(i) ;;
nd.sqrt(u) ;; nd.relu(u) ;; nd.square(i) ;; nd.exp(h) ;; nd.argmax(i) ;; nd.sign(u) ;; nd.ceil(i) ;;
nd.clip(u, 2, 100) ;; nd.zeros_like(b) ;; nd.ones_like(i) ;; nd.Cast(x, dtype='int8') ;; nd.cast(x, 'int8') ;;
str(x) ;; repr(i) ;; repr(u) ;; repr(b) ;; repr(h) ;; repr(d) ;; repr(l) ;; repr(s) ;; repr(nd.array(5)) ;;
repr(nd.array(5.5)) ;; repr(nd.zeros((1,1,1))) ;; repr(nd.array([])) ;; repr(nd.zeros((30,40))) ;;
repr(nd.arange(3000).reshape((30,100))) ;; repr(nd.array([1e-10,1,1e10])) ;;
repr(nd.array([float('nan'),float('inf'),-float('inf')])) ;; repr(nd.arange(1001)) ;;
repr(nd.array([True],dtype='bool')) ;; repr(m[0][0][0]) ;; repr(m[:,1]) ;; '%s' % x ;; '{}'.format(x) ;;
'{:.2f}'.format(x[0]) ;; pickle.loads(pickle.dumps(x)) ;; pickle.loads(pickle.dumps(i)) ;;
pickle.loads(pickle.dumps(b)) ;; copy.copy(x) ;; copy.deepcopy(x) ;; copy.copy(x) is x ;;
y=copy.copy(x); y[:]=0; r=x ;; y=copy.deepcopy(x); y[:]=0; r=x ;; y=copy.copy(x); y+=1; r=x ;; np.float32(2) * x ;;
np.float32(2) > x ;; np.int64(2) == i ;; x.grad ;; x.asnumpy() ;; x.asnumpy().flags.owndata ;; b.asnumpy() ;;
nd.array(5).asscalar() ;; nd.array(5).shape ;; nd.array(5)[0] ;; bool(nd.array(5)) ;; x.__array_interface__ ;;
type(x).__name__ ;; x.pad(mode='constant', pad_width=(0,0,0,0,1,1,1,1)) ;; m.depth_to_space(2) ;;
nd.zeros((1,4,2,2)).depth_to_space(2).shape ;; nd.zeros((1,1,4,4)).space_to_depth(2).shape ;; x.relu() ;;
x.softmin() ;; x.topk(k=2) ;; x.one_hot(4) ;; x.sort(is_ascend=False) ;; x.clip(0, 1) ;;
x.clip(a_min=0, a_max=1) ;; x.norm() ;; x.round() ;; x.sum(axis=0) ;; m.sum(axis=(0,1), keepdims=True) ;;
m.swapaxes(0,1).shape ;; m.transpose().shape ;; m.transpose(1,0,2).shape ;; m.transpose((1,0,2)).shape ;;
m.transpose(axes=(1,0,2)).shape ;; m.flip(axis=0) ;; m.tile((2,1)).shape ;; m.tile(reps=(2,)).shape ;;
m.repeat(2).shape ;; m.repeat(repeats=2, axis=0).shape ;; m.slice((0,0),(1,2)).shape ;;
m.slice(begin=(0,0),end=(1,2)).shape ;; m.slice_axis(1,0,1).shape ;; m.take(nd.array([0,1]),axis=1).shape ;;
x.take(nd.array([0,1])) ;; m.pick(nd.array([[0,1,2],[0,1,2]])) ;; m.split(3, axis=1)[0].shape ;;
m.split(num_outputs=3, axis=1)[0].shape ;; m.slice_like(nd.zeros((1,1,1))) ;; m.argmax(axis=1).shape ;;
m.argsort(axis=1).shape ;; m.broadcast_axes(axis=0,size=2) ;;
nd.zeros((1,3)).broadcast_axes(axis=0,size=2).shape ;; m.zeros_like().shape ;;
nd.full((2,), None) ;; u > -1 ;; h * 0.1 ;; h / 0.3 ;; h % 0.3 ;; h == 2.0001 ;; 0.1 / h ;;
nd.LeakyReLU(-h, slope=0.1) ;;
5 / i ;; i + 2**40 ;; i + float('nan') ;; b + b ;; b == b ;;
nd.concatenate([b,b]) ;; nd.exp(b) ;; nd.zeros((1,1)).asscalar() ;; int(x[0]) ;; float(x[0]) ;; [1,2,3][l[0]] ;;
x + np.array([1.,2,3]) ;; np.array([1.,2,3]) + x ;; x > np.array([1,2,3]) ;; np.asarray(i) ;; np.exp(x) ;;
x.copyto(x) ;; pickle.loads(pickle.dumps(nd.array(5))) ;; x.as_np_ndarray() ;; nd.concatenate([m,m],axis=-1) ;;
nd.concatenate((x, x)) ;; a=np.arange(3); y=nd.from_numpy(a); r=a.flags.writeable ;; x.tolist()
""".strip().replace("\n", " ").split(" ;; ")

# What differs on purpose, and why.
DIFFERENT = {
    "nd.array(np.array([1+2j]))": "MXNet drops the imaginary parts of a NumPy array, and raises for a list",
    "nd.full((2,), None)": "MXNet makes NaN of None",
    "u > -1": "MXNet converts the number to uint8 first: 255",
    '5 / i': "integer division by zero gives x86's answer in MXNet",
    'i + 2**40': "a number beyond the dtype: MXNet's answer is x86's",
    "i + float('nan')": "NaN as an integer: MXNet's answer is x86's",
    "b + b": "MXNet refuses booleans when the result is read",
    "b == b": "MXNet refuses booleans when the result is read",
    "nd.concatenate([b,b])": "MXNet refuses booleans when the result is read",
    "nd.exp(b)": "MXNet refuses booleans when the result is read",
    "nd.zeros((1,1)).asscalar()": "MXNet gives an array of shape (1, 1)",
    "int(x[0])": "MXNet has no conversion to numbers",
    "float(x[0])": "MXNet has no conversion to numbers",
    '[1,2,3][l[0]]': "MXNet's arrays are no indices",
    "x + np.array([1.,2,3])": "MXNet takes no NumPy operands",
    "np.array([1.,2,3]) + x": "MXNet takes no NumPy operands",
    "x > np.array([1,2,3])": "MXNet takes no NumPy operands",
    "np.asarray(i)": "MXNet gives an object array of 32 axes",
    "np.exp(x)": "MXNet gives an object array of 32 axes",
    "x.copyto(x)": "MXNet warns and gives False",
    "pickle.loads(pickle.dumps(nd.array(5)))": "MXNet loses 0-d arrays",
    "x.as_np_ndarray()": "mx.np is not there",
    "nd.concatenate([m,m],axis=-1)": "MXNet counts axes from the front alone",
    "nd.concatenate((x, x))": "MXNet takes a list alone",
    "a=np.arange(3); y=nd.from_numpy(a); r=a.flags.writeable": "MXNet makes the NumPy array read-only",
    "x.tolist()": "MXNet has no tolist",
}

EVALUATE = """
import ast, copy, pickle, operator

def shown(r):
    if isinstance(r, (list, tuple)):
        return [type(r).__name__, *map(shown, r)]
    if hasattr(r, "asnumpy") and not isinstance(r, type):
        return "NDArray", np.dtype(r.dtype).name, r.shape, r.asnumpy()
    if isinstance(r, np.ndarray) and r.dtype.hasobject:
        return "objects"
    if isinstance(r, (np.ndarray, np.generic)):
        return type(r).__name__.rstrip("_"), str(r.dtype), np.shape(r), np.asarray(r)
    if isinstance(r, (bool, int, float, str, type(None))):
        return type(r).__name__, r
    return type(r).__name__

def evaluate(mx, calls):
    out = []
    for text in calls:
        nd = mx.nd
        names = {"mx": mx, "nd": nd, "np": np, "copy": copy, "pickle": pickle, "operator": operator,
                 "x": nd.array([1, -2, 3.5]), "m": nd.arange(24).reshape((2, 3, 4)),
                 "i": nd.array([3, -4, 0], dtype="int32"), "u": nd.array([1, 2, 250], dtype="uint8"),
                 "b": nd.array([1, 0, 1], dtype="bool"), "h": nd.array([1, 2, 3], dtype="float16"),
                 "d": nd.array([1, 2, 3], dtype="float64"), "l": nd.array([1, 2, 3], dtype="int64"),
                 "s": nd.array([1, 2, 3], dtype="int8")}
        try:
            *body, last = ast.parse(text).body
            exec(compile(ast.Module(body, []), "text", "exec"), names)
            if isinstance(last, ast.Expr):
                out.append(shown(eval(compile(ast.Expression(last.value), "text", "eval"), names)))
            else:
                exec(compile(ast.Module([last], []), "text", "exec"), names)
                out.append(shown(names.get("r")))
        except Exception as error:
            out.append("raises " + type(error).__name__)
            try:
                nd.waitall()
            except Exception:
                pass
    return out
"""
NAMES = {"np": np}
exec(EVALUATE, NAMES)


def same(a, b):
    if isinstance(a, str) and a.startswith("raises") and isinstance(b, str) and b.startswith("raises"):
        return True
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        tolerance = {"f2": 5e-4, "f4": 5e-6, "f8": 2e-7}.get(a.dtype.str[1:], 0)
        return a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, rtol=tolerance, atol=0, equal_nan=True)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_calls_equal_mxnet(oracle):
    theirs = [r for k in range(0, len(CALLS), 100)
              for r in oracle.run(EVALUATE + "result = evaluate(mx, calls)", calls=CALLS[k:k + 100])]
    with np.errstate(all="ignore"):
        wrong = {c: f"{a} where {b} is expected" for c, a, b in zip(CALLS, NAMES["evaluate"](mx, CALLS), theirs)
                 if not same(a, b)}
    unexpected = [f"{c}: {text}" for c, text in wrong.items() if c not in DIFFERENT]
    assert not unexpected, f"{len(unexpected)} of {len(CALLS)}:\n" + "\n".join(unexpected)
    assert {c for c in wrong} == set(DIFFERENT), f"no longer different: {set(DIFFERENT) - set(wrong)}"


def test_every_public_member_is_there(oracle):
    """Of the class and of the module; what starts with an underscore is MXNet's own."""
    members, functions = oracle.run("""
        import mxnet.ndarray.ndarray as module
        result = [n for n in dir(nd.NDArray) if not n.startswith("_")], list(module.__all__)
    """)
    assert [n for n in members if not hasattr(mx.nd.NDArray, n)] == ["handle", "writable"]      # of the C library
    assert {n for n in functions if not n.startswith("_") and not hasattr(mx.nd, n)} == {      # helpers of its indexing
        "indexing_key_expand_implicit_axes", "get_indexing_dispatch_code", "get_oshape_of_gather_nd_op"}
    assert len(members) > 100 and len(functions) > 40
