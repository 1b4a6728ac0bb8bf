"""diffit vae: pictures to latents and back, against a state of diffusers' autoencoder.

Bound: both are float32 sums in another order. The unit test (src/nn/vae/vae_test.cpp) measures against float64 and is
stricter; here 256 roundings of the largest element are allowed, as in test_denoise.py.
"""

import io
import json

import formats
import numpy as np
import pytest
import torch_files
from conftest import GOLDEN, refused, run
from PIL import Image

BOUND = 256 * 2.0**-24
SCALE = 0.18215


class Golden:
    def __init__(self):
        tensors, self.metadata = formats.read_safetensors(GOLDEN / "vae/small.safetensors")
        self.weights = {name[8:]: value for name, value in tensors.items() if name.startswith("weights.")}
        self.pictures, self.z = tensors["in.pictures"], tensors["in.z"]
        self.mean, self.decoded = tensors["out.moments"][:, :4], tensors["out.decoded"]
        self.config = {"diffit.config": self.metadata["diffit.config"]}
        self.original = json.loads(self.metadata["names.original"])


@pytest.fixture(scope="module")
def golden():
    return Golden()


@pytest.fixture(scope="module")
def vae(golden, tmp_path_factory):
    path = tmp_path_factory.mktemp("vae") / "vae.safetensors"
    formats.write_safetensors(path, golden.weights, golden.config)
    return path


@pytest.fixture(scope="module")
def latents(golden, tmp_path_factory):
    path = tmp_path_factory.mktemp("latents") / "latents.safetensors"
    formats.write_safetensors(path, {"latents": (golden.z * SCALE).astype(np.float32)})
    return path


def close(got, want, bound=BOUND):
    assert got.shape == want.shape
    worst = np.unravel_index(np.abs(got - want).argmax(), got.shape)
    limit = bound * np.abs(want).max()
    assert np.abs(got - want).max() <= limit, f"{worst}: got {got[worst]}, wanted {want[worst]}, bound {limit}"


def encode(vae, given, out, *options):
    run("vae", "encode", "--vae", vae, "-i", given, "-o", out, *options)
    return formats.read_safetensors(out)[0]["latents"]


def decode(vae, given, out, *options):
    run("vae", "decode", "--vae", vae, "-i", given, "-o", out, *options)
    return formats.read_safetensors(out)[0]["images"]


def as_bytes(images, truncate=False):
    levels = (images + 1) * np.float32(127.5) if truncate else images * np.float32(127.5) + 128
    return np.floor(np.clip(levels, 0, 255)).astype(np.uint8).transpose(0, 2, 3, 1)


def as_numbers(pixels):
    return (pixels.astype(np.float32) / np.float32(127.5) - 1).transpose(0, 3, 1, 2)


@pytest.mark.smoke
def test_encodes_and_decodes_as_diffusers(golden, vae, latents, tmp_path):
    formats.write_safetensors(tmp_path / "in.safetensors", {"images": golden.pictures})
    got = encode(vae, tmp_path / "in.safetensors", tmp_path / "latents.safetensors", "--dtype", "f32")
    close(got, golden.mean * SCALE)
    close(decode(vae, latents, tmp_path / "out.safetensors", "--dtype", "f32"), golden.decoded)


def test_every_layout_gives_the_same_bits(golden, vae, latents, tmp_path):
    want = decode(vae, latents, tmp_path / "want.safetensors")
    older = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}

    def rename(name):
        for now, then in older.items():
            name = name.replace(now, then)
        return name

    def original(prefix):
        return {prefix + golden.original[name]:
                value[:, :, None, None] if ".attn_1." in golden.original[name] and value.ndim == 2 else value
                for name, value in golden.weights.items()}

    checkpoint = original("first_stage_model.") | {"model.diffusion_model.out.2.bias": np.zeros(4, np.float16),
                                                   "cond_stage_model.x": np.zeros(3, np.int64)}
    layouts = {"older": {rename(name): value for name, value in golden.weights.items()}, "original": original(""),
               "checkpoint": checkpoint,
               "f32": {name: value.astype(np.float32) for name, value in golden.weights.items()}}
    for name, weights in layouts.items():
        formats.write_safetensors(tmp_path / f"{name}.safetensors", weights, golden.config)
        got = decode(tmp_path / f"{name}.safetensors", latents, tmp_path / "out.safetensors")
        assert np.array_equal(got, want), name


def test_strips_give_the_same_picture(vae, latents, tmp_path):
    whole = decode(vae, latents, tmp_path / "whole.safetensors", "--tile", 0)
    for rows in (1, 2, 3):
        close(decode(vae, latents, tmp_path / "strips.safetensors", "--tile", rows), whole)


def test_the_result_does_not_depend_on_the_batch(vae, latents, tmp_path):
    together = decode(vae, latents, tmp_path / "a.safetensors", "--batch", 2)
    assert np.array_equal(decode(vae, latents, tmp_path / "b.safetensors", "--batch", 1), together)


@pytest.mark.smoke
@pytest.mark.parametrize("rounding", ["nearest", "truncate"])
def test_pictures_as_png_folder_and_npz(rounding, vae, latents, tmp_path):
    want = as_bytes(decode(vae, latents, tmp_path / "x.safetensors"), rounding == "truncate")
    run("vae", "decode", "--vae", vae, "-i", latents, "-o", tmp_path / "x.npz", "--rounding", rounding)
    with np.load(tmp_path / "x.npz") as file:
        assert file.files == ["arr_0"] and np.array_equal(file["arr_0"], want)
    run("vae", "decode", "--vae", vae, "-i", latents, "-o", f"{tmp_path}/folder/", "--rounding", rounding)
    names = sorted(path.name for path in (tmp_path / "folder").iterdir())
    assert names == ["000000.png", "000001.png"]
    for name, pixels in zip(names, want):
        assert np.array_equal(np.array(Image.open(tmp_path / "folder" / name)), pixels)
    run("vae", "decode", "--vae", vae, "-i", latents, "-o", tmp_path / "grid.png", "--rounding", rounding)
    assert Image.open(tmp_path / "grid.png").size[0] > want.shape[2]
    assert json.loads(formats.png_text(tmp_path / "grid.png")["diffit"])["rounding"] == rounding


def test_pictures_of_every_format_give_the_same_latents(vae, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (3, 12, 20, 3), dtype=np.uint8)
    formats.write_safetensors(tmp_path / "x.safetensors", {"images": as_numbers(pixels)})
    want = encode(vae, tmp_path / "x.safetensors", tmp_path / "want.safetensors")
    assert want.shape == (3, 4, 3, 5)
    np.savez(tmp_path / "x.npz", arr_0=pixels)
    (tmp_path / "folder").mkdir()
    for name, picture in zip(["b", "a", "c"], pixels[[1, 0, 2]]):  # read in order of names
        (tmp_path / f"folder/{name}.png").write_bytes(formats.png_bytes(picture))
    (tmp_path / "one.png").write_bytes(formats.png_bytes(pixels[0]))
    out = tmp_path / "out.safetensors"
    for given in ("x.npz", "folder"):
        assert np.array_equal(encode(vae, tmp_path / given, out, "--batch", 2), want), given
    assert np.array_equal(encode(vae, tmp_path / "one.png", out), want[:1])
    grey = np.repeat(pixels[:1, :, :, :1], 3, 3)
    (tmp_path / "grey.png").write_bytes(formats.png_bytes(grey[0, :, :, 0]))
    (tmp_path / "rgb.png").write_bytes(formats.png_bytes(grey[0]))
    assert np.array_equal(encode(vae, tmp_path / "grey.png", out), encode(vae, tmp_path / "rgb.png", out))


def test_json_and_metadata_tell_scale_and_identity(vae, tmp_path):
    (tmp_path / "x.png").write_bytes(formats.png_bytes(np.full((8, 8, 3), 90, np.uint8)))
    out = tmp_path / "latents.safetensors"
    result = run("vae", "encode", "--vae", vae, "-i", tmp_path / "x.png", "-o", out, "--json").json
    tensors, metadata = formats.read_safetensors(out)
    assert result["latents"] == [1, 4, 2, 2] and result["scale"] == SCALE
    assert metadata["diffit.vae"] == result["vae"] and float(metadata["diffit.scale"]) == SCALE
    assert abs(result["mean"] - tensors["latents"].mean()) < 1e-5
    assert run("vae", "decode", "--vae", vae, "-i", out, "-o", tmp_path / "y.png", "--json").json["images"] == [1, 3, 8, 8]


def test_latents_of_another_autoencoder_or_scale_are_refused(golden, vae, tmp_path):
    (tmp_path / "x.png").write_bytes(formats.png_bytes(np.full((8, 8, 3), 90, np.uint8)))
    encode(vae, tmp_path / "x.png", tmp_path / "latents.safetensors")
    other = dict(golden.weights)
    other["encoder.conv_in.bias"] = other["encoder.conv_in.bias"] + np.float16(0.5)
    formats.write_safetensors(tmp_path / "other.safetensors", other, golden.config)
    refused("vae", "decode", "--vae", tmp_path / "other.safetensors", "-i", tmp_path / "latents.safetensors", "-o",
            tmp_path / "y.png", mentions=["another autoencoder", "latents.safetensors"])
    refused("vae", "decode", "--vae", vae, "-i", tmp_path / "latents.safetensors", "-o", tmp_path / "y.png", "--scale",
            "0.5", mentions=["0.18215", "--scale"])
    assert not (tmp_path / "y.png").exists()


def test_scale_may_be_another(golden, vae, latents, tmp_path):
    formats.write_safetensors(tmp_path / "z.safetensors", {"latents": golden.z})
    close(decode(vae, tmp_path / "z.safetensors", tmp_path / "x.safetensors", "--scale", 1), golden.decoded)
    formats.write_safetensors(tmp_path / "samples.safetensors", {"samples": (golden.z * SCALE).astype(np.float32)})
    close(decode(vae, tmp_path / "samples.safetensors", tmp_path / "x.safetensors"), golden.decoded)


@pytest.mark.smoke
def test_autoencoders_that_do_not_fit_are_refused(golden, latents, latent_model, tmp_path):
    def try_weights(change, mentions, metadata=None):
        weights = dict(golden.weights)
        change(weights)
        formats.write_safetensors(tmp_path / "bad.safetensors", weights, golden.config if metadata is None else metadata)
        refused("vae", "decode", "--vae", tmp_path / "bad.safetensors", "-i", latents, "-o", tmp_path / "x.png",
                mentions=["bad.safetensors", *mentions])

    def several(weights):
        del weights["quant_conv.bias"]
        weights["surplus"] = np.zeros(3, np.float32)
        weights["encoder.conv_in.bias"] = np.zeros((2, 2), np.float32)

    def not_a_number(weights):
        weights["decoder.conv_in.weight"] = np.full_like(weights["decoder.conv_in.weight"], np.nan)

    try_weights(several, ["missing quant_conv.bias", "unexpected surplus", "encoder.conv_in.bias"])
    try_weights(not_a_number, ["decoder.conv_in.weight", "NaN"])
    try_weights(lambda weights: None, ["norm_groups"], metadata={"format": "pt"})
    try_weights(lambda weights: None, ["autoencoder", "image"], metadata={"diffit.config": '{"model": "image"}'})
    try_weights(lambda weights: None, ["channels"],
                metadata={"diffit.config": '{"model": "vae", "channels": [-1], "norm_groups": 4}'})
    refused("vae", "decode", "--vae", latent_model, "-i", latents, "-o", tmp_path / "x.png",
            mentions=["autoencoder", "latent"])
    weights, _ = formats.read_safetensors(latent_model)
    formats.write_safetensors(tmp_path / "released.safetensors", weights)
    refused("vae", "decode", "--vae", tmp_path / "released.safetensors", "-i", latents, "-o", tmp_path / "x.png",
            mentions=["wanted an autoencoder"])
    assert not (tmp_path / "x.png").exists()


@pytest.mark.smoke
def test_latents_that_do_not_fit_are_refused(golden, vae, tmp_path):
    def try_latents(tensors, mentions):
        formats.write_safetensors(tmp_path / "z.safetensors", tensors)
        refused("vae", "decode", "--vae", vae, "-i", tmp_path / "z.safetensors", "-o", tmp_path / "x.npz",
                mentions=["z.safetensors", *mentions])
        assert not (tmp_path / "x.npz").exists()

    try_latents({"latents": np.zeros((1, 8, 4, 4), np.float32)}, ["[N, 4, h, w]", "1, 8, 4, 4"])
    try_latents({"latents": np.zeros((4, 4, 4), np.float32)}, ["[N, 4, h, w]"])
    try_latents({"latents": np.zeros((0, 4, 4, 4), np.float32)}, ["[N, 4, h, w]"])
    try_latents({"latents": np.zeros((1, 4, 4, 4), np.int64)}, ["floating point"])
    try_latents({"latents": np.full((1, 4, 4, 4), np.inf, np.float32)}, ["NaN or infinity"])
    try_latents({"z": np.zeros((1, 4, 4, 4), np.float32)}, ["latents"])


@pytest.mark.smoke
def test_pictures_that_do_not_fit_are_refused(golden, vae, tmp_path):
    out = tmp_path / "latents.safetensors"

    def try_picture(path, mentions, *options):
        refused("vae", "encode", "--vae", vae, "-i", path, "-o", out, *options, mentions=mentions)
        assert not out.exists()

    (tmp_path / "odd.png").write_bytes(formats.png_bytes(np.zeros((8, 13, 3), np.uint8)))
    try_picture(tmp_path / "odd.png", ["odd.png", "13 x 8", "multiples of 4", "12 x 8"])
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed/a.png").write_bytes(formats.png_bytes(np.zeros((8, 8, 3), np.uint8)))
    (tmp_path / "mixed/b.png").write_bytes(formats.png_bytes(np.zeros((8, 12, 3), np.uint8)))
    try_picture(tmp_path / "mixed", ["b.png", "12 x 8", "8 x 8", "one size"])
    try_picture(tmp_path / "nowhere.png", ["nowhere.png"])
    (tmp_path / "cut.png").write_bytes((tmp_path / "odd.png").read_bytes()[:40])
    try_picture(tmp_path / "cut.png", ["cut.png"])
    np.savez(tmp_path / "floats.npz", arr_0=np.zeros((1, 8, 8, 3)))
    try_picture(tmp_path / "floats.npz", ["arr_0", "uint8"])
    np.savez(tmp_path / "other.npz", arr_1=np.zeros((1, 8, 8, 3), np.uint8))
    try_picture(tmp_path / "other.npz", ["arr_0", "arr_1"])
    formats.write_safetensors(tmp_path / "nan.safetensors", {"images": np.full((1, 3, 8, 8), np.nan, np.float32)})
    try_picture(tmp_path / "nan.safetensors", ["images[0]", "NaN"])
    formats.write_safetensors(tmp_path / "four.safetensors", {"images": np.zeros((1, 4, 8, 8), np.float32)})
    try_picture(tmp_path / "four.safetensors", ["3 channels", "got 4"])
    refused("vae", "encode", "--vae", vae, "-i", tmp_path / "odd.png", "-o", tmp_path / "x.png",
            mentions=["x.png", ".safetensors"])


def test_requests_that_are_wrong_are_refused(vae, latents, tmp_path):
    for options, mentions in [(["--rounding", "up"], ["--rounding", "nearest", "truncate", "up"]),
                              (["--tile", "-1"], ["--tile", "-1"]), (["--tile", "x"], ["--tile", "x"]),
                              (["--scale", "0"], ["--scale"]), (["--batch", "0"], ["--batch"])]:
        refused("vae", "decode", "--vae", vae, "-i", latents, "-o", tmp_path / "x.png", *options, mentions=mentions)
    refused("vae", "decode", "--vae", vae, "-i", latents, "-o", tmp_path / "x.gif", mentions=["x.gif", ".png"])
    refused("vae", "decode", "--vae", vae, "-i", latents, "-o", tmp_path / "no/x.png", mentions=["does not exist"])
    refused("vae", "decode", "--vae", "nowhere.safetensors", "-i", latents, "-o", tmp_path / "x.png",
            mentions=["nowhere.safetensors"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.smoke
def test_what_is_not_finite_is_an_error_and_no_black_picture(golden, vae, tmp_path):
    weights = dict(golden.weights)
    weights["decoder.conv_out.bias"] = np.full(3, 3e38, np.float32)
    weights["decoder.conv_norm_out.weight"] = np.full(8, 3e38, np.float32)
    formats.write_safetensors(tmp_path / "huge.safetensors", weights, golden.config)
    formats.write_safetensors(tmp_path / "z.safetensors", {"latents": golden.z})
    for out in ("x.png", "x.npz", "x.safetensors"):
        refused("vae", "decode", "--vae", tmp_path / "huge.safetensors", "-i", tmp_path / "z.safetensors", "-o",
                tmp_path / out, code=1, mentions=["picture 0", "not finite"])
        assert not (tmp_path / out).exists()
    weights = dict(golden.weights)
    weights["quant_conv.weight"] = np.full((8, 8, 1, 1), 3e38, np.float32)
    formats.write_safetensors(tmp_path / "huge.safetensors", weights, golden.config)
    formats.write_safetensors(tmp_path / "in.safetensors", {"images": golden.pictures})
    refused("vae", "encode", "--vae", tmp_path / "huge.safetensors", "-i", tmp_path / "in.safetensors", "-o",
            tmp_path / "out.safetensors", code=1, mentions=["latent 0", "not finite"])
    assert not (tmp_path / "out.safetensors").exists()


def test_a_grey_autoencoder_of_two_stages_makes_grey_pictures(tmp_path):
    """Names and shapes by hand: what a tiny autoencoder of the same code has."""
    rng = np.random.default_rng(0)
    weights = {}

    def convolution(name, in_, out, kernel):
        weights[name + ".weight"] = (rng.standard_normal((out, in_, kernel, kernel)) / np.sqrt(in_ * kernel**2)).astype("f4")
        weights[name + ".bias"] = np.zeros(out, np.float32)

    def norm(name, width):
        weights[name + ".weight"], weights[name + ".bias"] = np.ones(width, "f4"), np.zeros(width, "f4")

    def block(name, in_, out):
        norm(name + ".norm1", in_)
        convolution(name + ".conv1", in_, out, 3)
        norm(name + ".norm2", out)
        convolution(name + ".conv2", out, out, 3)
        if in_ != out:
            convolution(name + ".conv_shortcut", in_, out, 1)

    for side, in_, out in (("encoder", 1, 4), ("decoder", 2, 1)):
        convolution(side + ".conv_in", in_, 4 if side == "encoder" else 8, 3)
        for i in (0, 1):
            block(f"{side}.mid_block.resnets.{i}", 8, 8)
        norm(side + ".mid_block.attentions.0.group_norm", 8)
        for projection in ("to_q", "to_k", "to_v", "to_out.0"):
            name = f"{side}.mid_block.attentions.0.{projection}"
            weights[name + ".weight"] = rng.standard_normal((8, 8)).astype("f4")
            weights[name + ".bias"] = np.zeros(8, "f4")
        norm(side + ".conv_norm_out", 8 if side == "encoder" else 4)
        convolution(side + ".conv_out", 8 if side == "encoder" else 4, out, 3)
    block("encoder.down_blocks.0.resnets.0", 4, 4)
    convolution("encoder.down_blocks.0.downsamplers.0.conv", 4, 4, 3)
    block("encoder.down_blocks.1.resnets.0", 4, 8)
    block("decoder.up_blocks.0.resnets.0", 8, 8)
    block("decoder.up_blocks.0.resnets.1", 8, 8)
    convolution("decoder.up_blocks.0.upsamplers.0.conv", 8, 8, 3)
    block("decoder.up_blocks.1.resnets.0", 8, 4)
    block("decoder.up_blocks.1.resnets.1", 4, 4)
    convolution("quant_conv", 4, 4, 1)
    convolution("post_quant_conv", 2, 2, 1)
    config = {"model": "vae", "in_channels": 1, "latent_channels": 2, "channels": [4, 8], "blocks": 1, "norm_groups": 2}
    formats.write_safetensors(tmp_path / "vae.safetensors", weights, {"diffit.config": json.dumps(config)})
    pixels = rng.integers(0, 256, (2, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", arr_0=pixels[..., None])
    latents = encode(tmp_path / "vae.safetensors", tmp_path / "x.npz", tmp_path / "latents.safetensors")
    assert latents.shape == (2, 2, 14, 14)
    run("vae", "decode", "--vae", tmp_path / "vae.safetensors", "-i", tmp_path / "latents.safetensors", "-o",
        f"{tmp_path}/out/")
    picture = Image.open(tmp_path / "out/000000.png")
    assert picture.mode == "L" and picture.size == (28, 28)
    rgb = io.BytesIO()
    Image.fromarray(np.zeros((28, 28, 3), np.uint8) + np.uint8([9, 8, 7])).save(rgb, "PNG")
    (tmp_path / "rgb.png").write_bytes(rgb.getvalue())
    refused("vae", "encode", "--vae", tmp_path / "vae.safetensors", "-i", tmp_path / "rgb.png", "-o",
            tmp_path / "y.safetensors", mentions=["rgb.png", "1 channel", "got 3"])


def original_weights(golden, prefix=""):
    """The golden autoencoder under CompVis' names."""
    return {prefix + golden.original[name]:
            value[:, :, None, None] if ".attn_1." in golden.original[name] and value.ndim == 2 else value
            for name, value in golden.weights.items()}


LEFT_OVER = {"loss.logvar": np.zeros((), np.float32), "loss.discriminator.main.0.weight": np.zeros((8, 3, 4, 4), np.float32),
             "loss.perceptual_loss.lin0.model.1.weight": np.zeros((1, 64, 1, 1), np.float32),
             "model_ema.decay": np.array(0.9999, np.float32), "model_ema.num_updates": np.array(7, np.int64),
             "model_ema.encoderconv_inweight": np.zeros((8, 3, 3, 3), np.float32),
             "discriminator.main.2.bias": np.zeros(8, np.float32), "optimizer.state.0.exp_avg": np.zeros(8, np.float32),
             "global_step": np.array(12, np.int64)}


@pytest.mark.smoke
def test_what_training_leaves_beside_an_autoencoder_is_left_alone(golden, vae, latents, tmp_path):
    want = decode(vae, latents, tmp_path / "want.safetensors")
    files = {"plain": original_weights(golden) | LEFT_OVER,
             "checkpoint": original_weights(golden, "first_stage_model.") | LEFT_OVER |
             {f"first_stage_model.{name}": value for name, value in LEFT_OVER.items()} |
             {"model.diffusion_model.out.2.bias": np.zeros(4, np.float16), "betas": np.zeros(1000, np.float32)},
             "wrapped": {f"module.vae.{name}": value for name, value in golden.weights.items()}}
    for name, weights in files.items():
        formats.write_safetensors(tmp_path / f"{name}.safetensors", weights, golden.config)
        assert np.array_equal(decode(tmp_path / f"{name}.safetensors", latents, tmp_path / "out.safetensors"), want), name
    told = run("info", tmp_path / "checkpoint.safetensors", "--json").json
    assert told["kind"] == "autoencoder" and "first_stage_model." in told["layout"] and told["left_alone"] == 2 * len(LEFT_OVER) + 2


def write_diffusers(folder, weights, name="diffusion_pytorch_model.safetensors", **changes):
    config = {"_class_name": "AutoencoderKL", "_diffusers_version": "0.30.0", "act_fn": "silu", "in_channels": 3,
              "out_channels": 3, "block_out_channels": [8, 16, 24], "layers_per_block": 2, "latent_channels": 4,
              "norm_num_groups": 4, "scaling_factor": 0.13025} | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    formats.write_safetensors(folder / name, weights, {"format": "pt"})
    return folder


@pytest.fixture
def sizes(golden):
    """What the golden autoencoder's configuration says, by diffusers' keys."""
    config = json.loads(golden.metadata["diffit.config"])
    return {"block_out_channels": config["channels"], "layers_per_block": config["blocks"],
            "latent_channels": config.get("latent_channels", 4), "norm_num_groups": config["norm_groups"]}


@pytest.mark.smoke
def test_torch_files_and_folders_of_diffusers_give_the_same_bits(golden, sizes, vae, latents, tmp_path):
    want = decode(vae, latents, tmp_path / "want.safetensors")

    def same(given, scale=SCALE):
        scaled = tmp_path / "scaled.safetensors"
        formats.write_safetensors(scaled, {"latents": (golden.z * SCALE).astype(np.float32)})
        assert np.array_equal(decode(given, scaled, tmp_path / "out.safetensors", "--scale", SCALE), want), given
        assert run("info", given, "--json").json["scale"] == scale

    groups = sizes | {"scaling_factor": 0.5}
    folder = write_diffusers(tmp_path / "pipeline/vae", golden.weights, **groups)
    (tmp_path / "pipeline/model_index.json").write_text("{}")
    same(folder, 0.5)
    same(tmp_path / "pipeline", 0.5)
    same(folder / "diffusion_pytorch_model.safetensors", 0.5)
    same(write_diffusers(tmp_path / "half", golden.weights, "diffusion_pytorch_model.fp16.safetensors", **groups), 0.5)
    for name, make in {"diffusion_pytorch_model.bin": lambda d: d, "vae.pt": lambda d: {"state_dict": d, "epoch": 3},
                       "vae.ckpt": lambda d: {"state_dict": d, "callbacks": {torch_files.ModelCheckpoint: torch_files.ModelCheckpoint()},
                                              "hyper_parameters": {"lr": 1e-4}}}.items():
        tensors = torch_files.state_dict(golden.weights)
        torch_files.save(folder / name, make(tensors), [tensors])
        same(folder / name, 0.5)
    told = run("vae", "decode", "--vae", folder, "-i", latents, "-o", tmp_path / "x.npz", "--json").json
    assert told["scale"] == 0.5 and told["scale_from"] == "config.json"


@pytest.mark.smoke
def test_folders_of_another_architecture_are_refused_by_name(golden, sizes, latents, tmp_path):
    for changes, mentions in [({"_class_name": "AutoencoderTiny"}, ["AutoencoderTiny", "AutoencoderKL"]),
                              ({"shift_factor": 0.0609}, ["shift_factor", "0.0609"]),
                              ({"use_quant_conv": False}, ["use_quant_conv"]),
                              ({"down_block_types": ["AttnDownEncoderBlock2D"]}, ["AttnDownEncoderBlock2D"]),
                              ({"scaling_factor": "big"}, ["scaling_factor", "big"])]:
        folder = write_diffusers(tmp_path / "vae", golden.weights, **(sizes | changes))
        refused("vae", "decode", "--vae", folder, "-i", latents, "-o", tmp_path / "x.png", mentions=["config.json", *mentions])
    (tmp_path / "vae/config.json").unlink()
    refused("vae", "decode", "--vae", tmp_path / "vae", "-i", latents, "-o", tmp_path / "x.png", mentions=["config.json"])


@pytest.mark.smoke
def test_pointers_and_pages_under_an_autoencoder_s_name_are_named(latents, tmp_path):
    for name in ("sd-vae.safetensors", "sd-vae.pt", "diffusion_pytorch_model.bin"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:44\nsize 334643276\n")
        refused("vae", "decode", "--vae", tmp_path / name, "-i", latents, "-o", tmp_path / "x.png",
                mentions=[name, "git-lfs pointer", "git lfs pull"])
        (tmp_path / name).write_text("<!doctype html>\n<html><head><title>Log in</title></head></html>")
        refused("vae", "decode", "--vae", tmp_path / name, "-i", latents, "-o", tmp_path / "x.png",
                mentions=[name, "a web page ('Log in')"])


def test_a_folder_of_other_images_is_not_decoded_into(vae, golden, latents, tmp_path):
    folder = tmp_path / "x"
    many = tmp_path / "many.safetensors"
    formats.write_safetensors(many, {"latents": np.concatenate([golden.z * SCALE] * 2).astype(np.float32)})
    run("vae", "decode", "--vae", vae, "-i", many, "-o", f"{folder}/")
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{i:06}.png" for i in range(2 * len(golden.z))]
    # Fewer than before: the last ones would stay and be taken for images of this run.
    refused("vae", "decode", "--vae", vae, "-i", latents, "-o", f"{folder}/",
            mentions=["which is not an image of this request"])
    run("vae", "decode", "--vae", vae, "-i", many, "-o", f"{folder}/", "--rounding", "truncate")
    assert sorted(path.name for path in folder.iterdir()) == names
    Image.new("RGB", (8, 8)).save(folder / "000000.png")  # somebody else's
    before = (folder / "000000.png").read_bytes()
    refused("vae", "decode", "--vae", vae, "-i", many, "-o", f"{folder}/", mentions=["000000.png"])
    assert (folder / "000000.png").read_bytes() == before
