"""A process that compiles: JSON lines {text, options} in, JSON lines {log, error} out.

NVRTC compiles one text at a time in a process, however many threads ask; so tests start one process a processor.
Nothing of mxlite is imported here.
"""
import json
import sys

from cupy.cuda.compiler import _NVRTCProgram
from cupy_backends.cuda.libs import nvrtc


def compile_text(text, options):
    """{log of ptxas, error: NVRTC's words or None}."""
    program = _NVRTCProgram(text, "mxlite.cu", (), (), None, "cubin")
    try:
        program.compile(tuple(options))
    except Exception as e:
        message = e.get_message() if hasattr(e, "get_message") else str(e)
        return {"log": "", "error": message or repr(e)}
    return {"log": nvrtc.getProgramLog(program.ptr), "error": None}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(compile_text(**json.loads(line))), flush=True)
