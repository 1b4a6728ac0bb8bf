#!/usr/bin/env python3
"""Prints what pip must download beside a wheel of torch for its CPU library to load: the CUDA runtime and CUPTI.

    scripts/torch_requirements.py torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl

The wheel states them itself, or the extras of the cuda-toolkit package that stand for them. A wheel without CUDA prints nothing.
"""
import re
import sys
import zipfile

NEEDED = ("cudart", "cupti")


def requirements(metadata):
    """From the METADATA of a wheel."""
    found = []
    for line in metadata.splitlines():
        if not (match := re.match(r"Requires-Dist: *([A-Za-z0-9._-]+) *(\[[^\]]*\])? *\(?([^;()]*)\)?", line)):
            continue
        name, extras, version = match[1], match[2] or "", match[3].strip()
        if name == "cuda-toolkit":
            wanted = [extra for extra in NEEDED if extra in re.split(r"[\[\], ]+", extras)]
            if wanted:
                found.append(f"{name}[{','.join(wanted)}]{version}")
        elif re.fullmatch(r"nvidia-cuda-(runtime|cupti)(-cu\d+)?", name):
            found.append(f"{name}{version}")
    return found


def main():
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        name = next(name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        print("\n".join(requirements(wheel.read(name).decode())))


if __name__ == "__main__":
    main()
