"""diffit diagnose and diffit eval --robustness: what they find, and what they refuse."""
import html.parser
import json

import numpy as np
import pytest

from conftest import refused, run

TEST = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"
TRAIN = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"
COMMON = ["--threads", "1", "--json"]


def read(done):
    return json.loads(done.out)


@pytest.fixture(scope="session")
def levels():
    return read(run("diagnose", "-m", "fashion-mnist", "--data", TEST, "--pictures", "32", "--levels", "5", *COMMON))


def test_a_trained_model_raises_nothing_and_is_worst_where_there_is_most_noise(levels):
    assert levels["raised"] == 0
    shares = [level["share"]["value"] for level in levels["levels"]]
    assert levels["levels"][0]["sigma"] > levels["levels"][-1]["sigma"]
    assert max(shares) == shares[0] and min(shares) < 0.5


def test_a_model_against_itself_is_equal_at_every_level():
    told = read(run("diagnose", "-m", "fashion-mnist", "--data", TEST, "--against", "fashion-mnist", "--pictures", "8",
                    "--levels", "3", *COMMON))
    assert all(level["ratio"]["value"] == 1 for level in told["levels"]) and told["raised"] == 0


def test_a_broken_model_is_raised(tmp_path):
    model = tmp_path / "m.safetensors"
    run("train", "smoke", "--data", TEST, "--out", tmp_path / "run", "--set", "train.images=64", "--set",
        "train.batch=32", "--set", "train.snapshot_images=0", "--threads", "1", "--quiet")
    snapshot = next(path for path in (tmp_path / "run").glob("snapshot-*.safetensors") if "ema" not in path.name)
    model.write_bytes(snapshot.read_bytes())
    told = read(run("diagnose", "-m", model, "--data", TEST, "--pictures", "16", "--levels", "4", *COMMON))
    assert told["raised"] == 1 and told["signatures"][0]["low"] > 1


def test_samples_that_repeat_and_that_copy_are_told_apart(tmp_path):
    pictures = read_pictures(TRAIN, 200)
    np.savez(tmp_path / "copies.npz", arr_0=pictures, arr_1=np.zeros(200, np.int64))
    np.savez(tmp_path / "repeats.npz", arr_0=np.repeat(read_pictures(TEST, 410)[400:], 20, 0), arr_1=np.zeros(200, np.int64))
    np.savez(tmp_path / "train.npz", arr_0=read_pictures(TRAIN, 1000), arr_1=np.zeros(1000, np.int64))
    np.savez(tmp_path / "test.npz", arr_0=read_pictures(TEST, 400), arr_1=np.zeros(400, np.int64))

    def raised(samples):
        told = read(run("diagnose", "-m", "fashion-mnist", "--data", tmp_path / "test.npz", "--samples", tmp_path / samples,
                        "--train-data", tmp_path / "train.npz", "--features", "fashion-net", "--pictures", "4",
                        "--levels", "2", *COMMON))
        return {s["name"] for s in told["signatures"] if s["raised"]}

    assert "copies of training images" in raised("copies.npz")
    repeats = raised("repeats.npz")
    assert "near-duplicates among the samples" in repeats and "copies of training images" not in repeats


def read_pictures(path, count):
    import gzip
    with gzip.open(path) as file:
        file.seek(16)
        pixels = np.frombuffer(file.read(count * 784), np.uint8).reshape(count, 28, 28)
    return np.pad(pixels, ((0, 0), (2, 2), (2, 2)))[..., None]


def test_robustness_holds_corruptions_against_the_held_out_set(tmp_path):
    page = tmp_path / "page.html"
    told = read(run("eval", "-m", "fashion-mnist", "--robustness", TEST, TRAIN, "--pictures", "8", "--levels", "3",
                    "--likelihood-steps", "6", "-o", page, *COMMON))
    sets = {row["name"]: row for row in told["sets"]}
    assert list(sets)[:2] == [TEST, TRAIN] and len(sets) == 15 and sets[TEST]["separation"] == 0.5
    assert sets["held-out, inversion"]["separation"] > 0.9
    assert sets["held-out, inversion"]["error"][0]["mean"] > 3 * sets[TEST]["error"][0]["mean"]
    noise = [sets[f"held-out, noise {k}"]["bits"]["mean"] for k in (1, 2, 3)]
    assert noise == sorted(noise)
    html.parser.HTMLParser().feed(page.read_text())
    assert page.read_text().count("<svg") >= 6


def test_robustness_of_pictures_does_not_depend_on_what_else_is_measured():
    first = ["eval", "-m", "fashion-mnist", "--robustness", TEST, "--pictures", "4", "--levels", "2",
             "--likelihood-steps", "2", "--corruptions", "none", *COMMON]
    alone = read(run(*first))["sets"][0]
    beside = read(run(*first[:4], TEST, TRAIN, *first[5:]))["sets"][0]
    assert alone == beside


@pytest.mark.parametrize("words,mentions", [
    (["eval", "--robustness", TEST], ["--model MODEL"]),
    (["eval"], ["SAMPLES", "--robustness"]),
    (["eval", "a.npz", "b.npz", "--features", "x", "--robustness", TEST, "-m", "fashion-mnist"], ["--robustness"]),
    (["eval", "--robustness", TEST, "-m", "fashion-mnist", "--corruptions", "some"], ["all or none"]),
    (["eval", "--robustness", TEST, "-m", "fashion-mnist", "-o", "x.pdf"], ["x.html"]),
    (["eval", "--robustness", "nothing.zip", "-m", "fashion-mnist"], ["nothing.zip"]),
    (["diagnose", "-m", "fashion-mnist", "--data", TEST, "--samples", TEST], ["--features"]),
    (["diagnose", "-m", "fashion-mnist", "--data", TEST, "--train-data", TEST], ["--samples"]),
    (["diagnose", "-m", "fashion-mnist", "--data", TEST, "--vae", "v.safetensors"], ["--vae"]),
    (["diagnose", "-m", "fashion-mnist", "--data", TEST, "--against", "fashion-latent"], ["same input shape"]),
    (["diagnose", "-m", "fashion-mnist", "--data", TEST, "-o", "no/folder/x.html"], ["no/folder"]),
])
def test_what_makes_no_sense_is_refused(words, mentions, tmp_path):
    refused(*words, cwd=tmp_path, mentions=mentions)
    assert not list(tmp_path.iterdir())


def test_colours_are_refused_by_a_grey_model(tmp_path):
    np.savez(tmp_path / "c.npz", arr_0=np.zeros((4, 32, 32, 3), np.uint8))
    refused("diagnose", "-m", "fashion-mnist", "--data", tmp_path / "c.npz", mentions=["colour", "grey"])


def test_a_latent_model_is_measured_in_its_latents():
    told = read(run("diagnose", "-m", "fashion-latent", "--data", TEST, "--pictures", "16", "--levels", "4", *COMMON))
    assert told["raised"] == 0 and len(told["levels"]) == 4
    robust = read(run("eval", "-m", "fashion-latent", "--robustness", TEST, "--pictures", "4", "--levels", "2",
                      "--likelihood-steps", "2", "--corruptions", "none", *COMMON))
    assert np.isfinite(robust["sets"][0]["bits"]["mean"])
