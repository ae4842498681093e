"""Runs a module of the tests in a process of its own, so that a crash is one failed test and not the end of all."""
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).parents[1]
# The repository goes last: mxlite is the one that is tested, which may be an installed one.
START = "import sys; sys.path.append({root!r}); from {module} import main; sys.exit(main(*sys.argv[1:]))"


def run(module, *args, seconds=240, **more):
    """The finished process that ran ``main(*args)`` of `module`, texts as stdout and stderr."""
    code = START.format(root=str(REPOSITORY), module=module)
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True,
                          timeout=seconds, **more)
