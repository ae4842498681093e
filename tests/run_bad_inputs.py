"""Runs one group of tests/bad_inputs: ``python -m tests.run_bad_inputs GROUP``. A line a case, its name before it
runs and its result after, so that the name of a case that kills the process is the last line."""
import ast
import json
import os
import pickle
import re
import resource
import struct
import sys
import tempfile
import time
import warnings

import numpy as np

import mxlite as mx

from . import bad_inputs

BYTES = 6 << 30     # address space: what allocates before it refuses must not take the machine along
SECONDS = 5         # a refusal that takes longer did the work first


def judge(code, kind, pattern, folder):
    """(what is wrong, '' for nothing; the error's text)."""
    def write(path, data):
        with open(path, "wb") as f:
            f.write(data)
    space = {"__name__": "snippet", "mx": mx, "np": np, "nd": mx.nd, "sym": mx.sym, "pickle": pickle, "struct": struct,
             "path": os.path.join(folder, "file"), "x": mx.nd.ones((2, 3)), "write": write}
    *before, last = ast.parse(code, "snippet.py").body
    try:
        exec(compile(ast.Module(before, []), "snippet.py", "exec"), space)
    except Exception as e:
        return "raised before the last statement", f"{type(e).__name__}: {e}"
    began = time.monotonic()
    try:
        exec(compile(ast.Module([last], []), "snippet.py", "exec"), space)
    except Exception as e:
        text = f"{type(e).__name__}: {e}"
        if not isinstance(e, kind):
            return f"raised another class than {kind}", text
        if not re.search(pattern, str(e)):
            return f"its text lacks {pattern!r}", text
        if time.monotonic() - began > SECONDS:
            return f"took {time.monotonic() - began:.0f} s", text
        return "", text
    return "raised nothing", ""


def main(group):
    warnings.simplefilter("ignore")
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    for name, code, kind, pattern in dict(bad_inputs.ALL)[group]:
        print(json.dumps([name]), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps([name, *judge(code, kind, pattern, folder)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
