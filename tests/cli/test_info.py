"""diffit info: models, data, and what the program has."""

import json
import struct

import formats
import numpy as np
import pytest
from conftest import FASHION, refused, run, split_golden

pytestmark = pytest.mark.smoke


def trained_numbers(weights):
    return sum(value.size for name, value in weights.items() if not name.endswith("relative_position_index"))


def test_lists_the_bundled_models():
    assert "fashion-mnist" in run("info").out


@pytest.mark.parametrize("kind", ["image", "latent"])
def test_a_model_s_parameters_are_those_of_its_file(kind, request):
    path = request.getfixturevalue(f"{kind}_model")
    weights, metadata, _, _ = split_golden(kind)
    told = run("info", path, "--json").json
    assert trained_numbers(weights) in flat_numbers(told), told
    assert "10" in run("info", path).out  # classes


def flat_numbers(value):
    if isinstance(value, dict):
        return [n for inner in value.values() for n in flat_numbers(inner)]
    if isinstance(value, list):
        return [n for inner in value for n in flat_numbers(inner)]
    return [value] if isinstance(value, (int, float)) else []


def test_a_released_checkpoint_without_configuration_is_inferred(tmp_path):
    weights, _, _, _ = split_golden("latent")
    path = tmp_path / "released.safetensors"
    formats.write_safetensors(path, weights)
    config = run("info", path, "--json").json
    assert {1, 7, 10} & set(flat_numbers(config))
    assert trained_numbers(weights) in flat_numbers(config)


XL2 = {"model": "latent", "input_size": 32, "patch": 2, "hidden": 1152, "depth": 28, "heads": 16, "mlp_ratio": 4.0,
       "classes": 1000, "in_channels": 4}


def write_full_size(path, metadata=None):
    """DiffiT-XL/2 of the released names and shapes; the weights are a hole in the file, which takes no disk."""
    c, grid = 1152, 16
    shapes = {"pos_embed": [1, 256, c], "x_embedder.proj.weight": [c, 4, 2, 2], "x_embedder.proj.bias": [c],
              "t_embedder.mlp.0.weight": [c, 256], "t_embedder.mlp.0.bias": [c], "t_embedder.mlp.2.weight": [c, c],
              "t_embedder.mlp.2.bias": [c], "y_embedder.embedding_table.weight": [1001, c],
              "final_layer.linear.weight": [32, c], "final_layer.linear.bias": [32]}
    for i in range(28):
        shapes[f"blocks.{i}.attn.relative_position_bias_table"] = [(2 * grid - 1) ** 2, 16]
        for name, out, inner in [("attn.qkv_temb", 3 * c, c), ("attn.qkv", 3 * c, c), ("attn.proj", c, c),
                                 ("mlp.fc1", 4 * c, c), ("mlp.fc2", c, 4 * c)]:
            shapes |= {f"blocks.{i}.{name}.weight": [out, inner], f"blocks.{i}.{name}.bias": [out]}
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def test_the_published_sizes_of_a_released_checkpoint(tmp_path):
    """561.3 M parameters and 114 GMAC: what the paper and the released code say of the model at 256."""
    path = tmp_path / "diffit_256.safetensors"
    write_full_size(path)
    result = run("info", path)
    assert "561.3 M parameters" in result.out and "114.3 GMAC" in result.out and "inferred" in result.out
    assert result.rss < 400 << 20, "no weight is read"
    told = run("info", path, "--json").json
    assert told["config"] | XL2 == told["config"] and told["config_from"] == "inferred"
    assert sum(part["parameters"] for part in told["parts"]) == told["parameters"]
    assert told["dtypes"] == {"F32": told["tensors"]}


def test_missing_unexpected_and_misshapen_tensors_are_told_at_once(tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    weights["surplus"] = weights.pop("pos_embed")
    weights["final_layer.linear.bias"] = weights["final_layer.linear.bias"][:-1]
    weights["blocks.0.mlp.fc1.bias"] = weights["blocks.0.mlp.fc1.bias"].astype(np.int64)
    formats.write_safetensors(tmp_path / "m.safetensors", weights, metadata)
    mentions = ["m.safetensors", "missing pos_embed", "unexpected surplus", "final_layer.linear.bias: wanted shape",
                "blocks.0.mlp.fc1.bias: wanted floating point"]
    weights["filling"] = np.zeros(100000, np.float32)  # so that the count alone does not tell
    formats.write_safetensors(tmp_path / "m.safetensors", weights, metadata)
    refused("info", tmp_path / "m.safetensors", mentions=[*mentions, "unexpected filling"])


def test_a_file_without_the_tensors_of_its_configuration_is_refused(tmp_path):
    path = tmp_path / "empty.safetensors"
    formats.write_safetensors(path, {}, {"diffit.config": json.dumps(XL2)})
    refused("info", path, mentions=["empty.safetensors", "parameters", "contains 0"])


def test_check_reads_every_weight(latent_model, tmp_path):
    assert "loaded in" in run("info", latent_model, "--check").out
    weights, metadata, _, _ = split_golden("latent")
    weights["blocks.1.attn.qkv.bias"][3] = np.inf
    weights["blocks.0.attn.relative_position_index"][0, 0] += 1
    formats.write_safetensors(tmp_path / "m.safetensors", weights, metadata)
    run("info", tmp_path / "m.safetensors")
    refused("info", tmp_path / "m.safetensors", "--check",
            mentions=["blocks.1.attn.qkv.bias: holds NaN or infinity", "blocks.0.attn.relative_position_index: not the index"])


def test_classes_have_names(latent_model, tmp_path):
    names = run("info", "--classes", "--json").json["classes"]
    assert len(names) == 1000 and "golden retriever" in names[207]
    assert " 207  golden retriever" in run("info", "--classes").out
    assert run("info", "--classes", "fashion-mnist", "--json").json["classes"][9][0] == "Ankle boot"
    refused("info", "--classes", latent_model, mentions=["10 classes have no names", "diffit.class_names"])
    weights, metadata, _, _ = split_golden("latent")
    own = [f"kind {i}" for i in range(10)]
    formats.write_safetensors(tmp_path / "m.safetensors", weights, metadata | {"diffit.class_names": json.dumps(own)})
    assert run("info", "--classes", tmp_path / "m.safetensors", "--json").json["classes"] == [[name] for name in own]
    formats.write_safetensors(tmp_path / "m.safetensors", weights, metadata | {"diffit.class_names": json.dumps(own[1:])})
    refused("info", "--classes", tmp_path / "m.safetensors", mentions=["9 names for 10 classes"])


def test_a_data_set(small_data):
    told = run("info", small_data, "--json").json
    assert 200 in flat_numbers(told)


def test_data_and_a_model_are_told_apart():
    assert "60000" in run("info", FASHION / "train-images-idx3-ubyte.gz").out.replace(",", "").replace("_", "")


def test_an_autoencoder():
    told = run("info", "fashion-latent-vae", "--json").json
    assert told["kind"] == "autoencoder" and told["config"]["model"] == "vae" and told["scale_from"] == "stated"
    assert told["scale"] == told["config"]["scale"] and len(told["identity"]) == 8
    assert sum(part["parameters"] for part in told["parts"]) == told["parameters"]
    assert "an autoencoder" in run("info", "fashion-latent-vae").out


def test_a_feature_network():
    assert run("info", "fashion-net", "--json").json["kind"] == "feature network"


def test_statistics(tmp_path):
    np.savez(tmp_path / "ref.npz", mu=np.zeros(4), sigma=np.eye(4), mu_s=np.zeros(2), sigma_s=np.eye(2))
    told = run("info", tmp_path / "ref.npz", "--json").json
    assert told["kind"] == "statistics" and told["width"] == 4 and told["spatial"] == 2 and told["images"] == 0
    assert told["arrays"]["sigma"] == {"dtype": "F64", "shape": [4, 4]}
    assert "unknown number of images" in run("info", tmp_path / "ref.npz").out
    np.savez(tmp_path / "ref.npz", mu=np.zeros(3), sigma=np.eye(4))
    refused("info", tmp_path / "ref.npz", mentions=["ref.npz", "sigma"])


def test_a_folder_of_diffusers_and_one_of_another_network(tmp_path):
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
    refused("info", tmp_path, mentions=["UNet2DConditionModel", "AutoencoderKL"])


@pytest.mark.parametrize("content, mentions", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:44\nsize 1\n", ["git lfs pull"]),
    (b"<!DOCTYPE html><html><head><title>Sign in</title>", ["a web page ('Sign in')"]),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', ["error response", "AccessDenied"]),
    (b'{"error": "Repository not found"}', ["error response", "Repository not found"]),
    (b"\x1f\x8b\x08\0" + b"\0" * 20, ["a gzip file"]),
    (b"x" * 257 + b"ustar\x0000" + b"\0" * 300, ["a tar archive"]),
    (b"GGUF" + b"\3\0\0\0" * 8, ["a GGUF file"]),
    (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, ["an HDF5 file"]),
    (b"\x93NUMPY\x01\0v\0" + b" " * 40, ["a single NumPy .npy array"]),
    (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, ["a PNG image"]),
    (b"\0" * 5000, ["zero bytes", "incomplete download"]),
    (b"", ["an empty file"]),
])
def test_another_file_under_a_model_s_name_is_named(content, mentions, tmp_path):
    for name in ("model.safetensors", "model.pt", "inception.pth"):
        (tmp_path / name).write_bytes(content)
        refused("info", tmp_path / name, mentions=[name, *mentions])
