"""Class names from folders to samples of a model trained on them, and classes without images."""

import formats
import numpy as np
import pytest
from conftest import GOLDEN, refused, run
from PIL import Image

SMALL = ["--set", "train.batch=8", "--set", "train.images=16", "--set", "train.dtype=f32", "--set", "sample.pictures=0",
         "--set", "ema.power=[0.1]", "--set", "train.snapshot_images=8", "--threads", "1"]
NAMES = ["ant", "bee", "yak", "zebra"]  # no image of yaks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("classes") / "set", np.random.default_rng(0)
    for name in NAMES:
        (root / name).mkdir(parents=True)
        for i in range(0 if name == "yak" else 4):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Runs of a converted zip, and of latents of it."""
    root = tmp_path_factory.mktemp("runs")
    run("data", "convert", folder, root / "set.zip", "--threads", "1")
    tensors, metadata = formats.read_safetensors(GOLDEN / "vae/small.safetensors")
    weights = {name[8:]: value for name, value in tensors.items() if name.startswith("weights.")}
    formats.write_safetensors(root / "vae.safetensors", weights, {"diffit.config": metadata["diffit.config"]})
    run("data", "encode", root / "set.zip", root / "latents", "--vae", root / "vae.safetensors", "--threads", "1")
    run("train", "smoke", "--data", root / "set.zip", "--out", root / "image", *SMALL)
    run("train", "latent-smoke", "--data", root / "latents", "--out", root / "latent", *SMALL)
    run("ema", root / "image", "--std", "0.12", "-o", root / "ema.safetensors")
    run("convert", root / "image/snapshot-000000016.safetensors", root / "bf16.safetensors", "--dtype", "bf16")
    return root


MODELS = ["image/snapshot-000000008-ema.safetensors", "image/snapshot-000000016.safetensors", "ema.safetensors",
          "bf16.safetensors", "latent/snapshot-000000016-ema.safetensors"]


def test_the_zip_keeps_class_names(trained):
    told = run("data", "info", trained / "set.zip", "--json").json
    assert told["class_names"] == NAMES and told["class_counts"] == [4, 4, 0, 4]


@pytest.mark.parametrize("model", MODELS)
def test_the_model_has_class_names(model, trained, tmp_path):
    listed = run("info", trained / model, "--classes").out
    assert [word for word in NAMES if word in listed] == NAMES
    sample = ["sample", "-m", trained / model, "--steps", "2", "--threads", "1", "-o"]
    assert run(*sample, tmp_path / "a.safetensors", "--seeds", "3", "--classes", "zebra", "--json").json["warnings"] == []
    run(*sample, tmp_path / "b.safetensors", "--seeds", "3", "--classes", "3")
    one, other = (formats.read_safetensors(tmp_path / f"{name}.safetensors")[0]["samples"] for name in "ab")
    assert np.array_equal(one, other)
    refused(*sample, tmp_path / "c.safetensors", "--classes", "zebre", mentions=["did you mean 'zebra'"])


def test_all_and_random_omit_classes_without_images(trained, tmp_path):
    sample = ["sample", "-m", trained / MODELS[0], "-n", "30", "--steps", "2", "--threads", "1", "--json"]
    for classes in ("all", "random"):
        warnings = run(*sample, "-o", tmp_path / f"{classes}.npz", "--classes", classes).json["warnings"]
        assert len(warnings) == 1 and "2 (yak)" in warnings[0] and "omits it" in warnings[0]
        labels = np.load(tmp_path / f"{classes}.npz")["arr_1"].tolist()
        assert set(labels) == {0, 1, 3}
        assert classes == "random" or labels[:4] == [0, 1, 3, 0]
    warnings = run(*sample, "-o", tmp_path / "yak.npz", "--classes", "yak").json["warnings"]
    assert len(warnings) == 1 and "meaningless" in warnings[0]
    assert set(np.load(tmp_path / "yak.npz")["arr_1"]) == {2}


def test_a_latent_model_of_another_width_keeps_the_identity_of_its_autoencoder(trained, tmp_path):
    run("ema", trained / "latent", "--std", "0.12", "-o", tmp_path / "ema.safetensors")
    _, metadata = formats.read_safetensors(tmp_path / "ema.safetensors")
    _, of_run = formats.read_safetensors(trained / "latent/snapshot-000000016.safetensors")
    assert metadata["diffit.vae_identity"] == of_run["diffit.vae_identity"]
    assert "diffit.ema_std" not in metadata and metadata["diffit.images"] == "16"
