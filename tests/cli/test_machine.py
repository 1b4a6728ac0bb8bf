"""Signals, descriptors, terminals, permissions and locks: the machine as users have it."""

import errno
import fcntl
import json
import os
import pathlib
import re
import signal
import stat
import struct
import subprocess
import termios
import threading
import time

import formats
import numpy as np
import pytest
from conftest import BINARY, files_below, refused, run, start
from machine import faults, on_terminal, shell, without_locks  # noqa: F401
from PIL import Image

SMALL = ["--set", "train.batch=8", "--set", "train.dtype=f32", "--threads", "1", "--set", "sample.pictures=0"]
ENDLESS = [*SMALL, "--set", "train.images=100000000", "--set", "train.log_images=8"]
SAMPLE = ["-n", "6", "--steps", "2", "--threads", "1", "--batch", "2"]


def wait_for(ready, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.01)


def has_records(folder):
    path = folder / "stats.jsonl"
    return lambda: path.exists() and path.stat().st_size > 0


# Signals

@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
def test_each_signal_that_ends_a_training_saves_it(name, small_data, tmp_path):
    folder = tmp_path / "run"
    process = start("train", "smoke", "--data", small_data, "--out", folder, *ENDLESS)
    wait_for(has_records(folder), process)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "--resume" in err.splitlines()[-1], err
    assert list(folder.glob("state-*.safetensors"))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")], "neither lock nor temporary file stays"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ignored_signals_stay_ignored(name, small_data, tmp_path):
    folder = tmp_path / "run"
    number = getattr(signal, name)
    process = subprocess.Popen([BINARY, "train", "smoke", "--data", small_data, "--out", folder, *ENDLESS],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    wait_for(has_records(folder), process)
    process.send_signal(number)
    size = (folder / "stats.jsonl").stat().st_size
    wait_for(lambda: (folder / "stats.jsonl").stat().st_size > size, process)
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    assert process.returncode == 1


def test_a_second_signal_ends_at_once_and_leaves_no_temporary_file(tmp_path):
    # Decoding never ends: the folder's images are read slowly through many large files.
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(60):
        Image.fromarray(rng.integers(0, 255, (512, 512, 3), dtype=np.uint8)).save(tmp_path / f"images/{i:03}.png")
    out = tmp_path / "out"
    out.mkdir()
    process = start("data", "convert", tmp_path / "images", out / "x.zip", "--threads", "1")
    wait_for(lambda: any(out.iterdir()), process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "no file was written" in err
    assert list(out.iterdir()) == []


def catches(process, number):
    """Whether the process has a handler for the signal."""
    lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    caught = int(next(line for line in lines if line.startswith("SigCgt:")).split()[1], 16)
    return bool(caught >> (number - 1) & 1)


def test_work_without_a_state_is_interrupted_with_one_line(tmp_path):
    process = start("explain", "-m", "fashion-mnist", "--time", "--levels", "64", "-n", "64", "-o", tmp_path / "x.html",
                    "--quiet", "--threads", "1")
    wait_for(lambda: catches(process, signal.SIGTERM), process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (1, "", "error: interrupted by SIGTERM\n")
    assert list(tmp_path.iterdir()) == []


def test_files_beyond_the_limit_of_the_shell_are_an_error(small_data, tmp_path):
    done = shell(f"ulimit -f 4; $DIFFIT data convert {small_data} out.zip --quiet", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot write out.zip: File too large") and list(tmp_path.iterdir()) == []


# Descriptors

@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", ">&-"])
def test_no_text_reaches_a_file_where_descriptors_are_closed(closed, image_model, tmp_path):
    run("sample", "-m", image_model, "-o", tmp_path / "want.npz", *SAMPLE)
    # Interrupted first: going on again is said on stderr.
    options = " ".join(SAMPLE)
    process = start("sample", "-m", image_model, "-o", tmp_path / "got.npz", *SAMPLE)
    part = tmp_path / "got.npz.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.001)
    process.kill()
    process.wait()
    done = shell(f"$DIFFIT sample -m {image_model} -o got.npz {options} {closed}", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "got.npz").read_bytes() == (tmp_path / "want.npz").read_bytes()


def test_a_result_that_cannot_be_printed_is_an_error_after_the_work(image_model, tmp_path):
    for where in (">/dev/full", "| true"):
        out = tmp_path / "x.npz"
        done = shell(f"set -o pipefail; (sleep 0.5; exec $DIFFIT sample -m {image_model} -o {out} {' '.join(SAMPLE)}) {where}")
        assert done.returncode == 1 and b"error: stdout: the result cannot be written" in done.stderr, where
        assert out.exists()
        out.unlink()


@pytest.mark.parametrize("where", ["2>/dev/full", "2> >(exec true)"])
def test_messages_that_cannot_be_written_end_nothing(where, small_data, tmp_path):
    done = shell(f"$DIFFIT train smoke --data {small_data} --out run {' '.join(SMALL)} --set train.images=64 {where}",
                 cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/snapshot-000000064.safetensors").exists()


def test_a_result_reaches_a_slow_reader_of_a_pipe_that_does_not_block(image_model):
    """Parents such as Node.js make their end of the pipe, and with it the program's, non-blocking."""
    command = ["explain", "-m", image_model, "--levels", "6", "-n", "2", "--json", "--quiet"]
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    process = subprocess.Popen([BINARY, *map(str, command)], stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    got = b""
    while piece := os.read(reading, 1000):
        got += piece
        time.sleep(0.01)
    os.close(reading)
    assert process.wait(timeout=60) == 0, process.stderr.read()
    assert len(got) > 4096 and json.loads(got)["model"]


def test_a_stalled_reader_of_messages_does_not_stop_the_work(image_model, tmp_path):
    process = subprocess.Popen([BINARY, "sample", "-m", image_model, "-o", tmp_path / "x.npz", *SAMPLE],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    fcntl.fcntl(process.stderr, 1031, 4096)  # F_SETPIPE_SZ: a page, filled before the program writes
    filler = os.open(f"/proc/self/fd/{process.stderr.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(filler, b"x" * 4096)
    except BlockingIOError:
        pass
    assert process.wait(timeout=60) == 0
    os.close(filler)
    process.stderr.close()


# Terminals

def test_the_status_line_fits_the_window(image_model, tmp_path):
    widths = iter([40, 23])

    def narrower(process, master):
        if (width := next(widths, None)) is not None:
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))

    code, text = on_terminal("sample", "-m", image_model, "-o", tmp_path / "x.npz", "-n", "600", "--steps", "8", "--threads", "1",
                             "--batch", "20", columns=30, during=narrower)
    assert code == 0
    lines = [line for line in text.split("\r\x1b[K") if "/s, ETA" in line or "evaluati" in line]
    assert len(lines) >= 2, text
    assert max(map(len, lines)) < 40 and len(lines[-1]) <= 22, lines


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"TERM": None}])
def test_no_escape_codes_where_they_are_not_wanted(env, image_model, tmp_path):
    code, text = on_terminal("sample", "-m", image_model, "-o", tmp_path / "x.npz", "-n", "200", "--steps", "8", "--threads", "1",
                             "--batch", "20", env=env)
    assert code == 0 and "\x1b" not in text


NASTY = "a\x1b]0;owned\x07\x9b31m\u202egnp"


def test_names_never_command_the_terminal(image_model, tmp_path):
    line = refused("sample", "-m", tmp_path / NASTY, "-o", tmp_path / "x.png", mentions=["\\u001b", "\\u202e"])
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)
    result = run("sample", "-m", image_model, "-o", tmp_path / f"{NASTY}.npz", *SAMPLE)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", result.out + result.err)
    told = run("sample", "-m", image_model, "-o", tmp_path / f"{NASTY}.npz", *SAMPLE, "--json")
    assert told.json["out"].endswith(f"{NASTY}.npz") and "\u202e" not in told.out


def test_names_that_are_no_utf8_do_not_end_the_work(image_model, small_data, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    model, data = folder + b"/m.safetensors", folder + b"/d.zip"
    pathlib.Path(os.fsdecode(model)).write_bytes(image_model.read_bytes())
    pathlib.Path(os.fsdecode(data)).write_bytes(small_data.read_bytes())
    for args in (["sample", "-m", model, "-o", folder + b"/x.npz", *SAMPLE], ["info", model], ["data", "info", data],
                 ["data", "convert", data, folder + b"/y.zip"],
                 ["sample", "-m", model, "-o", folder + b"/x.png", *SAMPLE],
                 ["train", "smoke", "--data", data, "--out", folder + b"/run", *SMALL, "--set", "train.images=16"],
                 ["train", "smoke", "--data", data, "--out", folder + b"/run", *SMALL, "--set", "train.images=32", "--resume"]):
        done = subprocess.run([BINARY, *args, "--json"], capture_output=True)
        assert done.returncode == 0, (args, done.stderr)
        json.loads(done.stdout)  # which refuses what is no UTF-8


# Permissions, devices, links

@pytest.mark.parametrize("umask, mode", [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644)])
def test_the_umask_decides(umask, mode, image_model, small_data, tmp_path):
    options = " ".join(SAMPLE)
    done = shell(f"umask {umask:o}; for o in x.npz x.png dir/; do $DIFFIT sample -m {image_model} -o $o {options} || exit 9; done; "
                 f"$DIFFIT data convert {small_data} y.zip && "
                 f"$DIFFIT train smoke --data {small_data} --out run {' '.join(SMALL)} --set train.images=16", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == mode, path


def test_outputs_stay_what_they_are(image_model, tmp_path):
    want = tmp_path / "want.npz"
    run("sample", "-m", image_model, "-o", want, *SAMPLE)
    real, link, hard, pipe = (tmp_path / f"{name}.npz" for name in ("real", "link", "hard", "pipe"))
    link.symlink_to("real.npz")
    run("sample", "-m", image_model, "-o", link, *SAMPLE)
    assert link.is_symlink() and real.read_bytes() == want.read_bytes()
    real.write_text("old")
    real.chmod(0o640)
    hard.hardlink_to(real)
    run("sample", "-m", image_model, "-o", hard, *SAMPLE)
    assert real.samefile(hard) and real.read_bytes() == want.read_bytes() and stat.S_IMODE(real.stat().st_mode) == 0o640
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    run("sample", "-m", image_model, "-o", pipe, *SAMPLE)
    reader.join()
    assert got == [want.read_bytes()] and stat.S_ISFIFO(pipe.stat().st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"want.npz", "real.npz", "link.npz", "hard.npz", "pipe.npz"}


def test_an_output_may_be_stdout(latent_model, tmp_path):
    run("convert", latent_model, tmp_path / "want.safetensors", "--dtype", "bf16")
    for target in ("/dev/stdout", "/proc/self/fd/1"):
        (tmp_path / "link.safetensors").unlink(missing_ok=True)
        (tmp_path / "link.safetensors").symlink_to(target)
        done = shell(f"$DIFFIT convert {latent_model} link.safetensors --dtype bf16 --quiet > got", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "got").read_bytes() == (tmp_path / "want.safetensors").read_bytes()


def test_no_text_follows_an_output_on_stdout(image_model, small_data, tmp_path):
    """Results that are printed to stdout otherwise go to stderr, or nowhere with --quiet."""
    (tmp_path / "out.png").symlink_to("/dev/stdout")
    for command in (f"sample -m {image_model} -n 2 --steps 2", f"data preview {small_data} -n 4"):
        run(*command.split(), "-o", tmp_path / "want.png")
        want = (tmp_path / "want.png").read_bytes()
        for options, told in (("", True), ("--json", True), ("--quiet", False)):
            done = shell(f"$DIFFIT {command} -o out.png {options} | cat", cwd=tmp_path)
            assert done.returncode == 0 and done.stdout == want, (command, options)
            assert (b"out.png" in done.stderr) == told


def test_names_may_be_as_long_as_the_disk_allows(image_model, tmp_path):
    for length in (245, 251, 255):
        path = tmp_path / ("x" * (length - 4) + ".png")
        run("sample", "-m", image_model, "-o", path, *SAMPLE)
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
        path.unlink()


def test_records_may_be_devices_and_pipes_are_not_waited_for(small_data, tmp_path):
    train = ["train", "smoke", "--data", small_data, *SMALL, "--set", "train.images=16", "--out"]
    for name in ("log.txt", "stats.jsonl"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).symlink_to("/dev/full")
        result = run(*train, tmp_path / name)
        assert "No space left" in result.err and (tmp_path / name / name).is_symlink()
        (tmp_path / f"pipe-{name}").mkdir()
        os.mkfifo(tmp_path / f"pipe-{name}" / name)
        refused(*train, tmp_path / f"pipe-{name}", code=1, mentions=[name])


def test_other_peoples_files_are_left_alone(small_data, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("thesis.abc123.tmp", "notes.tmp", ".diffit-mine.tmp", "a.png.k3Xz9Q.tmp"):
        (folder / name).write_text("dear")
    run("train", "smoke", "--data", small_data, "--out", folder, *SMALL, "--set", "train.images=16")
    for name in ("thesis.abc123.tmp", "notes.tmp", ".diffit-mine.tmp", "a.png.k3Xz9Q.tmp"):
        assert (folder / name).read_text() == "dear"


@pytest.mark.parametrize("command", [["info"], ["data", "info"], ["sample", "-o", "x.png", "-m"], ["data", "convert"]])
def test_a_fifo_as_input_is_refused_at_once(command, tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    more = ["out.zip"] if "convert" in command else []
    line = refused(*command, tmp_path / "pipe.safetensors", *more, cwd=tmp_path, mentions=["pipe"])
    assert "pipe.safetensors" in line


def test_an_input_that_is_cut_while_it_is_read_is_an_error(faults, image_model, tmp_path):  # noqa: F811
    for size in (200, 100_000):
        model = tmp_path / "m.safetensors"
        model.write_bytes(image_model.read_bytes())
        result = run("sample", "-m", model, "-o", tmp_path / "x.png", *SAMPLE, "--quiet", code=None, env={
            **faults, "DIFFIT_FAULT_CUT": f"{model}:{min(size, model.stat().st_size // 2)}"})
        assert result.code in (1, 2) and result.err.startswith("error: ") and len(result.err.splitlines()) == 1
        assert not (tmp_path / "x.png").exists()


def test_a_deleted_working_directory_is_one_line(image_model, tmp_path):
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; $DIFFIT sample -m {image_model} -o {tmp_path}/x.npz {' '.join(SAMPLE)} --quiet",
                 cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: the working directory") and done.stderr.count(b"\n") == 1


# Locks

@pytest.mark.parametrize("reason", [errno.EBADF, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_no_other_process(reason, faults, small_data, tmp_path):  # noqa: F811
    result = run("train", "smoke", "--data", small_data, "--out", tmp_path / "run", *SMALL, "--set", "train.images=16",
                 env=without_locks(faults, reason))
    assert result.err.count("not support file locks") == 1 and "another process is training" not in result.err
    assert (tmp_path / "run/snapshot-000000016.safetensors").exists()


def test_two_trainings_in_one_folder_exclude_each_other(small_data, tmp_path):
    folder = tmp_path / "run"
    process = start("train", "smoke", "--data", small_data, "--out", folder, *ENDLESS)
    wait_for(has_records(folder), process)
    refused("train", "smoke", "--data", small_data, "--out", folder, *ENDLESS, "--resume", mentions=["another process"])
    process.kill()
    process.wait()
    run("train", "smoke", "--data", small_data, "--out", folder, *SMALL, "--set", "train.images=16", "--resume")
    assert not (folder / ".diffit.lock").exists()


def test_samples_go_on_where_locks_are_refused(faults, image_model, tmp_path):  # noqa: F811
    run("sample", "-m", image_model, "-o", tmp_path / "want.npz", *SAMPLE)
    run("sample", "-m", image_model, "-o", tmp_path / "x.npz", *SAMPLE, env=without_locks(faults))
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "want.npz").read_bytes()


def test_records_that_cannot_be_written_do_not_end_a_training(small_data, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "log.txt").symlink_to("/dev/full")
    result = run("train", "smoke", "--data", small_data, "--out", folder, *SMALL, "--set", "train.images=32")
    assert result.err.count("log.txt: cannot write") == 1
    assert (folder / "snapshot-000000032.safetensors").exists()
    assert len(files_below(folder)) >= 4
