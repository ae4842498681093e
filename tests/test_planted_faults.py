"""Tests that cannot fail are worse than none: with a fault planted, the suite must turn red, and green without it."""
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
# fault -> which tests should notice
CASES = {"gradient": ["test_ops.py", "-k", "test_gradient and tanh-"],
         "inplace": ["test_ops.py", "-k", "test_inplace and reverse-"],
         "shape": ["test_ops.py", "-k", "test_inference and transpose-"],
         "kernel": ["test_ops.py", "-k", "test_kernel and exp-"],
         "dtype": ["test_ops.py", "-k", "test_inference and argmax-"],
         "overlap": ["test_plan.py"]}


def run(arguments, fault):
    """pytest's exit code on the given tests, with `fault` planted or None."""
    path, *rest = arguments
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", os.path.join(HERE, path), *rest]
    env = dict(os.environ)
    if fault:
        command += ["-p", "plant"]
        env["MXLITE_PLANT"] = fault
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, env.get("PYTHONPATH")]))
    done = subprocess.run(command, cwd=os.path.dirname(HERE), env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr      # tests ran, and passed or failed
    return done.returncode


@pytest.mark.parametrize("fault", sorted(CASES))
def test_a_planted_fault_is_noticed(fault):
    assert run(CASES[fault], None) == 0
    assert run(CASES[fault], fault) == 1
