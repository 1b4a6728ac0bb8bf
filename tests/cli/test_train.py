"""diffit train: presets, the run folder, resuming bit for bit, mistyped keys, what TensorBoard reads."""

import json
import os
import re
import signal
import time

import formats
import numpy as np
import pytest
from conftest import files_below, refused, run, start
from PIL import Image

# Small steps of a small model: a second for a few hundred images.
SMALL = ["--set", "train.batch=8", "--set", "train.dtype=f32", "--threads", "2"]


def train(folder, data, images, *options, code=0, resume=False, snapshot=None):
    arguments = ["train", "smoke", "--data", data, "--out", folder, *SMALL, "--set", f"train.images={images}", *options]
    if snapshot:
        arguments += ["--set", f"train.snapshot_images={snapshot}"]
    return run(*arguments, *(["--resume"] if resume else []), code=code)


def snapshots(folder):
    """Tensors of every snapshot by file name: weights and each average."""
    return {path.name: formats.read_safetensors(path)[0] for path in sorted(folder.glob("snapshot*.safetensors"))}


def count_of(path):
    return int(re.search(r"\d+", path.name)[0])


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        for key in one[name]:
            assert np.array_equal(one[name][key], other[name][key]), f"{name}: {key}"
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory, small_data):
    """96 images without a stop, a snapshot every 32."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    train(folder, small_data, 96, snapshot=32)
    return folder


@pytest.mark.smoke
def test_the_run_folder(whole):
    names = {path.name for path in whole.iterdir()}
    assert {"config.toml", "log.txt", "stats.jsonl"} <= names
    counts = sorted({count_of(path) for path in whole.glob("snapshot*.safetensors")})
    assert counts == [32, 64, 96]
    rows = [json.loads(line) for line in (whole / "stats.jsonl").read_text().splitlines()]
    assert rows and all(np.isfinite(row["loss"]) for row in rows)
    images = [row["images"] for row in rows]
    assert images == sorted(set(images)) and images[-1] == 96
    for grid in whole.glob("samples-*.png"):
        assert np.asarray(Image.open(grid)).std() > 0
    assert not list(whole.glob("*.tmp*"))


@pytest.mark.smoke
def test_snapshots_are_models(whole, tmp_path):
    files = sorted(whole.glob("snapshot*96*.safetensors"))
    assert len(files) >= 2  # the weights, and each average
    for path in files:
        tensors, metadata = formats.read_safetensors(path)
        config = json.loads(metadata["diffit.config"])
        assert (config["model"], config["resolution"], config["in_channels"], config["classes"]) == ("image", 16, 1, 4)
        assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    one, other = (formats.read_safetensors(path)[0]["tokenizer.weight"] for path in files[:2])
    assert not np.array_equal(one, other)
    run("sample", "-m", files[0], "-n", "4", "--classes", "all", "--steps", "3", "-o", tmp_path / "x.png")


@pytest.mark.smoke
def test_tensorboard_events(whole):
    events = [event for path in whole.rglob("*tfevents*") for event in formats.read_events(path)]
    rows = [json.loads(line) for line in (whole / "stats.jsonl").read_text().splitlines()]
    losses = {step: value for step, tag, value in events if "loss" in tag and isinstance(value, float)}
    for row in rows:
        assert losses[row["images"]] == pytest.approx(row["loss"], rel=1e-6)


def test_tensorboard_itself(whole):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = reader.EventAccumulator(str(whole))
    accumulator.Reload()
    assert any("loss" in tag for tag in accumulator.Tags()["scalars"])


@pytest.mark.smoke
def test_the_same_again_is_the_same_bit_for_bit(whole, small_data, tmp_path):
    train(tmp_path / "again", small_data, 96, snapshot=32)
    same(snapshots(whole), snapshots(tmp_path / "again"))


@pytest.mark.smoke
def test_stop_and_resume_is_the_same_bit_for_bit(whole, small_data, tmp_path):
    folder = tmp_path / "run"
    train(folder, small_data, 32, snapshot=32)
    train(folder, small_data, 96, snapshot=32, resume=True)
    same(snapshots(whole), snapshots(folder))
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    want = [json.loads(line) for line in (whole / "stats.jsonl").read_text().splitlines()]
    losses = lambda lines: {row["images"]: row["loss"] for row in lines}
    assert losses(want).items() <= losses(rows).items() or losses(rows).items() <= losses(want).items()


def test_kill_and_resume_is_the_same_bit_for_bit(small_data, tmp_path):
    """Killed with no chance to save, wherever it was: after resuming, no trace of it."""
    options = [*SMALL, "--set", "train.images=640", "--set", "train.snapshot_images=64", "--set", "sample.pictures=0"]
    run("train", "smoke", "--data", small_data, "--out", tmp_path / "whole", *options)
    folder = tmp_path / "killed"
    command = ["train", "smoke", "--data", small_data, "--out", folder, *options]
    killed = 0
    for attempt in range(12):
        process = start(*command, *(["--resume"] if folder.exists() else []))
        deadline = time.monotonic() + 60
        newest = max(map(count_of, folder.glob("state*")), default=0) if folder.exists() else 0
        while process.poll() is None and time.monotonic() < deadline:
            now = max(map(count_of, folder.glob("state*")), default=0) if folder.exists() else 0
            if now > newest:
                time.sleep(0.02 * attempt)  # into the next steps, or the middle of a write
                break
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        if process.returncode == 0:
            break
    assert killed >= 2, "it was never killed in the middle"
    run(*command, "--resume")
    same(snapshots(tmp_path / "whole"), snapshots(folder))
    assert not list(folder.glob("*.tmp*"))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_exits_cleanly(signum, small_data, tmp_path):
    folder = tmp_path / "run"
    process = start("train", "smoke", "--data", small_data, "--out", folder, *SMALL, "--set", "train.images=100000000",
                    "--set", "sample.pictures=0")
    deadline = time.monotonic() + 60
    while not (folder / "stats.jsonl").exists() or not (folder / "stats.jsonl").read_text():
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err  # interrupted, as cli says: it could not be done to its end
    assert "Traceback" not in err and "terminate" not in err
    states = list(folder.glob("state*.safetensors"))
    assert states and max(map(count_of, states)) > 0
    assert not list(folder.glob("*.tmp*"))


@pytest.mark.smoke
def test_resume_with_nothing_left_to_do(whole, small_data):
    before = files_below(whole)
    train(whole, small_data, 96, snapshot=32, resume=True)
    after = files_below(whole)
    assert {k: v for k, v in before.items() if k.suffix == ".safetensors"} == \
        {k: v for k, v in after.items() if k.suffix == ".safetensors"}


@pytest.mark.smoke
def test_a_used_folder_is_not_overwritten(whole, small_data):
    before = files_below(whole)
    line = refused("train", "smoke", "--data", small_data, "--out", whole, *SMALL, mentions=["--resume"])
    assert str(whole) in line and files_below(whole) == before


def test_a_damaged_state_is_told_and_the_one_before_is_taken(whole, small_data, tmp_path):
    folder = tmp_path / "run"
    train(folder, small_data, 64, snapshot=32)
    newest = max(folder.glob("state*.safetensors"), key=count_of)
    raw = bytearray(newest.read_bytes())
    raw[len(raw) // 2] ^= 1
    newest.write_bytes(raw)
    result = train(folder, small_data, 96, snapshot=32, resume=True)
    assert newest.name in result.err
    same(snapshots(whole), snapshots(folder))


@pytest.mark.smoke
def test_only_the_last_states_are_kept(whole):
    assert 1 <= len(list(whole.glob("state*.safetensors"))) <= 2


@pytest.mark.smoke
@pytest.mark.parametrize("wrong, right", [("train.imgaes=8", "images"), ("trian.images=8", "train"),
                                          ("optimiser.lrr=1", "lr"), ("optimizer.lrr=1", "lr"), ("model.chanels=[8]", "channels")])
def test_a_mistyped_key_names_the_nearest(wrong, right, small_data, tmp_path):
    line = refused("train", "smoke", "--data", small_data, "--out", tmp_path / "run", "--set", wrong)
    assert f"'{right}'" in line or right in line.split("did you mean")[-1], line
    assert not (tmp_path / "run").exists()


@pytest.mark.smoke
@pytest.mark.parametrize("wrong", ["train.images=-5", "train.images=many", "optimiser.lr=-1", "optimiser.lr=nan",
                                   "optimiser.name=sgd", "train.batch=0", "train.microbatch=3", "ema.ramp_up=2",
                                   "train.images", "=3", "model.window=5", "model.resolution=24", "model.classes=2"])
def test_a_wrong_value_is_refused_by_name(wrong, small_data, tmp_path):
    refused("train", "smoke", "--data", small_data, "--out", tmp_path / "run", "--set", wrong,
            mentions=[wrong.split("=")[0].split(".")[-1]] if "=" in wrong[1:] else [])
    assert not (tmp_path / "run").exists()


@pytest.mark.smoke
def test_a_preset_s_name_and_near_names(small_data, tmp_path):
    assert "smoke" in refused("train", "smok", "--data", small_data, "--out", tmp_path / "x")
    for preset in ["smoke", "fashion-mnist", "cifar10", "ffhq64"]:
        assert preset in run("train", "--help").out


@pytest.mark.smoke
def test_a_config_file(small_data, tmp_path):
    train(tmp_path / "a", small_data, 16)
    config = (tmp_path / "a" / "config.toml").read_text()
    (tmp_path / "mine.toml").write_text(config)
    run("train", tmp_path / "mine.toml", "--data", small_data, "--out", tmp_path / "b", "--threads", "2")
    same(snapshots(tmp_path / "a"), snapshots(tmp_path / "b"))


@pytest.mark.smoke
@pytest.mark.parametrize("text, mentions", [
    ("[train]\nimages = 8\nimages = 9\n", ["3"]),
    ("[train\nimages = 8\n", ["1"]),
    ("[train]\nimages = 1979-05-27\n", ["date"]),
    ("[trian]\nimages = 8\n", ["train"]),
    ("[" * 5000, []),
    ("x = " + "[" * 100000, []),
    ("\0\1\2", []),
])
def test_a_malformed_config_names_file_and_line(text, mentions, small_data, tmp_path):
    (tmp_path / "bad.toml").write_text(text)
    refused("train", tmp_path / "bad.toml", "--data", small_data, "--out", tmp_path / "run",
            mentions=["bad.toml", *mentions])
    assert not (tmp_path / "run").exists()


@pytest.mark.smoke
def test_dry_run_plans_and_creates_nothing(small_data, tmp_path):
    result = run("train", "smoke", "--data", small_data, "--out", tmp_path / "run", "--dry-run")
    assert list(tmp_path.iterdir()) == []
    for word in ["train", "images", "param", "FLOP"]:
        assert word.lower() in (result.out + result.err).lower(), word
    told = run("train", "smoke", "--data", small_data, "--out", tmp_path / "run", "--dry-run", "--json").json
    assert told


@pytest.mark.smoke
def test_dry_run_checks_that_the_data_opens(tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 nothing")
    refused("train", "smoke", "--data", tmp_path / "bad.zip", "--dry-run", mentions=["bad.zip"])
    refused("train", "cifar10", "--dry-run", cwd=tmp_path)


def test_gradient_checkpointing_changes_nothing(small_data, tmp_path):
    for name, value in [("a", "false"), ("b", "true")]:
        train(tmp_path / name, small_data, 32, "--set", f"train.checkpointing={value}")
    same(snapshots(tmp_path / "a"), snapshots(tmp_path / "b"))


def test_accumulation_is_the_same_up_to_rounding(small_data, tmp_path):
    for name, microbatch in [("a", 8), ("b", 2)]:
        train(tmp_path / name, small_data, 16, "--set", f"train.microbatch={microbatch}")
    rows = [[json.loads(line) for line in (tmp_path / name / "stats.jsonl").read_text().splitlines()] for name in "ab"]
    for one, other in zip(*rows):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_a_training_that_blows_up_stops_and_keeps_the_last_good_state(small_data, tmp_path):
    folder = tmp_path / "run"
    result = train(folder, small_data, 100000, "--set", "optimiser.lr=10", "--set", "optimiser.clip=0", "--set",
                   "optimiser.eps=0", "--set", "loss.noise_mean=20", "--set", "loss.noise_deviation=20", "--set",
                   "train.snapshot_images=8", "--set", "sample.pictures=0", code=1)
    assert "finite" in result.err.splitlines()[-1]
    for path in folder.glob("*.safetensors"):
        for tensor in formats.read_safetensors(path)[0].values():
            assert np.isfinite(tensor).all(), path


def test_it_learns(small_data, tmp_path):
    folder = tmp_path / "run"
    train(folder, small_data, 4000, "--set", "sample.pictures=0", "--set", "train.log_images=400")
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert np.mean([row["loss"] for row in rows[-3:]]) < 0.7 * rows[0]["loss"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(small_data, tmp_path):
    (tmp_path / "no").mkdir(mode=0o500)
    refused("train", "smoke", "--data", small_data, "--out", tmp_path / "no/run", code=1)


def test_a_broken_image_ends_a_training_with_its_state_saved(small_data, tmp_path):
    """The image is named; mended and resumed, the result is that of an undisturbed run."""
    pictures, _ = formats.read_edm_zip(small_data)
    data = tmp_path / "images"
    data.mkdir()
    for i, picture in enumerate(pictures[:48]):
        Image.fromarray(picture).save(data / f"{i:02}.png")
    train(tmp_path / "whole", data, 48)
    whole = (data / "40.png").read_bytes()
    (data / "40.png").write_bytes(whole[:60])
    command = ["train", "smoke", "--data", data, "--out", tmp_path / "run", *SMALL, "--set", "train.images=48", "--set",
               "sample.pictures=0"]
    refused(*command, code=1, mentions=["40.png", "checkpoint at 40 images is saved", "--resume"])
    (data / "40.png").write_bytes(whole)
    train(tmp_path / "run", data, 48, "--set", "sample.pictures=0", resume=True)
    assert snapshots(tmp_path / "run").keys() == snapshots(tmp_path / "whole").keys()
    same(snapshots(tmp_path / "run"), snapshots(tmp_path / "whole"))
