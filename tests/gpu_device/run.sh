#!/bin/sh
# Everything that needs a GPU, in one command: builds this tree in place where it is not, runs tests/gpu_device, then
# benchmarks/gpu.py, each under a time limit, and leaves in OUT:
#   results.json  what the tests found      gpu.json  what the benchmark measured
#   report.md     both as Markdown          *.log     what was printed
#
#   sh tests/gpu_device/run.sh OUT [all|tests|benchmarks|build]
#
#   PYTHON=...      the interpreter: CuPy, pytest, and for comparison PyTorch and JAX are looked for there
#   LIMIT_TESTS=240 LIMIT_BENCHMARKS=150    seconds; with the build all of it takes less than 8 minutes on 16 cores
# Ends with 0 where all tests passed and the benchmark ran through.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=${1:?where to: sh tests/gpu_device/run.sh OUT [all|tests|benchmarks|build]}
what=${2:-all}
case $what in
    all|tests|benchmarks|build) ;;
    *) echo "run.sh: $what is none of all, tests, benchmarks, build" >&2; exit 2 ;;
esac
python=${PYTHON:-python3}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1
failed=0

# Before anything is built, which takes minutes.
why=$("$python" -c 'import cupy; cupy.cuda.runtime.getDeviceCount()' 2>&1) || [ "$what" = build ] ||
    { echo "there is no GPU that CuPy can use: $(echo "$why" | tail -1)" >&2; exit 1; }
if ! "$python" -c 'import mxlite._core.executor' 2> /dev/null; then
    began=$(date +%s)
    "$python" setup.py build_ext --inplace > "$out/build.log" 2>&1 || { tail -40 "$out/build.log"; exit 1; }
    echo "built in $(($(date +%s) - began)) s"
fi
[ "$what" = build ] && exit 0
why=$("$python" -c 'import mxlite.gpu; mxlite.gpu.check(0)' 2>&1) || { echo "$why" | tail -1 >&2; exit 1; }

if [ "$what" = all ] || [ "$what" = tests ]; then
    # NVRTC compiles one text at a time in a process: several processes share the cache of compiled kernels.
    workers=
    "$python" -c 'import xdist' 2> /dev/null && workers="-n ${WORKERS:-8}"
    # shellcheck disable=SC2086
    timeout "${LIMIT_TESTS:-240}" "$python" -m pytest tests/gpu_device --gpu real --gpu-results "$out/results.json" \
        -q --tb=short -W default -p no:cacheprovider $workers > "$out/tests.log" 2>&1 || failed=1
    tail -3 "$out/tests.log"
    "$python" tests/gpu_device/report.py "$out/results.json" > "$out/report.md" || failed=1
fi
if [ "$what" = all ] || [ "$what" = benchmarks ]; then
    limit=${LIMIT_BENCHMARKS:-150}
    timeout "$limit" "$python" benchmarks/gpu.py --seconds $((limit - 15)) --out "$out/gpu.json" \
        > "$out/benchmarks.log" 2>&1 || failed=1
    tail -3 "$out/benchmarks.log"
    # What was measured until the time was up is there in any case.
    "$python" benchmarks/gpu.py --show --out "$out/gpu.json" --markdown "$out/gpu.md" > /dev/null || failed=1
    [ -f "$out/gpu.md" ] && cat "$out/gpu.md" >> "$out/report.md"
fi
exit $failed
