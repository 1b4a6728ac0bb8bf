"""diffit denoise: one evaluation, against states of the plain PyTorch reference.

Bound: both are float32 sums in another order, so they differ by a few hundred roundings of the largest element:
2^-24 * 256 = 1.5e-5 of it. The unit test (src/nn/diffit/golden_test.cpp) measures against float64 and is stricter.
"""

import json

import formats
import numpy as np
import pytest
from conftest import refused, run, split_golden

BOUND = 256 * 2.0**-24
pytestmark = pytest.mark.smoke


def close(got, want, bound=BOUND):
    assert got.shape == want.shape
    worst = np.unravel_index(np.abs(got - want).argmax(), got.shape)
    limit = bound * np.abs(want).max()
    assert np.abs(got - want).max() <= limit, f"{worst}: got {got[worst]}, wanted {want[worst]}, bound {limit}"


def evaluate(folder, name, seed, inputs, *options):
    weights, metadata, _, _ = split_golden(name, seed)
    formats.write_safetensors(folder / "model.safetensors", weights, metadata)
    formats.write_safetensors(folder / "in.safetensors", inputs)
    run("denoise", "-m", folder / "model.safetensors", "-i", folder / "in.safetensors", "-o",
        folder / "out.safetensors", "--dtype", "f32", *options)
    return formats.read_safetensors(folder / "out.safetensors")[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_image_model_denoises_as_the_reference(seed, tmp_path):
    _, _, given, want = split_golden("image", seed)
    sigma = given["sigma"].reshape(-1, 1, 1, 1)
    got = evaluate(tmp_path, "image", seed, {"x": given["x"] * sigma, "y": given["y"], "sigma": given["sigma"]})
    assert set(got) >= {"forward", "denoised"}
    close(got["denoised"], want["denoised"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_image_model_forward_is_the_raw_output(seed, tmp_path):
    _, _, given, want = split_golden("image", seed)
    # The network is given c_in x: what it was given in the golden state, so x is divided by c_in before.
    c_in = 1 / np.sqrt(given["sigma"].astype(np.float64) ** 2 + 0.25).reshape(-1, 1, 1, 1)
    got = evaluate(tmp_path, "image", seed, {"x": (given["x"] / c_in).astype(np.float32), "y": given["y"],
                                             "sigma": given["sigma"]})
    close(got["forward"], want["forward"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_latent_model_forward(seed, tmp_path):
    _, _, given, want = split_golden("latent", seed)
    got = evaluate(tmp_path, "latent", seed, given)
    close(got["forward"], want["forward"])


def test_a_released_checkpoint_without_configuration_is_evaluated(tmp_path):
    weights, _, given, want = split_golden("latent")
    formats.write_safetensors(tmp_path / "model.safetensors", weights)
    formats.write_safetensors(tmp_path / "in.safetensors", given)
    run("denoise", "-m", tmp_path / "model.safetensors", "-i", tmp_path / "in.safetensors", "-o",
        tmp_path / "out.safetensors", "--dtype", "f32")
    close(formats.read_safetensors(tmp_path / "out.safetensors")[0]["forward"], want["forward"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_latent_guidance_of_three_channels(seed, tmp_path):
    _, _, given, want = split_golden("latent", seed)
    half = {name: value[:2] for name, value in given.items()}
    got = evaluate(tmp_path, "latent", seed, half, "--guidance", "4.4", "--guidance-schedule", "power-cosine",
                   "--guidance-channels", "3")
    close(got["guided"], want["guided_4_4"][:2, :4])


def test_rows_do_not_depend_on_the_rest_of_the_batch(tmp_path):
    _, _, given, _ = split_golden("image")
    inputs = {"x": given["x"], "y": given["y"], "sigma": given["sigma"]}
    whole = evaluate(tmp_path, "image", 0, inputs)["denoised"]
    for row in range(3):
        one = evaluate(tmp_path, "image", 0, {name: value[row : row + 1] for name, value in inputs.items()})
        close(one["denoised"][0], whole[row])


def test_bfloat16_is_near_float32(tmp_path):
    _, _, given, want = split_golden("image")
    inputs = {"x": given["x"] * given["sigma"].reshape(-1, 1, 1, 1), "y": given["y"], "sigma": given["sigma"]}
    weights, metadata, _, _ = split_golden("image")
    formats.write_safetensors(tmp_path / "model.safetensors", weights, metadata)
    formats.write_safetensors(tmp_path / "in.safetensors", inputs)
    run("denoise", "-m", tmp_path / "model.safetensors", "-i", tmp_path / "in.safetensors", "-o",
        tmp_path / "out.safetensors", "--dtype", "bf16")
    got = formats.read_safetensors(tmp_path / "out.safetensors")[0]["denoised"]
    assert not np.array_equal(got, want["denoised"])
    close(got, want["denoised"], bound=16 * 2.0**-8)


@pytest.mark.parametrize("change, mentions", [
    (lambda t: t.pop("x"), ["x"]),
    (lambda t: t.pop("sigma"), ["sigma"]),
    (lambda t: t.pop("y"), ["y"]),
    (lambda t: t.update(x=t["x"].astype(np.float64)), ["x"]),
    (lambda t: t.update(x=t["x"][:, :2]), ["x"]),
    (lambda t: t.update(x=t["x"][:, :, :8]), ["x"]),
    (lambda t: t.update(y=t["y"][:1]), ["y"]),
    (lambda t: t.update(y=t["y"] + 9), ["y"]),
    (lambda t: t.update(y=t["y"] - 11), ["y"]),
    (lambda t: t.update(y=t["y"].astype(np.float32)), ["y"]),
    (lambda t: t.update(sigma=-t["sigma"]), ["sigma"]),
    (lambda t: t.update(sigma=t["sigma"] * np.float32("nan")), ["sigma"]),
    (lambda t: t.update(x=t["x"] * np.float32("inf")), ["x"]),
])
def test_wrong_inputs_are_refused_by_name(change, mentions, image_model, tmp_path):
    _, _, given, _ = split_golden("image")
    change(given)
    formats.write_safetensors(tmp_path / "in.safetensors", given)
    refused("denoise", "-m", image_model, "-i", "in.safetensors", "-o", "out.safetensors", cwd=tmp_path,
            mentions=[*mentions, "in.safetensors"])
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("precondition, largest, least", [("edm", 80, 0.002), ("vp", 80, 0.002), ("ve", 80, 0.02)])
def test_denoised_is_what_the_sampler_uses_under_every_preconditioning(precondition, largest, least, tmp_path):
    """Two steps of Euler's method by hand: x + (s1 - s0) (x - D(x; s0)) / s0, then D(x; s1), since the last level is 0.
    Bound: float64 in the sampler against float32 here."""
    weights, metadata, _, _ = split_golden("image")
    config = json.loads(metadata["diffit.config"]) | {"precondition": precondition}
    formats.write_safetensors(tmp_path / "model.safetensors", weights, {"diffit.config": json.dumps(config)})
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((2, 3, 16, 16)).astype(np.float32)
    formats.write_safetensors(tmp_path / "noise.safetensors", {"noise": noise})
    run("sample", "-m", "model.safetensors", "-n", 2, "--classes", "3,7", "--sampler", "euler", "--steps", 2,
        "--init-noise", "noise.safetensors", "-o", "samples.safetensors", "--dtype", "f32", cwd=tmp_path)
    want = formats.read_safetensors(tmp_path / "samples.safetensors")[0]["samples"]

    def denoised(x, sigma):
        formats.write_safetensors(tmp_path / "in.safetensors", {
            "x": x.astype(np.float32), "y": np.array([3, 7]), "sigma": np.full(2, sigma, np.float32)})
        run("denoise", "-m", "model.safetensors", "-i", "in.safetensors", "-o", "out.safetensors", "--dtype", "f32", cwd=tmp_path)
        out = formats.read_safetensors(tmp_path / "out.safetensors")[0]
        if precondition != "edm":  # D = x - sigma F (VP), x + sigma F (VE)
            sign = -1 if precondition == "vp" else 1
            np.testing.assert_allclose(out["denoised"], x + sign * sigma * out["forward"], rtol=0, atol=1e-5 * np.abs(x).max())
        return out["denoised"].astype(np.float64)

    x = noise.astype(np.float64) * largest
    x = x + (least - largest) * (x - denoised(x, largest)) / largest
    close(denoised(x, least), want, bound=2.0**-12)
