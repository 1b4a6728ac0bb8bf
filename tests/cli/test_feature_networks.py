"""Feature networks: the bundled one, one trained here, Inception's file; npz of pictures as a data set."""

import json

import formats
import numpy as np
import pytest
from conftest import FASHION, refused, run

RECIPE = """
[data]
test = "{test}"
[model]
model = "classifier"
name = "Quarters"
channels = [8, 16]
norm_groups = 2
[train]
images = 1600
batch = 16
dtype = "f32"
[optimiser]
lr = 3e-3
[ema]
half_life_images = 64
power = []
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_data):
    folder = tmp_path_factory.mktemp("network")
    (folder / "quarters.toml").write_text(RECIPE.format(test=small_data))
    run("train", folder / "quarters.toml", "--data", small_data, "--out", folder / "run")
    return folder / "run"


def test_a_classifier_is_trained_and_says_its_accuracy(trained):
    rows = [json.loads(line) for line in (trained / "stats.jsonl").read_text().splitlines()]
    figures = [row["eval"] for row in rows if "eval" in row]
    assert len(figures) == 1 and figures[0]["accuracy"] > 0.9  # chance is 0.25
    assert "accuracy" in (trained / "log.txt").read_text()


def test_info_tells_what_a_network_is(trained, tmp_path):
    path = trained / "snapshot-000001600-ema.safetensors"
    told = run("info", path, "--json").json
    assert told["kind"] == "feature network" and told["frechet"] == "FD-Quarters"
    assert (told["width"], told["spatial"], told["classes"]) == (16, 0, 4)
    assert "FD-Quarters" in run("info", path).out
    half = tmp_path / "half.safetensors"
    run("convert", path, half, "--dtype", "f16")
    assert half.stat().st_size < 0.6 * path.stat().st_size
    assert run("info", half, "--json").json["identity"] != told["identity"]
    refused("sample", "-m", path, "-o", tmp_path / "x.png", mentions=["classifier"])


def test_info_tells_what_inception_s_file_is(inception):
    told = run("info", inception, "--json").json
    assert told["name"] == "Inception-v3 2015-12-05" and told["frechet"] == "FID"
    assert (told["width"], told["spatial"], told["classes"]) == (2048, 2023, 1008)


def test_a_test_set_of_another_kind_is_refused(small_data, tmp_path):
    formats.edm_zip(tmp_path / "small.zip", np.zeros((4, 8, 8), np.uint8), [0, 1, 2, 3])
    (tmp_path / "quarters.toml").write_text(RECIPE.format(test=tmp_path / "small.zip"))
    refused("train", tmp_path / "quarters.toml", "--data", small_data, "--dry-run", mentions=["data.test", "8 x 8"])


def test_an_npz_is_a_data_set(small_data, tmp_path):
    rng = np.random.default_rng(1)
    pictures, labels = rng.integers(0, 256, (30, 12, 12, 3), dtype=np.uint8), rng.integers(0, 5, 30)
    labels[0] = 4
    np.savez(tmp_path / "stored.npz", arr_0=pictures, arr_1=labels)
    np.savez_compressed(tmp_path / "packed.npz", arr_0=pictures, arr_1=labels)
    told = [run("data", "info", tmp_path / f"{name}.npz", "--json").json for name in ("stored", "packed")]
    for object in told:
        assert (object["pictures"], object["classes"]) == (30, 5)
    for name in ("stored", "packed"):
        run("data", "convert", tmp_path / f"{name}.npz", tmp_path / f"{name}.zip")
    assert (tmp_path / "stored.zip").read_bytes() == (tmp_path / "packed.zip").read_bytes()


def test_an_npz_that_is_none_is_refused_in_a_line(tmp_path):
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "objects.npz", arr_0=np.array([None, 1], dtype=object))
    np.savez(tmp_path / "floats.npz", arr_0=pictures.astype(np.float32))
    np.savez(tmp_path / "labels.npz", arr_0=pictures, arr_1=np.zeros(2, np.int64))
    np.savez(tmp_path / "names.npz", pictures=pictures)
    np.savez(tmp_path / "good.npz", arr_0=pictures)
    whole = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    at = whole.index(b"\n", 100) + 20
    (tmp_path / "flipped.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for name, words in {"objects": ["object"], "floats": ["uint8", "float32"], "labels": ["arr_1"], "names": ["arr_0"],
                        "cut": [], "flipped": ["arr_0"]}.items():
        refused("data", "info", tmp_path / f"{name}.npz", mentions=[f"{name}.npz", *words])


@pytest.mark.skipif(not FASHION.exists(), reason="dataset-fashion-mnist is not installed")
def test_the_bundled_network_tells_clothes_apart(tmp_path):
    told = run("info", "fashion-net", "--json").json
    assert told["frechet"] == "FD-FashionNet" and told["width"] == 128 and told["classes"] == 10
