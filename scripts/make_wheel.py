#!/usr/bin/env python3
"""Makes the wheel out of builds of the library: `make_wheel.py OUT VERSION=BUILD...`, called by ./dev wheel.

Each BUILD holds libdiffit.so and wheel/diffit for one version of torch. Needs scikit-build-core, build, auditwheel and
patchelf. The libraries of the distribution go into the wheel; those of torch and CUDA are the user's.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Relative to diffit/lib/torch-X.Y/ in site-packages.
RPATH = "$ORIGIN:$ORIGIN/../../../torch/lib"
USERS = ["libtorch*", "libc10*", "libgomp*", "libcud*", "libcupti*", "libcublas*", "libnv*", "libdiffit*"]
LARGEST = 30_000_000  # bytes


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def stage(folder: pathlib.Path, build: pathlib.Path) -> None:
    """Copies library and program of a build, without symbols, to look for each other and for torch beside the package."""
    folder.mkdir(parents=True)
    library, program = folder / "libdiffit.so", folder / "diffit"
    shutil.copy(build / "libdiffit.so", library)
    shutil.copy(build / "wheel/diffit", program)
    for name in ("libdiffit_cuda.so", "libdiffit_cuda_graph.so"):
        for file in build.glob(f"lib/{name}"):
            shutil.copy(file, folder / name)
    soname = subprocess.run(["patchelf", "--print-soname", library], check=True, capture_output=True, text=True).stdout.strip()
    run("patchelf", "--replace-needed", soname, "libdiffit.so", program)
    run("patchelf", "--set-soname", "libdiffit.so", library)
    for file in folder.iterdir():
        run("patchelf", "--set-rpath", RPATH, file)
        run("strip", "--strip-unneeded", file)
        file.chmod(0o755)


def main() -> int:
    out, builds = pathlib.Path(sys.argv[1]).resolve(), dict(word.split("=", 1) for word in sys.argv[2:])
    work = ROOT / "build/wheel"
    shutil.rmtree(work, ignore_errors=True)
    torch_lib = []
    for version, build in builds.items():
        stage(work / "stage" / f"torch-{minor(version)}", pathlib.Path(build).resolve())
        root = re.search(r"^LIBTORCH_ROOT:\w+=(.*)$", (pathlib.Path(build) / "CMakeCache.txt").read_text(), re.M)[1]
        torch_lib.append(root + "/torch/lib")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", work / "raw",
        f"-Ccmake.define.DIFFIT_STAGE={work / 'stage'}", ROOT)
    raw, = (work / "raw").glob("*.whl")
    out.mkdir(parents=True, exist_ok=True)
    excluded = [word for pattern in USERS for word in ("--exclude", pattern)]
    run(sys.executable, "-m", "auditwheel", "repair", *excluded, "--wheel-dir", work / "repaired", raw,
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(torch_lib)})
    wheel, = (work / "repaired").glob("*.whl")
    size = wheel.stat().st_size
    if size > LARGEST:
        print(f"error: {wheel.name} has {size / 1e6:.1f} MB, wanted at most {LARGEST / 1e6:.0f}", file=sys.stderr)
        return 1
    shutil.copy(wheel, out)
    with zipfile.ZipFile(wheel) as archive:
        largest = sorted(archive.infolist(), key=lambda entry: -entry.compress_size)[:12]
    for entry in largest:
        print(f"{entry.compress_size / 1e6:8.2f} MB  {entry.filename}", file=sys.stderr)
    print(out / wheel.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
