"""What is wrong with a request is an exception of one family that names the field; nothing ends the interpreter."""

import pickle

import numpy as np
import pytest

import diffit

FAST = dict(steps=2, progress=False)


@pytest.fixture(scope="module")
def model():
    with diffit.load("fashion-mnist", device="cpu") as opened:
        yield opened


@pytest.fixture
def x():
    return np.zeros((2, 1, 32, 32), np.float32)


def refused(function, *arguments, field=None, match=None, kind=diffit.InvalidError, **named):
    with pytest.raises(kind, match=match) as caught:
        function(*arguments, **named)
    assert isinstance(caught.value, diffit.Error) and "\n" not in str(caught.value)
    if field is not None:
        assert caught.value.field == field, str(caught.value)
    return caught.value


def test_arrays(model, x):
    refused(model.denoise, x.astype(np.float64), 0.5, field="x", match="float32")
    refused(model.denoise, x[:, :, ::2], 0.5, field="x")
    refused(model.denoise, np.zeros((2, 1, 32, 64), np.float32)[..., ::2], 0.5, field="x", match="contiguous")
    refused(model.denoise, np.asfortranarray(np.zeros((2, 1, 32, 32), np.float32) + 1), 0.5, field="x",
            match="contiguous")
    refused(model.denoise, x[:, 0], 0.5, field="x", match="shape")
    refused(model.denoise, x[:0], 0.5, field="x")
    refused(model.denoise, np.full_like(x, np.nan), 0.5, field="x")
    x.flags.writeable = False
    refused(model.denoise, x, 0.5, field="x", match=r"copy\(\)")
    for wrong in (None, "x", 3, [1.0, 2.0], object(), np.array(["a"]), np.array([None])):
        refused(model.denoise, wrong, 0.5, field="x")


def test_noise_levels_and_labels(model, x):
    refused(model.denoise, x, 0.0, field="sigma")
    refused(model.denoise, x, -1, field="sigma")
    refused(model.denoise, x, float("inf"), field="sigma")
    refused(model.denoise, x, [0.5, 0.5, 0.5], field="sigma", match="shape")
    refused(model.denoise, x, np.array([0.5, 0.5]), field="sigma", match="float32")
    refused(model.denoise, x, "high", field="sigma")
    refused(model.denoise, x, None, field="sigma")
    refused(model.denoise, x, [[0.5, 0.5]], field="sigma")
    refused(model.denoise, x, 0.5, 11, field="labels")
    refused(model.denoise, x, 0.5, -1, field="labels")
    refused(model.denoise, x, 0.5, [1, 2, 3], field="labels")
    refused(model.denoise, x, 0.5, 1.5, field="labels")
    refused(model.denoise, x, 0.5, np.array([1, 2], np.int32), field="labels", match="int64")
    refused(model.denoise, x, 0.5, "dress", field="labels")


def test_tensors(model):
    torch = pytest.importorskip("torch")
    x = torch.zeros(2, 1, 32, 32)
    refused(model.denoise, x.double(), 0.5, field="x", match="float32")
    refused(model.denoise, x.transpose(2, 3), 0.5, field="x", match="contiguous")
    refused(model.denoise, x.requires_grad_(), 0.5, field="x", match=r"detach\(\)")
    refused(model.denoise, torch.zeros(2, 1, 32, 32, device="meta"), 0.5, field="x")
    refused(model.denoise, torch.zeros(2, 1, 32, 32).to_sparse(), 0.5, field="x")
    if torch.cuda.is_available():
        refused(model.denoise, torch.zeros(2, 1, 32, 32, device="cuda"), 0.5, field="x", match="cuda")


def test_closed_models(x):
    model = diffit.load("fashion-mnist", device="cpu")
    handle = model._handle
    model.close()
    model.close()
    assert model.closed and "closed" in repr(model)
    refused(model.sample, match="closed")
    refused(model.denoise, x, 0.5, match="closed")
    refused(model.__enter__, match="closed")
    with pytest.raises(diffit.InvalidError):
        pickle.dumps(model)
    # Even a handle that is used behind the package's back is refused, not followed.
    other = diffit.load("fashion-mnist", device="cpu")
    other._handle = handle
    refused(other.denoise, x, 0.5, match="closed")


def test_requests_for_samples(model, tmp_path):
    refused(model.sample, steps=0, field="steps")
    refused(model.sample, steps="many", field="steps")
    refused(model.sample, sampler="hune", field="sampler", match="heun")
    refused(model.sample, seeds=[], field="seeds")
    refused(model.sample, seeds=[1.5], field="seeds")
    refused(model.sample, seeds=-1, field="seeds")
    refused(model.sample, classes=[10], field="classes", **FAST)
    refused(model.sample, classes=1.5, field="classes")
    refused(model.sample, classes="no such class", **FAST)
    refused(model.sample, 3, seeds=[1, 2], field="count", **FAST)
    refused(model.sample, output="pil", field="output")
    refused(model.sample, clip_skip=3, field="clip_skip", match="no such field")
    refused(model.sample, strength=0.5, field="strength", match="init_image")
    refused(model.sample, guidance_scale=3, field="guidance_scale")
    refused(model.sample, eta=0.5, field="eta", **FAST)
    refused(model.sample, out=tmp_path / "no/such/folder/x.npz", kind=diffit.Error, **FAST)
    refused(model.sample, steps=object(), match="JSON")


def test_devices_and_files(tmp_path):
    refused(diffit.load, "fashion-mnits", match="fashion-mnist")
    refused(diffit.load, "fashion-net")
    refused(diffit.load, "fashion-mnist", device="tpu", match="device")
    refused(diffit.load, "fashion-mnist", device=3, field="device")
    refused(diffit.load, "fashion-mnist", dtype="f8")
    refused(diffit.load, tmp_path / "nothing.safetensors")
    (tmp_path / "text.safetensors").write_text("no model")
    refused(diffit.load, tmp_path / "text.safetensors")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    refused(diffit.load, tmp_path / "empty.safetensors")


def test_cuda_without_a_driver_says_so():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    error = refused(diffit.load, "fashion-mnist", device="cuda")
    assert "cpu" in str(error)


def test_trainings(images, tmp_path):
    refused(diffit.train, "no-such-preset", data=images, out=tmp_path / "a", match="no-such-preset")
    refused(diffit.train, 3, field="config")
    refused(diffit.train, {}, data=images, out=tmp_path / "a")
    refused(diffit.train, {"train": {"images": 16}}, data=images, field="out")
    refused(diffit.train, {"trian": {"images": 16}}, data=images, out=tmp_path / "a", match="train")
    refused(diffit.train, "smoke", data=images, out=tmp_path / "a", set=["train.images=3"], field="set")
    refused(diffit.train, "smoke", data=images, out=tmp_path / "a", set={"train.imgaes": 3}, match="images")
    refused(diffit.train, "smoke", data=tmp_path / "none", out=tmp_path / "a")
    refused(diffit.train, {"model": object()}, data=images, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_evaluations(images, tmp_path):
    refused(diffit.evaluate, images, tmp_path / "none.npz", features="fashion-net")
    refused(diffit.evaluate, images, images, features="fashion-nt")
    refused(diffit.evaluate, images, images, features="fashion-net", metrics=["fdi"])
    refused(diffit.evaluate, images, images, features="fashion-net", confidence="much", field="confidence")


def test_errors_are_one_family_and_can_be_pickled():
    for error in (diffit.InvalidError, diffit.FailedError, diffit.CancelledError, diffit.LibraryError):
        assert issubclass(error, diffit.Error)
    assert issubclass(diffit.InvalidError, ValueError) and issubclass(diffit.FailedError, RuntimeError)
    assert issubclass(diffit.LibraryError, ImportError)
    copy = pickle.loads(pickle.dumps(diffit.InvalidError("`steps`: wrong", "steps")))
    assert copy.field == "steps" and str(copy) == "`steps`: wrong" and isinstance(copy, diffit.InvalidError)
