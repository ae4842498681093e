"""Symbol files, .params files, checkpoints and pickles that are damaged or none."""
import pickle

from mxlite import MXNetError

from .snippets import JSON, NET, PARAMS

CASES = [
    ("symbol JSON: empty", "sym.load_json('')", MXNetError, r"no symbol JSON"),
    ("symbol JSON: not JSON", "sym.load_json('hello')", MXNetError, r"no symbol JSON"),
    ("symbol JSON: no text", "sym.load_json(None)", TypeError, r"string"),
    ("symbol JSON: a list", "sym.load_json('[1, 2]')", MXNetError, r"'nodes' and 'heads'"),
    ("symbol JSON: a page of HTML", "sym.load_json('<!DOCTYPE html><html></html>')", MXNetError, r"HTML"),
    ("symbol JSON: nested beyond reason", "sym.load_json('[' * 10**6)", MXNetError, r"no symbol JSON"),
    ("symbol JSON: truncated", JSON + "\nsym.load_json(text[:-40])", MXNetError, r"no symbol JSON"),
    ("symbol JSON: a cycle", JSON + "\nsym.load_json(text.replace('[0, 0, 0]', '[3, 0, 0]'))", MXNetError,
     r"node 3.*cycle"),
    ("symbol JSON: an input that does not exist", JSON + "\nsym.load_json(text.replace('[0, 0, 0]', '[99, 0, 0]'))",
     MXNetError, r"node 99"),
    ("symbol JSON: an output that does not exist", JSON + "\nsym.load_json(text.replace('[3, 0, 0]', '[3, 7, 0]'))",
     MXNetError, r"output 7"),
    ("symbol JSON: a head that is no list", JSON + "\nsym.load_json(text.replace('[[3, 0, 0]]', '[3]'))", MXNetError,
     r"heads"),
    ("symbol JSON: no heads", JSON + "\nsym.load_json(text.replace('[[3, 0, 0]]', '[]'))", MXNetError, r"heads"),
    ("symbol JSON: an unknown operator", JSON + "\nsym.load_json(text.replace('FullyConnected', 'FullConnected'))",
     MXNetError, r"'fc'.*'FullConnected'"),
    ("symbol JSON: too few inputs", JSON + "\nsym.load_json(text.replace(', [2, 0, 0]]', ']'))", MXNetError,
     r"'fc'.*3 inputs.*2"),
    ("symbol JSON: inputs that are no list", JSON + "\nsym.load_json(text.replace('\"inputs\": []', '\"inputs\": 5'))",
     MXNetError, r"inputs"),
    ("symbol JSON: a bad attribute", JSON + "\nsym.load_json(text.replace('\"4\"', '\"four\"'))", MXNetError,
     r"'fc'.*num_hidden='four'"),
    ("symbol JSON: a node without a name", JSON + "\nsym.load_json(text.replace('\"name\"', '\"nam\"'))", MXNetError,
     r"node 0.*'name'"),
    ("symbol JSON: attributes that are a list", "import json\n" + JSON + "\ngraph = json.loads(text)\n"
     "graph['nodes'][3]['attrs'] = [1, 2]\nsym.load_json(json.dumps(graph))", MXNetError, r"'attrs' of node 'fc'"),
    ("symbol file: absent", "sym.load(path)", MXNetError, r"No such file"),
    ("symbol file: not UTF-8", "write(path, b'\\xff\\xfe\\x00{')\nsym.load(path)", MXNetError, r"UTF-8"),
    ("symbol file: a number for its name", "sym.load(3)", TypeError, r"fname"),
    ("symbol file: a folder that does not exist",
     NET + "\nnet.save(path + '/no/such.json')", MXNetError, r"cannot write"),
    ("pickle: a state that is no symbol", "s = sym.Symbol.__new__(sym.Symbol)\ns.__setstate__({'jsn': 1})", MXNetError,
     r"pickle"),
    ("pickle: a symbol's bytes cut short", "data = pickle.dumps(sym.Variable('x'))\npickle.loads(data[:-9])",
     pickle.UnpicklingError, r"truncated"),
    ("params: absent", "nd.load(path)", MXNetError, r"No such file"),
    ("params: empty", "write(path, b'')\nnd.load(path)", MXNetError, r"0 bytes"),
    ("params: a page of HTML", "write(path, b'<html>' + b' ' * 99)\nnd.load(path)", MXNetError, r"HTML"),
    ("params: a Git LFS pointer", "write(path, b'version https://git-lfs.github.com/spec/v1\\noid sha256:4d7a\\n')\n"
     "nd.load(path)", MXNetError, r"git lfs pull"),
    ("params: cut short", PARAMS + "\nwrite(path, data[:-9])\nnd.load(path)", MXNetError, r"cut short"),
    ("params: cut inside an array", PARAMS + "\nwrite(path, data[:70])\nnd.load(path)", MXNetError, r"array 0 of 2"),
    ("params: 2^60 arrays", PARAMS + "\nwrite(path, data[:16] + struct.pack('<Q', 2**60) + data[24:])\nnd.load(path)",
     MXNetError, r"damaged"),
    ("params: 2^31 axes", PARAMS + "\nwrite(path, data[:32] + struct.pack('<I', 2**31) + data[36:])\nnd.load(path)",
     MXNetError, r"axes"),
    ("params: nine axes", PARAMS + "\nwrite(path, data[:32] + struct.pack('<I9q', 9, *[1] * 9) + data[52:])\n"
     "nd.load(path)", MXNetError, r"\(1, 1, 1, 1, 1, 1, 1, 1, 1\).*damaged"),
    ("params: a dimension of 2^60", PARAMS + "\nwrite(path, data[:36] + struct.pack('<q', 2**60) + data[44:])\n"
     "nd.load(path)", MXNetError, r"damaged"),
    ("params: dimensions of 0 and 2^62",
     PARAMS + "\nwrite(path, data[:36] + struct.pack('<qq', 0, 2**62) + data[52:])\n"
     "nd.load(path)", MXNetError, r"damaged"),
    ("params: a negative dimension", PARAMS + "\nwrite(path, data[:36] + struct.pack('<q', -2) + data[44:])\n"
     "nd.load(path)", MXNetError, r"-2"),
    ("params: an unknown dtype", PARAMS + "\nwrite(path, data[:60] + struct.pack('<i', 77) + data[64:])\nnd.load(path)",
     MXNetError, r"dtype flag 77"),
    ("params: sparse",
     PARAMS + "\nwrite(path, data[:28] + struct.pack('<i', 1) + data[32:])\nnd.load(path)", MXNetError,
     r"sparse"),
    ("params: names that are not UTF-8", PARAMS + "\nwrite(path, data[:-1] + b'\\xff')\nnd.load(path)", MXNetError,
     r"UTF-8"),
    ("params: a name of 2^63 letters", PARAMS + "\nwrite(path, data[:-9] + struct.pack('<Q', 2**63) + b'b')\n"
     "nd.load(path)", MXNetError, r"cut short"),
    ("params: a number for the file", "nd.load(3)", TypeError, r"fname"),
    ("params: saving numbers", "nd.save(path, {'a': 1})", TypeError, r"NDArray"),
    ("params: saving into no folder", "nd.save(path + '/no/such', x)", MXNetError, r"cannot write"),
    ("params: a buffer that is none", "nd.load_frombuffer('text')", TypeError, r"bytes"),
    ("checkpoint: absent", "mx.model.load_checkpoint(path, 1)", MXNetError, r"No such file"),
    ("checkpoint: parameters without prefixes", "nd.save(path + '-0001.params', {'w': x})\n"
     "mx.model.load_params(path, 1)", ValueError, r"'w'"),
]
