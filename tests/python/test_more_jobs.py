"""Statistics, explanations, autoencoders and data sets from Python."""

import numpy as np
import pytest

import diffit

CPU = dict(device="cpu", progress=False)


@pytest.fixture
def photos(tmp_path):
    """40 grey images of 28 x 28 pixels as an npz."""
    path = tmp_path / "photos.npz"
    np.savez(path, arr_0=np.random.default_rng(2).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8))
    return path


def test_statistics_are_a_reference(photos, tmp_path):
    result = diffit.statistics(photos, tmp_path / "ref.npz", features="fashion-net", keep=20, **CPU)
    assert result.images == 40 and result.kept_features == 20 and result.network["name"] == "FashionNet"
    with np.load(tmp_path / "ref.npz") as file:
        assert file["sigma"].shape == (result.features,) * 2 and file["mu"].dtype == np.float64
    scores = diffit.evaluate(photos, tmp_path / "ref.npz", features="fashion-net", metrics="fid", bootstrap=0, **CPU)
    assert abs(scores.fd_fashionnet) < 1e-3
    with pytest.raises(diffit.InvalidError):
        diffit.statistics(tmp_path / "none.npz", tmp_path / "x.npz", features="fashion-net", **CPU)


def test_explanations(tmp_path):
    with diffit.load("fashion-mnist", device="cpu") as model:
        result = diffit.explain(model, images=2, levels=2, out=tmp_path / "plot.svg", **CPU)
    assert "<svg" in (tmp_path / "plot.svg").read_text() and isinstance(result, dict) and result
    with pytest.raises(diffit.InvalidError) as caught:
        diffit.explain("fashion-mnist", levels=1, **CPU)
    assert caught.value.field == "levels"


def test_encoding_and_decoding(tmp_path):
    images = np.zeros((3, 32, 32, 1), np.uint8)
    images[:, 8:24, 8:24] = 200
    np.savez(tmp_path / "in.npz", arr_0=images)
    result = diffit.encode(tmp_path / "in.npz", tmp_path / "z.safetensors", vae="fashion-latent-vae", **CPU)
    assert result.shape == [3, 4, 8, 8] and result.scale == pytest.approx(0.74771)
    back = diffit.decode(tmp_path / "z.safetensors", tmp_path / "out.npz", vae="fashion-latent-vae", **CPU)
    assert back.shape == [3, 1, 32, 32]
    decoded = np.load(tmp_path / "out.npz")["arr_0"]
    assert np.abs(decoded.astype(float) - images).mean() < 25
    with pytest.raises(diffit.InvalidError):
        diffit.decode(tmp_path / "in.npz", tmp_path / "x.npz", vae="fashion-latent-vae", **CPU)


def test_conversion_of_data_sets(images, photos, tmp_path):
    result = diffit.data.convert(images, tmp_path / "set.zip", progress=False)
    assert (result.images, result.resolution, result.channels) == (64, 16, 1)
    with pytest.raises(diffit.InvalidError):
        diffit.data.convert(images, tmp_path / "set2.zip", crop="round", progress=False)
    assert not (tmp_path / "set2.zip").exists()
    latents = diffit.data.encode(photos, tmp_path / "latents", vae="fashion-latent-vae", size=32, **CPU)
    assert latents.images == 40 and (latents.width, latents.height, latents.channels) == (8, 8, 4)
