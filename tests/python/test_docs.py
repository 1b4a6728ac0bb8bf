"""Runs the code of docs/python.md, in order, in one process, in a folder with some images."""

import re

import numpy as np

from conftest import ROOT


def test_the_tour_runs(tmp_path, monkeypatch):
    image = __import__("pytest").importorskip("PIL.Image")
    __import__("pytest").importorskip("torch")
    generator = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(24):
            pixels = generator.integers(0, 128, (16, 16, 3)) + (128 if name == "light" else 0)
            image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.S | re.M)
    assert len(blocks) >= 5
    names = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert len(names["losses"]) == 8 and names["images"].shape == (8, 32, 32, 1) and names["maps"]
    assert (tmp_path / "mine.safetensors").exists() and (tmp_path / "grid.png").exists()
