"""Sampling, denoising, training and evaluation from Python."""

import json
import logging
import pickle
import types

import numpy as np
import pytest

import diffit

FAST = dict(steps=2, progress=False)


@pytest.fixture(scope="module")
def model():
    with diffit.load("fashion-mnist", device="cpu") as opened:
        yield opened


def test_version_and_what_is_bundled():
    assert diffit.__version__.count(".") == 2
    assert {"fashion-mnist", "fashion-latent", "fashion-net"} <= set(diffit.models())
    assert {"smoke", "cifar10", "imagenet256"} <= set(diffit.presets())


def test_a_model_says_what_it_is(model):
    assert (model.info["channels"], model.info["resolution"], model.classes, model.device) == (1, 32, 10, "cpu")
    assert not model.info["latent"] and model.info["prediction"] == "edm" and len(model.info["class_names"]) == 10
    assert model.info["config"]["channels"] == [32, 64, 64]
    assert "fashion-mnist" in repr(model) and "image-space" in repr(model)


def test_an_image_is_a_function_of_seed_and_class(model):
    images = model.sample(seeds=range(4), classes=[3, 5], **FAST)
    assert images.shape == (4, 32, 32, 1) and images.dtype == np.uint8 and images.flags.writeable
    for again in (model.sample(seeds="0-3", classes="3,5", **FAST), model.sample(4, classes=(3, 5), **FAST),
                  model.sample(seeds=np.arange(4), classes=[model.info["class_names"][3], 5], **FAST)):
        np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(images[2:3], model.sample(seeds=2, classes=3, **FAST))
    assert (images[0] != images[1]).any()
    images[0] = 0  # the caller's own memory


def test_raw_samples_are_what_the_images_are_made_of(model):
    raw = model.sample(seeds=[7, 8], output="raw", **FAST)
    assert raw.shape == (2, 1, 32, 32) and raw.dtype == np.float32
    images = model.sample(seeds=[7, 8], **FAST)
    levels = np.clip(np.floor(raw * np.float32(127.5) + np.float32(128)), 0, 255).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(images, levels.astype(np.uint8))


def test_tensors_of_torch(model):
    torch = pytest.importorskip("torch")
    images = model.sample(seeds=[1], output="torch", **FAST)
    assert isinstance(images, torch.Tensor) and images.dtype == torch.uint8 and tuple(images.shape) == (1, 32, 32, 1)
    np.testing.assert_array_equal(images.numpy(), model.sample(seeds=[1], **FAST))
    x = torch.randn(2, 1, 32, 32)
    as_torch = model.denoise(x, torch.tensor([0.5, 2.0]), torch.tensor([1, 2]))
    as_numpy = model.denoise(x.numpy(), np.array([0.5, 2.0], np.float32), np.array([1, 2]))
    assert isinstance(as_torch, torch.Tensor) and isinstance(as_numpy, np.ndarray)
    np.testing.assert_array_equal(as_torch.numpy(), as_numpy)


def test_denoise_takes_numbers_for_all_rows(model):
    x = np.random.default_rng(0).standard_normal((3, 1, 32, 32), np.float32)
    before = x.copy()
    d = model.denoise(x, 0.5, 3)
    assert d.shape == x.shape and d.dtype == np.float32 and d.flags.writeable
    np.testing.assert_array_equal(d, model.denoise(x, [0.5] * 3, [3] * 3))
    np.testing.assert_array_equal(d, model.denoise(x, np.float64(0.5), np.int32(3)))
    np.testing.assert_array_equal(x, before)
    null = model.denoise(x, 0.5)
    np.testing.assert_array_equal(null, model.denoise(x, 0.5, 10))
    assert np.abs(null - d).max() > 1e-3
    # At a low noise level the clean image is close to x: D(x; sigma) -> x.
    assert np.abs(model.denoise(x, 1e-3) - x).max() < 0.05


def test_a_latent_model_samples_latents_and_images():
    with diffit.load("fashion-latent", device="cpu") as model:
        latents = model.sample(seeds=[3], sampler="ddim", spacing="trailing", output="raw", **FAST)
        images = model.sample(seeds=[3], sampler="ddim", spacing="trailing", **FAST)
    assert latents.shape == (1, 4, 8, 8) and images.shape == (1, 32, 32, 1)


def test_samples_in_a_file(model, tmp_path):
    path = model.sample(3, out=tmp_path / "x.npz", **FAST)
    np.testing.assert_array_equal(np.load(path)["arr_0"], model.sample(3, **FAST))


def test_progress_is_reported_to_any_function_like_tqdm(model):
    bars = []

    class Bar:
        def __init__(self, total=None, unit="", **_):
            self.total, self.unit, self.n, self.closed = total, unit, 0, False
            bars.append(self)

        def update(self, more):
            self.n += more

        def close(self):
            self.closed = True

    model.sample(2, steps=3, progress=Bar)
    assert bars and bars[-1].unit.strip() == "evaluations" and bars[-1].n == bars[-1].total > 0 and bars[-1].closed


def test_a_model_can_be_pickled(model):
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.sample(seeds=5, **FAST), model.sample(seeds=5, **FAST))
    copy.close()


RECIPE = {"model": {"model": "image", "resolution": 16, "channels": [16, 32], "depth": [1, 1], "window": 4,
                    "head_dim": 16, "mlp_ratio": 2.0},
          "train": {"images": 64, "batch": 16, "snapshot_images": 32, "log_images": 16, "dtype": "f32"},
          "sample": {"pictures": 4, "steps": 2}}


def test_training_of_a_recipe_with_events(images, tmp_path):
    events = []
    result = diffit.train(RECIPE, data=images, out=tmp_path / "run", device="cpu", callback=events.append,
                          progress=False)
    kinds = [event.kind for event in events]
    assert kinds.count("step") == 4 and kinds.count("snapshot") == 2
    step = next(event for event in events if event.kind == "step")
    assert step.images == 16 and step.total_images == 64 and step.loss > 0 and step.gradient_norm > 0
    assert result.images == 64 and not result.nothing_left and result["model"] == result.model
    with diffit.load(result.model) as model:
        assert model.sample(seeds=[0], **FAST).shape == (1, 16, 16, 1)
    again = diffit.train(RECIPE, data=images, out=tmp_path / "run", device="cpu", resume=True, progress=False)
    assert again.nothing_left


def test_a_callback_stops_a_training_that_resumes_bit_for_bit(images, tmp_path):
    def stop(event):
        return not (event.kind == "step" and event.images >= 32)

    with pytest.raises(diffit.CancelledError, match="checkpoint"):
        diffit.train(RECIPE, data=images, out=tmp_path / "a", device="cpu", callback=stop, progress=False)
    resumed = diffit.train(RECIPE, data=images, out=tmp_path / "a", device="cpu", resume=True, progress=False)
    whole = diffit.train(RECIPE, data=images, out=tmp_path / "b", device="cpu", progress=False)
    assert open(resumed.model, "rb").read() == open(whole.model, "rb").read()


def test_an_exception_of_a_callback_arrives_and_the_training_is_saved(images, tmp_path):
    class Mine(Exception):
        pass

    def fail(event):
        raise Mine("from the callback")

    with pytest.raises(Mine, match="from the callback") as caught:
        diffit.train(RECIPE, data=images, out=tmp_path / "run", device="cpu", callback=fail, progress=False)
    assert isinstance(caught.value.__cause__, diffit.CancelledError)
    assert list((tmp_path / "run").glob("state-*"))


def test_a_callback_may_sample(images, tmp_path):
    grids = []

    def callback(event):
        if event.kind == "snapshot":
            with diffit.load(event.models[-1], device="cpu") as model:
                grids.append(model.sample(2, **FAST))

    diffit.train(RECIPE, data=images, out=tmp_path / "run", device="cpu", callback=callback, progress=False)
    assert len(grids) == 2 and grids[0].shape == (2, 16, 16, 1)


def test_overrides_of_a_preset(images, tmp_path):
    result = diffit.train("smoke", data=images, out=tmp_path / "run", device="cpu", progress=False,
                          set={"train.images": 16, "train.batch": 8, "model.channels": [16, 48],
                               "train.dtype": "f32"})
    assert result.images == 16
    with diffit.load(result.model) as model:
        assert model.info["config"]["channels"] == [16, 48]


def test_evaluation(tmp_path, caplog):
    generator = np.random.default_rng(1)
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", arr_0=generator.integers(0, 256, (200, 28, 28, 1), dtype=np.uint8))
    with caplog.at_level(logging.INFO, logger="diffit"):
        result = diffit.evaluate(tmp_path / "a.npz", tmp_path / "b.npz", features="fashion-net", bootstrap=20,
                                 metrics=["fid", "kid"], device="cpu", progress=False)
    assert result.fd_fashionnet > 0 and len(result.intervals["fd_fashionnet"]) == 2 and result.network["name"] == "FashionNet"
    assert "diffit stats" in caplog.text, "notes of the library go to the logger"
    same = diffit.evaluate(tmp_path / "a.npz", tmp_path / "a.npz", features="fashion-net", metrics="fid", bootstrap=0,
                           device="cpu", progress=False)
    assert abs(same.fd_fashionnet) < 1e-6 < result.fd_fashionnet


def test_values_that_are_not_plain(tmp_path):
    from diffit import _run
    plain = _run.plain({"a": np.float32(0.5), "b": [np.int64(3)], "c": tmp_path, "d": (1, 2), "e": np.array(True)})
    assert json.loads(json.dumps(plain)) == {"a": 0.5, "b": [3], "c": str(tmp_path), "d": [1, 2], "e": True}
    assert isinstance(diffit.Result(a=1).a, int) and not hasattr(diffit.Result(), "b")
    assert isinstance(diffit, types.ModuleType)
