#!/usr/bin/env python3
"""Scores the bundled models by the bundled feature network, against the 10,000 held-out images of Fashion-MNIST.

    scripts/score_models.py --out scores                 all rows; an interrupted run resumes
    scripts/score_models.py --out scores --only latent   rows whose name contains "latent"
    scripts/score_models.py --out scores --table         results so far, as the table of models/README.md

Each row is one `diffit sample` and one `diffit eval`; its result is a JSON file in the output folder and includes the command.
"""
import argparse
import json
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("/usr/share/datasets/fashion-mnist")
IMAGE = ["-m", "fashion-mnist"]
LATENT = ["-m", "fashion-latent", "--guidance-channels", "all"]


def rows():
    """Yields (name, number of images, options of `diffit sample`)."""
    yield "image, 18 steps", 10000, [*IMAGE, "--steps", "18"]
    yield "latent, dpmpp2m 10, guidance 2", 10000, [*LATENT, "--sampler", "dpmpp2m", "--steps", "10", "--guidance", "2"]
    for guidance in ["1", "1.5", "2", "3"]:
        yield (f"latent sweep, dpmpp2m 20, guidance {guidance}", 1000,
               [*LATENT, "--sampler", "dpmpp2m", "--steps", "20", "--guidance", guidance])
    for sampler, steps in [("dpmpp2m", 5), ("dpmpp2m", 10), ("dpmpp2m", 40), ("unipc", 10), ("ddim", 20), ("ddpm", 50)]:
        yield (f"latent sweep, {sampler} {steps}, guidance 1.5", 1000,
               [*LATENT, "--sampler", sampler, "--steps", str(steps), "--guidance", "1.5"])
    for steps in [5, 8, 12, 18]:
        yield f"image sweep, {steps} steps", 1000, [*IMAGE, "--steps", str(steps)]
    for guidance in ["1.25", "1.5"]:
        yield f"image sweep, 8 steps, guidance {guidance}", 1000, [*IMAGE, "--steps", "8", "--guidance", guidance]


def diffit(args, *words):
    done = subprocess.run([str(args.diffit), *map(str, words), "--threads", str(args.threads), "--json"],
                          stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def references(args):
    """Held-out images and as many training images, padded to the models' size."""
    for split, name in [("test", "t10k"), ("train", "train")]:
        out = args.out / f"{split}.zip"
        if not out.exists():
            diffit(args, "data", "convert", DATA / f"{name}-images-idx3-ubyte.gz", out, "--size", 32)
    return args.out / "test.zip", args.out / "train.zip"


def slug(name):
    return "".join(c if c.isalnum() else "-" for c in name).replace("--", "-")


def measure(args, test, name, count, options):
    result = args.out / f"{slug(name)}.json"
    if result.exists():
        return
    samples = args.out / f"{slug(name)}.npz"
    words = ["sample", *options, "-n", count, "--classes", "all", "--dtype", "bf16", "-o", samples]
    start = time.monotonic()
    if not samples.exists():
        diffit(args, *words)
    seconds = time.monotonic() - start
    scores = diffit(args, "eval", samples, test, "--features", "fashion-net")
    command = " ".join(["diffit", *map(str, words[:-1]), "samples.npz"])
    result.write_text(json.dumps({"name": name, "pictures": count, "command": command, "seconds": seconds,
                                  "scores": scores}, indent=1) + "\n")
    print(f"{name}: {scores['fd_fashionnet']:.3f}, {seconds:.0f} s", flush=True)


def figure(scores, key, digits):
    if key not in scores:
        return ""
    text = f"{scores[key]:.{digits}f}"
    low, high = scores["intervals"].get(key, (None, None))
    return text if low is None else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def table(args):
    lines = ["| | images | FD-FashionNet | KID x 1000 | precision | recall |", "|---|--:|--:|--:|--:|--:|"]
    names = ["training images (the floor)", *[name for name, _, _ in rows()]]
    for name in names:
        path = args.out / f"{slug(name)}.json"
        if not path.exists():
            continue
        row = json.loads(path.read_text())
        s = row["scores"]
        thousand = {"kid": 1000 * s["kid"], "intervals": {"kid": [1000 * v for v in s["intervals"]["kid"]]}}
        lines.append(f"| {name} | {row['pictures']} | {figure(s, 'fd_fashionnet', 3)} | {figure(thousand, 'kid', 2)} | "
                     f"{figure(s, 'precision', 3)} | {figure(s, 'recall', 3)} |")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="rows whose name holds that")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--diffit", type=Path, default=ROOT / "bin/diffit")
    args = parser.parse_args()
    if args.table:
        return table(args)
    args.out.mkdir(parents=True, exist_ok=True)
    test, train = references(args)
    floor = args.out / f"{slug('training images (the floor)')}.json"
    if not floor.exists():
        scores = diffit(args, "eval", train, test, "--features", "fashion-net", "--limit", 10000)
        floor.write_text(json.dumps({"name": "training images (the floor)", "pictures": 10000,
                                     "command": "diffit eval train.zip test.zip --features fashion-net --limit 10000",
                                     "scores": scores}, indent=1) + "\n")
    for name, count, options in rows():
        if args.only in name:
            measure(args, test, name, count, options)
    table(args)


if __name__ == "__main__":
    main()
