"""Killed at random moments and typed again: what comes out is what an undisturbed run gives, bit for bit.

DIFFIT_KILLS=N kills N times in all (default 12); DIFFIT_KILL_SEED chooses the moments.
"""

import os
import random
import shutil
import signal
import subprocess
import time

import formats
import numpy as np
import pytest
from conftest import files_below, run, start

KILLS = int(os.environ.get("DIFFIT_KILLS", "12"))
SEED = int(os.environ.get("DIFFIT_KILL_SEED", "0"))


VAE = """
[model]
model = "vae"
channels = [4, 8]
blocks = 1
norm_groups = 2
latent_channels = 2
[train]
images = 8
batch = 8
dtype = "f32"
[sample]
pictures = 0
"""


def killed_until_done(command, again, seconds, kills, rng):
    """Kills `command`, then `again`, each after a random part of `seconds`, the length of an undisturbed run, until one
    of them ends by itself or there were `kills`. Then what was begun is done. Returns how often it killed."""
    words = command
    for killed in range(kills):
        process = start(*words)
        try:
            process.wait(timeout=rng.uniform(0, 1.1) * seconds)
        except subprocess.TimeoutExpired:  # it is still running, as it should be
            process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:
            return killed
        assert process.returncode == -signal.SIGKILL, f"{words}: ended by itself with {process.returncode}"
        words = again()
    run(*again())
    return kills


def rounds(command, again, seconds, rng, check):
    """Kills this test's share in as many rounds as it takes; `check` looks at what each left and removes it."""
    left = max(1, KILLS // 6)
    while left > 0:
        killed = killed_until_done(command, again, seconds, left, rng)
        left -= killed
        seconds *= 1 if killed else 0.8  # the first run may have been a slow one
        check()


def undisturbed(*command):
    began = time.monotonic()
    run(*command)
    return time.monotonic() - began


@pytest.mark.parametrize("name", ["x.npz", "x.safetensors", "x/"])
def test_sample(name, image_model, tmp_path):
    options = ["-m", image_model, "--seeds", "0-39", "--steps", "8", "--classes", "random", "--batch", "4", "--threads",
               "1", "--dtype", "f32"]
    seconds = undisturbed("sample", *options, "-o", f"{tmp_path}/whole/{name}" if name == "x/" else tmp_path / f"whole-{name}")
    rng = random.Random(f"{SEED} {name}")
    command = ["sample", *options, "-o", f"{tmp_path}/{name}"]

    def check():
        if name == "x/":
            assert files_below(tmp_path / "x") == files_below(tmp_path / "whole/x")
            shutil.rmtree(tmp_path / "x")
        else:
            assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
            (tmp_path / name).unlink()
        assert not [path.name for path in tmp_path.iterdir() if ".part" in path.name or path.name.endswith(".tmp")]

    rounds(command, lambda: command, seconds, rng, check)


def test_train(small_data, tmp_path):
    options = ["smoke", "--data", small_data, "--set", "train.batch=8", "--set", "train.dtype=f32", "--set",
               "train.images=320", "--set", "train.snapshot_images=40", "--set", "sample.pictures=4", "--threads", "1"]
    seconds = undisturbed("train", *options, "--out", tmp_path / "whole")
    folder = tmp_path / "run"
    command = ["train", *options, "--out", folder]
    rng = random.Random(f"{SEED} train")

    def again():
        return [*command, "--resume"] if folder.exists() else command

    def check():
        for path in sorted((tmp_path / "whole").glob("s*.safetensors")) + sorted((tmp_path / "whole").glob("*.png")):
            if path.name.startswith("state-"):  # the seconds of training are kept in it too
                one, other = (formats.read_safetensors(where / path.name)[0] for where in (tmp_path / "whole", folder))
                assert one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one), path.name
            else:
                assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
        assert not [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]
        shutil.rmtree(folder)

    rounds(command, again, seconds, rng, check)


def test_encode(tmp_path):
    """Two shards, of 10,000 images and of the rest."""
    config = tmp_path / "vae.toml"
    config.write_text(VAE)
    rng = np.random.default_rng(1)
    data = tmp_path / "many-images-idx3-ubyte"
    data.write_bytes(formats.idx_bytes(rng.integers(0, 255, (12000, 8, 8), np.uint8)))
    run("train", config, "--data", data, "--out", tmp_path / "vae", "--threads", "1")
    options = ["--vae", tmp_path / "vae/snapshot-000000008-ema.safetensors", "--threads", "1"]
    seconds = undisturbed("data", "encode", data, tmp_path / "whole", *options)
    command = ["data", "encode", data, tmp_path / "x", *options]

    def check():
        assert files_below(tmp_path / "x") == files_below(tmp_path / "whole")
        shutil.rmtree(tmp_path / "x")

    rounds(command, lambda: command, seconds, random.Random(f"{SEED} encode"), check)


@pytest.mark.parametrize("name", ["convert", "preview"])
def test_files_that_appear_whole(name, small_data, tmp_path):
    """What is not resumed: the old file stays until the new one is whole, and nothing else stays."""
    out = tmp_path / {"convert": "x.zip", "preview": "x.png"}[name]
    command = {"convert": ["data", "convert", small_data, out, "--size", "64", "--threads", "1"],
               "preview": ["data", "preview", small_data, "-o", out, "--scale", "8"]}[name]
    seconds = undisturbed(*command)
    want = out.read_bytes()
    out.write_bytes(b"old")

    def again():
        assert out.read_bytes() in (b"old", want)
        return command

    def check():
        assert out.read_bytes() == want
        assert [path.name for path in tmp_path.iterdir()] == [out.name]

    rounds(command, again, seconds, random.Random(f"{SEED} {name}"), check)
