"""dir/ as the output of diffit sample: only images of one request lie in it, and only our own are ever removed."""

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import time

import formats
import numpy as np
import pytest
from conftest import BINARY, files_below, refused, run, split_golden, start
from PIL import Image

STEPS = ["--steps", "2", "--classes", "3", "--dtype", "f32"]


def changed(options, *new):
    """`options` with some of their values replaced."""
    options = list(options)
    for name, value in zip(new[::2], new[1::2]):
        if name in options:
            options[options.index(name) + 1] = value
        else:
            options += [name, value]
    return options


def sample(model, folder, *options, **named):
    return run("sample", "-m", model, "-o", f"{folder}/", *STEPS, *options, **named)


def other_model(path, seed=1):
    weights, metadata, _, _ = split_golden("image", seed)
    formats.write_safetensors(path, weights, metadata)
    return path


def interrupted(model, folder, *options, after="000002.png"):
    """Killed once `after` is there."""
    process = start("sample", "-m", model, "-o", f"{folder}/", *options)
    deadline = time.monotonic() + 60
    while not (folder / after).exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was done before it could be interrupted"


LONG = ["--steps", "60", "--classes", "3", "--dtype", "f32", "--batch", "3", "--threads", "1", "--seeds", "0-11"]


@pytest.mark.smoke
def test_images_of_other_options_are_refused_by_what_differs(image_model, tmp_path):
    folder = tmp_path / "x"
    sample(image_model, folder, "-n", "3")
    before = files_below(folder)
    for options, difference in [(["--steps", "5"], "steps: 2 stored, 5 requested"), (["--churn", "3"], "churn"),
                                (["--guidance", "2"], "guidance"), (["--sampler", "euler"], "sampler"),
                                (["--classes", "4"], "classes"), (["--rounding", "truncate"], "rounding"),
                                (["--dtype", "bf16"], "dtype"), (["--sigma-max", "60"], "sigma_max")]:
        refused("sample", "-m", image_model, "-o", f"{folder}/", "-n", "3", *changed(STEPS, *options),
                mentions=[difference, "--restart", folder])
    assert files_below(folder) == before


@pytest.mark.smoke
def test_images_of_another_model_are_refused(image_model, tmp_path):
    folder = tmp_path / "x"
    mine = shutil.copy(image_model, tmp_path / "m.safetensors")
    sample(mine, folder, "-n", "3")
    other_model(tmp_path / "n.safetensors")
    refused("sample", "-m", tmp_path / "n.safetensors", "-o", f"{folder}/", "-n", "3", *STEPS, mentions=["model"])
    other_model(tmp_path / "m.safetensors")  # the same name, other weights
    refused("sample", "-m", mine, "-o", f"{folder}/", "-n", "3", *STEPS, mentions=["files", "crc32"])
    told = sample(mine, folder, "-n", "3", "--restart", "--json").json
    assert "went_on_after" not in told
    fresh = tmp_path / "fresh"
    sample(mine, fresh, "-n", "3")
    assert files_below(folder) == files_below(fresh)


def test_fewer_images_than_before_are_refused_and_more_go_on(image_model, tmp_path):
    folder = tmp_path / "x"
    sample(image_model, folder, "-n", "6", "--batch", "4")
    refused("sample", "-m", image_model, "-o", f"{folder}/", "-n", "4", *STEPS, mentions=["000004.png", "seed"])
    sample(image_model, folder, "-n", "9", "--batch", "4")
    sample(image_model, tmp_path / "whole", "-n", "9", "--batch", "4")
    assert files_below(folder) == files_below(tmp_path / "whole")


@pytest.mark.smoke
def test_the_same_again_keeps_what_is_there_and_mends_what_is_damaged(image_model, tmp_path):
    folder = tmp_path / "x"
    sample(image_model, folder, "-n", "4")
    before = files_below(folder)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    told = sample(image_model, folder, "-n", "4", "--json").json
    assert told["went_on_after"] == 4 and {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    raw = bytearray((folder / "000001.png").read_bytes())
    raw[-20] ^= 1  # in the pixels
    (folder / "000001.png").write_bytes(raw)
    sample(image_model, folder, "-n", "4")
    assert files_below(folder) == before


def test_an_interrupted_set_of_other_options_is_not_gone_on_with(image_model, tmp_path):
    """Twelve images by two steps, then by sixty: killed and typed again, not one of the old ones is left."""
    folder = tmp_path / "x"
    run("sample", "-m", image_model, "-o", f"{folder}/", *changed(LONG, "--steps", "2"))
    refused("sample", "-m", image_model, "-o", f"{folder}/", *LONG, mentions=["steps: 2 stored, 60 requested"])
    before = files_below(folder)
    process = start("sample", "-m", image_model, "-o", f"{folder}/", *LONG, "--restart")
    deadline = time.monotonic() + 60
    while not (folder / "000002.png").exists() or files_below(folder).get("000002.png") == before.get("000002.png"):
        if (folder / "unfinished.json").exists() and (folder / "000002.png").exists():
            break
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run("sample", "-m", image_model, "-o", f"{folder}/", *LONG)
    run("sample", "-m", image_model, "-o", tmp_path / "whole/", *LONG)
    assert files_below(folder) == files_below(tmp_path / "whole")


def test_restart_removes_its_own_images_alone(image_model, tmp_path):
    folder = tmp_path / "x"
    sample(image_model, folder, "-n", "3")
    (folder / "notes.txt").write_text("mine")
    (folder / ".hidden.png").write_bytes(b"mine too")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "photo.png")
    before = files_below(folder)
    for restart in [], ["--restart"]:
        refused("sample", "-m", image_model, "-o", f"{folder}/", "-n", "3", *STEPS, *restart, mentions=["photo.png"])
    assert files_below(folder) == before
    (folder / "photo.png").unlink()
    run("sample", "-m", image_model, "-o", f"{folder}/", "-n", "2", *changed(STEPS, "--steps", "4"), "--restart")
    assert sorted(path.name for path in folder.iterdir()) == [".hidden.png", "000000.png", "000001.png", "notes.txt"]


@pytest.mark.smoke
def test_an_image_of_someone_else_is_never_written_over(image_model, tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "000001.png")
    before = files_below(folder)
    for restart in [], ["--restart"]:
        refused("sample", "-m", image_model, "-o", f"{folder}/", "-n", "3", *STEPS, *restart, mentions=["000001.png"])
    assert files_below(folder) == before


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_refused_before_anything_is_made(kind, image_model, tmp_path):
    """A pipe would be waited for, and a link without a target would make a file elsewhere."""
    folder = tmp_path / "x"
    folder.mkdir()
    name = folder / "000001.png"
    {"pipe": lambda: os.mkfifo(name), "link": lambda: name.symlink_to("../elsewhere.png"), "folder": name.mkdir}[kind]()
    (folder / "other.png").mkdir()  # not the name of an image of this request
    for restart in [], ["--restart"]:
        refused("sample", "-m", image_model, "-o", f"{folder}/", "-n", "3", *STEPS, *restart, mentions=["000001.png"])
    assert sorted(path.name for path in folder.iterdir()) == ["000001.png", "other.png"]
    assert not (tmp_path / "elsewhere.png").exists()


def test_a_damaged_image_of_an_interrupted_set_is_made_again(image_model, tmp_path):
    folder = tmp_path / "x"
    interrupted(image_model, folder, *LONG, after="000005.png")
    (folder / "000001.png").write_bytes(b"text that was meant for a terminal\n")
    raw = bytearray((folder / "000004.png").read_bytes())
    raw[-20] ^= 1
    (folder / "000004.png").write_bytes(raw)
    run("sample", "-m", image_model, "-o", f"{folder}/", *LONG)
    run("sample", "-m", image_model, "-o", tmp_path / "whole/", *LONG)
    assert files_below(folder) == files_below(tmp_path / "whole")


def test_two_processes_do_not_share_a_folder(image_model, tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    held = os.open(folder / ".diffit.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    refused("sample", "-m", image_model, "-o", f"{folder}/", "-n", "1", *STEPS, code=1, mentions=["another process"])
    os.close(held)
    sample(image_model, folder, "-n", "1")
    assert [path.name for path in folder.iterdir()] == ["000000.png"]


def test_a_half_made_set_is_not_evaluated(image_model, inception, two_sets, tmp_path):
    folder = tmp_path / "set" / "x"
    interrupted(image_model, folder, *LONG)
    for data in folder, folder.parent:
        refused("stats", data, "-o", tmp_path / "ref.npz", "--features", inception, mentions=["unfinished"])
    refused("eval", folder, two_sets[0], "--features", inception, mentions=["SAMPLES", "unfinished"])
    refused("eval", two_sets[0], folder, "--features", inception, mentions=["REF", "unfinished"])
    refused("data", "convert", folder, tmp_path / "x.zip", mentions=["unfinished"])
    refused("diagnose", "-m", image_model, "--data", folder, mentions=["unfinished"])
    refused("train", "smoke", "--data", folder, "--out", tmp_path / "run", mentions=["unfinished"])
    assert not (tmp_path / "ref.npz").exists() and not (tmp_path / "x.zip").exists()


# Rows of x.npz and x.safetensors while they are made.

@pytest.mark.parametrize("name", ["x.npz", "x.safetensors"])
def test_damaged_rows_of_an_interrupted_file_are_made_again(name, image_model, tmp_path):
    run("sample", "-m", image_model, "-o", tmp_path / f"whole-{name}", *LONG)
    part = tmp_path / f"{name}.part"
    process = start("sample", "-m", image_model, "-o", tmp_path / name, *LONG)
    row = 16 * 16 * 3 * (1 if name == "x.npz" else 4)
    while (not part.exists() or part.stat().st_size < 6 * row) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert part.exists(), "it was done before it could be interrupted"
    with part.open("r+b") as file:  # what a closed stderr did to rows
        file.seek(4 * row + 7)
        file.write(b"6/12 images, 3.1/s, ETA 2s\n")
    told = run("sample", "-m", image_model, "-o", tmp_path / name, *LONG, "--json").json
    assert told["went_on_after"] == 3  # the last whole batch before the damage
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert not list(tmp_path.glob("*.part*"))


def test_rows_without_checksums_are_made_again(image_model, tmp_path):
    """As versions before checksums left them: nobody can tell whether they are right."""
    run("sample", "-m", image_model, "-o", tmp_path / "whole.npz", *LONG)
    part = tmp_path / "x.npz.part"
    process = start("sample", "-m", image_model, "-o", tmp_path / "x.npz", *LONG)
    while (not part.exists() or part.stat().st_size == 0) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (tmp_path / "x.npz.part.crc").unlink()
    part.write_bytes(b"\0" * part.stat().st_size)
    run("sample", "-m", image_model, "-o", tmp_path / "x.npz", *LONG)
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.smoke
@pytest.mark.parametrize("length", [230, 245, 255])
def test_long_names(length, image_model, tmp_path):
    for extension in ".npz", ".safetensors", ".png":
        name = "x" * (length - len(extension)) + extension
        sample_one = ["sample", "-m", image_model, "-n", "1", *STEPS, "-o", name]
        run(*sample_one, cwd=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()
    refused("sample", "-m", image_model, "-n", "1", *STEPS, "-o", "x" * 252 + ".png", cwd=tmp_path, mentions=["256 bytes"])


@pytest.mark.smoke
def test_a_grid_that_leaves_the_highest_noise_out_is_warned_of(latent_model, tmp_path):
    command = ["sample", "-m", latent_model, "-n", "1", "--sampler", "ddim", "-o", tmp_path / "x.safetensors"]
    told = run(*command, "--steps", "400", "--json")
    assert len(told.json["warnings"]) == 1 and "333 or 500" in told.json["warnings"][0] and "warning:" in told.err
    assert run(*command, "--steps", "50", "--json").json["warnings"] == []
    assert run(*command, "--steps", "400", "--spacing", "trailing", "--json").json["warnings"] == []


def test_resuming_with_a_closed_stderr_and_again(image_model, tmp_path):
    """Killed, resumed with stderr closed and killed again, then finished: no text among the rows."""
    run("sample", "-m", image_model, "-o", tmp_path / "whole.npz", *LONG)
    command = ["sample", "-m", image_model, "-o", tmp_path / "x.npz", *LONG]
    part = tmp_path / "x.npz.part"
    for closed in ["2>/dev/null", "2>&-", "2>&- >&- <&-"]:
        have = part.stat().st_size if part.exists() else 0
        line = " ".join(shlex.quote(str(word)) for word in command)
        process = subprocess.Popen(["/bin/bash", "-c", f"exec {BINARY} {line} {closed}"])
        while (not part.exists() or part.stat().st_size <= have) and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    run(*command)
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
