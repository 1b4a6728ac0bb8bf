#!/usr/bin/env python3
"""Makes two tarballs out of the wheel in a folder, `make_package.py DIST`, called by ./dev package:

diffit-VERSION-linux-x86_64.tar.gz         bin/diffit, lib/ (the contents of the wheel; also a folder for PYTHONPATH)
diffit-checks-VERSION.tar.gz               run-checks.sh, checks.py, gpu_table.py, rivals/ and golden states
"""

import io
import pathlib
import sys
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LARGEST = 60_000_000  # bytes of both together


def add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def main() -> int:
    dist = pathlib.Path(sys.argv[1]).resolve()
    wheels = sorted(dist.glob("diffit-*.whl"), key=lambda path: path.stat().st_mtime)
    version = wheels[-1].name.split("-")[1]
    top, made = f"diffit-{version}", [dist / f"diffit-{version}-linux-x86_64.tar.gz",
                                      dist / f"diffit-checks-{version}.tar.gz"]
    with tarfile.open(made[0], "w:gz") as archive, zipfile.ZipFile(wheels[-1]) as wheel:
        add(archive, f"{top}/bin/diffit", (ROOT / "packaging/diffit.sh").read_bytes(), 0o755)
        add(archive, f"{top}/LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644)
        for entry in wheel.infolist():
            if not entry.is_dir() and ".dist-info/" not in entry.filename:
                mode = 0o755 if ".so" in entry.filename or entry.filename.endswith("/diffit") else 0o644
                add(archive, f"{top}/lib/{entry.filename}", wheel.read(entry), mode)
    with tarfile.open(made[1], "w:gz") as archive:
        for name, mode in (("run-checks.sh", 0o755), ("checks.py", 0o644), ("gpu_table.py", 0o644)):
            add(archive, f"diffit-checks/{name}", (ROOT / "packaging" / name).read_bytes(), mode)
        for name in ("image.py", "latent.py", "measure_cuda.py"):
            add(archive, f"diffit-checks/rivals/{name}", (ROOT / "bench/rivals" / name).read_bytes(), 0o644)
        for path in sorted((ROOT / "tests/golden").glob("seed*/*.safetensors")):
            add(archive, f"diffit-checks/golden/{path.parent.name}/{path.name}", path.read_bytes(), 0o644)
    size = sum(path.stat().st_size for path in made)
    if size > LARGEST:
        print(f"error: the tarballs have {size / 1e6:.1f} MB, wanted at most {LARGEST / 1e6:.0f}", file=sys.stderr)
        return 1
    for path in made:
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
