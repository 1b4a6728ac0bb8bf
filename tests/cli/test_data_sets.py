"""Data sets as people have them: what is read, what is skipped, and that both are said."""

import io
import json
import os
import pathlib
import pickle
import resource
import subprocess
import tarfile
import zipfile

import formats
import numpy as np
import pytest
from conftest import BINARY, refused, run
from PIL import Image

pytestmark = pytest.mark.smoke


def image_bytes(value=0, side=8, mode="RGB", kind="PNG", **options):
    out = io.BytesIO()
    size = (side, side) if isinstance(side, int) else side
    pixels = np.full((size[1], size[0], 3) if mode == "RGB" else (size[1], size[0]), value, np.uint8)
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def both(tmp_path, files):
    """The same files as a folder and as a zip."""
    write(tmp_path / "set", files)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return [tmp_path / "set", tmp_path / "set.zip"]


def info(path, *options):
    return run("data", "info", path, "--json", *options).json


def names(told):
    return told.get("class_names", [])


def test_hidden_and_left_over_files_are_no_data_and_are_counted(tmp_path):
    good = {f"{c}/{i}.png": image_bytes(10 * i) for c in ("ant", "bee") for i in range(3)}
    junk = {".git/objects/0.png": b"x", ".thumbnails/a.png": b"x", "#recycle/old.png": b"x", "@eaDir/0.png/T.jpg": b"x",
            "__MACOSX/ant/._0.png": b"\0\5\x16\7", "ant/._0.png": b"\0\5\x16\7", "ant/.ipynb_checkpoints/0.png": b"x",
            ".0.png": b"x", "bee/Thumbs.db": b"x", "System Volume Information/x.png": b"x", "bee/notes.txt": b"x"}
    for path in both(tmp_path, {**good, **junk}):
        told = info(path, "--strict")
        assert (told["pictures"], names(told), told["class_counts"]) == (6, ["ant", "bee"], [3, 3])
        assert sum(entry["count"] for entry in told["skipped"]) == len(junk)
        assert all(entry["first"] and entry["reason"] for entry in told["skipped"])
        text = run("data", "info", path).out
        assert "._0.png" in text and "hidden" in text
        run("data", "convert", path, tmp_path / "out.zip")
        _, labels = formats.read_edm_zip(tmp_path / "out.zip")
        assert labels == [0, 0, 0, 1, 1, 1]


def test_a_wrapper_is_read_through_and_splits_are_no_classes(tmp_path):
    labels = {"labels": [["00000/b.png", 1], ["00000/a.png", 2]]}
    wrapped = both(tmp_path, {"my/data/00000/a.png": image_bytes(1), "my/data/00000/b.png": image_bytes(2),
                              "my/data/Dataset.json": json.dumps(labels).encode()})
    for path in wrapped:
        told = info(path)
        assert (told["classes"], told["class_counts"], told["labels_from"]) == (3, [0, 1, 1], "dataset.json")
        assert any("my/data" in note for note in told["notes"])
    splits = write(tmp_path / "splits", {f"{s}/{c}/0.png": image_bytes() for s in ("train", "Val") for c in "ab"})
    told = info(splits)
    assert told["classes"] == 0 and any("split" in warning for warning in told["warnings"])
    assert names(info(splits / "train")) == ["a", "b"]
    assert names(info(splits, "--labels", "folders")) == ["Val", "train"]
    refused("data", "convert", splits, tmp_path / "out.zip", "--strict", mentions=["split"])
    refused("train", "smoke", "--data", splits, "--strict", "--out", tmp_path / "run", mentions=["split"])
    assert not (tmp_path / "out.zip").exists() and not (tmp_path / "run").exists()


def test_numbers_as_folders(tmp_path):
    digits = write(tmp_path / "digits", {f"{n}/x.png": image_bytes(n) for n in range(12)})
    run("data", "convert", digits, tmp_path / "out.zip")
    got, labels = formats.read_edm_zip(tmp_path / "out.zip")
    assert got[:, 0, 0, 0].tolist() == labels
    shards = write(tmp_path / "shards", {f"{n // 1000 * 1000:05d}/{n:05d}.png": image_bytes(side=8) for n in (0, 1, 1000, 2001)})
    told = info(shards)
    assert told["classes"] == 0 and any("shards" in note for note in told["notes"])
    assert info(digits, "--labels", "none")["classes"] == 0
    assert "--labels none" in refused("train", "ffhq64", "--out", tmp_path / "run")
    refused("data", "info", digits, "--labels", "folder", mentions=["folders"])


def test_names_of_other_tools_and_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "bsdtar.zip", "w") as archive:  # bsdtar -a -cf x.zip .
        for name in ("./", "./ant/.DS_Store", "./bee/0.png", "./cat/0.png"):
            archive.writestr(name, b"" if name.endswith("/") else image_bytes(1))
    told = info(tmp_path / "bsdtar.zip")
    assert names(told) == ["ant", "bee", "cat"] and told["class_counts"] == [0, 1, 1]
    kaggle = write(tmp_path / "kaggle", {f"{split}/{c}/0.png": image_bytes(1) for split in ("training_set", "test_set")
                                         for c in ("cats", "dogs")})
    assert info(kaggle)["classes"] == 0 and "splits" in info(kaggle)["warnings"][0]
    write(tmp_path / "hub", {"data/train-00000-of-00001.parquet": b"PAR1", "README.md": b"x"})
    refused("data", "info", tmp_path / "hub", mentions=["Parquet"])
    mnist = write(tmp_path / "mnist", {"train-images.idx3-ubyte": formats.idx_bytes(np.zeros((2, 8, 8), np.uint8)),
                                       "train-labels.idx1-ubyte": formats.idx_bytes(np.array([3, 1], np.uint8))})
    assert info(mnist)["classes"] == 4


def test_a_class_without_images_keeps_its_label_and_is_named(tmp_path):
    files = {f"{c}/{i}.png": image_bytes() for c in ("bee", "cat") for i in range(2)}
    for name, extra in {"gif": {"ant/0.gif": b"GIF89a"}, "text": {"ant/readme": b"x"}, "empty": {}}.items():
        folder = write(tmp_path / name, {**files, **extra})
        (folder / "ant").mkdir(exist_ok=True)
        told = info(folder)
        assert (names(told), told["class_counts"]) == (["ant", "bee", "cat"], [0, 2, 2])
        assert any("'ant' (label 0)" in warning for warning in told["warnings"])
        refused("data", "convert", folder, tmp_path / "out.zip", "--strict", mentions=["ant"])


def test_holes_in_the_labels_are_warned_of(tmp_path):
    formats.edm_zip(tmp_path / "sparse.zip", np.zeros((4, 8, 8), np.uint8), [5, 9, 5, 9])
    told = info(tmp_path / "sparse.zip")
    assert told["classes"] == 10 and any("0-4, 6-8" in warning for warning in told["warnings"])
    assert "warning" in run("data", "convert", tmp_path / "sparse.zip", tmp_path / "out.zip").err
    log = run("train", "smoke", "--data", tmp_path / "sparse.zip", "--dry-run")
    assert "0-4, 6-8" in log.out


def test_missing_files_are_counted_and_links_in_circles_end(tmp_path):
    folder = write(tmp_path / "set", {"a/0.png": image_bytes(), "b/0.png": image_bytes()})
    (folder / "c").mkdir()
    for i in range(3):
        (folder / f"c/{i}.png").symlink_to(f"../.git/annex/{i}.png")
    (folder / "a/again").symlink_to(folder)
    os.mkfifo(folder / "b/pipe.png")
    told = info(folder)
    assert (told["pictures"], told["class_counts"]) == (2, [1, 1, 0])
    assert any("broken link: 3 skipped" in warning and "c/0.png" in warning for warning in told["warnings"])
    refused("data", "convert", folder, tmp_path / "out.zip", "--strict", mentions=["c/0.png"])


def test_labels_of_images_that_are_not_there_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "part.zip", "w") as archive:
        archive.writestr("a.png", image_bytes())
        archive.writestr("dataset.json", json.dumps({"labels": [["a.png", 0], ["gone.png", 1]]}))
    refused("data", "info", tmp_path / "part.zip", mentions=["gone.png"])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_orientation_is_applied(kind, tmp_path):
    picture = Image.fromarray(np.kron(np.array([[0, 90], [160, 250]], np.uint8), np.ones((8, 8), np.uint8))).convert("RGB")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        source = tmp_path / f"{orientation}"
        source.mkdir()
        options = {"PNG": {}, "JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}[kind]
        picture.resize((16, 12), Image.NEAREST).save(source / f"a.{kind.lower()}", kind, exif=exif, **options)
        operation = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
                     6: Image.ROTATE_270, 7: Image.TRANSVERSE, 8: Image.ROTATE_90}.get(orientation)
        want = picture.resize((16, 12), Image.NEAREST)
        want = np.asarray(want.transpose(operation) if operation is not None else want)
        told = info(source, "--check")
        assert (told["height"], told["width"]) == want.shape[:2]
        run("data", "convert", source, tmp_path / "out.zip", "--size", "16")
        got, _ = formats.read_edm_zip(tmp_path / "out.zip")
        top, left = (16 - want.shape[0]) // 2, (16 - want.shape[1]) // 2
        got = got[0][top : top + want.shape[0], left : left + want.shape[1]].astype(int)
        assert np.abs(got - want.astype(int)).max() <= 4


def test_grey_among_rgb_is_the_same_whichever_comes_first(tmp_path):
    rng = np.random.default_rng(0)
    rgb, grey = rng.integers(0, 256, (15, 16, 16, 3), dtype=np.uint8), rng.integers(0, 256, (16, 16), dtype=np.uint8)
    for name in ("0", "z"):
        folder = tmp_path / name
        folder.mkdir()
        Image.fromarray(grey).save(folder / f"{name}.png")
        for i, picture in enumerate(rgb):
            Image.fromarray(picture).save(folder / f"m{i:02d}.png")
        told = info(folder, "--strict")
        assert told["channels"] == 3 and any("1 grey" in note for note in told["notes"])
        run("train", "smoke", "--data", folder, "--out", tmp_path / f"run{name}", "--set", "train.images=32", "--set",
            "train.batch=16")


def broken_set(folder, count=60, side=16):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{i:04d}.png")
    whole = (folder / "0025.png").read_bytes()
    (folder / "0025.png").write_bytes(whole[:300])
    (folder / "0030.png").write_bytes(b"<!DOCTYPE html><html><title>404</title></html>")
    (folder / "0035.png").write_bytes(image_bytes(side=(side, side + 1)))
    return folder, whole


def test_broken_images_are_all_listed_and_left_out_where_asked(tmp_path):
    folder, _ = broken_set(tmp_path / "set")
    for options in ([], ["--json"]):
        result = run("data", "info", folder, "--check", *options, code=2)
        for name in ("0025.png", "0030.png"):
            assert name in result.out
        assert "0035.png" in result.out and "17" in result.out
        assert result.err.strip().splitlines()[-1].startswith("error:") and "3 of 60" in result.err
    told = json.loads(result.out)
    assert [entry["name"] for entry in told["broken"]] == ["0025.png", "0030.png"]
    assert refused("data", "convert", folder, tmp_path / "out.zip", mentions=["--skip-broken"])
    result = run("data", "convert", folder, tmp_path / "out.zip", "--skip-broken", "--json")
    assert [entry["index"] for entry in result.json["left_out"]] == [25, 30, 35]
    assert "try --size 16 --crop center" in result.json["left_out"][2]["reason"]
    assert result.json["pictures"] == 57
    run("data", "info", tmp_path / "out.zip", "--check", "--strict")
    got, _ = formats.read_edm_zip(tmp_path / "out.zip")
    assert np.array_equal(got[25], np.asarray(Image.open(folder / "0026.png")))


@pytest.mark.parametrize("batch", [2, 58])
def test_a_training_that_meets_a_broken_image_saves_its_state(batch, tmp_path):
    folder, whole = broken_set(tmp_path / "set")
    (folder / "0030.png").unlink()
    (folder / "0035.png").unlink()
    options = ["--set", f"train.batch={batch}", "--set", "train.images=58", "--set", "train.dtype=f32", "--set", "sample.pictures=0"]
    result = run("train", "smoke", "--data", folder, "--out", tmp_path / "run", *options, code=1)
    assert "0025.png" in result.err
    # Where one batch is the whole set, the first step meets it: there is nothing to save yet.
    assert bool(list((tmp_path / "run").glob("state*"))) == (batch == 2)
    assert ("no step was completed" in result.err) == (batch == 58)
    (folder / "0025.png").write_bytes(whole)
    run("train", "smoke", "--data", folder, "--out", tmp_path / "run", *options, "--resume")
    run("train", "smoke", "--data", folder, "--out", tmp_path / "whole", *options)
    one, other = (sorted((tmp_path / name).glob("snapshot*.safetensors")) for name in ("run", "whole"))
    assert [path.name for path in one] == [path.name for path in other]
    for left, right in zip(one, other):
        assert left.read_bytes() == right.read_bytes()
    assert "data: " in (tmp_path / "run/log.txt").read_text()


def test_names_of_another_encoding(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    for name in (b"\xe9t\xe9", b"hiver"):
        os.makedirs(folder + b"/" + name)
        for i in range(4):
            pathlib.Path(os.fsdecode(folder + b"/" + name + b"/n\xb0%d.png" % i)).write_bytes(image_bytes(i, 16))
    path = os.fsdecode(folder)

    def ran(*args):
        return subprocess.run([BINARY, *args], capture_output=True, timeout=60)

    result = ran("data", "convert", path, tmp_path / "out.zip", "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["classes"] == 2 and told["source"]["class_names"] == ["hiver", "\\xe9t\\xe9"]
    result = ran("train", "smoke", "--data", path, "--out", tmp_path / "run", "--quiet", "--set", "train.images=16",
                 "--set", "train.batch=8", "--set", "train.microbatch=8", "--set", "sample.pictures=0")
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "run").glob("snapshot-*.safetensors"))


def test_cifar_10_as_it_is_downloaded(tmp_path):
    rng = np.random.default_rng(0)
    want, labels = rng.integers(0, 256, (15, 32, 32, 3), dtype=np.uint8), np.arange(15) % 10
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for batch in range(5):
            rows = slice(3 * batch, 3 * batch + 3)
            content = np.concatenate([labels[rows, None].astype(np.uint8),
                                      want[rows].transpose(0, 3, 1, 2).reshape(3, -1)], 1).tobytes()
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/data_batch_{batch + 1}.bin")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        entry = tarfile.TarInfo("cifar-10-batches-bin/readme.html")
        archive.addfile(entry)
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked")
    for source in (tmp_path / "cifar-10-binary.tar.gz", tmp_path / "unpacked", tmp_path / "unpacked/cifar-10-batches-bin"):
        run("data", "convert", source, tmp_path / "out.zip")
        got, got_labels = formats.read_edm_zip(tmp_path / "out.zip")
        assert np.array_equal(got, want) and got_labels == labels.tolist()


class Python2Pickler(pickle._Pickler):
    """Bytes as Python 2 pickled its str, in protocol 2."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(b"T" + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def pickled(value, protocol):
    if protocol != 2:
        return pickle.dumps(value, protocol)
    out = io.BytesIO()
    Python2Pickler(out, 2).dump(value)
    return out.getvalue()


@pytest.mark.parametrize("classes, protocol", [(10, 2), (100, 2), (10, 3), (10, 4)])
def test_cifar_in_its_version_for_python(classes, protocol, tmp_path):
    rng = np.random.default_rng(0)
    want, labels = rng.integers(0, 256, (15, 32, 32, 3), dtype=np.uint8), np.arange(15) % 10 + classes - 10
    folder = "cifar-10-batches-py" if classes == 10 else "cifar-100-python"
    batches = [f"data_batch_{i + 1}" for i in range(5)] if classes == 10 else ["train"]
    text = str if protocol == 4 else str.encode
    files = {}
    for name, rows in zip(batches, np.split(np.arange(15), len(batches))):
        of_records = {"data": want[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1),
                      "labels" if classes == 10 else "fine_labels": labels[rows].tolist(), "batch_label": name}
        files[name] = pickled({text(key): value for key, value in of_records.items()}, protocol)
    key = "label_names" if classes == 10 else "fine_label_names"
    names_of = [f"class {i}" for i in range(classes)]
    files["batches.meta" if classes == 10 else "meta"] = pickled({text(key): [text(name) for name in names_of]}, protocol)
    write(tmp_path / folder, files)
    with tarfile.open(tmp_path / "cifar-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / folder, folder)
    for source in (tmp_path / "cifar-python.tar.gz", tmp_path / folder):
        assert names(info(source)) == names_of
        run("data", "convert", source, tmp_path / "out.zip")
        got, got_labels = formats.read_edm_zip(tmp_path / "out.zip")
        assert np.array_equal(got, want) and got_labels == labels.tolist()
        assert names(info(tmp_path / "out.zip")) == names_of


def test_what_is_no_data_set_is_named(tmp_path):
    with tarfile.open(tmp_path / "images.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    refused("data", "info", tmp_path / "images.tar.gz", mentions=["unpack"])
    (tmp_path / "a.zip").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    refused("data", "info", tmp_path / "a.zip", mentions=["git-lfs"])
    (tmp_path / "b.zip").write_bytes(b"<!DOCTYPE html><html><title>Sign in</title></html>")
    refused("data", "info", tmp_path / "b.zip", mentions=["web page"])


@pytest.mark.parametrize("size", [(3000, 20), (20000, 1), (2, 20000)])
def test_banners_are_cut_before_they_grow(size, tmp_path):
    folder = write(tmp_path / "set", {"a.png": image_bytes(50, side=64), "b.png": image_bytes(50, side=size)})
    for crop in ("center", "adm"):
        result = run("data", "convert", folder, tmp_path / "out.zip", "--size", "256", "--crop", crop)
        got, _ = formats.read_edm_zip(tmp_path / "out.zip")
        assert got.shape == (2, 256, 256, 3) and (got == 50).all()
        assert result.rss < 300 << 20
    refused("data", "convert", folder, tmp_path / "none.zip", "--size", "32", mentions=["b.png"])


def test_an_image_that_would_fill_the_memory_is_read_reduced_or_refused_by_name(tmp_path):
    folder = write(tmp_path / "set", {"a.png": image_bytes(9, mode="L", side=64)})
    Image.new("L", (24000, 24000), 77).save(folder / "huge.png", compress_level=1)
    result = run("data", "convert", folder, tmp_path / "out.zip", "--size", "64", "--crop", "center")
    got, _ = formats.read_edm_zip(tmp_path / "out.zip")
    assert (got[0] == 9).all() and (got[1] == 77).all() and result.rss < 650 << 20
    for command in (["data", "preview", folder, "-o", tmp_path / "out.png"],
                    ["data", "convert", folder, tmp_path / "out.zip"]):
        result = run(*command, code=2)
        assert "huge.png" in result.err and "MiB" in result.err and result.rss < 400 << 20
    assert info(folder)["broken"][0]["name"] == "huge.png"


def test_images_of_other_sizes_are_listed(tmp_path):
    sizes = {f"{i:02}.png": (8, 8) for i in range(20)} | {"03.png": (9, 8), "11.png": (8, 7), "15.png": (1, 1), "19.png": (2, 8)}
    folder = write(tmp_path / "set", {name: image_bytes(9, side=side) for name, side in sizes.items()})
    told = info(folder)
    assert told["other_size_count"] == 4
    assert [(o["name"], o["width"], o["height"]) for o in told["other_sizes"]] == [
        ("03.png", 9, 8), ("11.png", 8, 7), ("15.png", 1, 1), ("19.png", 2, 8)]
    result = run("data", "info", folder, "--check", code=2)
    assert "another size: 19.png: 2x8" in result.out
    assert "4 are not 8x8: 03.png (9x8), 11.png (8x7), 15.png (1x1), ..." in result.err
    refused("data", "convert", folder, tmp_path / "x.zip", mentions=["03.png", "4 of 20", "11.png (8x7)"])


def test_an_incomplete_set_of_samples_causes_a_warning(image_model, tmp_path):
    run("sample", "-m", image_model, "-n", "2", "--steps", "2", "-o", f"{tmp_path}/x/")
    assert not any("incomplete" in warning for warning in info(tmp_path / "x")["warnings"])
    (tmp_path / "x/unfinished.json").write_text("{}")
    assert any("unfinished.json" in warning for warning in info(tmp_path / "x")["warnings"])
    assert "incomplete" in run("data", "info", tmp_path / "x", "--strict", "--quiet", code=2).err


def test_a_preview_by_class_where_the_first_has_no_image(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(1, 250, (6, 8, 8), dtype=np.uint8), np.array([1, 1, 1, 2, 2, 2])
    formats.edm_zip(tmp_path / "set.zip", images, labels)
    run("data", "preview", tmp_path / "set.zip", "--by-class", "-n", "6", "-o", tmp_path / "x.png")
    sheet = np.array(Image.open(tmp_path / "x.png"))
    assert sheet.shape == (28, 18) and (sheet[:8] == 255).all() and (sheet[10:18, :8] < 250).all()
    run("data", "preview", tmp_path / "set.zip", "-n", "1", "--size", "16", "-o", tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").size == (16, 16)


def test_the_loader_does_with_the_threads_it_gets(tmp_path, small_data):
    if os.geteuid() == 0:
        pytest.skip("RLIMIT_NPROC does not bind root")
    def few():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    result = subprocess.run([BINARY, "data", "convert", small_data, tmp_path / "out.zip", "--threads", "4"],
                            preexec_fn=few, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_labels_that_are_none_do_not_stop_an_evaluation(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 32, 32, 1), dtype=np.uint8)
    np.savez(tmp_path / "ref.npz", arr_0=pictures)
    np.savez(tmp_path / "minus.npz", arr_0=pictures, arr_1=-np.ones(12, np.int64))
    np.savez(tmp_path / "vectors.npz", arr_0=pictures, arr_1=np.eye(10, dtype=np.float32)[np.arange(12) % 10])
    plain = run("eval", tmp_path / "ref.npz", tmp_path / "ref.npz", "--features", "fashion-net", "--json", "--metrics", "kid").json
    for name in ("minus", "vectors"):
        told = run("eval", tmp_path / f"{name}.npz", tmp_path / "ref.npz", "--features", "fashion-net", "--json", "--metrics",
                   "kid").json
        assert told["kid"] == plain["kid"]
        assert any("arr_1" in warning for warning in told["warnings"])
        refused("data", "convert", tmp_path / f"{name}.npz", tmp_path / "out.zip", mentions=["arr_1"])
        run("data", "convert", tmp_path / f"{name}.npz", tmp_path / "out.zip", "--labels", "none")


def test_metrics_that_few_images_allow_are_computed(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 32, 32, 1), dtype=np.uint8)
    np.savez(tmp_path / "ref.npz", arr_0=pictures)
    for count, lacking in ((2, {"precision", "recall"}), (1, {"fid", "kid", "precision", "recall"})):
        np.savez(tmp_path / "few.npz", arr_0=pictures[:count])
        command = ["eval", tmp_path / "few.npz", tmp_path / "ref.npz", "--features", "fashion-net"]
        told = run(*command, "--json").json
        said = {warning.split(":")[0] for warning in told["warnings"] if "not computed" in warning}
        assert said == lacking
        assert ("kid" in told) == (count > 1) and "is" in told
        refused(*command, "--metrics", "precision", mentions=["precision", "4 images"])
