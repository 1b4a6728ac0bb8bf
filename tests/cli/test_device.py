"""--device and what `diffit info` says of GPUs, with stand-ins for the NVIDIA driver and for LibTorch's CUDA backend."""

import os

import pytest
from conftest import BINARY, ROOT, run

pytestmark = pytest.mark.smoke

STAND_INS = BINARY.parents[2] / "tests/stand_in"
BACKEND_IS_INSTALLED = (ROOT / ".deps/libtorch/torch/lib/libtorch_cuda.so").exists()


def machine(tmp_path, backend=True, **settings):
    """The environment of a machine with a stand-in GPU."""
    if not STAND_INS.exists():
        pytest.skip(f"{STAND_INS} is not there: the tests are not built")
    if BACKEND_IS_INSTALLED:
        pytest.skip("LibTorch's own CUDA backend is installed and would be found first")
    folders = [STAND_INS / "driver"] + ([STAND_INS / "backend"] if backend else [])
    path = ":".join(map(str, folders)) + (":" + os.environ["LD_LIBRARY_PATH"] if "LD_LIBRARY_PATH" in os.environ else "")
    return {"LD_LIBRARY_PATH": path, "STAND_IN_RECORD": str(tmp_path / "record"), **settings}


def record(tmp_path):
    path = tmp_path / "record"
    return path.read_text().split() if path.exists() else []


def test_the_backend_is_loaded_before_cuda_is_asked_about(tmp_path):
    env = machine(tmp_path)
    told = run("info", "--device", "cuda", "--json", env=env).json
    assert told["device"] == "cuda:0"
    assert record(tmp_path)[0] == "loaded" and "asked" in record(tmp_path)[1:]


def test_auto_takes_the_gpu_and_says_so(tmp_path):
    env = machine(tmp_path)
    result = run("info", "--json", env=env)
    assert result.json["device"] == "cuda:0" and record(tmp_path)[:2] == ["loaded", "asked"]
    assert result.err == "device: cuda:0, Stand-in 0\n"
    assert run("info", "--quiet", env=env).err == ""


def test_info_describes_each_gpu(tmp_path):
    env = machine(tmp_path, STAND_IN_GPUS="2")
    gpus = run("info", "--json", env=env).json["gpus"]
    assert gpus == [{"name": f"Stand-in {i}", "memory_bytes": 24 << 30, "compute_capability": "9.0"} for i in (0, 1)]
    text = run("info", env=env).out
    assert "Stand-in 1" in text and "24" in text and "9.0" in text and "13.0" in text


@pytest.mark.parametrize("settings, backend, mentions", [
    ({"CUDA_VISIBLE_DEVICES": ""}, True, ["CUDA_VISIBLE_DEVICES=''"]),
    ({"STAND_IN_INIT": "999"}, True, ["unknown error"]),
    ({"STAND_IN_INIT": "803"}, True, ["error 803"]),
    ({"STAND_IN_GPUS": "0"}, True, ["no GPU"]),
    ({"STAND_IN_VERSION": "12040"}, True, ["12.4", "13.0", "update the driver"]),
    ({"STAND_IN_CAPABILITY": "75"}, True, ["Stand-in 0", "7.5", "8.0"]),
    ({"STAND_IN_REFUSES": "1"}, True, ["backend finds no GPU"]),
    ({}, False, ["not installed", "./dev setup --cuda"]),
    ({"DIFFIT_TF32": "yes"}, True, ["DIFFIT_TF32", "yes"]),
])
def test_a_gpu_that_cannot_be_used_is_refused_in_one_line(settings, backend, mentions, tmp_path):
    env = machine(tmp_path, backend, **settings)
    result = run("info", "--device", "cuda", "--quiet", code=2, env=env)
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.err
    for word in mentions:
        assert word in lines[0]


@pytest.mark.parametrize("name, mentions", [
    ("cuda:1", ["cuda:1", "there is 1 GPU"]), ("cuda:-1", ["cuda:-1"]), ("cuda:x", ["x"]), ("cuda:999", ["cuda:999"]),
    ("gpu", ["gpu", "auto, cpu, cuda or cuda:i"]),
])
def test_a_device_that_is_not_there_is_refused(name, mentions, tmp_path):
    result = run("info", "--device", name, "--quiet", code=2, env=machine(tmp_path))
    assert len(result.err.splitlines()) == 1
    for word in mentions:
        assert word in result.err


def test_auto_takes_the_cpu_and_says_why_not_the_gpu(tmp_path):
    env = machine(tmp_path, STAND_IN_VERSION="12040")
    result = run("info", "--json", env=env)
    assert result.json["device"] == "cpu" and "12.4" in result.json["gpu_unusable"]
    assert result.err.startswith("device: cpu; the GPU is not used: ") and "12.4" in result.err


def test_cpu_loads_no_backend(tmp_path):
    told = run("info", "--device", "cpu", "--json", env=machine(tmp_path)).json
    assert told["device"] == "cpu" and record(tmp_path) == []
