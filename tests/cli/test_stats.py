"""diffit stats: ADM's keys, the same from every layout of pictures, bad input."""

import json

import formats
import numpy as np
import pytest
from conftest import GOLDEN, refused, run
from figures import moments


def load(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def reference(tmp_path_factory, inception, two_sets):
    path = tmp_path_factory.mktemp("stats") / "ref.npz"
    result = run("stats", two_sets[1], "-o", path, "--features", inception, "--json")
    return path, result.json


def test_the_file_holds_adms_keys_and_describes_itself(reference, two_sets):
    path, told = reference
    file = load(path)
    assert {name: (array.dtype.str, array.shape) for name, array in file.items() if name != "diffit"} == {
        "mu": ("<f8", (2048,)), "sigma": ("<f8", (2048, 2048)), "mu_s": ("<f8", (2023,)),
        "sigma_s": ("<f8", (2023, 2023)), "features": ("<f4", (14, 2048))}
    said = json.loads(bytes(file["diffit"]))
    assert said["pictures"] == told["pictures"] == 14
    assert said["network"] == told["network"] == "Inception-v3 2015-12-05"
    assert said["identity"] == told["identity"] and len(said["identity"]) == 16
    assert (said["height"], said["width"], said["channels"]) == (32, 32, 3)
    assert two_sets[1].name in said["source"]
    assert any("2048" in warning for warning in told["warnings"])  # 14 pictures have no covariance of full rank


def test_mu_and_sigma_are_numpys_of_the_features(reference):
    file = load(reference[0])
    mu, sigma = moments(file["features"])
    # Float64 sums of 14 terms in another order.
    assert np.abs(file["mu"] - mu).max() <= 14 * 1.2e-16 * np.abs(mu).max()
    assert np.abs(file["sigma"] - sigma).max() <= 14 * 1.2e-16 * 4 * np.abs(sigma).max()


def test_features_are_those_of_torch_fidelity(tmp_path, inception):
    golden, _ = formats.read_safetensors(GOLDEN / "inception.safetensors")
    np.savez(tmp_path / "square.npz", arr_0=golden["square.pictures"])
    run("stats", tmp_path / "square.npz", "-o", tmp_path / "ref.npz", "--features", inception)
    file = load(tmp_path / "ref.npz")
    for ours, exact in ((file["features"], golden["square.exact.pooled"]),
                        (file["mu_s"], golden["square.exact.spatial"].mean(0))):
        # 94 layers in float32, whose roundings add up as a random walk: 1e-5 of the largest, as in docs/numerics.md.
        assert np.abs(ours - exact).max() <= 1e-5 * np.abs(exact).max()
    # sFID's map is NHWC: its channels lie innermost, and another order is far away.
    nchw = golden["square.exact.spatial"].mean(0).reshape(17, 17, 7).transpose(2, 0, 1).ravel()
    assert np.abs(file["mu_s"] - nchw).max() > 0.1 * np.abs(nchw).max()


def test_npz_zip_and_folder_give_the_same(tmp_path, inception, two_sets):
    pictures = np.load(two_sets[1])["arr_0"][:5]
    np.savez_compressed(tmp_path / "set.npz", arr_0=pictures)
    formats.edm_zip(tmp_path / "set.zip", pictures)
    (tmp_path / "set").mkdir()
    for i, picture in enumerate(pictures):
        (tmp_path / "set" / f"{i}.png").write_bytes(formats.png_bytes(picture))
    files = []
    for name in ("set.npz", "set.zip", "set"):
        run("stats", tmp_path / name, "-o", tmp_path / f"{name}.ref.npz", "--features", inception)
        files.append(load(tmp_path / f"{name}.ref.npz"))
    for other in files[1:]:
        assert np.array_equal(other["mu"], files[0]["mu"]) and np.array_equal(other["sigma_s"], files[0]["sigma_s"])


def test_limit_and_keep(tmp_path, inception, two_sets, reference):
    run("stats", two_sets[1], "-o", tmp_path / "few.npz", "--features", inception, "--limit", 6, "--keep", 4)
    few, all_of_them = load(tmp_path / "few.npz"), load(reference[0])["features"]
    assert json.loads(bytes(few["diffit"]))["pictures"] == 6
    assert np.allclose(few["mu"], all_of_them[:6].astype(float).mean(0), rtol=0, atol=1e-5 * np.abs(all_of_them).max())
    assert few["features"].shape == (4, 2048)
    run("stats", two_sets[1], "-o", tmp_path / "none.npz", "--features", inception, "--limit", 2, "--keep", 0)
    assert "features" not in load(tmp_path / "none.npz")


def test_bad_input_is_one_line(tmp_path, inception, two_sets):
    def stats(data, *mentions, output="out.npz", features=inception):
        line = refused("stats", data, "-o", tmp_path / output, "--features", features, mentions=mentions)
        assert not (tmp_path / output).exists()
        return line

    pictures = np.load(two_sets[0])["arr_0"][:4]
    stats(tmp_path / "nowhere.npz", "nowhere.npz")
    stats(two_sets[0], ".npz", output="out.safetensors")
    stats(two_sets[0], "nowhere", features="nowhere")
    np.savez(tmp_path / "object.npz", arr_0=np.array([pictures[0], "a"], dtype=object))
    stats(tmp_path / "object.npz", "object.npz", "arr_0")
    np.savez(tmp_path / "float.npz", arr_0=pictures.astype(np.float32))
    stats(tmp_path / "float.npz", "arr_0", "uint8")
    np.savez(tmp_path / "other.npz", pictures=pictures)
    stats(tmp_path / "other.npz", "arr_0", "pictures")
    np.savez(tmp_path / "empty.npz", arr_0=pictures[:0])
    stats(tmp_path / "empty.npz", "no image")
    np.savez(tmp_path / "one.npz", arr_0=pictures[:1])
    stats(tmp_path / "one.npz", "two images")
    np.savez(tmp_path / "whole.npz", arr_0=pictures)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-200])
    stats(tmp_path / "cut.npz", "cut.npz")
    damaged = bytearray((tmp_path / "whole.npz").read_bytes())
    damaged[2000] ^= 1
    (tmp_path / "damaged.npz").write_bytes(damaged)
    stats(tmp_path / "damaged.npz", "damaged.npz")
    for name, odd in (("sizes", pictures[1][:20]), ("colour", pictures[1])):
        (tmp_path / name).mkdir()
        first = pictures[0] if name == "sizes" else pictures[0][:, :, 0]
        (tmp_path / name / "0.png").write_bytes(formats.png_bytes(first))
        (tmp_path / name / "1.png").write_bytes(formats.png_bytes(odd))
    stats(tmp_path / "sizes", "1.png", "32 x 20", "32 x 32")
    # Grey among RGB is read as RGB.
    told = run("stats", tmp_path / "colour", "-o", tmp_path / "mixed.npz", "--features", inception).out
    assert "32 x 32 x 3" in told
    (tmp_path / "mixed.npz").unlink()
