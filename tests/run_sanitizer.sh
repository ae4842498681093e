#!/bin/bash
# The kernels' tests, and random calls of every operator, under the address and undefined-behaviour sanitizers. Takes
# no arguments, makes all it needs in a temporary folder (a copy of the sources, a virtual environment, an instrumented
# build), prints what was found, and exits 0 only where the tests pass and no sanitizer spoke.
#
# PYTHON=... chooses the interpreter that the environment is made from; KEEP=folder keeps the work there, so that a
# second run rebuilds only what changed. ROUNDS=n asks for n random calls of every operator.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
if [ -n "${KEEP:-}" ]; then work=$KEEP; mkdir -p "$work"; else work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; fi
libasan=$(gcc -print-file-name=libasan.so)
[ -f "$libasan" ] || { echo "run_sanitizer: gcc has no libasan.so"; exit 2; }

mkdir -p "$work/src"
# Sources alone: modules built for the plain tree must not be imported here.
tar -C "$here" --exclude='*.so' --exclude='__pycache__' --exclude='.pytest_cache' -cf - \
    setup.py pyproject.toml README.md LICENSE mxlite tests | tar -C "$work/src" -xmf - || exit 2      # dated now: what was compiled from other text is stale
[ -x "$work/env/bin/python" ] || "$python" -m venv "$work/env" || exit 2
"$work/env/bin/python" -m pip install -q "setuptools>=77" "cython>=3" "numpy>=2" pytest hypothesis || exit 2
cd "$work/src" || exit 2
MXLITE_SANITIZE_BUILD=1 CC=gcc "$work/env/bin/python" setup.py -q build_ext --inplace > "$work/build.log" 2>&1 \
    || { tail -40 "$work/build.log"; echo "run_sanitizer: the build failed"; exit 2; }

# Python's own allocations are not ours to check for leaks. exitcode tells a report from a failed test. NumPy's and
# Python's own arenas are plain malloc, so that a byte past an array is seen.
export LD_PRELOAD="$libasan" PYTHONMALLOC=malloc
export ASAN_OPTIONS="detect_leaks=0:exitcode=77:log_path=$work/asan:allocator_may_return_null=1"
ASAN_OPTIONS="$ASAN_OPTIONS:max_allocation_size_mb=3000"
export UBSAN_OPTIONS="print_stacktrace=0:log_path=$work/ubsan"
rm -f "$work"/asan.* "$work"/ubsan.*
export PYTHONPATH="$work/src"

# A sanitizer that sees nothing proves nothing: a copy of 64 elements out of 4 must end the process.
"$work/env/bin/python" - 2> /dev/null <<'END'
import numpy as np
from mxlite._core import kernelcall, kernels
from mxlite.ops.box import box
capsule, packer = kernels.lookup("movement.strided")
kernelcall.call(capsule, [np.zeros(4, "float32")], [np.zeros(64, "float32")], packer(box((64,), (2,), (1,))))
END
[ $? -eq 77 ] || { echo "run_sanitizer: a planted overrun was not seen"; exit 2; }
rm -f "$work"/asan.*

"$work/env/bin/python" -m pytest -q -p no:cacheprovider --maxfail=20 tests/test_ops.py tests/test_kernels_*.py \
    tests/test_autograd*.py tests/test_ndarray*.py tests/test_lifetime.py tests/test_placement.py tests/test_executor.py \
    tests/test_fuse.py tests/test_chains.py tests/test_rewrite_*.py tests/test_rnn.py tests/test_versions.py \
    tests/test_arena.py tests/test_storage.py tests/test_small_calls.py tests/test_calls.py tests/test_module*.py \
    -k "not learns and not long_chains and not cross_processes and not in_moments and not becomes_a_number"
status=$?
# Random calls, one process an operator: what kills one is told and the others run.
for op in $("$work/env/bin/python" -c "from mxlite.ops import RECORDS; print(*sorted(RECORDS))"); do
    "$work/env/bin/python" -m tests.fuzz_worker 1 ${ROUNDS:-6} "$work/running" "$op" > "$work/fuzz.out" 2>&1
    code=$?
    [ $code -eq 0 ] || { status=1; echo "fuzz: status $code in $(cat "$work/running")"; tail -5 "$work/fuzz.out"; }
done
unset LD_PRELOAD
reports=$(cat "$work"/asan.* "$work"/ubsan.* 2>/dev/null | grep -E "ERROR: AddressSanitizer|runtime error" \
          | sort | uniq -c)
[ -n "$reports" ] && { echo "$reports"; cat "$work"/asan.* 2>/dev/null | head -60; }
if [ $status -eq 0 ] && [ -z "$reports" ]; then echo "run_sanitizer: clean"; exit 0; fi
echo "run_sanitizer: FAILED (status $status)"
exit 1
