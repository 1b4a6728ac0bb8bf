"""Every command that writes, with each of its calls to the file system failing in turn (tests/faults/faults.c).

After a call has failed the program ends with 1 and one line, or with 0 and the right result; what it was to write is
there whole, as it was before or as it would be; and the same command typed again gives the right result and leaves
nothing else behind. Short writes and EINTR change nothing at all.

DIFFIT_FAULTS=all tries every call in every way; without it a few of each command are tried.
"""

import concurrent.futures
import errno
import json
import os
import random
import shutil
import subprocess

import formats
import numpy as np
import pytest
from conftest import BINARY, GOLDEN, run, small_experiment
from machine import faults  # noqa: F401

ALL = os.environ.get("DIFFIT_FAULTS") == "all"
TRIED = 3  # calls of each command
RECORDS = ("events.out.tfevents", "log.txt", "stats.jsonl")  # hold times, and may lack lines
TRAIN = ["--set", "train.batch=8", "--set", "train.dtype=f32", "--threads", "1", "--set", "sample.pictures=1", "--set",
         "sample.steps=2", "--set", "train.images=16", "--set", "train.snapshot_images=8"]

VAE = """
[model]
model = "vae"
channels = [4, 8]
blocks = 1
norm_groups = 2
latent_channels = 2
[train]
images = 16
batch = 8
dtype = "f32"
snapshot_images = 8
[sample]
pictures = 2
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, image_model, latent_model, small_data):
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    shutil.copy(image_model, folder / "image.safetensors")
    shutil.copy(latent_model, folder / "latent.safetensors")
    formats.edm_zip(folder / "data.zip", rng.integers(0, 255, (12, 16, 16), dtype=np.uint8), rng.integers(0, 4, 12))
    formats.edm_zip(folder / "grey.zip", rng.integers(0, 255, (12, 28, 28), dtype=np.uint8))
    np.savez(folder / "a.npz", arr_0=rng.integers(0, 255, (12, 28, 28, 1), dtype=np.uint8))
    tensors, metadata = formats.read_safetensors(GOLDEN / "vae/small.safetensors")
    formats.write_safetensors(folder / "vae.safetensors", {name[8:]: value for name, value in tensors.items()
                                                           if name.startswith("weights.")},
                              {"diffit.config": metadata["diffit.config"]})
    formats.write_safetensors(folder / "latents.safetensors", {"latents": tensors["in.z"].astype(np.float32)})
    formats.edm_zip(folder / "rgb.zip", rng.integers(0, 255, (6, 16, 16, 3), dtype=np.uint8))
    np.savez(folder / "rgb.npz", arr_0=rng.integers(0, 255, (3, 16, 16, 3), dtype=np.uint8))
    formats.write_safetensors(folder / "in.safetensors", {
        "x": rng.normal(size=(2, 3, 16, 16)).astype(np.float32), "sigma": np.array([0.5, 2], np.float32),
        "y": np.array([1, 2], np.int64)})
    formats.edm_zip(folder / "set.zip", rng.integers(0, 255, (120, 16, 16), dtype=np.uint8))
    small_experiment(folder)
    small_experiment(folder, "scored.toml", snapshots=2, score="[score]\nfeatures = \"fashion-net\"\npictures = 60\nsteps = 2\n")
    (folder / "vae.toml").write_text(VAE)
    run("data", "encode", folder / "rgb.zip", folder / "cache", "--vae", folder / "vae.safetensors", "--threads", "1")
    run("train", folder / "base.toml", "--data", folder / "data.zip", "--out", folder / "run", "--threads", "1")
    return folder


# Name: what is typed in an empty folder, IN being that of the inputs.
SAMPLE = ["sample", "-m", "IN/image.safetensors", "-n", "5", "--steps", "2", "--threads", "1", "--batch", "2"]
LATENT = ["sample", "-m", "IN/latent.safetensors", "--vae", "IN/vae.safetensors", "-n", "3", "--steps", "2", "--threads", "1",
          "--batch", "2"]
EXPLAIN = ["explain", "-m", "IN/image.safetensors", "--levels", "2", "-n", "2", "--threads", "1"]
COMMANDS = {
    "sample-png": [*SAMPLE, "-o", "x.png"],
    "sample-npz": [*SAMPLE, "-o", "x.npz", "--classes", "all"],
    "sample-safetensors": [*SAMPLE, "-o", "x.safetensors"],
    "sample-folder": [*SAMPLE, "-o", "x/"],
    "sample-vae-png": [*LATENT, "-o", "x.png"],
    "sample-vae-npz": [*LATENT, "-o", "x.npz"],
    "sample-vae-folder": [*LATENT, "-o", "x/"],
    "train-latent": ["train", "latent-smoke", "--data", "IN/cache", "--out", "run", *TRAIN, "--set",
                     "sample.vae=IN/vae.safetensors", "--set", "train.label_dropout=0", "--resume"],
    "train-vae": ["train", "IN/vae.toml", "--data", "IN/rgb.zip", "--out", "run", "--threads", "1", "--resume"],
    "train": ["train", "smoke", "--data", "IN/data.zip", "--out", "run", *TRAIN, "--resume"],
    "data-convert": ["data", "convert", "IN/data.zip", "x.zip", "--threads", "1"],
    "data-preview": ["data", "preview", "IN/data.zip", "-o", "x.png"],
    "data-encode": ["data", "encode", "IN/rgb.zip", "x", "--vae", "IN/vae.safetensors", "--threads", "1"],
    "vae-encode": ["vae", "encode", "--vae", "IN/vae.safetensors", "-i", "IN/rgb.npz", "-o", "x.safetensors", "--threads", "1"],
    "vae-decode-npz": ["vae", "decode", "--vae", "IN/vae.safetensors", "-i", "IN/latents.safetensors", "-o", "x.npz"],
    "vae-decode-folder": ["vae", "decode", "--vae", "IN/vae.safetensors", "-i", "IN/latents.safetensors", "-o", "x/"],
    "stats": ["stats", "IN/grey.zip", "-o", "x.npz", "--features", "fashion-net", "--threads", "1"],
    "convert": ["convert", "IN/latent.safetensors", "x.safetensors", "--dtype", "bf16"],
    "ema": ["ema", "IN/run", "--std", "0.12", "-o", "x.safetensors"],
    "denoise": ["denoise", "-m", "IN/image.safetensors", "-i", "IN/in.safetensors", "-o", "x.safetensors", "--threads", "1"],
    "explain-html": [*EXPLAIN, "-o", "x.html"],
    "explain-svg": [*EXPLAIN, "-o", "x.svg"],
    "explain-png": [*EXPLAIN, "-o", "x.png"],
    "diagnose": ["diagnose", "-m", "IN/image.safetensors", "--data", "IN/rgb.zip", "--pictures", "2", "--levels", "2", "-o",
                 "x.html", "--threads", "1"],
    "robustness": ["eval", "-m", "IN/image.safetensors", "--robustness", "IN/rgb.zip", "--pictures", "2", "--levels", "1",
                   "--corruptions", "none", "--likelihood-steps", "0", "-o", "x.html", "--threads", "1"],
    "report": ["report", "IN/run", "-o", "x.html", "--no-samples", "--threads", "1"],
    "report-plots": ["report", "IN/run", "-o", "x.html", "--pictures", "1", "--steps", "2", "--plots", "plots", "--threads", "1"],
    "ablate": ["ablate", "IN/experiment.toml", "--data", "IN/data.zip", "--out", "x", "--train-only", "--threads", "1"],
    "ablate-scores": ["ablate", "IN/scored.toml", "--data", "IN/set.zip", "--out", "x", "--record", "record", "--threads", "1"],
}


def typed(name, inputs):
    return [word.replace("IN/", f"{inputs}/") for word in COMMANDS[name]]


def results(folder):
    """Content by name, of what must be the same each time; None of what only must be there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or any(record in name for record in RECORDS):
            continue
        timed = "state-" in name or path.suffix in (".html", ".json", ".md", ".svg") and "dataset" not in name
        found[name] = None if timed else path.read_bytes()
    return found


def whole(path):
    """What times make differ, but what must be complete."""
    if path.suffix == ".html":
        return path.read_text().rstrip().endswith("</html>")
    if path.suffix == ".svg":
        return path.read_text().rstrip().endswith("</svg>")
    if path.suffix == ".json":
        return json.loads(path.read_text()) is not None
    if path.suffix == ".safetensors":
        return len(formats.read_safetensors(path)[0]) > 0
    return True


def execute(command, folder, env):
    return subprocess.run([BINARY, *command, "--quiet"], cwd=folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=1200 if ALL else 120)


def reasons(call):
    """What may happen to a call."""
    if call in ("write", "pwrite", "writev"):
        return ["short", "eintr", errno.ENOSPC, errno.EIO]
    usual = {"open": ["eintr", errno.EACCES, errno.ENOSPC, errno.EMFILE], "mkdir": [errno.EACCES], "rename": [errno.EIO, errno.EXDEV],
             "close": [errno.EIO], "unlink": [errno.EIO]}
    return usual.get(call, ["eintr", errno.EIO])


def try_one(command, folder, env, want, at, how, call):
    """One failing call in an empty folder. Returns what went wrong, or None."""
    folder.mkdir()
    place = f"call {at}, {how}"
    done = execute(command, folder, {**env, "DIFFIT_FAULT_AT": str(at), "DIFFIT_FAULT_HOW": str(how),
                                     "DIFFIT_FAULT_BELOW": str(folder)})
    err = done.stderr.decode()
    got = results(folder)
    if how in ("short", "eintr"):
        if done.returncode != 0 or got != want:
            return f"{place}: exit {done.returncode}, {sorted(got)}: {err}"
    if done.returncode not in (0, 1):
        return f"{place}: exit {done.returncode}: {err}"
    if done.returncode == 1 and not (err.startswith("error: ") and err.count("\n") == 1):
        return f"{place}: wanted one line: {err}"
    more = got.keys() - want.keys()  # where removing failed
    if done.returncode == 0 and (want.keys() - got.keys() or more and call != "unlink"):
        return f"{place}: exit 0, but there are {sorted(got)}"
    for name, content in got.items():
        if content is not None and name in want and content != want[name]:
            return f"{place}: {name} is neither old nor new"
        if content is None and not whole(folder / name):
            return f"{place}: {name} is truncated"
    again = execute(command, folder, {})
    got = results(folder)
    if call == "unlink":  # a lock file that could not be removed holds no lock, and a complete run is not opened again
        got = {name: content for name, content in got.items() if name in want or not name.endswith(".diffit.lock")}
    if again.returncode != 0 or got != want:
        strange = sorted(name for name in got.keys() | want.keys() if got.get(name, b"") != want.get(name, b""))
        return f"{place}: the same command again: exit {again.returncode}, {strange}: {again.stderr.decode()}"
    shutil.rmtree(folder)
    return None


@pytest.mark.parametrize("name", COMMANDS)
def test_each_call_may_fail(name, inputs, faults, tmp_path):  # noqa: F811
    command = typed(name, inputs)
    (tmp_path / "want").mkdir()
    calls = tmp_path / "calls"
    env = {**faults, "TMPDIR": str(tmp_path)}
    done = execute(command, tmp_path / "want", {**env, "DIFFIT_FAULT_CALLS": str(calls),
                                                "DIFFIT_FAULT_BELOW": str(tmp_path / "want")})
    assert done.returncode == 0, done.stderr
    want, calls = results(tmp_path / "want"), calls.read_text().split()
    tries = [(i, how, call) for i, call in enumerate(calls, 1) for how in reasons(call)]
    assert len(tries) >= 5
    if not ALL:
        tries = random.Random(name).sample(tries, TRIED)
    print(f"{name}: {len(calls)} calls, {len(tries)} faults")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = list(filter(None, pool.map(lambda t: try_one(command, tmp_path / f"{t[0]}-{t[1]}", env, want, *t), tries)))
    assert not wrong, f"{' '.join(command)}\n" + "\n".join(wrong)


def test_a_sample_grid_is_written_again_after_a_failure(inputs, faults, tmp_path):  # noqa: F811
    """Once, for it is never made again; if it fails again, the training goes on without it."""
    grid = tmp_path / "run/samples-000000008.png"
    env = {**faults, "DIFFIT_FAULT_BELOW": str(grid), "DIFFIT_FAULT_AT": "1", "DIFFIT_FAULT_HOW": str(errno.EIO)}
    done = execute(typed("train", inputs), tmp_path, env)
    assert done.returncode == 0 and grid.exists(), done.stderr
    assert "no sample grid" not in (tmp_path / "run/log.txt").read_text()
    (tmp_path / "other/run").mkdir(parents=True)
    (tmp_path / "other/run/samples-000000008.png").mkdir()
    done = execute(typed("train", inputs), tmp_path / "other", {})
    assert done.returncode == 0, done.stderr
    assert "no sample grid at 8 images" in (tmp_path / "other/run/log.txt").read_text()


@pytest.mark.parametrize("name", ["sample-npz", "sample-png", "data-convert", "convert", "stats"])
def test_what_was_there_stays_whole(name, inputs, faults, tmp_path):  # noqa: F811
    """The destination exists: after any failing call it is the old one or the new one."""
    command = typed(name, inputs)
    output = next(word for word in command if word.startswith("x."))
    run(*command, cwd=tmp_path)
    want = (tmp_path / output).read_bytes()
    calls = tmp_path.parent / f"{tmp_path.name}-calls"
    execute(command, tmp_path, {**faults, "DIFFIT_FAULT_CALLS": str(calls), "DIFFIT_FAULT_BELOW": str(tmp_path)})
    tries = [(i, errno.EIO) for i, call in enumerate(calls.read_text().split(), 1)]
    for at, how in tries if ALL else random.Random(name).sample(tries, min(3, len(tries))):
        (tmp_path / output).write_bytes(b"old")
        execute(command, tmp_path, {**faults, "DIFFIT_FAULT_AT": str(at), "DIFFIT_FAULT_HOW": str(how),
                                    "DIFFIT_FAULT_BELOW": str(tmp_path)})
        assert (tmp_path / output).read_bytes() in (b"old", want), f"call {at}"
