#!/usr/bin/env python3
"""Plots the training loss of runs over the number of images from their stats.jsonl. Requires matplotlib.

    scripts/loss_curve.py RUN/stats.jsonl -o models/fashion-mnist-loss.svg
"""
import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

matplotlib.rcParams.update({"svg.hashsalt": "diffit", "font.size": 9})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stats", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
    for path in args.stats:
        rows = [row for row in map(json.loads, path.read_text().splitlines()) if "loss" in row]
        kimg = [row["images"] / 1000 for row in rows]
        label = path.name.removesuffix(".jsonl").removesuffix(".stats") if len(args.stats) > 1 else None
        axes.plot(kimg, [row["loss"] for row in rows], linewidth=0.9, label=label)
    axes.set(xlabel="thousand images shown", ylabel="training loss", yscale="log")
    axes.grid(True, which="both", linewidth=0.3)
    if len(args.stats) > 1:
        axes.legend()
    figure.savefig(args.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
