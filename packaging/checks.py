"""Correctness and speed of an unpacked diffit on one machine: one table, one JSON file. See run-checks.sh.

Correctness: both the library and diffit.torch evaluate a network in float32; the error of the library against float64
may be at most 8 times that of torch, plus one rounding (docs/numerics.md).
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import gpu_table

HERE = pathlib.Path(__file__).resolve().parent
ROWS = 8  # of a batch in comparisons


def find_package(given):
    """Puts the Python package of the unpacked tarball on the path."""
    places = [pathlib.Path(given)] if given else sorted(HERE.parent.glob("diffit-*")) + [HERE.parent]
    for place in places:
        if (place / "lib/diffit/__init__.py").exists():
            sys.path.insert(0, str(place / "lib"))
            return place
    sys.exit("error: the unpacked diffit was not found beside this folder; give --diffit FOLDER")


class Checks:
    def __init__(self, device, seconds):
        self.device, self.limit, self.began, self.rows = device, seconds, time.monotonic(), []

    def left(self):
        return self.limit - (time.monotonic() - self.began)

    def check(self, name, function):
        """Runs one check; a result that is false, or an exception, is a failure."""
        began = time.monotonic()
        try:
            detail = function()
            passed = True
        except Exception as error:  # a check that fails must not end the others
            detail, passed = f"{type(error).__name__}: {error}".splitlines()[0], False
        self.rows.append({"kind": "check", "name": name, "passed": passed, "detail": detail,
                          "seconds": round(time.monotonic() - began, 3)})
        print(f"{'ok' if passed else 'FAILED':8}{name:44}{detail}", flush=True)

    def speed(self, name, what, rate, unit="images/s"):
        self.rows.append({"kind": "speed", "name": name, "what": what, "rate": rate, "unit": unit})


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def closeness(got, reference, exact):
    """The error of `got` in units of what it may be."""
    import numpy
    got, reference, exact = (numpy.asarray(value, dtype=numpy.float64) for value in (got, reference, exact))
    allowed = 8 * (abs(reference - exact).max() + abs(exact).max() * 6e-8)
    return float(abs(got - exact).max() / allowed)


def compare(path, device):
    """The library and torch on one model file, at noise levels from low to high."""
    import diffit
    import diffit.torch
    import torch
    network, exact = diffit.torch.load(path).to(device), diffit.torch.load(path).double()
    generator = torch.Generator().manual_seed(1)
    sigma = torch.logspace(-1.5, 1.5, ROWS)
    with diffit.load(path, device=device, dtype="f32") as model:
        shape = (ROWS, model.info["channels"], model.info["resolution"], model.info["resolution"])
        x = torch.randn(shape, generator=generator) * (1 + sigma.reshape(-1, 1, 1, 1))
        labels = torch.arange(ROWS) % (model.classes + 1) if model.classes else None
        got = model.denoise(x, sigma, labels)
    with torch.no_grad():
        mine = network.denoise(x.to(device), sigma.to(device), None if labels is None else labels.to(device)).cpu()
        truth = exact.denoise(x.double(), sigma.double(), labels)
    worst = max(closeness(got[i], mine[i], truth[i]) for i in range(ROWS))
    expect(worst <= 1, f"error {worst:.2f} times what is allowed")
    return f"error {worst:.2f} of what is allowed"


def golden_model(path, folder):
    """A golden state as a model file."""
    from diffit.torch import _files
    tensors, metadata = _files.read_safetensors(path)
    made = folder / f"{path.parent.name}-{path.name}"
    _files.write_safetensors(made, {name[8:]: value for name, value in tensors.items() if name.startswith("weights.")},
                             metadata)
    return made


def sampling(device):
    import diffit
    import numpy
    with diffit.load("fashion-mnist", device=device) as model:
        images = model.sample(16, steps=8, progress=False)
        again = model.sample(seeds=[3, 9], classes=[3, 9], steps=8, batch=1, progress=False)
        raw = [model.sample(4, steps=8, output="raw", progress=False, device=other) for other in (device, "cpu")]
    expect((abs(images[[3, 9]].astype(int) - again.astype(int)) <= 1).all(), "samples depend on the batch")
    error = float(abs(raw[0] - raw[1]).max())
    expect(numpy.isfinite(raw[0]).all() and error < 2e-3, f"samples of {device} and cpu differ by {error:.1e}")
    return f"largest difference from the CPU {error:.1e}"


def training(device, folder):
    """Stopped and resumed, a training gives the same weights as in one session."""
    import diffit
    import numpy
    data = folder / "images.npz"
    numpy.savez(data, arr_0=numpy.random.default_rng(0).integers(0, 256, (64, 16, 16, 1), dtype=numpy.uint8))
    options = dict(data=data, device=device, set={"train.images": 96, "train.batch": 16}, progress=False)
    try:
        diffit.train("smoke", out=folder / "a", callback=lambda e: not (e.kind == "step" and e.images >= 48), **options)
    except diffit.CancelledError:
        pass
    resumed = diffit.train("smoke", out=folder / "a", resume=True, **options)
    whole = diffit.train("smoke", out=folder / "b", **options)
    expect(pathlib.Path(resumed.model).read_bytes() == pathlib.Path(whole.model).read_bytes(), "weights differ")
    return f"loss {whole.loss:.3f}, bit for bit the same when resumed"


def evaluation(device, folder):
    import diffit
    import numpy
    path = folder / "noise.npz"
    numpy.savez(path, arr_0=numpy.random.default_rng(0).integers(0, 256, (300, 28, 28, 1), dtype=numpy.uint8))
    fid = diffit.evaluate(path, path, features="fashion-net", metrics="fid", bootstrap=0, device=device,
                          progress=False).fd_fashionnet
    expect(abs(fid) < 1e-2, f"the distance of a set from itself is {fid}")
    return f"distance of a set from itself {fid:.1e}"


def rate_of(function, rows, seconds, synchronize):
    """Rows per second: the best of as many repetitions as fit, after two that warm up."""
    for _ in range(2):
        function()
    synchronize()
    best, ended = float("inf"), time.monotonic() + seconds
    while time.monotonic() < ended or best == float("inf"):
        began = time.perf_counter()
        function()
        synchronize()
        best = min(best, time.perf_counter() - began)
    return rows / best


CASES = {  # name: class, configuration, rows
    "image-space 32x32, 10 M": ("ImageDiffiT", dict(resolution=32, channels=[64, 128, 128], depth=[2, 2, 2], classes=10),
                                8),
    "latent 32x32, patch 2, hidden 384": ("LatentDiffiT", dict(input_size=32, patch=2, hidden=384, depth=12, heads=6,
                                                              classes=10), 8),
}


def speeds(checks, folder):
    """Evaluations on a CPU; a GPU has gpu_table.py."""
    import diffit
    import diffit.torch
    import torch
    synchronize = lambda: None  # noqa: E731
    for name, (kind, config, rows) in CASES.items():
        network = getattr(diffit.torch, kind)(**config).eval()
        with torch.no_grad():
            for parameter in network.parameters():  # the last layer starts at zero
                if parameter.requires_grad and not parameter.any():
                    parameter.normal_(std=0.02)
        path = folder / "speed.safetensors"
        network.save(path)
        network.to(checks.device)
        side = config.get("resolution") or config["input_size"]
        x = torch.randn(rows, config.get("in_channels", 3 if kind == "ImageDiffiT" else 4), side, side)
        sigma, labels = torch.full((rows,), 0.5), torch.arange(rows) % 10
        there = [value.to(checks.device) for value in (x, sigma, labels)]
        share = max(1.0, min(10.0, checks.left() / 12))
        with diffit.load(path, device=checks.device, dtype="f32") as model:
            checks.speed(name, "diffit", rate_of(lambda: model.denoise(x, sigma, labels), rows, share, synchronize))
        with torch.no_grad():
            checks.speed(name, "torch, eager", rate_of(lambda: network.denoise(*there), rows, share, synchronize))
            checks.speed(name, "torch.compile", *compiled_rate(checks, path, rows, share))


def compiled_rate(checks, path, rows, seconds):
    """Of torch.compile, in a process of its own that is ended at the time limit: it may compile for minutes."""
    if checks.left() < 20:
        return None, "no time left"
    try:
        ended = subprocess.run([sys.executable, __file__, "--compiled", path, checks.device, str(rows), str(seconds)],
                               capture_output=True, text=True, timeout=checks.left(), env={**os.environ, "PYTHONPATH":
                                                                                          os.pathsep.join(sys.path)})
        return float(ended.stdout.split()[-1]), "images/s"
    except subprocess.TimeoutExpired:
        return None, "it did not compile within the time limit"
    except (ValueError, IndexError):
        return None, (ended.stderr.strip().splitlines() or ["no result"])[-1][:80]


def run_compiled(path, device, rows, seconds):
    import diffit.torch
    import torch
    network, rows = diffit.torch.load(path).to(device), int(rows)
    c = network.config
    side = c.get("resolution") or c["input_size"]
    x = torch.randn(rows, c["in_channels"], side, side, device=device)
    sigma, labels = torch.full((rows,), 0.5, device=device), torch.arange(rows, device=device) % 10
    compiled = torch.compile(network.denoise)
    synchronize = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    with torch.no_grad():
        print(rate_of(lambda: compiled(x, sigma, labels), rows, float(seconds), synchronize))


def program_version(place):
    return subprocess.run([place / "bin/diffit", "--version"], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHON": sys.executable}).stdout.strip()


def main():
    parser = argparse.ArgumentParser(prog="run-checks.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:i (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=300, help="time limit (default: %(default)s)")
    parser.add_argument("--json", default="checks.json", help="file to write (default: %(default)s)")
    parser.add_argument("--diffit", help="folder of the unpacked diffit")
    options = parser.parse_args()
    place = find_package(options.diffit)
    import diffit
    import torch
    checks = Checks(options.device, options.seconds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        checks.check("program", lambda: program_version(place))
        for path in sorted(HERE.glob("golden/seed*/*.safetensors")):
            checks.check(f"golden {path.parent.name}/{path.stem}",
                         lambda path=path: compare(golden_model(path, folder), options.device))
        for name in ("fashion-mnist", "fashion-latent"):
            checks.check(f"model {name}", lambda name=name: compare(
                pathlib.Path(diffit.resource_folder()) / "models" / f"{name}.safetensors", options.device))
        checks.check("samples", lambda: sampling(options.device))
        checks.check("training", lambda: training(options.device, folder))
        checks.check("evaluation", lambda: evaluation(options.device, folder))
        gpu = options.device.startswith("cuda")
        if gpu:
            checks.check("kernels", lambda: gpu_table.kernels(place / "bin/diffit", checks.left()))
        failed = [row["name"] for row in checks.rows if not row["passed"]]
        if gpu:
            gpu_table.measure(checks, place)
        elif checks.left() > 0:
            speeds(checks, folder)
    for row in checks.rows:
        if row["kind"] == "speed":
            rate = "not measured: " + row["unit"] if row["rate"] is None else f"{row['rate']:10.1f} {row['unit']}"
            print(f"{'speed':8}{row['name']:44}{row['what']:16}{rate}")
    machine = {"host": platform.processor() or platform.machine(), "threads": torch.get_num_threads(),
               "gpu": torch.cuda.get_device_name() if gpu else None,
               "torch": torch.__version__, "diffit": diffit.__version__, "device": options.device}
    pathlib.Path(options.json).write_text(json.dumps({"machine": machine, "failed": failed, "rows": checks.rows}, indent=1))
    checked = sum(row["kind"] == "check" for row in checks.rows)
    print(f"{checked - len(failed)} of {checked} checks passed; {options.json}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_compiled(*sys.argv[2:]) if sys.argv[1:2] == ["--compiled"] else main())
