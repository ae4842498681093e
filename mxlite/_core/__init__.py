"""The engine: everything that holds a pointer or runs once a node.

With GCC on Linux parallel regions run on threads of our own (mxl_team.h). With GCC elsewhere they run on libgomp, which
importing this loads, told not to spin: a thread that waits at a barrier gives its core up at once. On two busy cores
GCC's default (spin for some milliseconds) made a LeNet training step 25-170 ms and a 128x128 product up to 8 ms,
against 25 ms and 0.05 ms without; on two idle ones it saves 20 us a parallel region. Whoever wants that sets
OMP_WAIT_POLICY or GOMP_SPINCOUNT, which are then left alone.
"""
import os
import sys

_quiet = sys.platform != "linux" and "OMP_WAIT_POLICY" not in os.environ and "GOMP_SPINCOUNT" not in os.environ
if _quiet:
    os.environ["GOMP_SPINCOUNT"] = "0"      # read once, when the library is loaded by the next line
from . import cpu  # noqa: E402

if _quiet:
    del os.environ["GOMP_SPINCOUNT"]        # child processes decide for themselves

__all__ = ["cpu"]
