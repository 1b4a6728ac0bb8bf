"""diffit.torch against golden states and against the library, on every bundled model.

Both float32 results are compared with the same module in float64: the error of one may be at most 8 times that of the
other, plus one rounding of the largest value (docs/numerics.md, "Networks against golden states").
"""

import json

import numpy as np
import pytest

from conftest import DIFFUSION_MODELS, GOLDEN

torch = pytest.importorskip("torch")
import diffit  # noqa: E402
import diffit.torch  # noqa: E402
from diffit.torch import _files  # noqa: E402


def assert_as_exact(got, reference, exact):
    got, reference, exact = (np.asarray(value, dtype=np.float64) for value in (got, reference, exact))
    allowed = 8 * (np.abs(reference - exact).max() + np.abs(exact).max() * 6e-8)
    assert np.abs(got - exact).max() <= allowed


def golden(kind, seed):
    """A module with the weights of a golden state, in evaluation mode, and the inputs and outputs."""
    tensors, metadata = _files.read_safetensors(GOLDEN / f"seed{seed}" / f"{kind}.safetensors")
    parts = {part: {name.split(".", 1)[1]: value for name, value in tensors.items() if name.startswith(part + ".")}
             for part in ("weights", "in", "out", "grad")}
    network = {"image": diffit.torch.ImageDiffiT, "latent": diffit.torch.LatentDiffiT}[kind](
        **json.loads(metadata["diffit.config"]))
    network.load_state_dict(parts["weights"])
    return network.eval(), parts


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_image_space_module_is_the_golden_state(seed):
    network, parts = golden("image", seed)
    given = parts["in"]
    exact = golden("image", seed)[0].double()
    out = network(given["x"], given["sigma"].log() / 4, given["y"])
    truth = exact(given["x"].double(), given["sigma"].log() / 4, given["y"])
    assert_as_exact(out.detach(), parts["out"]["forward"], truth.detach())
    out.square().mean().backward()
    truth.square().mean().backward()
    for (name, mine), (_, theirs) in zip(network.named_parameters(), exact.named_parameters()):
        assert_as_exact(mine.grad, parts["grad"][name], theirs.grad)
    x = given["x"] * given["sigma"].reshape(-1, 1, 1, 1)
    denoised = network.denoise(x, given["sigma"], given["y"]).detach()
    assert_as_exact(denoised, parts["out"]["denoised"], exact.denoise(x.double(), given["sigma"], given["y"]).detach())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_latent_module_is_the_golden_state(seed):
    network, parts = golden("latent", seed)
    given = parts["in"]
    exact = golden("latent", seed)[0].double()
    out = network(given["x"], given["t"], given["y"])
    truth = exact(given["x"].double(), given["t"], given["y"])
    assert_as_exact(out.detach(), parts["out"]["forward"], truth.detach())
    out.square().mean().backward()
    truth.square().mean().backward()
    for (name, mine), (_, theirs) in zip(network.named_parameters(), exact.named_parameters()):
        if mine.requires_grad:
            assert_as_exact(mine.grad, parts["grad"][name], theirs.grad)


@pytest.mark.parametrize("name", DIFFUSION_MODELS)
def test_module_and_library_are_equal(name):
    network, model = diffit.torch.load(name), diffit.load(name, device="cpu")
    exact = diffit.torch.load(name).double()
    generator = torch.Generator().manual_seed(3)
    shape = (6, model.info["channels"], model.info["resolution"], model.info["resolution"])
    sigma = torch.tensor([0.02, 0.1, 0.5, 1.0, 5.0, 60.0])
    x = torch.randn(shape, generator=generator) * (1 + sigma.reshape(-1, 1, 1, 1))
    labels = torch.tensor([0, 3, 9, model.classes, 1, 2])
    with torch.no_grad():
        mine, truth = network.denoise(x, sigma, labels), exact.denoise(x.double(), sigma, labels)
    library = model.denoise(x, sigma, labels)
    for row in range(len(sigma)):  # the scales of the rows differ
        assert_as_exact(library[row], mine[row], truth[row])
    assert isinstance(library, torch.Tensor) and library.dtype == torch.float32


@pytest.mark.parametrize("name", DIFFUSION_MODELS)
def test_a_saved_module_is_sampled_by_the_library(name, tmp_path):
    network = diffit.torch.load(name)
    network.save(tmp_path / "copy.safetensors")
    original, copy = diffit.load(name, device="cpu"), diffit.load(tmp_path / "copy.safetensors", device="cpu")
    assert copy.info["config"] == original.info["config"]
    options = dict(seeds=[1, 2], steps=2, output="raw", progress=False)
    np.testing.assert_array_equal(copy.sample(**options), original.sample(**options))
    with torch.no_grad():
        next(network.blocks[0].mlp.parameters() if hasattr(network, "blocks")
             else network.tokenizer.parameters()).mul_(1.5)
    network.save(tmp_path / "changed.safetensors")
    changed = diffit.load(tmp_path / "changed.safetensors", device="cpu").sample(**options)
    assert np.abs(changed - original.sample(**options)).max() > 1e-3


def test_variants_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(diffit.InvalidError, match="time") as caught:
        diffit.torch.ImageDiffiT(time="adaln")
    assert caught.value.field == "time"
    with pytest.raises(diffit.InvalidError, match="no such field"):
        diffit.torch.LatentDiffiT(depht=3)
    with pytest.raises(diffit.InvalidError, match="fashion-mnist"):
        diffit.torch.load("no-such-model")
    with pytest.raises(diffit.InvalidError, match="diffusion model"):
        diffit.torch.load("fashion-net")
    small = diffit.torch.LatentDiffiT(input_size=4, patch=2, hidden=16, depth=1, heads=2, classes=3)
    path = tmp_path / "small.safetensors"
    small.save(path)
    assert isinstance(diffit.torch.LatentDiffiT.load(path), diffit.torch.LatentDiffiT)
    with pytest.raises(diffit.InvalidError, match="ImageDiffiT"):
        diffit.torch.ImageDiffiT.load(path)
    whole = path.read_bytes()
    for wrong in (b"", whole[:-1], whole + b"\0", b"\xff" * 64, whole.replace(b"final_layer.linear.bias", b"final_layer.linear.bais")):
        (tmp_path / "wrong.safetensors").write_bytes(wrong)
        with pytest.raises(diffit.InvalidError):
            diffit.torch.load(tmp_path / "wrong.safetensors")
    with torch.no_grad():
        small.final_layer.linear.bias[0] = float("nan")
    with pytest.raises(diffit.FailedError, match="not finite"):
        small.save(tmp_path / "nan.safetensors")
    assert not (tmp_path / "nan.safetensors").exists()
