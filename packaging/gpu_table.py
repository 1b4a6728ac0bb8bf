"""The speed table of a GPU: `diffit bench` against the same networks by torch.compile, in one run on one machine."""

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CIFAR10 = {"resolution": 32, "channels": [128, 256, 256], "depth": [2, 2, 2], "window": 4, "head_dim": 32, "mlp_ratio": 4.0,
           "classes": 0, "in_channels": 3}
FASHION = {"resolution": 32, "channels": [32, 64, 64], "depth": [1, 1, 1], "window": 4, "head_dim": 16, "mlp_ratio": 2.0,
           "classes": 10, "in_channels": 1}
XL2 = {"input_size": 32, "patch": 2, "hidden": 1152, "depth": 28, "heads": 16, "mlp_ratio": 4.0, "classes": 1000,
       "in_channels": 4}
ONE_AVERAGE = ["--set", "ema.power=[]"]
# Name, arguments of `diffit bench`, model and configuration of measure_cuda.py, more arguments of it.
ROWS = [
    ("CIFAR-10 network, training, batch 512", ["cifar10", "--batch", "512"], "image", CIFAR10,
     ["--what", "train", "--batch", "512", "--compile"]),
    ("DiffiT-XL/2 at 256, training, batch 64", ["imagenet256", "--batch", "64", *ONE_AVERAGE], "latent", XL2,
     ["--what", "train", "--batch", "64", "--averages", "1", "--compile"]),
    ("DiffiT-XL/2 at 256, evaluation, batch 64", ["latent", "--batch", "64"], "latent", XL2,
     ["--what", "forward", "--batch", "64", "--compile"]),
    ("DiffiT-XL/2 at 256, evaluation, batch 2", ["latent", "--batch", "2"], "latent", XL2,
     ["--what", "forward", "--batch", "2", "--compile"]),
    ("CIFAR-10 network, evaluation, batch 512", ["cifar10", "--batch", "512", "--what", "forward"], "image", CIFAR10,
     ["--what", "forward", "--batch", "512", "--compile"]),
    ("Fashion-MNIST network, training, batch 128", ["fashion-mnist", "--batch", "128"], "image", FASHION,
     ["--what", "train", "--batch", "128"]),
]


def run(command, seconds, env=None):
    """The JSON that a command prints, or a reason why there is none."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=max(seconds, 1), env=env)
        return json.loads(ended.stdout.splitlines()[-1]), ""
    except subprocess.TimeoutExpired:
        return None, "it did not end within the time limit"
    except (ValueError, IndexError):
        return None, (ended.stderr.strip().splitlines() or ["no result"])[-1][:100]


def rates(result):
    """Images per second of each round."""
    if "images_per_second" in result:
        return result["images_per_second"]
    return [1e3 * result["batch"] / milliseconds for milliseconds in result["milliseconds"]["all"]]


def kernels(program, left):
    """Every kernel against its definition in float32: `diffit bench kernels` fails where one differs."""
    result, reason = run([program, "bench", "kernels", "--device", "cuda", "--dtype", "bf16", "--rounds", "3", "--seconds", "0.1",
                          "--json"], left)
    if result is None:
        raise AssertionError(reason)
    return f"{len(result['results'])} kernels agree with their definitions"


def measure(checks, place):
    program = place / "bin/diffit"
    env = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for name, ours, model, config, theirs in ROWS:
        measured = []
        for what, command in (
                ("diffit", [program, "bench", *ours, "--device", "cuda", "--dtype", "bf16", "--rounds", "5", "--seconds", "0.5",
                            "--json"]),
                ("torch.compile" if "--compile" in theirs else "torch, eager",
                 [sys.executable, HERE / "rivals/measure_cuda.py", "--model", model, "--config", json.dumps(config), *theirs,
                  "--rounds", "5", "--seconds", "0.5"])):
            result, reason = (None, "no time left") if checks.left() < 10 else run(command, checks.left(), env)
            all_rates = None if result is None else sorted(rates(result))
            measured.append(all_rates)
            if all_rates is None:
                checks.speed(name, what, None, reason)
            else:
                checks.speed(name, what, all_rates[len(all_rates) // 2],
                             f"images/s ({all_rates[0]:.0f} to {all_rates[-1]:.0f})" +
                             (f", {share(result):.0%} of the GPU's matrix products" if share(result) else ""))
        if all(measured):
            ours_rate, their_rate = (sorted(one)[len(one) // 2] for one in measured)
            checks.speed(name, "ratio", ours_rate / their_rate, "times")


def share(result):
    value = result.get("share")
    return value["median"] if isinstance(value, dict) else value
