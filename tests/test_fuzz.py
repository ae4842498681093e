"""Random calls of every operator, imperatively and through bind, in subprocesses: whatever the arguments, the answer
is a result or an error that a caller expects; no crash, no hang. tests/fuzz_worker.py says how; ``MXLITE_FUZZ=7:200``
asks for other cases: seed 7, 200 of every operator."""
import os
import random
import subprocess

import pytest

from mxlite.ops import RECORDS

from . import child

GROUPS = 8
SEED, ROUNDS = map(int, os.environ.get("MXLITE_FUZZ", "1:40").split(":"))
NAMES = sorted(RECORDS)
random.Random(0).shuffle(NAMES)         # slow operators stand side by side in the alphabet


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_calls(group, tmp_path):
    log = tmp_path / "running"
    try:
        done = child.run("tests.fuzz_worker", SEED, ROUNDS, log, *NAMES[group::GROUPS], seconds=300)
    except subprocess.TimeoutExpired:
        pytest.fail(f"hangs in {log.read_text()}")
    assert done.returncode in (0, 1), f"died with status {done.returncode} in {log.read_text()}\n{done.stderr}"
    assert done.returncode == 0, done.stdout[-8000:]
    print(done.stdout)
