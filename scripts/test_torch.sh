#!/usr/bin/env bash
# Runs tests/peers against PyTorch, where a CPU build is to be had.
#
# On Linux the package index serves PyTorch's CUDA build, which does not even import without gigabytes of CUDA libraries; there the
# distribution's own CPU build is used (Debian: apt install python3-torch), or the interpreter that TORCH_PYTHON names.
# From make: PEERS, VENV (where the environment goes), TORCH_PYTHON, PYTHONPATH.
set -euo pipefail

if "$PEERS/bin/python" -c 'import torch' >/dev/null 2>&1; then
    exit 0 # the run in $PEERS has tested it already
fi

usable() {
    "$1" -c 'import sys, venv, ensurepip, torch; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

found=
for python in ${TORCH_PYTHON:-/usr/bin/python3 python3}; do
    if usable "$python"; then
        found=$python
        break
    fi
done
if [ -z "$found" ]; then
    if [ -n "${TORCH_PYTHON:-}" ]; then
        echo "TORCH_PYTHON=$TORCH_PYTHON is not a Python 3.11 or newer that imports torch and venv" >&2
        exit 1
    fi
    echo "PyTorch: skipped. The package index has only the CUDA build for this system; 'apt install python3-torch python3-venv'" \
        "or TORCH_PYTHON=<an interpreter that imports torch> brings these tests in."
    exit 0
fi

# NumPy 1: Debian's PyTorch is built against it, and so the oldest NumPy that foliot supports is tried as well.
if [ ! -e "$VENV/stamp" ] || [ pyproject.toml -nt "$VENV/stamp" ]; then
    "$found" -m venv --clear --system-site-packages "$VENV"
    "$VENV/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
    "$VENV/bin/python" -m pip install --quiet --group peers-torch
    touch "$VENV/stamp"
fi
"$VENV/bin/python" -c 'import numpy, torch; print("PyTorch", torch.__version__, "with NumPy", numpy.__version__)'
"$VENV/bin/python" -m pytest tests/peers
