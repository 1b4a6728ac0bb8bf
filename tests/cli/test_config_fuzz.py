"""Configurations that were damaged: `train --dry-run` plans them or refuses them in one line. The many cases are
in-process (fuzz/recipe_mutations.cpp); these few go through the program."""

import random
import subprocess

import numpy as np
import pytest
from conftest import BINARY, ROOT, run

VALUES = ["true", "-1", "0", "3", "1e30", "nan", "-inf", "9223372036854775807", "9223372036854775808", "''",
          '"\\u202e\\u001b[2J"', "'é中'", "[]", "[[]]", "[-1, 0]", "{}", "{ a = { b = [] } }", "1979-05-27", "[65536]"]
PRESETS = ["smoke", "own-32", "fashion-mnist", "fashion-vae", "fashion-net"]


def keys(text):
    """(line, table, key) of the assignments of one line."""
    table, found = "", []
    for number, line in enumerate(text.splitlines()):
        if line.startswith("["):
            table = line.strip("[] ")
        elif " = " in line and not line.startswith("#"):
            found.append((number, table, line.split(" = ")[0]))
    return found


def dry_run(config, data, *options):
    """The finished dry run, which planned or refused."""
    arguments = [config, "--data", data, "--dry-run", "--json", "--quiet", "--threads", "1", *options]
    result = subprocess.run([BINARY, "train", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    err = result.stderr.decode()
    assert result.returncode in (0, 2), f"{config} {options}: exit {result.returncode}\n{err}"
    if result.returncode == 2:
        lines = err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: ") and result.stdout == b"", err
        assert "\x1b" not in err and "\u202e" not in err
    return result.returncode, err


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_planned_or_refused_by_name(tmp_path, small_data, seed):
    choose = random.Random(seed)
    text = (ROOT / f"presets/{choose.choice(PRESETS)}.toml").read_text()
    line, table, key = choose.choice(keys(text))
    lines, value = text.splitlines(), choose.choice(VALUES)
    lines[line] = choose.choice([f"{key} = {value}", f"{key} = {value}", f"{key}x = {value}", lines[line] + "\n" + lines[line],
                                 f"{key}.{key} = {value}"])
    config = tmp_path / "damaged.toml"
    config.write_text("\n".join(lines))
    code, err = dry_run(config, small_data)
    assert code == 0 or "damaged.toml" in err or key in err


@pytest.mark.parametrize("assignment", ["train.batch=", "=1", "train..batch=1", "train.batch.deep=1", "train.images=-1",
                                        "train=1", "model.channels=[8, 'a']", "é=1", "train.batch=\udcff", "x" * 5000 + "=1"])
def test_a_damaged_assignment_is_refused(small_data, assignment):
    code, _ = dry_run("smoke", small_data, "--set", assignment)
    assert code == 2


def test_epochs_and_images_state_the_length_either_way(tmp_path, small_data):
    def images(config, *options):
        return run("train", config, "--data", small_data, "--dry-run", "--json", "--threads", 1, *options).json["config"]["train"]

    assert images("own-32", "--set", "train.epochs=3")["images"] == 600  # of 200 images
    assert images("own-32")["images"] == 160000
    assert images("own-32", "--set", "train.images=77")["images"] == 77
    assert images("smoke", "--set", "train.epochs=0.5")["images"] == 100
    both = tmp_path / "both.toml"
    both.write_text("[train]\nimages = 5\nepochs = 2\n")
    result = run("train", both, "--data", small_data, "--dry-run", "--quiet", code=2)
    assert "train.epochs = 2" in result.err and result.err.count("\n") == 1


def test_a_training_by_epochs_resumes_and_says_its_length_in_images(tmp_path, small_data):
    options = ["smoke", "--data", small_data, "--out", tmp_path / "run", "--threads", 1, "--set", "train.batch=8", "--set",
               "train.dtype=f32", "--set", "sample.pictures=0"]
    run("train", *options, "--set", "train.epochs=0.2")
    assert 'images = 40' in (tmp_path / "run/config.toml").read_text()
    assert "already trained" in run("train", *options, "--set", "train.epochs=0.2", "--resume").out
    assert run("train", *options, "--set", "train.epochs=0.4", "--resume", "--json").json["images"] == 80


@pytest.mark.parametrize("preset, side", [("own-32", 32), ("own-64", 64)])
def test_the_presets_for_own_images_train(tmp_path, preset, side):
    from PIL import Image
    rng = np.random.default_rng(0)
    for name in ("red", "blue"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / name / f"{i}.png")
    out = run("train", preset, "--data", tmp_path / "own", "--out", tmp_path / "run", "--threads", 1, "--set", "train.epochs=2",
              "--set", "train.batch=8", "--set", "train.microbatch=4", "--set", "sample.pictures=4", "--set", "sample.steps=2",
              "--set", "train.label_dropout=0.1", "--json").json
    assert out["images"] == 16 and out["skipped"] == 0
    assert (tmp_path / "run/snapshot-000000016-ema.safetensors").exists()
    assert "dropout = 0.05" in (tmp_path / "run/config.toml").read_text()
