"""diffit data: what is converted is what was there, read back by Python."""

import gzip
import io
import json
import zipfile

import formats
import numpy as np
import pytest
from conftest import FASHION, files_below, refused, run
from PIL import Image


def pictures(count, side=8, channels=3, seed=0):
    shape = (count, side, side, channels) if channels > 1 else (count, side, side)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_fashion_mnist_converted_is_the_raw_bytes_framed(tmp_path):
    run("data", "convert", FASHION / "train-images-idx3-ubyte.gz", tmp_path / "f.zip", "--size", "32")
    got, labels = formats.read_edm_zip(tmp_path / "f.zip")
    want = formats.read_idx(FASHION / "train-images-idx3-ubyte.gz")
    assert got.shape == (60000, 32, 32) and got.dtype == np.uint8
    assert np.array_equal(got[:, 2:30, 2:30], want)
    assert got.sum(dtype=np.int64) == want.sum(dtype=np.int64)  # the frame is zero
    assert labels == formats.read_idx(FASHION / "train-labels-idx1-ubyte.gz").tolist()


@pytest.mark.smoke
def test_idx_plain_or_gzipped_without_labels(tmp_path):
    want = pictures(5, channels=1)
    (tmp_path / "a-images-idx3-ubyte").write_bytes(formats.idx_bytes(want))
    (tmp_path / "b-images-idx3-ubyte.gz").write_bytes(gzip.compress(formats.idx_bytes(want)))
    for name in ["a-images-idx3-ubyte", "b-images-idx3-ubyte.gz"]:
        run("data", "convert", tmp_path / name, tmp_path / f"{name}.zip")
        got, labels = formats.read_edm_zip(tmp_path / f"{name}.zip")
        assert np.array_equal(got, want) and labels is None


@pytest.mark.smoke
def test_cifar10(tmp_path):
    want, classes = pictures(30, side=32), np.arange(30) % 10
    records = np.concatenate([classes[:, None].astype(np.uint8), want.transpose(0, 3, 1, 2).reshape(30, -1)], 1)
    for batch in range(5):
        (tmp_path / f"data_batch_{batch + 1}.bin").write_bytes(records[6 * batch : 6 * batch + 6].tobytes())
    run("data", "convert", tmp_path, tmp_path / "out.zip")
    got, labels = formats.read_edm_zip(tmp_path / "out.zip")
    assert np.array_equal(got, want) and labels == classes.tolist()


@pytest.mark.smoke
def test_cifar100_takes_the_fine_label(tmp_path):
    want, fine = pictures(20, side=32), (np.arange(20) * 5) % 100
    both = np.stack([fine // 5, fine], 1).astype(np.uint8)
    (tmp_path / "train.bin").write_bytes(
        np.concatenate([both, want.transpose(0, 3, 1, 2).reshape(20, -1)], 1).tobytes())
    run("data", "convert", tmp_path / "train.bin", tmp_path / "out.zip")
    got, labels = formats.read_edm_zip(tmp_path / "out.zip")
    assert np.array_equal(got, want) and labels == fine.tolist()


@pytest.mark.smoke
def test_a_folder_s_folders_are_classes(tmp_path):
    source = tmp_path / "in"
    want = pictures(6)
    for i, picture in enumerate(want):
        folder = source / ["cats", "dogs"][i // 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{i}.png")
    run("data", "convert", source, tmp_path / "out.zip")
    got, labels = formats.read_edm_zip(tmp_path / "out.zip")
    assert np.array_equal(got, want) and labels == [0, 0, 0, 1, 1, 1]


@pytest.mark.smoke
def test_zip_to_zip_keeps_everything(tmp_path):
    want = pictures(7)
    formats.edm_zip(tmp_path / "in.zip", want, [3, 1, 4, 1, 5, 2, 6])
    run("data", "convert", tmp_path / "in.zip", tmp_path / "out.zip")
    got, labels = formats.read_edm_zip(tmp_path / "out.zip")
    assert np.array_equal(got, want) and labels == [3, 1, 4, 1, 5, 2, 6]
    run("data", "convert", tmp_path / "out.zip", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "out.zip").read_bytes()


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["L", "RGB", "P", "RGBA", "LA", "1", "I;16", "CMYK", "webp", "jpeg", "jpeg-grey"])
def test_every_kind_of_picture_is_handled(kind, tmp_path):
    """What a viewer shows over white: lossless kinds exactly, the others within their coding."""
    source = tmp_path / "in"
    source.mkdir()
    rgb = Image.fromarray(pictures(1, side=16)[0]).resize((64, 64), Image.BICUBIC)
    bound = 0
    if kind == "webp":
        rgb.save(source / "a.webp", lossless=True)
        want = rgb
    elif kind.startswith("jpeg"):
        want = rgb.convert("L") if "grey" in kind else rgb
        want.save(source / "a.jpg", quality=95, subsampling=0)
        want, bound = Image.open(source / "a.jpg"), 3
    elif kind == "CMYK":
        rgb.convert("CMYK").save(source / "a.jpg", quality=95)
        want, bound = Image.open(source / "a.jpg").convert("RGB"), 6
    elif kind == "I;16":
        deep = np.asarray(rgb.convert("L")).astype(np.uint16) * 257
        Image.fromarray(deep).save(source / "a.png")
        want = rgb.convert("L")
    elif kind in ("RGBA", "LA"):
        picture = rgb.convert(kind)
        alpha = Image.linear_gradient("L").resize((64, 64))
        picture.putalpha(alpha)
        picture.save(source / "a.png")
        white = Image.new("RGBA", (64, 64), "white")
        want, bound = Image.alpha_composite(white, picture.convert("RGBA")).convert("L" if kind == "LA" else "RGB"), 1
    else:
        picture = rgb.convert(kind)
        picture.save(source / "a.png")
        want = picture.convert("RGB" if kind == "P" else "L" if kind == "1" else kind)
    run("data", "convert", source, tmp_path / "out.zip")
    got, _ = formats.read_edm_zip(tmp_path / "out.zip")
    assert got[0].shape == np.asarray(want).shape
    assert np.abs(got[0].astype(int) - np.asarray(want).astype(int)).max() <= bound


@pytest.mark.smoke
def test_crops(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(np.full((40, 60, 3), 77, np.uint8)).save(source / "a.png")
    for crop in ["center", "adm"]:
        run("data", "convert", source, tmp_path / f"{crop}.zip", "--size", "16", "--crop", crop)
        got, _ = formats.read_edm_zip(tmp_path / f"{crop}.zip")
        assert got.shape == (1, 16, 16, 3) and (got == 77).all()
    refused("data", "convert", source, tmp_path / "none.zip", "--size", "16", mentions=["a.png"])
    assert not (tmp_path / "none.zip").exists()


@pytest.mark.smoke
def test_info_and_preview(small_data, tmp_path):
    told = run("data", "info", small_data, "--json").json
    text = json.dumps(told)
    for number in ["200", "16", "4"]:
        assert number in text
    assert "200" in run("data", "info", small_data).out
    run("data", "preview", small_data, "-o", tmp_path / "grid.png")
    assert min(Image.open(tmp_path / "grid.png").size) > 64


@pytest.mark.smoke
def test_the_destination_is_never_half_there(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(pictures(1)[0]).save(source / "a.png")
    (source / "b.png").write_bytes(formats.png_bytes(pictures(1)[0])[:-30])
    before = files_below(tmp_path)
    refused("data", "convert", source, tmp_path / "out.zip", mentions=["b.png"])
    assert files_below(tmp_path) == before


@pytest.mark.smoke
def test_wrong_requests(tmp_path, small_data):
    refused("data", "convert", small_data, tmp_path / "out.tar", mentions=["out.tar"])
    refused("data", "convert", small_data, tmp_path / "out.zip", "--crop", "centre", mentions=["centre", "center"])
    refused("data", "convert", small_data, tmp_path / "out.zip", "--size", "0", mentions=["size"])
    refused("data", "convrt", mentions=["convrt", "convert"])
    (tmp_path / "empty").mkdir()
    refused("data", "info", tmp_path / "empty", mentions=["empty"])
    (tmp_path / "notes.txt").write_text("hello")
    refused("data", "info", tmp_path / "notes.txt", mentions=["notes.txt"])


@pytest.mark.smoke
def test_pictures_of_different_sizes_are_refused_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name, side in [("a.png", 8), ("b.png", 12)]:
            out = io.BytesIO()
            Image.fromarray(pictures(1, side)[0]).save(out, "PNG")
            archive.writestr(name, out.getvalue())
    refused("data", "convert", tmp_path / "in.zip", tmp_path / "out.zip", mentions=["b.png"])
