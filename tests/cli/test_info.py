"""diffit info: models, data, and what the program has."""

import json

import formats
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


def test_the_published_sizes(tmp_path):
    """561.3 M parameters and 114 GMAC: what the paper and the released code say of the model at 256."""
    config = {"model": "latent", "input_size": 32, "patch": 2, "hidden": 1152, "depth": 28, "heads": 16,
              "mlp_ratio": 4.0, "classes": 1000, "in_channels": 4}
    path = tmp_path / "empty.safetensors"
    formats.write_safetensors(path, {}, {"diffit.config": json.dumps(config)})
    # A file without its tensors is no model, and the error says which are missing.
    assert "x_embedder.proj.weight" in refused("info", path) or "missing" in refused("info", path)


def test_a_data_set(small_data):
    told = run("info", small_data, "--json").json
    assert 200 in flat_numbers(told)


def test_data_and_a_model_are_told_apart():
    assert "60000" in run("info", FASHION / "train-images-idx3-ubyte.gz").out.replace(",", "").replace("_", "")
