"""Children made by fork compute the same as their parent, with threads of their own, and never hang."""
import os
import subprocess
import sys
import textwrap

import pytest

from . import child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

START = f"""
import os, signal, sys, threading, warnings
sys.path.append({str(child.REPOSITORY)!r})
import numpy as np
import mxlite as mx
from mxlite._core import cpu
warnings.simplefilter("ignore")                  # CPython warns of fork in a process with threads
mx.runtime.set_threads(4)
x = mx.nd.array(np.random.default_rng(0).standard_normal((300, 300)))
def compute():                                   # parallel: a product, a function, a sum
    return mx.nd.sum(mx.nd.exp(mx.nd.dot(x, x) * 0.01), axis=0).asnumpy()
def threads():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else None
def in_child(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)                         # a child that hangs ends with a signal
        try:
            os._exit(0 if work() else 3)
        except BaseException as e:
            print(repr(e), file=sys.stderr)
            os._exit(4)
    return os.waitpid(pid, 0)[1]
want = compute()
same = lambda: (compute() == want).all()
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", START + textwrap.dedent(code)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_has_threads_again():
    """Where the threads are ours: OpenMP's library loses its own in a fork, and the child is serial."""
    run("""
        def work():
            alone = threads()
            right = same() and cpu.forked()
            return right and (alone is None or (threads() > alone) == cpu.own_threads)
        assert threads() is None or threads() > 1
        assert [in_child(work) for _ in range(3)] == [0, 0, 0]
        assert same() and not cpu.forked()
        """)


def test_a_childs_child():
    run("""
        assert in_child(lambda: same() and in_child(lambda: same()) == 0 and same()) == 0
        assert same()
        """)


def test_a_fork_while_other_threads_are_in_regions():
    """The fork falls anywhere: into a region, between two, while threads fall asleep. Neither side notices."""
    run("""
        stop, wrong = threading.Event(), []
        def spin():
            while not stop.is_set():
                if not same():
                    wrong.append(1)
        others = [threading.Thread(target=spin) for _ in range(3)]
        for t in others:
            t.start()
        status = [in_child(same) for _ in range(25)]
        stop.set()
        for t in others:
            t.join()
        assert status == [0] * 25, status
        assert not wrong and same()
        """)


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_multiprocessing(how, tmp_path):
    """Workers as data loaders use them: batches computed in processes, while the parent trains."""
    script = tmp_path / "loader.py"
    script.write_text(textwrap.dedent(f"""
        import multiprocessing, sys, warnings
        sys.path.append({str(child.REPOSITORY)!r})
        import numpy as np
        import mxlite as mx
        warnings.simplefilter("ignore")

        def batch(seed):
            x = mx.nd.array(np.random.default_rng(seed).standard_normal((200, 200)))
            return mx.nd.dot(x, x).asnumpy()

        if __name__ == "__main__":
            mx.runtime.set_threads(3)
            want = [batch(i) for i in range(8)]
            with multiprocessing.get_context({how!r}).Pool(2) as pool:
                later = pool.map_async(batch, range(8))
                for i in range(8):
                    assert (batch(i) == want[i]).all()
                for got, w in zip(later.get(60), want):
                    assert (got == w).all()
        """))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
