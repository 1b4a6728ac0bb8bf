"""The installed library: programs that know only the package train, cancel, resume, sample and evaluate."""

import json
import os
import subprocess

import numpy as np
import pytest

from conftest import ROOT, refused, run
from formats import read_safetensors

BUILD = ROOT / "build/release"


def checked(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The examples, built against a copy that was installed into an empty folder."""
    if not (BUILD / "libdiffit.so").exists():
        pytest.skip("this build has no shared library")
    prefix, build = tmp_path_factory.mktemp("prefix"), tmp_path_factory.mktemp("examples")
    checked("cmake", "--install", BUILD, "--prefix", prefix)
    checked("cmake", "-S", ROOT / "examples", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            "-DCMAKE_BUILD_TYPE=Release")
    checked("cmake", "--build", build, "-j2")
    return prefix, build


def environment():
    """Without the variables by which a source tree is found."""
    return {name: value for name, value in os.environ.items() if name != "DIFFIT_HOME"}


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npz"
    generator = np.random.default_rng(0)
    np.savez(path, arr_0=generator.integers(0, 256, (64, 16, 16, 1), dtype=np.uint8))
    return path


def test_a_program_trains_stops_resumes_and_samples(programs, images, tmp_path):
    _, build = programs
    out = checked(build / "train_and_sample", images, tmp_path / "run", env=environment(), cwd=tmp_path)
    assert "stopped: interrupted at" in out and "trained for 128 images" in out
    assert out.count("a sample of 16 x 16 pixels") == 4
    # The same as in one session.
    run("train", "smoke", "--data", images, "--out", tmp_path / "whole", "--set", "train.images=128")
    for name in ("-ema.safetensors", ".safetensors"):
        a, b = (sorted((tmp_path / folder).glob(f"snapshot*128*{name}")) for folder in ("run", "whole"))
        assert a and [path.read_bytes() for path in a] == [path.read_bytes() for path in b]


def test_a_program_samples_a_bundled_model_of_the_installation(programs, tmp_path):
    _, build = programs
    out = checked(build / "sample", "fashion-mnist", tmp_path / "grid.png", env=environment(), cwd=tmp_path)
    assert (tmp_path / "grid.png").stat().st_size > 1000 and "16 images" in out


def test_a_program_evaluates(programs, tmp_path):
    _, build = programs
    generator = np.random.default_rng(1)
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", arr_0=generator.integers(0, 256, (300, 28, 28, 1), dtype=np.uint8))
    out = checked(build / "evaluate", tmp_path / "a.npz", tmp_path / "b.npz", "fashion-net", env=environment(),
                  cwd=tmp_path)
    assert "[" in out and len(out.splitlines()) >= 2


def test_a_program_trains_and_samples_with_its_own_time_conditioning(programs, images, tmp_path):
    _, build = programs
    out = checked(build / "custom_time", images, tmp_path / "run", env=environment(), cwd=tmp_path)
    assert "trained for 128 images" in out and "4 samples" in out
    model, = (tmp_path / "run").glob("snapshot*128*-ema.safetensors")
    weights, metadata = read_safetensors(model)
    assert json.loads(metadata["diffit.config"])["time"] == "shifted_input"
    shifts = sorted(name for name in weights if name.endswith(".block.shift_temb.weight"))
    assert shifts and all(np.abs(weights[name]).max() > 0 for name in shifts)
    # A program without the variant rejects the file and lists what it knows.
    refused("sample", "-m", model, "-o", tmp_path / "x.png", mentions=["shifted_input", "tmsa", "adaln"])


def test_a_program_opens_a_model_and_denoises(programs, tmp_path):
    _, build = programs
    out = checked(build / "open_model", "fashion-mnist", env=environment(), cwd=tmp_path).splitlines()
    assert "1 x 32 x 32, 10 classes" in out[0] and "predicts edm" in out[0]
    assert len(out) == 5
    for line in out[1:]:
        low, high = (float(word) for word in line.split("from ")[1].split(" to "))
        assert -1.5 < low < high < 1.5


def test_errors_name_fields_and_keep_their_kind(programs, tmp_path):
    _, build = programs
    result = subprocess.run([build / "sample", "no-such-model", tmp_path / "x.png"], capture_output=True, text=True,
                            env=environment(), cwd=tmp_path)
    assert result.returncode == 1 and "no-such-model" in result.stderr and result.stderr.count("\n") == 1


def test_the_installed_program_finds_its_presets(programs, tmp_path):
    prefix, _ = programs
    out = checked(prefix / "bin/diffit", "info", "--json", env=environment(), cwd=tmp_path)
    assert "fashion-mnist" in out
