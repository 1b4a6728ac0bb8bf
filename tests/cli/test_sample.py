"""diffit sample: a picture is a function of (model, options, its seed, its class) alone; every kind of output."""

import formats
import numpy as np
import pytest
from conftest import refused, run
from PIL import Image

pytestmark = pytest.mark.smoke


def sample(folder, model, *options, name="s.safetensors", **named):
    run("sample", "-m", model, "-o", folder / name, "--steps", "4", "--dtype", "f32", *options, **named)
    if not name.endswith(".safetensors"):
        return folder / name
    return formats.read_safetensors(folder / name)[0]["samples"]


def near(one, other):
    """The same beyond rounding: 8 evaluations, each a few hundred roundings of numbers up to 80 at the start."""
    return np.abs(one - other).max() <= 1e-3


def test_samples_are_float32_of_the_model_s_shape(image_model, tmp_path):
    got = sample(tmp_path, image_model, "-n", "3", "--classes", "0,5")
    assert got.shape == (3, 3, 16, 16) and got.dtype == np.float32 and np.isfinite(got).all()


def test_a_picture_does_not_depend_on_batch_order_or_threads(image_model, tmp_path):
    options = ["--classes", "3", "--churn", "20"]
    whole = sample(tmp_path, image_model, "--seeds", "0-6", "--batch", "7", *options)
    for batch in ["1", "3"]:
        assert near(sample(tmp_path, image_model, "--seeds", "0-6", "--batch", batch, *options), whole), batch
    assert near(sample(tmp_path, image_model, "--seeds", "0-6", "--threads", "1", *options), whole)
    shuffled = sample(tmp_path, image_model, "--seeds", "5,2,0", *options)
    assert near(shuffled, whole[[5, 2, 0]])
    assert not near(whole[0], whole[1])


def test_again_is_bit_for_bit_the_same(image_model, tmp_path):
    one = sample(tmp_path, image_model, "--seeds", "4-5", "--classes", "1")
    assert np.array_equal(one, sample(tmp_path, image_model, "--seeds", "4-5", "--classes", "1"))


def test_classes_repeat(image_model, tmp_path):
    both = sample(tmp_path, image_model, "--seeds", "7,7,7,7", "--classes", "2,8")
    assert near(both[0], both[2]) and near(both[1], both[3]) and not near(both[0], both[1])
    everyone = sample(tmp_path, image_model, "--seeds", ",".join(["7"] * 11), "--classes", "all")
    assert near(everyone[0], everyone[10]) and near(everyone[2], both[0]) and near(everyone[8], both[1])


def test_random_classes_belong_to_the_seed(image_model, tmp_path):
    run("sample", "-m", image_model, "--steps", "2", "--seeds", "0-9", "--classes", "random", "-o", tmp_path / "a.npz")
    run("sample", "-m", image_model, "--steps", "2", "--seeds", "5-9", "--classes", "random", "-o", tmp_path / "b.npz")
    a, b = np.load(tmp_path / "a.npz")["arr_1"], np.load(tmp_path / "b.npz")["arr_1"]
    assert np.array_equal(a[5:], b) and len(set(a)) > 2


def test_guidance_of_one_is_none_and_more_is_more(image_model, tmp_path):
    plain = sample(tmp_path, image_model, "--seeds", "0-1", "--classes", "3")
    assert near(sample(tmp_path, image_model, "--seeds", "0-1", "--classes", "3", "--guidance", "1"), plain)
    guided = sample(tmp_path, image_model, "--seeds", "0-1", "--classes", "3", "--guidance", "3")
    assert not near(guided, plain)


def test_starting_noise_from_a_file(image_model, tmp_path):
    noise = np.random.default_rng(1).standard_normal((2, 3, 16, 16)).astype(np.float32)
    formats.write_safetensors(tmp_path / "noise.safetensors", {"noise": noise})
    got = sample(tmp_path, image_model, "-n", "2", "--classes", "3", "--init-noise", tmp_path / "noise.safetensors")
    again = sample(tmp_path, image_model, "-n", "2", "--classes", "3", "--init-noise", tmp_path / "noise.safetensors",
                   "--batch", "1")
    assert near(got, again) and not near(got[0], got[1])


def test_step_noise_from_a_file(image_model, tmp_path):
    rng = np.random.default_rng(1)
    formats.write_safetensors(tmp_path / "a.safetensors",
                              {"noise": rng.standard_normal((6, 2, 3, 16, 16)).astype(np.float32)})
    formats.write_safetensors(tmp_path / "b.safetensors",
                              {"noise": rng.standard_normal((6, 2, 3, 16, 16)).astype(np.float32)})
    options = ["-n", "2", "--classes", "3", "--churn", "10"]
    a = sample(tmp_path, image_model, *options, "--step-noise", tmp_path / "a.safetensors")
    b = sample(tmp_path, image_model, *options, "--step-noise", tmp_path / "b.safetensors")
    assert not near(a, b)
    still = ["-n", "2", "--classes", "3"]  # without churn no step adds noise
    assert near(sample(tmp_path, image_model, *still, "--step-noise", tmp_path / "a.safetensors"),
                sample(tmp_path, image_model, *still, "--step-noise", tmp_path / "b.safetensors"))


def test_every_output_holds_the_same_pictures(image_model, tmp_path):
    options = ["--seeds", "3-6", "--classes", "all"]
    raw = sample(tmp_path, image_model, *options)
    want = np.clip(np.floor(raw.astype(np.float64) * 127.5 + 128), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    archive = np.load(sample(tmp_path, image_model, *options, name="s.npz"), allow_pickle=False)
    assert archive["arr_0"].dtype == np.uint8 and archive["arr_0"].shape == (4, 16, 16, 3)
    assert np.abs(archive["arr_0"].astype(int) - want).max() <= 1
    assert archive["arr_1"].tolist() == [0, 1, 2, 3]
    folder = sample(tmp_path, image_model, *options, name="folder/")
    files = sorted(folder.glob("*.png"))
    assert len(files) == 4
    for file, seed, picture in zip(files, range(3, 7), archive["arr_0"]):
        assert int("".join(c for c in file.stem if c.isdigit())) == seed
        assert np.array_equal(np.array(Image.open(file).convert("RGB")), picture)
    grid = Image.open(sample(tmp_path, image_model, *options, name="grid.png"))
    assert min(grid.size) >= 32
    one = Image.open(sample(tmp_path, image_model, "--seeds", "3", "--classes", "0", name="one.png"))
    assert one.size == (16, 16) and np.array_equal(np.array(one.convert("RGB")), archive["arr_0"][0])


def test_a_picture_tells_how_it_was_made(image_model, tmp_path):
    path = sample(tmp_path, image_model, "--seeds", "11", "--classes", "4", "--churn", "5", name="one.png")
    told = " ".join(f"{key} {value}" for key, value in formats.png_text(path).items())
    for word in ["11", "4", "heun", "5", "image"]:
        assert word in told, told


def test_euler_and_heun_differ_and_both_are_finite(image_model, tmp_path):
    heun = sample(tmp_path, image_model, "-n", "1", "--classes", "0", "--sampler", "heun")
    euler = sample(tmp_path, image_model, "-n", "1", "--classes", "0", "--sampler", "euler")
    assert np.isfinite(euler).all() and not near(heun, euler)


def test_json_is_one_object_on_stdout(image_model, tmp_path):
    told = run("sample", "-m", image_model, "-n", "1", "--steps", "2", "--classes", "0", "-o", tmp_path / "x.png",
               "--json").json
    assert "x.png" in str(told)


@pytest.mark.parametrize("options, mentions", [
    (["-n", "0"], ["0"]),
    (["-n", "-3"], ["-3"]),
    (["--steps", "0"], ["steps"]),
    (["--steps", "many"], ["many"]),
    (["--seeds", "5-2"], ["5-2"]),
    (["--seeds", "a"], ["a"]),
    (["--seeds", ""], ["seeds"]),
    (["--classes", "10"], ["10"]),
    (["--classes", "-1"], ["-1"]),
    (["--classes", "shoes"], ["shoes"]),
    (["--sampler", "hein"], ["hein", "heun"]),
    (["--guidance", "nan"], ["guidance"]),
    (["--churn", "-1"], ["churn"]),
    (["--dtype", "f8"], ["f8"]),
    (["--device", "gpu"], ["gpu"]),
    (["--threads", "-2"], ["threads"]),
    (["--batch", "0"], ["batch"]),
    (["-n", "2", "--seeds", "1,2,3"], ["seeds"]),
])
def test_wrong_values_are_refused_by_name(options, mentions, image_model, tmp_path):
    refused("sample", "-m", image_model, "-o", "x.png", *options, cwd=tmp_path, mentions=mentions)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.gif", "nowhere/x.png"])
def test_an_output_that_cannot_be_is_refused_before_the_work(name, image_model, tmp_path):
    refused("sample", "-m", image_model, "-o", name, "-n", "1", "--classes", "0", cwd=tmp_path, mentions=[name])
    assert list(tmp_path.iterdir()) == []


def test_no_cuda_is_said_plainly(image_model, tmp_path):
    process = run("info", "--json")
    if "cuda:0" in process.out:
        pytest.skip("there is a GPU")
    result = run("sample", "-m", image_model, "-o", tmp_path / "x.png", "-n", "1", "--device", "cuda", "--quiet", code=2)
    assert "cuda" in result.err.lower() and not (tmp_path / "x.png").exists()


def test_the_bundled_model_makes_pictures(tmp_path):
    result = run("sample", "-m", "fashion-mnist", "--seeds", "0-9", "--classes", "all", "-o", tmp_path / "x.npz")
    archive = np.load(tmp_path / "x.npz")
    assert archive["arr_0"].shape == (10, 32, 32, 1) and archive["arr_1"].tolist() == list(range(10))
    # Its training pictures are framed with black, and the things in them are not black.
    assert archive["arr_0"][:, 0].mean() < 8 and archive["arr_0"][:, 8:24, 8:24].mean() > 40
    assert result.seconds < 60
