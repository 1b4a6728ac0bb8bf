"""What every test of the command line uses: the program, golden states, small data sets and models."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import formats
import inception as inception_file
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("DIFFIT_BINARY", ROOT / "bin/diffit")).resolve()
GOLDEN = ROOT / "tests/golden"
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # the machine may be busy with other tests
if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:  # they share the processors
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // workers)))
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str
    seconds: float
    rss: int  # largest resident memory in bytes

    @property
    def json(self):
        return json.loads(self.out)


def heed_signals():
    """A test run in the background ignores some signals, and the program respects that: undo it in the child."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)


def start(*args, cwd=None, env=None):
    """The program in the background, its output in files that the caller reads from .stdout and .stderr."""
    return subprocess.Popen([BINARY, *map(str, args)], cwd=cwd, env={**os.environ, **(env or {})},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=heed_signals)


def run(*args, code=0, cwd=None, env=None, timeout=300):
    """Runs diffit and checks its exit code, unless that is None."""
    began = time.monotonic()
    process = subprocess.run([sys.executable, "-S", "-E", "-c", MEASURE, BINARY, *map(str, args)], cwd=cwd,
                             env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=timeout)
    out, err = process.stdout.decode(), process.stderr.decode()
    err, _, rss = err.rpartition("\0")
    result = Result(process.returncode, out, err, time.monotonic() - began, int(rss) * 1024)
    # Names that are not UTF-8 would break the channel between parallel test processes.
    told = f"{' '.join(map(str, args))}\nexit {result.code}, wanted {code}\n{err}\n{out}".encode("utf-8", "backslashreplace")
    assert code is None or result.code == code, told.decode()
    return result


# Runs a program and says on stderr, after a NUL, how much memory it took at most: of a process started from here,
# the system would count this one's memory too.
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
sys.stderr.write("\\0%d" % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code if code >= 0 else 128 - code)
"""


def refused(*args, code=2, mentions=(), cwd=None):
    """Runs what must be refused: one line that begins with 'error:', naming what it must."""
    result = run(*args, "--quiet", code=code, cwd=cwd)
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error:"), result.err
    for word in mentions:
        assert str(word) in lines[0], f"wanted '{word}' in: {lines[0]}"
    assert result.out == ""
    return lines[0]


@pytest.fixture(scope="session", autouse=True)
def binary():
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: run ./dev build", returncode=1)
    return BINARY


def split_golden(name, seed=0):
    """(weights with their metadata, inputs, outputs) of a golden state."""
    tensors, metadata = formats.read_safetensors(GOLDEN / f"seed{seed}" / f"{name}.safetensors")
    parts = {kind: {key.split(".", 1)[1]: value for key, value in tensors.items() if key.startswith(kind + ".")}
             for kind in ("weights", "in", "out")}
    return parts["weights"], metadata, parts["in"], parts["out"]


@pytest.fixture(scope="session")
def image_model(tmp_path_factory):
    """A small image-space model: 16x16 RGB, ten classes."""
    weights, metadata, _, _ = split_golden("image")
    path = tmp_path_factory.mktemp("model") / "image.safetensors"
    formats.write_safetensors(path, weights, metadata)
    return path


@pytest.fixture(scope="session")
def latent_model(tmp_path_factory):
    weights, metadata, _, _ = split_golden("latent")
    path = tmp_path_factory.mktemp("model") / "latent.safetensors"
    formats.write_safetensors(path, weights, metadata)
    return path


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """200 grey pictures of 16x16 in four classes, each a bright quarter, as an EDM zip."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    pictures = rng.integers(0, 60, (200, 16, 16), dtype=np.uint8)
    for picture, label in zip(pictures, labels):
        y, x = 8 * (label // 2), 8 * (label % 2)
        picture[y : y + 8, x : x + 8] += 150
    path = tmp_path_factory.mktemp("data") / "quarters.zip"
    formats.edm_zip(path, pictures, labels)
    return path


def small_experiment(folder, name="experiment.toml", snapshots=1, score=""):
    """An experiment file with one variant, trained on 80 images, and its recipe base.toml in the same folder."""
    (folder / "base.toml").write_text("""
[model]
channels = [8, 16]
depth = [1, 1]
head_dim = 8
mlp_ratio = 1.0
classes = 0
[train]
images = 80
batch = 8
dtype = "f32"
[ema]
half_life_images = 100
power = [0.1]
[sample]
pictures = 0
""")
    (folder / name).write_text(f"""
base = "{folder / 'base.toml'}"
seeds = [0]
images = 80
snapshots = {snapshots}
{score}
[[variant]]
name = "tmsa"
""")
    return folder / name


@pytest.fixture(scope="session")
def inception(tmp_path_factory):
    """Inception-v3 whole, with weights by a formula: 95 MB."""
    path = tmp_path_factory.mktemp("features") / "inception.safetensors"
    inception_file.write(path)
    return path


@pytest.fixture(scope="session")
def two_sets(tmp_path_factory):
    """12 and 14 RGB pictures of 32 x 32, coarse noise of unlike contrast, as npz."""
    folder, rng, paths = tmp_path_factory.mktemp("sets"), np.random.default_rng(3), []
    for name, count, contrast in (("a", 12, 60), ("b", 14, 90)):
        coarse = rng.normal(128, contrast, (count, 8, 8, 3)).repeat(4, 1).repeat(4, 2)
        pictures = np.clip(coarse + rng.normal(0, 20, coarse.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{name}.npz")
        np.savez(paths[-1], arr_0=pictures)
    return paths


def files_below(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(pathlib.Path(folder).rglob("*"))
            if path.is_file()}
