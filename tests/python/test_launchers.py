"""torchrun starts `diffit train`: the same files as one process writes."""

import pathlib
import shutil
import subprocess
import sys

import pytest

TORCHRUN = shutil.which("torchrun") or shutil.which("torchrun", path=str(pathlib.Path(sys.executable).parent))


PROGRAM = [sys.executable, "-m", "diffit"]
# A build of the sources has no program beside the package.
INSTALLED = subprocess.run([*PROGRAM, "--version"], capture_output=True).returncode == 0


@pytest.mark.skipif(TORCHRUN is None or not INSTALLED, reason="torchrun or the package is not installed")
def test_torchrun_trains_the_same(images, tmp_path):
    options = ["train", "smoke", "--data", images, "--device", "cpu", "--threads", "1", "--set", "dist.shards=4", "--set",
               "train.images=64", "--set", "train.batch=16", "--set", "train.snapshot_images=64"]

    def run(command, out):
        ended = subprocess.run([str(word) for word in [*command, *options, "--out", out]], capture_output=True, text=True,
                               timeout=180)
        assert ended.returncode == 0, ended.stderr
        return {path.name: path.read_bytes() for path in out.glob("snapshot-*")}

    one = run(PROGRAM, tmp_path / "one")
    two = run([TORCHRUN, "--no-python", "--standalone", "--nproc-per-node", "2", *PROGRAM], tmp_path / "two")
    assert one and one == two
