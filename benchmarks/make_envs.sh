#!/bin/sh
# The environments that benchmarks/compare.py compares with: real MXNet 1.9.1 in .oracle, PyTorch (CPU) in .torch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/../tests/oracle/make_env.sh"
bash "$here/make_torch.sh"
