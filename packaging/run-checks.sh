#!/bin/sh
# Checks an unpacked diffit on this machine: correctness first, then speed against torch in the same run.
#   run-checks.sh [--device cpu|cuda] [--seconds N] [--json FILE] [--diffit FOLDER]
# The folder of diffit is searched beside this one; python3 (or PYTHON) must have torch and NumPy.
set -eu
here=$(dirname "$(readlink -f "$0")")
exec "${PYTHON:-python3}" "$here/checks.py" "$@"
