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
    with pytest.raises(diffit.InvalidError) as caught:
        diffit.encode(images, tmp_path / "x.safetensors", vae="fashion-latent-vae", **CPU)
    assert caught.value.field == "images" and not (tmp_path / "x.safetensors").exists()


def test_conversion_of_data_sets(images, photos, tmp_path):
    result = diffit.data.convert(images, tmp_path / "set.zip", progress=False)
    assert (result.images, result.resolution, result.channels) == (64, 16, 1)
    for field, wrong in (("crop", "round"), ("labels", "some"), ("size", -1)):
        with pytest.raises(diffit.InvalidError) as caught:
            diffit.data.convert(images, tmp_path / "set2.zip", **{field: wrong}, progress=False)
        assert caught.value.field == field
    assert not (tmp_path / "set2.zip").exists()


def test_data_of_latent_models(photos, tmp_path):
    latents = diffit.data.encode(photos, tmp_path / "latents", vae="fashion-latent-vae", size=32, **CPU)
    assert latents.images == 40 and (latents.width, latents.height, latents.channels) == (8, 8, 4)


def test_an_interrupted_conversion_writes_no_file(images, tmp_path):
    class Stop(Exception):
        pass

    class Bar:
        def __init__(self, **_):
            self.total = self.n = 0

        def update(self, more):
            raise Stop

        def close(self):
            pass

    with pytest.raises(Stop):
        diffit.data.convert(images, tmp_path / "set.zip", progress=Bar)
    assert not (tmp_path / "set.zip").exists()


def test_broken_images_are_skipped_with_a_warning(images, tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "folder").mkdir()
    for i, pixels in enumerate(np.load(images)["arr_0"][:3]):
        image.fromarray(pixels[..., 0]).save(tmp_path / "folder" / f"{i}.png")
    (tmp_path / "folder" / "2.png").write_bytes(b"no image")
    with pytest.raises(diffit.InvalidError, match="2.png"):
        diffit.data.convert(tmp_path / "folder", tmp_path / "set.zip", progress=False)
    with pytest.warns(diffit.DiffitWarning, match="1 of 3 images were skipped"):
        result = diffit.data.convert(tmp_path / "folder", tmp_path / "set.zip", skip_broken=True, progress=False)
    assert result.images == 2 and len(result.skipped) == 1 and "2.png" in result.skipped[0]
