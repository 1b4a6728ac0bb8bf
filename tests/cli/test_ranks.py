"""Training with several processes: the same files for any number of them, and no hang when one is lost."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

import formats
import numpy as np
import pytest
from conftest import BINARY, refused, run, start

RECIPE = """
[model]
channels = [8, 16]
depth = [1, 1]
window = 4
head_dim = 8
mlp_ratio = 1.0
[train]
images = 128
batch = 16
snapshot_images = 64
dtype = "f32"
label_dropout = 0.1
[optimiser]
name = "adamw"
weight_decay = 0.01
lr = 2e-3
[ema]
half_life_images = 100
[sample]
pictures = 4
steps = 2
"""
KILLS = int(os.environ.get("DIFFIT_KILLS", "12"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    rng = np.random.default_rng(5)
    np.savez(folder / "set.npz", arr_0=rng.integers(0, 255, (40, 8, 8, 1), dtype=np.uint8),
             arr_1=(np.arange(40) % 4).astype(np.int64))
    path = folder / "small.toml"
    path.write_text(f'[data]\npath = "{folder}/set.npz"\nflip = 0.5\n' + RECIPE)
    return path


def train(recipe, out, *options, code=0, **more):
    return run("train", recipe, "--out", out, "--threads", 1, *options, code=code, **more)


def same_results(a, b):
    """Model files byte for byte; checkpoints tensor for tensor (they also store times); the last sample grid."""
    for path in sorted(a.glob("snapshot-*")):
        assert path.read_bytes() == (b / path.name).read_bytes(), path.name
    state = sorted(a.glob("state-*"))[-1]
    left, right = formats.read_safetensors(state)[0], formats.read_safetensors(b / state.name)[0]
    assert left.keys() == right.keys()
    for name in left:
        assert np.array_equal(left[name], right[name]), name
    grid = sorted(a.glob("samples-*"))[-1]
    assert grid.read_bytes() == (b / grid.name).read_bytes()


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    train(recipe, out, "--set", "dist.shards=8")
    return out


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_any_number_of_ranks_gives_the_same_files(recipe, alone, ranks, tmp_path):
    result = train(recipe, tmp_path / "run", "--ranks", ranks, "--json")
    assert result.json["images"] == 128  # printed once, by rank 0
    same_results(alone, tmp_path / "run")
    log = (tmp_path / "run/log.txt").read_text()
    assert f"processes: {ranks}, over 8 shards of a batch" in log
    assert "shards = 8" in (tmp_path / "run/config.toml").read_text()


def test_microbatches_fit_into_shards(recipe, alone, tmp_path):
    train(recipe, tmp_path / "run", "--ranks", 2, "--set", "train.microbatch=1")
    whole = formats.read_safetensors(alone / "snapshot-000000128.safetensors")[0]
    for name, value in formats.read_safetensors(tmp_path / "run/snapshot-000000128.safetensors")[0].items():
        # Microbatches add in another order: rounding of float32, grown over 8 steps of Adam.
        np.testing.assert_allclose(value, whole[name], atol=2e-4, err_msg=name)


def stop_early(recipe, out, ranks):
    """Starts a training and stops it after its first snapshot."""
    process = start("train", recipe, "--out", out, "--threads", 1, "--ranks", ranks, "--set", "train.images=100000",
                    "--set", "train.snapshot_images=64")
    end = time.monotonic() + 60
    while not list(out.glob("state-*")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "a checkpoint is saved" in err, err
    return max(int(re.search(r"\d+", path.name)[0]) for path in out.glob("state-*"))


def test_a_stopped_run_goes_on_with_another_number_of_ranks(recipe, tmp_path):
    images = stop_early(recipe, tmp_path / "run", 3)
    length = ["--set", f"train.images={images + 64}", "--set", "train.snapshot_images=64"]
    train(recipe, tmp_path / "run", "--ranks", 2, "--resume", *length)
    train(recipe, tmp_path / "whole", "--set", "dist.shards=8", *length)
    last = f"snapshot-{images + 64:09}-ema.safetensors"
    assert (tmp_path / "run" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


def ranks_of(process):
    """Process ids of the ranks of a running `train --ranks`, by rank."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            if not entry.isdigit() or f"PPid:\t{process.pid}\n" not in open(f"/proc/{entry}/status").read():
                continue
            environment = open(f"/proc/{entry}/environ", "rb").read().split(b"\0")
        except OSError:
            continue
        for variable in environment:
            if variable.startswith(b"RANK="):
                found[int(variable[5:])] = int(entry)
    return found


def test_a_killed_rank_ends_the_job_and_the_run_goes_on(recipe, alone, tmp_path):
    rng = random.Random(3)
    for attempt in range(max(2, KILLS // 6)):
        out = tmp_path / f"run{attempt}"
        process = start("train", recipe, "--out", out, "--threads", 1, "--ranks", 2)
        pids = {}
        while len(pids) < 2 and process.poll() is None:
            pids = ranks_of(process)
        time.sleep(rng.uniform(0.1, 2.0))
        killed = rng.choice(list(pids.values()))
        try:
            os.kill(killed, signal.SIGKILL)
        except ProcessLookupError:
            pass
        began = time.monotonic()
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - began < 45
        if process.returncode != 0:
            train(recipe, out, "--ranks", 3, "--resume")
        same_results(alone, out)
        shutil.rmtree(out)


def test_ranks_may_meet_over_tcp(recipe, alone, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [
        start("train", recipe, "--out", tmp_path / "run", "--threads", 1,
              env={"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2",
                   "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}) for rank in (1, 0)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    same_results(alone, tmp_path / "run")


def test_wrong_places_are_refused(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused("train", recipe, "--out", tmp_path / "run", mentions=["RANK is not set"])
    monkeypatch.setenv("RANK", "2")
    refused("train", recipe, "--out", tmp_path / "run", mentions=["RANK of torchrun is '2'", "0 to 1"])
    monkeypatch.setenv("RANK", "0")
    refused("train", recipe, "--out", tmp_path / "run", mentions=["MASTER_ADDR"])
    refused("train", recipe, "--out", tmp_path / "run", "--ranks", 2, mentions=["MASTER_ADDR"])
    monkeypatch.setenv("DIFFIT_STORE", f"file:{tmp_path}/store")
    refused("train", recipe, "--out", tmp_path / "run", "--ranks", 2, mentions=["--ranks 2", "torchrun"])
    began = time.monotonic()
    refused("train", recipe, "--out", tmp_path / "run", "--set", "dist.timeout=1", code=1, mentions=["rank 1 did not come"])
    assert time.monotonic() - began < 20
    assert not (tmp_path / "run").exists()


def test_more_ranks_than_shards_are_refused(recipe, tmp_path):
    result = run("train", recipe, "--out", tmp_path / "run", "--threads", 1, "--ranks", 2, "--set", "dist.shards=1", code=2)
    assert "dist.shards = 1 allows at most 1 processes, got 2" in result.err
    result = run("train", recipe, "--out", tmp_path / "run", "--threads", 1, "--ranks", 2, "--set", "dist.shards=32", code=2)
    assert "dist.shards 32 does not divide train.batch 16" in result.err
    refused("train", recipe, "--out", tmp_path / "run", "--set", "dist.shards=3", mentions=["power of two"])


def test_one_process_without_shards_is_unchanged(recipe, tmp_path):
    train(recipe, tmp_path / "run")
    assert "dist" not in (tmp_path / "run/config.toml").read_text()
    train(recipe, tmp_path / "one", "--set", "dist.shards=1")
    for path in (tmp_path / "run").glob("snapshot-*"):
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="Open MPI is not installed")
def test_mpirun_trains_the_same(recipe, tmp_path):
    shards = ["--set", "dist.shards=4"]
    train(recipe, tmp_path / "one", *shards)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", "-x", "MASTER_ADDR=127.0.0.1", "-x",
               f"MASTER_PORT={port}", BINARY, "train", recipe, "--device", "cpu", "--threads", "1", "--out", tmp_path / "two", *shards]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    same_results(tmp_path / "one", tmp_path / "two")


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="Open MPI is not installed")
def test_mpirun_without_an_address_is_one_line(recipe, tmp_path):
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", BINARY, "train", recipe, "--device", "cpu", "--out",
               tmp_path / "run"]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    lines = {line for line in ended.stderr.splitlines() if line.startswith("error: ")}
    assert ended.returncode != 0 and len(lines) == 1 and "MASTER_ADDR" in lines.pop()
