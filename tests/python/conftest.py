"""Tests of the Python package. They run in an environment that has torch and the package (./dev test --wheel), or
against a build of the sources with DIFFIT_LIBRARY and PYTHONPATH."""

import os
import pathlib

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # the machine may be busy with other tests
ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
DIFFUSION_MODELS = ["fashion-mnist", "fashion-latent"]


@pytest.fixture
def images(tmp_path):
    """64 grey images of 16 x 16 pixels as an npz."""
    import numpy as np
    path = tmp_path / "images.npz"
    np.savez(path, arr_0=np.random.default_rng(0).integers(0, 256, (64, 16, 16, 1), dtype=np.uint8))
    return path
