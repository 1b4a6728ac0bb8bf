"""Whether an output can be written is asked before anything is loaded or computed, by every command that writes."""

import errno
import os

import numpy as np
import pytest
from conftest import refused, run, small_experiment
from machine import faults, without_locks  # noqa: F401

# What is read is not there either: a message about the output proves that it was looked at first.
NONE = "nowhere.safetensors"
WRITERS = {
    "sample": (["sample", "-m", NONE, "-o"], [".png", ".npz", ".safetensors"]),
    "denoise": (["denoise", "-m", NONE, "-i", NONE, "-o"], [".safetensors"]),
    "stats": (["stats", "nowhere.zip", "--features", NONE, "-o"], [".npz"]),
    "robustness": (["eval", "-m", NONE, "--robustness", "nowhere.zip", "-o"], [".html"]),
    "diagnose": (["diagnose", "-m", NONE, "--data", "nowhere.zip", "-o"], [".html"]),
    "explain": (["explain", "-m", NONE, "-o"], [".html", ".svg", ".png"]),
    "report": (["report", "nowhere", "-o"], [".html"]),
    "vae encode": (["vae", "encode", "--vae", NONE, "-i", "nowhere.png", "-o"], [".safetensors"]),
    "vae decode": (["vae", "decode", "--vae", NONE, "-i", NONE, "-o"], [".png", ".npz", ".safetensors"]),
    "data convert": (["data", "convert", "nowhere.zip"], [".zip"]),
    "data preview": (["data", "preview", "nowhere.zip", "-o"], [".png"]),
    "convert": (["convert", NONE], [".safetensors"]),
    "ema": (["ema", "nowhere", "--std", "0.1", "-o"], [".safetensors"]),
}
FOLDERS = {
    "sample": ["sample", "-m", NONE, "-o"],
    "train": ["train", "smoke", "--data", "nowhere.zip", "--out"],
    "ablate": ["ablate", "nowhere", "--out"],
    "record": ["ablate", "nowhere", "--out", "x", "--record"],
    "data encode": ["data", "encode", "nowhere.zip", "--vae", NONE],
    "vae decode": ["vae", "decode", "--vae", NONE, "-i", NONE, "-o"],
}
FILES = [(name, extension) for name, (_, extensions) in WRITERS.items() for extension in extensions]
# DEST comes before the options of data encode's shape; everywhere else the output is the last word.
TAIL = {"data encode": lambda words, out: [*words[:3], out, *words[3:]]}


def command_of(name, words, out):
    return TAIL.get(name, lambda head, last: [*head, last])(words, out)


@pytest.mark.smoke
@pytest.mark.parametrize("name, extension", FILES)
def test_a_file_that_cannot_be_written_is_refused_first(name, extension, tmp_path):
    words, _ = WRITERS[name]
    (tmp_path / f"folder{extension}").mkdir()
    (tmp_path / "file").write_text("")
    cases = [(f"nofolder/x{extension}", 2, "does not exist"), (f"file/x{extension}", 2, "does not exist"),
             ("x" * 256 + extension, 2, "bytes"), (f"/proc/x{extension}", 1, "cannot write to the folder")]
    if name not in ("sample", "vae decode"):  # to which a folder is an output like another
        cases.append((f"folder{extension}", 2, "got a folder"))
    for out, code, word in cases:
        refused(*command_of(name, words, out), cwd=tmp_path, code=code, mentions=[word, out[:40]])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", f"folder{extension}"]
    assert not list((tmp_path / f"folder{extension}").iterdir())


@pytest.mark.smoke
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_cannot_be_made_is_refused_first(name, tmp_path):
    (tmp_path / "file").write_text("")
    for out, code, word in [("file/run", 2, "is a file"), ("/proc/run", 1, "cannot write to the folder"),
                            ("x" * 256 + "/run", 2, "bytes"), ("link/run", 2, "broken")]:
        if not (tmp_path / "link").is_symlink():
            (tmp_path / "link").symlink_to("nothing")
        refused(*command_of(name, FOLDERS[name], out), cwd=tmp_path, code=code, mentions=[word])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


@pytest.mark.smoke
def test_what_is_there_is_not_touched_by_the_check(tmp_path):
    (tmp_path / "x.npz").write_text("there")
    refused("stats", "nowhere.zip", "--features", NONE, "-o", "x.npz", cwd=tmp_path, mentions=["nowhere"])
    assert (tmp_path / "x.npz").read_text() == "there" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.smoke
def test_a_training_needs_room_for_a_snapshot_and_a_checkpoint(small_data, tmp_path):
    free = os.statvfs(tmp_path).f_bfree * os.statvfs(tmp_path).f_frsize
    assert free < 7e12, "the model below needs more"
    refused("train", "smoke", "--data", small_data, "--out", tmp_path / "run", "--set", "model.channels=[65536,65536]",
            code=1, mentions=["--out", "the disk has", "TiB are needed"])
    assert not (tmp_path / "run").exists()


def latin1(folder, name):
    """A path whose last part is not UTF-8."""
    return os.fsdecode(os.fsencode(folder) + b"/caf\xe9-" + name.encode())


@pytest.mark.parametrize("name", ["x.npz", "x.safetensors", "x.png", "folder/"])
def test_samples_under_names_that_are_not_utf8(name, image_model, tmp_path):
    model = latin1(tmp_path, "model.safetensors")
    os.symlink(image_model, model)
    out = latin1(tmp_path, name)
    told = run("sample", "-m", model, "-o", out, "-n", "2", "--classes", "1", "--steps", "2", "--json").json
    assert "caf" in told["out"] and os.path.exists(out)


def test_measures_under_names_that_are_not_utf8(image_model, inception, two_sets, tmp_path):
    samples, reference = latin1(tmp_path, "a.npz"), latin1(tmp_path, "b.npz")
    os.symlink(two_sets[0], samples)
    os.symlink(two_sets[1], reference)
    options = ["--features", inception, "--json"]
    assert "caf" in run("stats", samples, "-o", latin1(tmp_path, "ref.npz"), *options).json["output"]
    told = run("eval", samples, reference, *options, "--metrics", "fid", "--no-intervals").json
    assert told["fid"] > 0 and "caf" in told["samples"]["path"]
    rng = np.random.default_rng(0)
    data = latin1(tmp_path, "data.npz")
    np.savez(tmp_path / "data.npz", arr_0=rng.integers(0, 255, (4, 16, 16, 3), np.uint8))
    os.rename(tmp_path / "data.npz", data)
    told = run("diagnose", "-m", image_model, "--data", data, "--pictures", "4", "--levels", "2", "--json", "-o",
               latin1(tmp_path, "page.html")).json
    assert "caf" in told["data"]
    told = run("explain", "-m", image_model, "--data", data, "--levels", "2", "-n", "2", "--json").json
    assert "caf" in told["pictures"]
    told = run("eval", "-m", image_model, "--robustness", data, "--pictures", "4", "--levels", "1", "--corruptions",
               "none", "--likelihood-steps", "0", "--json").json
    assert "caf" in str(told)


def test_trainings_under_names_that_are_not_utf8(small_data, tmp_path):
    data, out = latin1(tmp_path, "quarters.zip"), latin1(tmp_path, "run")
    os.symlink(small_data, data)
    command = ["train", "smoke", "--data", data, "--out", out, "--set", "train.batch=8", "--set", "train.images=16",
               "--set", "sample.pictures=0", "--json"]
    assert "caf" in run(*command).json["folder"]
    assert run(*command, "--set", "train.images=24", "--resume").json["images"] == 24


def test_without_locks_experiments_and_trainings_run_with_one_warning(small_data, tmp_path, faults):  # noqa: F811
    experiment = small_experiment(tmp_path)
    for reason in errno.ENOLCK, errno.ENOSYS, errno.EBADF, errno.EOPNOTSUPP:
        out = tmp_path / f"x{reason}"
        result = run("ablate", experiment, "--data", small_data, "--out", out, "--train-only",
                     env=without_locks(faults, reason))
        assert (out / "runs/tmsa-seed0/snapshot-000000080.safetensors").exists()
        assert result.err.count("not support file locks") >= 1
    result = run("train", tmp_path / "base.toml", "--data", small_data, "--out", tmp_path / "run",
                 env=without_locks(faults))
    assert result.err.count("not support file locks") == 1


def test_without_locks_samples_are_made_with_a_warning(image_model, tmp_path, faults):  # noqa: F811
    for name in "x.npz", "x/":
        told = run("sample", "-m", image_model, "-n", "2", "--classes", "1", "--steps", "2", "-o", f"{tmp_path}/{name}",
                   "--json", env=without_locks(faults))
        assert len(told.json["warnings"]) == 1 and "not support file locks" in told.json["warnings"][0]
