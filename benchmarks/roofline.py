"""How much of this machine each hot kernel uses: its share of the measured FMA peak or of the measured bandwidth.

    python benchmarks/roofline.py [--threads N] [--match REGEX]

The peak is a loop of independent fused multiply-adds, the bandwidth loops that read, copy and add arrays far larger
than the caches, both compiled here with the system's C compiler (`cc`) and run on as many threads as the kernels. What
a machine gives changes from second to second where others use it too, so each kernel takes turns with its loop, and
medians are compared. A product or convolution is counted by its multiplications and additions, everything else by the
bytes that it must read and write once. Winograd's convolutions do less arithmetic than is counted, so they may pass
100 %; so may small arrays, which stay in the caches. With --threads 1 processor time is measured instead of real time.
"""
import argparse
import ctypes
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))      # where mxlite is not installed

C = r"""
#include <stddef.h>
#include <omp.h>
typedef float vec __attribute__((vector_size(LANES * 4)));
double fma_loop(long n, int threads)
{
    double kept = 0;
    #pragma omp parallel num_threads(threads) reduction(+:kept)
    {
        vec a[12], x, y;
        for (int i = 0; i < LANES; i++) x[i] = 0.999f, y[i] = 1e-3f;
        for (int j = 0; j < 12; j++) a[j] = x;
        for (long i = 0; i < n; i++)
            #pragma GCC unroll 12
            for (int j = 0; j < 12; j++) a[j] = a[j] * x + y;
        for (int j = 0; j < 12; j++) kept += a[j][0];
    }
    return kept;
}
#define STREAM(name, body) void name(float *restrict z, const float *restrict x, const float *restrict y, long n, \
    int threads) { \
    vec *Z = (vec *)z; const vec *X = (const vec *)x, *Y = (const vec *)y; (void)Y; \
    _Pragma("omp parallel for schedule(static) num_threads(threads)") \
    for (long i = 0; i < n / LANES; i++) body; }
STREAM(copy_loop, __builtin_nontemporal(&Z[i], X[i]))
STREAM(add_loop, __builtin_nontemporal(&Z[i], X[i] + Y[i]))
float read_loop(const float *x, long n, int threads)
{
    float total = 0;
    #pragma omp parallel num_threads(threads) reduction(+:total)
    {
        long from = n / LANES * omp_get_thread_num() / threads, to = n / LANES * (omp_get_thread_num() + 1) / threads;
        const vec *X = (const vec *)x;
        vec s[8];
        for (int j = 0; j < 8; j++) s[j] = X[0] * 0;
        for (long i = from; i + 8 <= to; i += 8)
            #pragma GCC unroll 8
            for (int j = 0; j < 8; j++) s[j] += X[i + j];
        for (int j = 0; j < 8; j++) total += s[j][0];
    }
    return total;
}
"""


def loops(threads):
    """{"fma", "read", "copy", "add": (function, what a call of it does in flop or bytes)}, compiled now. RuntimeError
    without a C compiler."""
    lanes = 16 if "avx512f" in open("/proc/cpuinfo").read() else 8
    bits = 32 * lanes
    store = f"_mm{bits}_stream_ps((float *)(p), (__m{bits})(v))"
    source = f"#include <immintrin.h>\n#define __builtin_nontemporal(p, v) {store}\n" + C
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "peak")
        with open(path + ".c", "w") as f:
            f.write(source)
        flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", f"-DLANES={lanes}"]
        done = subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", path + ".so", path + ".c"],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the C compiler failed:\n{done.stderr}")
        lib = ctypes.CDLL(path + ".so")
    lib.fma_loop.restype, lib.read_loop.restype = ctypes.c_double, ctypes.c_float
    n, size = 4_000_000, 1 << 25
    x, y, z = (aligned(size) for _ in range(3))
    px, py, pz = (ctypes.c_void_p(a.ctypes.data) for a in (x, y, z))
    long = ctypes.c_long
    keep = (x, y, z)
    return {"fma": (lambda: lib.fma_loop(long(n), threads), 24 * lanes * n * threads),
            "read": (lambda: lib.read_loop(px, long(size), threads), 4 * size),
            "copy": (lambda: lib.copy_loop(pz, px, py, long(size), threads), 8 * size),
            "add": (lambda: lib.add_loop(pz, px, py, long(size), threads) or keep, 12 * size)}


def aligned(size):
    a = np.ones(size + 16, "float32")
    start = -a.ctypes.data % 64 // 4
    return a[start:start + size]


def kernels(mx):
    """(name, symbol, shapes by argument, kind, work): work in flop where kind is "fma", else in bytes."""
    sym, var = mx.sym, mx.sym.Variable
    x, y, w = var("x"), var("y"), var("w")
    for n in (256, 1024, 2048):
        yield f"dot {n}", sym.dot(x, y), {"x": (n, n), "y": (n, n)}, "fma", 2 * n**3
    yield "FullyConnected 64x784 -> 128", sym.FullyConnected(x, w, no_bias=True, num_hidden=128), \
        {"x": (64, 784), "w": (128, 784)}, "fma", 2 * 64 * 784 * 128
    for c, side, k, kernel, stride in ((64, 56, 64, 3, 1), (256, 14, 256, 3, 1), (64, 56, 256, 1, 1),
                                       (1024, 14, 256, 1, 1), (3, 224, 64, 7, 2), (128, 56, 128, 3, 2)):
        given = dict(kernel=(kernel,) * 2, stride=(stride,) * 2, pad=(kernel // 2,) * 2, num_filter=k, no_bias=True)
        out, xs, ws = (side + 2 * (kernel // 2) - kernel) // stride + 1, (16, c, side, side), (k, c, kernel, kernel)
        flop = 2 * 16 * out * out * k * c * kernel**2
        text = f"{c},{side},{k} {kernel}x{kernel}/{stride} b16"
        yield f"Convolution {text}", sym.Convolution(x, w, **given), {"x": xs, "w": ws}, "fma", flop
        if c > 3:
            yield "  its dX", sym._conv_dgrad(y, w, shape=xs, **given), {"y": (16, k, out, out), "w": ws}, "fma", flop
        yield "  its dW", sym._conv_wgrad(y, x, shape=ws, **given), {"y": (16, k, out, out), "x": xs}, "fma", flop
    depth = dict(kernel=(3, 3), pad=(1, 1), num_filter=128, num_group=128, no_bias=True)
    maps = (16, 128, 56, 56)
    size = 4 * int(np.prod(maps))
    yield "depthwise 128,56 3x3 b16", sym.Convolution(x, w, **depth), {"x": maps, "w": (128, 1, 3, 3)}, "copy", 2 * size
    flat, n = {"x": (1 << 24,)}, 4 << 24
    for op in ("relu", "exp", "log", "tanh", "sigmoid"):
        yield f"{op} 16M", getattr(sym, op)(x), flat, "copy", 2 * n
    yield "add 16M", x + y, {**flat, "y": (1 << 24,)}, "add", 3 * n
    yield "softmax 4096x1000", sym.softmax(x, axis=-1), {"x": (4096, 1000)}, "copy", 8 * 4096 * 1000
    yield "chain of 4 16M: relu(x * y + z) * 0.5", sym.relu(x * y + var("z")) * 0.5, \
        {**flat, "y": (1 << 24,), "z": (1 << 24,)}, "add", 4 * n
    g, b = var("g"), var("b")
    vectors = {"g": (1024,), "b": (1024,)}
    yield "LayerNorm 16384x1024", sym.LayerNorm(x, g, b), {"x": (16384, 1024), **vectors}, "copy", 2 * n
    yield "  its gradient", sym._backward_LayerNorm(y, x, g), \
        {"y": (16384, 1024), "x": (16384, 1024), "g": (1024,)}, "add", 3 * n
    planes, channels = (64, 64, 64, 64), {k: (64,) for k in "gbmv"}
    state = {"moving_mean": var("s"), "moving_var": var("t")}
    yield "BatchNorm 64,64,64,64, training", sym.BatchNorm(x, g, b, fix_gamma=False, **state), \
        {"x": planes, "g": (64,), "b": (64,)}, "copy", 2 * n
    yield "  its gradient", sym._backward_BatchNorm(y, x, g, var("m"), var("v"), fix_gamma=False, **state), \
        {"y": planes, "x": planes, **{k: channels[k] for k in "gmv"}}, "add", 3 * n
    for op in ("sum", "max"):
        yield f"{op} axis 1, 4096x4096", getattr(sym, op)(x, axis=1), {"x": (4096, 4096)}, "read", n
    yield "mean axis (0, 2, 3), 16,64,112,112", sym.mean(x, axis=(0, 2, 3)), {"x": (16, 64, 112, 112)}, "read", \
        4 * 16 * 64 * 112**2
    yield "concat axis 1, 2 of 4096x2048", sym.Concat(x, y, dim=1), \
        {"x": (4096, 2048), "y": (4096, 2048)}, "copy", 2 * n
    yield "sum axis 0, 4096x4096", sym.sum(x, axis=0), {"x": (4096, 4096)}, "read", n
    yield "transpose 4096x4096", sym.transpose(x), {"x": (4096, 4096)}, "copy", 2 * n
    yield "max-pool 3x3/2 16,64,112,112", sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"), \
        {"x": (16, 64, 112, 112)}, "copy", 4 * 16 * 64 * (112**2 + 56**2)


def seconds(mx, net, shapes, clock, loop, rounds=9):
    """Median times of a bound forward (in training where there are auxiliary states) and of `loop`."""
    rng = np.random.default_rng(0)
    made = net.simple_bind(mx.cpu(), grad_req="null", **shapes)
    for array in (*made.arg_arrays, *made.aux_arrays):
        array[:] = rng.random(array.shape, "float32") + 0.5
    is_train, turns = bool(made.aux_arrays), []
    for run in (lambda: made.forward(is_train=is_train), loop):
        run()
        began = clock()
        run()
        turns.append((run, max(1, int(0.02 / (clock() - began))), []))
    for _ in range(rounds):
        for run, calls, spent in turns:
            began = clock()
            for _ in range(calls):
                run()
            spent.append((clock() - began) / calls)
    return [statistics.median(spent) for _, _, spent in turns]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="default: as mxlite, all cores")
    parser.add_argument("--match", default="", help="regular expression that a kernel's name must contain")
    options = parser.parse_args()
    import mxlite as mx
    if options.threads:
        mx.runtime.set_threads(options.threads)
    threads = mx.runtime.get_threads()
    clock = time.process_time if threads == 1 else time.perf_counter    # others do not disturb the former
    peak = loops(threads)
    print(f"{threads} threads, {mx.runtime.get_isa()}")
    print(f"{'':44s}{'time':>10s}{'rate':>14s}{'loop':>9s}{'share':>7s}")
    for name, net, shapes, kind, work in kernels(mx):
        if re.search(options.match, name):
            loop, does = peak[kind]
            spent, reference = seconds(mx, net, shapes, clock, loop)
            rate, most = work / spent / 1e9, does / reference / 1e9
            print(f"{name:44s}{spent * 1e3:7.3f} ms{rate:9.1f} {'GF/s' if kind == 'fma' else 'GB/s'}{most:9.1f}"
                  f"{rate / most:7.0%} of {kind}", flush=True)


if __name__ == "__main__":
    main()
