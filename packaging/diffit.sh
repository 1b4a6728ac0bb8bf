#!/bin/sh
# Starts the program of this folder beside the torch that is installed: that of DIFFIT_TORCH (the folder torch of a
# site-packages), or the one that python3 finds.
set -eu
here=$(dirname "$(readlink -f "$0")")/../lib/diffit
torch=${DIFFIT_TORCH:-}
if [ -z "$torch" ]; then
  torch=$("${PYTHON:-python3}" -c 'import importlib.util as u
s = u.find_spec("torch")
print(s.submodule_search_locations[0] if s else "")' 2>/dev/null) || torch=
fi
if [ ! -e "$torch/lib/libtorch_cpu.so" ]; then
  echo "error: torch was not found${torch:+ in $torch}: set DIFFIT_TORCH=/path/to/site-packages/torch, or make 'import torch' work in python3" >&2
  exit 1
fi
version=$(sed -n "s/^__version__ *= *['\"]\([0-9]*\.[0-9]*\).*/\1/p" "$torch/version.py" 2>/dev/null) || version=
if [ ! -x "$here/lib/torch-$version/diffit" ]; then
  built=$(cd "$here/lib" && echo torch-* | sed 's/torch-//g')
  echo "error: $torch has version ${version:-unknown}, wanted one of: $built" >&2
  exit 1
fi
libraries=$torch/lib
for folder in "$torch"/../nvidia/*/lib; do
  [ ! -d "$folder" ] || libraries=$libraries:$folder
done
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$here/lib/torch-$version/diffit" "$@"
