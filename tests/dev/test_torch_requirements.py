"""scripts/torch_requirements.py, by which ./dev build --torch knows what to download."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/torch_requirements.py"
sys.path.insert(0, str(SCRIPT.parent))
import torch_requirements  # noqa: E402


@pytest.mark.parametrize("metadata, wanted", [
    ("Requires-Dist: cuda-toolkit[cublas,cudart,cupti,nvtx]==13.2.2; platform_system == \"Linux\"\n", ["cuda-toolkit[cudart,cupti]==13.2.2"]),
    ("Requires-Dist: nvidia-cuda-runtime-cu12 (==12.8.90) ; platform_system == \"Linux\"\n"
     "Requires-Dist: nvidia-cuda-cupti-cu12==12.8.90; platform_system == \"Linux\"\n"
     "Requires-Dist: nvidia-cudnn-cu12==9.1\nRequires-Dist: nvidia-cuda-nvrtc-cu12==12.8\n",
     ["nvidia-cuda-runtime-cu12==12.8.90", "nvidia-cuda-cupti-cu12==12.8.90"]),
    ("Requires-Dist: cuda-toolkit[cublas]==13.2.2\nRequires-Dist: sympy>=1.13\nSummary: nvidia-cuda-runtime==1\n", []),
])
def test_the_runtime_and_cupti_are_found(metadata, wanted):
    assert torch_requirements.requirements(metadata) == wanted


def test_a_wheel_is_read(tmp_path):
    path = tmp_path / "torch.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("torch/include/METADATA", "Requires-Dist: nvidia-cuda-cupti==1\n")
        wheel.writestr("torch-9.dist-info/METADATA", "Name: torch\nRequires-Dist: nvidia-cuda-runtime==13.0.96\n")
    done = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=True)
    assert done.stdout == "nvidia-cuda-runtime==13.0.96\n"
