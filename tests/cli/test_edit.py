"""Image-to-image and inpainting from the command line, with the bundled models."""

import json

import numpy as np
import pytest
from conftest import refused, run
from formats import png_text
from PIL import Image


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A sample, and a mask that is white in the lower half."""
    folder = tmp_path_factory.mktemp("edit")
    run("sample", "-m", "fashion-mnist", "--seeds", "4", "--classes", "Bag", "--steps", "8", "-o", folder / "bag.png")
    mask = np.zeros((32, 32), np.uint8)
    mask[16:] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    return folder


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def edited(images, out, *options, model="fashion-mnist", classes="Bag", seeds="4-5"):
    run("sample", "-m", model, "--seeds", seeds, "--classes", classes, "--steps", "8", "--init-image", images / "bag.png", "-o", out, *options)
    return [pixels(path) for path in sorted(out.glob("*.png"))]


def test_strength_is_the_way_from_the_image(images, tmp_path):
    before = pixels(images / "bag.png")
    distances = []
    for strength in ("0.05", "0.4", "0.8"):
        made = edited(images, tmp_path / f"s{len(distances)}", "--strength", strength)
        distances.append(np.mean([np.abs(image - before).mean() for image in made]))
        assert (made[0] != made[1]).any()
    assert distances[0] < 12 and distances == sorted(distances) and distances[2] > 2 * distances[0]
    text = json.loads(png_text(tmp_path / "s1/000004.png")["diffit"])
    assert text["init_image"] == str(images / "bag.png") and text["strength"] == 0.4 and "init_noise" not in text


def test_inpainting_keeps_what_is_black(images, tmp_path):
    before = pixels(images / "bag.png")
    made = edited(images, tmp_path / "masked", "--mask", images / "mask.png", classes="Ankle boot,Trouser")
    for image in made:
        assert (image[:16] == before[:16]).all() and (image[16:] != before[16:]).mean() > 0.3
    assert (made[0][16:] != made[1][16:]).any()
    # With every sampler of a latent model, up to what its autoencoder loses.
    for sampler in ("ddim", "heun"):
        made = edited(images, tmp_path / sampler, "--mask", images / "mask.png", "--sampler", sampler, model="fashion-latent", seeds="1")
        assert np.abs(made[0][:12] - before[:12]).mean() < 15 < np.abs(made[0][16:] - before[16:]).mean(), sampler


def test_interrupted_requests_are_told_apart_by_their_image(images, tmp_path):
    edited(images, tmp_path / "out", "--strength", "0.4")
    (images / "other.png").write_bytes((images / "mask.png").read_bytes())
    refused("sample", "-m", "fashion-mnist", "--seeds", "4-5", "--classes", "Bag", "--steps", "8", "--init-image", images / "other.png",
            "--strength", "0.4", "-o", tmp_path / "out")


@pytest.mark.parametrize(("options", "words"), [
    (["--strength", "0.5"], "--strength needs --init-image"), (["--mask", "mask.png"], "--mask needs --init-image"),
    (["--init-image", "bag.png", "--strength", "0"], "--strength"), (["--init-image", "bag.png", "--strength", "1"], "--mask"),
    (["--init-image", "nothing.png"], "nothing.png"), (["--init-image", "bag.png", "--mask", "black.png"], "black everywhere"),
    (["--init-image", "bag.png", "--init-noise", "x.safetensors"], "contradict")])
def test_wrong_options(images, tmp_path, options, words):
    Image.new("L", (32, 32)).save(images / "black.png")
    line = refused("sample", "-m", "fashion-mnist", "-o", tmp_path / "x.png", *options, cwd=images)
    assert words in line and not (tmp_path / "x.png").exists()


def test_samplers_that_cannot_begin_with_an_image(images, tmp_path):
    line = refused("sample", "-m", "fashion-latent", "-o", tmp_path / "x.png", "--init-image", images / "bag.png")
    assert "heun or euler" in line


def test_mixed_noise_goes_from_seed_to_seed(images, tmp_path):
    def sample(name, *options):
        run("sample", "-m", "fashion-mnist", "--classes", "Bag", "--steps", "8", "-o", tmp_path / name, *options)
        return pixels(tmp_path / name)

    own, other = sample("own.png", "--seeds", "4"), sample("other.png", "--seeds", "9")
    assert (own == pixels(images / "bag.png")).all()
    path = [sample(f"m{i}.png", "--seeds", "4", "--mix-seed", "9", "--mix", mix) for i, mix in enumerate(("0", "0.2", "0.9", "1"))]
    assert (path[0] == own).all() and (path[3] == other).all()
    # A small share is a variation of the one, a large one of the other.
    assert 0 < np.abs(path[1] - own).mean() < np.abs(other - own).mean()
    assert 0 < np.abs(path[2] - other).mean() < np.abs(other - own).mean()
    # In turn: every image has its own share in its text.
    run("sample", "-m", "fashion-mnist", "--classes", "Bag", "--steps", "8", "--seeds", "4-7", "--mix-seed", "9", "--mix", "0,0.2", "-o", tmp_path / "all")
    texts = [json.loads(png_text(file)["diffit"]) for file in sorted((tmp_path / "all").glob("*.png"))]
    assert [(text["seeds"], text["mix"], text["mix_seed"]) for text in texts] == [([4], "0", 9), ([5], "0.2", 9), ([6], "0", 9), ([7], "0.2", 9)]
    assert (pixels(tmp_path / "all/000004.png") == own).all()
    for options, words in ((["--mix", "0.5"], "--mix needs --mix-seed"), (["--mix-seed", "3"], "--mix-seed needs --mix"),
                           (["--mix-seed", "3", "--mix", "1.5"], "--mix")):
        assert words in refused("sample", "-m", "fashion-mnist", "-o", tmp_path / "x.png", *options)
