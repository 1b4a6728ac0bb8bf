#!/usr/bin/env python3
"""Benchmarks diffit against the same networks in eager PyTorch: runs both alternately and reports ratios with their range.

    ./dev bench                                   default benchmarks, about ten minutes on two cores
    ./dev bench --configs fashion-mnist --rounds 9
    ./dev bench --configs latent-256 --depth 28   full DiffiT-XL/2 as released, one guided evaluation (batch 2)
    ./dev bench --configs sample-256 --depth 28   sampling of it with guidance as released, images per second
    ./dev bench --configs features                Inception features, against pytorch-fid and torch-fidelity
    ./dev bench --configs scores                  precision and recall, Frechet distance, against torch-fidelity
    ./dev bench --markdown bench.md               writes the table with machine and commit
    ./dev bench --against REV                     against an earlier commit instead; see ./dev bench --against REV --help

A round runs both programs for a few seconds, one after the other. The ratio is computed within each round, so that changes
in machine speed affect both programs; above 1, diffit is faster. For latent models, `share` is the throughput of an evaluation,
including attention, relative to this machine's matrix product throughput (the faster of LibTorch's two operators, with the
same shapes in the same process).
"""
import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = {"smoke": 32, "fashion-mnist": 64, "cifar10": 16}  # with the number of images per pass
# All blocks are identical, so a few of them (--depth) are as informative as the released 28.
LATENT = {"latent-256": {"input_size": 32}, "latent-512": {"input_size": 64}}
LATENT_WHAT = {"latent-256": ["forward", "attention"], "latent-512": ["attention"]}
# Sampling of one latent with random weights, excluding loading. Only the released preset has a PyTorch counterpart.
SAMPLE = {"sample-256": {"ddpm-250": ["--preset", "diffit-256"],
                         "dpmpp2m-20": ["--sampler", "dpmpp2m", "--steps", "20", "--guidance", "4.4",
                                        "--guidance-schedule", "power-cosine:4"],
                         "unipc-12": ["--sampler", "unipc", "--steps", "12", "--guidance", "4.4",
                                      "--guidance-schedule", "power-cosine:4"]}}
# Metrics on random features, compared with torch-fidelity.
SCORES = {"scores": ["precision-recall", "frechet"]}
# Inception features of random images of that size.
FEATURES = {"features": [f"{rival}-{size}" for rival in ("pytorch-fid", "torch-fidelity") for size in (32, 256)]}
LATENT_MODEL = {"patch": 2, "hidden": 1152, "heads": 16, "mlp_ratio": 4.0, "classes": 1000, "in_channels": 4}
WHAT = ["train", "forward", "attention", *SAMPLE["sample-256"], *SCORES["scores"], *FEATURES["features"]]
LINE = "{:<15}{:<19}{:<6}{:>13}{:>22}{:>8}{:>9}{:>9}{:>7}"
MODEL_KEYS = ["resolution", "channels", "depth", "window", "head_dim", "mlp_ratio", "classes", "in_channels"]
OPEN = {"resolution": 32, "classes": 0, "in_channels": 3, "window": 4, "head_dim": 32, "mlp_ratio": 4.0}


def run(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=900)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def rates(args, config, what, dtype):
    """Returns pairs (ours, theirs) in images per second, one per round."""
    model = tomllib.loads((ROOT / "presets" / f"{config}.toml").read_text())["model"]
    model = {key: model.get(key, OPEN.get(key)) for key in MODEL_KEYS}
    batch = str(args.batch or CONFIGS[config])
    common = ["--what", what, "--dtype", dtype, "--batch", batch, "--seconds", str(args.seconds)]
    sets = [f"--set=model.{key}={model[key]}" for key in ("resolution", "in_channels", "classes")]
    threads = ["--threads", str(args.threads)]
    ours = [str(args.diffit), "bench", config, *sets, *common, *threads, "--rounds", "1", "--json"]
    theirs = [str(args.python), str(ROOT / "bench/rivals/measure.py"), "--config", json.dumps(model), *common, *threads]
    theirs += ["--channels-last"] * args.channels_last + ["--compile"] * args.compile
    pairs = []
    for _ in range(args.rounds):
        pairs.append((run(ours)["median"], run(theirs)["images_per_second"]))
    return pairs


def latent_rates(args, config, what, dtype):
    """Returns pairs for a latent model, and its share of the matrix product throughput."""
    model = LATENT_MODEL | LATENT[config] | {"depth": args.depth}
    batch = args.batch or 2
    common = ["--what", what, "--dtype", dtype, "--batch", str(batch), "--seconds", str(args.seconds)]
    common += ["--threads", str(args.threads)]
    sets = [f"--set=model.{key}={value}" for key, value in model.items()]
    ours = [str(args.diffit), "bench", "latent", *sets, *common, "--rounds", "1", "--json"]
    theirs = [str(args.python), str(ROOT / "bench/rivals/measure_latent.py"), "--config", json.dumps(model), *common]
    pairs, shares = [], []
    for _ in range(args.rounds):
        mine, rival = run(ours), run(theirs)
        pairs.append((1e3 * batch / mine["milliseconds"]["median"], 1e3 * batch / rival["milliseconds"]))
        shares.append(mine["share"]["median"])
    return pairs, shares


def sampled_rates(args, config, what, dtype, folder):
    """Returns pairs for a complete run of a sampler."""
    model = LATENT_MODEL | {"input_size": 32, "depth": args.depth}
    rival = [str(args.python), str(ROOT / "bench/rivals/sample_latent.py")]
    file = Path(folder) / "random.safetensors"
    if not file.exists():
        subprocess.run([*rival, "--write", str(file), "--config", json.dumps(model)], check=True)
    common = ["--dtype", dtype, "--threads", str(args.threads)]
    ours = [str(args.diffit), "sample", "-m", str(file), "-o", str(Path(folder) / "x.safetensors"), "--seeds", "0",
            "--classes", "207", *SAMPLE[config][what], *common, "--quiet", "--json"]
    pairs = []
    for _ in range(args.rounds):
        seconds = run(ours)["seconds"]
        theirs = run([*rival, "--model", str(file), *common])["seconds"] if what == "ddpm-250" else None
        pairs.append((1 / seconds, theirs and 1 / theirs))
    return pairs, []


def scored_rates(args, what):
    """Returns pairs in evaluations per second."""
    common = ["--what", what, "--threads", str(args.threads)]
    ours = [str(args.diffit), "bench", "scores", *common, "--rounds", "1", "--json"]
    theirs = [str(args.python), str(ROOT / "bench/rivals/measure_scores.py"), *common]
    return [(1 / run(ours)["median"], 1 / run(theirs)["seconds"]) for _ in range(args.rounds)], []


def feature_rates(args, what, dtype, folder):
    """Returns pairs in images per second. The other program computes in float32."""
    network, size = what.rsplit("-", 1)
    rival, weights = [str(args.python), str(ROOT / "bench/rivals/measure_features.py")], Path(folder) / "inception.safetensors"
    if not weights.exists():
        subprocess.run([*rival, "--write", str(weights)], check=True)
    common = ["--size", size, "--batch", str(args.batch or 50), "--seconds", str(args.seconds), "--threads", str(args.threads)]
    ours = [str(args.diffit), "bench", "features", "--features", str(weights), *common, "--dtype", dtype, "--rounds", "1", "--json"]
    theirs = [*rival, "--network", network, *common]
    return [(run(ours)["median"], run(theirs)["pictures_per_second"]) for _ in range(args.rounds)], []


def machine():
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; commit {commit.stdout.strip()}"


def measure(args, config, what, dtype, folder):
    if config in LATENT:
        return latent_rates(args, config, what, dtype)
    if config in SAMPLE:
        return sampled_rates(args, config, what, dtype, folder)
    if config in SCORES:
        return scored_rates(args, what)
    if config in FEATURES:
        return feature_rates(args, what, dtype, folder)
    return rates(args, config, what, dtype), []


def figure(value):
    return "" if value is None else f"{value:.4g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=[*CONFIGS, *LATENT],
                        choices=[*CONFIGS, *LATENT, *SAMPLE, *SCORES, *FEATURES])
    parser.add_argument("--what", nargs="+", default=[*WHAT], choices=WHAT)
    parser.add_argument("--depth", type=int, default=4, help="blocks of latent models; the released ones have 28")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--batch", type=int, default=0, help="images a pass; default: that of the configuration")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--channels-last", action="store_true", help="the rival in channels-last")
    parser.add_argument("--compile", action="store_true", help="the rival by torch.compile")
    parser.add_argument("--diffit", type=Path, default=ROOT / "bin/diffit")
    parser.add_argument("--python", type=Path, default=ROOT / ".deps/bench/bin/python")
    parser.add_argument("--json", type=Path, help="writes every figure there")
    parser.add_argument("--markdown", type=Path, help="writes the table there")
    args = parser.parse_args()
    rival = "torch.compile" if args.compile else "eager PyTorch"
    if args.compile or args.channels_last:
        args.configs = [config for config in args.configs if config in CONFIGS]

    head = ["config", "what", "dtype", "diffit img/s", f"{rival} img/s", "ratio", "lowest", "highest", "share"]
    print(f"{machine()}; {args.threads} threads, {args.rounds} rounds", flush=True)
    print(LINE.format(*head), flush=True)
    rows, figures = [], []
    wanted = {**dict.fromkeys(CONFIGS, ["train", "forward"]), **LATENT_WHAT, **SAMPLE, **SCORES, **FEATURES}
    cases = itertools.product(args.configs, args.what, args.dtypes)
    with tempfile.TemporaryDirectory() as folder:
        for config, what, dtype in cases:
            if what not in wanted[config] or (config in SCORES and dtype != "f32"):
                continue
            pairs, shares = measure(args, config, what, dtype, folder)
            ratios = [ours / theirs for ours, theirs in pairs if theirs]
            medians = [statistics.median(p[i] for p in pairs) if pairs[0][i] else None for i in (0, 1)]
            ratio = [f(ratios) for f in (statistics.median, min, max)] if ratios else [None] * 3
            row = [config, what, dtype, *map(figure, [*medians, *ratio]),
                   f"{statistics.median(shares):.0%}" if shares else ""]
            rows.append(row)
            figures.append({"config": config, "what": what, "dtype": dtype, "pairs": pairs, "shares": shares})
            print(LINE.format(*row), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rival": rival, "figures": figures}, indent=1) + "\n")
    if args.markdown:
        lines = ["# Speed", "", f"`./dev bench`, {args.rounds} rounds, {args.threads} threads. {machine()}.", "",
                 "| " + " | ".join(head) + " |", "|---|---|---|--:|--:|--:|--:|--:|--:|"]
        lines += ["| {} | {} | {} | {} | {} | **{}** | {} | {} | {} |".format(*row).replace("****", "") for row in rows]
        args.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
