#!/usr/bin/env bash
# Makes .torch: an environment with PyTorch's CPU build, for the benchmarks alone.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .torch/bin/python ] && .torch/bin/python -c "import torch" 2>/dev/null && { echo ".torch is there already"; exit 0; }
python3.11 -m venv .torch
.torch/bin/pip install --quiet "torch==2.13.0" numpy
.torch/bin/python -c "import torch; print('torch', torch.__version__)"
