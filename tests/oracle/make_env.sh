#!/bin/sh
# Make <repository>/.oracle, the virtual environment with the real MXNet 1.9.1 that tests/oracle compares with.
# Needs Python 3.11 (from PATH, or pyenv) and pip's network. Running it again changes nothing.
set -eu

env=$(cd "$(dirname "$0")/../.." && pwd)/.oracle
packages="mxnet==1.9.1 numpy==1.23.5 scipy==1.10.1"

complete() {
    "$env/bin/python" -I -c '
import numpy, scipy
numpy.bool = bool                       # mxnet 1.9.1 uses the old alias at import
import mxnet
assert (mxnet.__version__, numpy.__version__, scipy.__version__) == ("1.9.1", "1.23.5", "1.10.1")
' 2>/dev/null
}

# Asked to run, not only found: a pyenv shim stands in PATH even where no such version is active.
find_python() {
    for python in python3.11 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11*/bin/python; do
        if "$python" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

if complete; then
    echo "$env is complete"
    exit 0
fi
python=$(find_python) || {
    echo "make_env.sh: no Python 3.11 (with venv) in PATH or pyenv; mxnet 1.9.1 needs one: pyenv install 3.11" >&2
    exit 1
}
"$python" -m venv --clear "$env"
# shellcheck disable=SC2086     # one word a package
"$env/bin/python" -m pip install --quiet --disable-pip-version-check $packages
complete || {
    echo "make_env.sh: $env was installed, but does not import mxnet 1.9.1" >&2
    exit 1
}
echo "$env is ready"
