#!/usr/bin/env python3
"""Checks that each layer includes only the layers it may depend on (docs/architecture.md), and other rules for src/."""

import pathlib
import re
import sys

LAYERS = ["base", "config", "io", "runtime", "kernels", "nn", "diffusion", "model", "data", "dist", "train", "metrics", "analysis", "plot",
          "report", "jobs", "capi", "server"]
# Layers that a layer may include, if fewer than all layers listed before it.
SEES = {"base": [], "config": ["base"], "io": ["base", "config"], "runtime": ["base"], "kernels": ["base", "runtime"],
        "data": ["base", "config", "io"], "dist": ["base", "runtime"], "plot": ["base", "config", "io"],
        "server": ["base", "config", "io", "data", "plot"],  # and the public headers
        "metrics": LAYERS[: LAYERS.index("dist")]}
TORCH_FREE = {"base", "config", "io", "data", "plot", "server"}
TORCH = re.compile(r"(ATen|c10|torch)/")
# Only tools/ may print or exit.
PRINTS = re.compile(r"\bstd::(cout|cerr|clog|printf|exit|abort|_Exit)\b|\bfmt::print\b|(?<![\w:.>])(printf|exit|abort)\(")
# In files that are compiled without OpenMP, which all but one are, it runs on one thread.
SERIAL = re.compile(r"\bat::parallel_for\(")
LONGEST = 500


def complaints(path: pathlib.Path, layer: str):
    above = SEES.get(layer, LAYERS[: LAYERS.index(layer)]) + [layer]
    test = path.stem.endswith("_test") or path.stem == "testing"
    text = path.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        if included := re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line):
            name = included[1]
            if TORCH.match(name) and layer in TORCH_FREE:
                yield number, f"{layer}/ is free of torch, but includes {name}"
            other = name.split("/")[0]
            if other in LAYERS and other not in above:
                yield number, f"{layer}/ lies above {other}/, but includes {name}"
        elif SERIAL.search(line) and path.name != "parallel.cpp":
            yield number, "at::parallel_for runs on one thread here: use runtime/parallel.h"
        elif not test and PRINTS.search(line.split("//")[0]):
            yield number, f"a library neither prints nor exits: {line.strip()}"
    if (length := text.count("\n")) > LONGEST:
        yield length, f"{length} lines: is it one thing?"


def main() -> int:
    found = 0
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    for path in sorted(root.rglob("*")):
        if path.suffix not in {".h", ".cpp", ".cu", ".cuh"}:
            continue
        layer = path.relative_to(root).parts[0]
        if layer not in LAYERS:
            print(f"src/{layer}: not in the list of layers of {pathlib.Path(__file__).name}")
            found += 1
            continue
        for number, text in complaints(path, layer):
            print(f"{path.relative_to(root.parent)}:{number}: {text}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
