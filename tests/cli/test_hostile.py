"""Files made to hurt, at the command line: one error line, exit code 2, little memory, nothing left behind."""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib

import formats
import numpy as np
import pytest
from conftest import files_below, run, split_golden

LARGEST = 700 << 20  # a program that only starts takes about 150 MiB
HUGE = 2**62


def header(text, data=b"", length=None):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def with_weight(change):
    weights, metadata, _, _ = split_golden("image")
    name = "tokenizer.weight" if "tokenizer.weight" in weights else next(k for k in weights if k.endswith("weight"))
    weights[name] = change(weights[name])
    return formats.safetensors_bytes(weights, metadata)


def without_weight():
    weights, metadata, _, _ = split_golden("image")
    weights.pop(next(k for k in weights if k.endswith("qkv.weight")))
    return formats.safetensors_bytes(weights, metadata)


def with_config(text):
    weights, _, _, _ = split_golden("image")
    return formats.safetensors_bytes(weights, {"diffit.config": text})


def good_model():
    weights, metadata, _, _ = split_golden("image")
    return formats.safetensors_bytes(weights, metadata)


def nan(array):
    array = array.copy()
    array.flat[0] = np.nan
    return array


SAFETENSORS = {
    "empty": lambda: b"",
    "seven bytes": lambda: b"\0" * 7,
    "header of 2^63 bytes": lambda: header({}, length=2**63),
    "header of 2^64-1 bytes": lambda: header({}, length=2**64 - 1),
    "header longer than the file": lambda: header({}, length=100),
    "header is no JSON": lambda: header(b"{" * 50),
    "header is a list": lambda: header(b"[]"),
    "header nests 100,000 deep": lambda: header(b'{"a":' + b"[" * 100000),
    "header is not UTF-8": lambda: header(b'{"\xff\xfe":1}'),
    "offsets overlap": lambda: header({"a": tensor(), "b": tensor(offsets=(4, 12))}, b"\0" * 12),
    "offsets leave a gap": lambda: header({"a": tensor(), "b": tensor(offsets=(12, 20))}, b"\0" * 20),
    "offsets run backwards": lambda: header({"a": tensor(offsets=(8, 0))}, b"\0" * 8),
    "offsets overflow": lambda: header({"a": tensor(offsets=(0, 2**64 - 1))}, b"\0" * 8),
    "offsets are negative": lambda: header({"a": tensor(offsets=(-8, 0))}, b"\0" * 8),
    "offsets are fractions": lambda: header({"a": tensor(offsets=(0, 8.5))}, b"\0" * 8),
    "shape overflows": lambda: header({"a": tensor(shape=(HUGE, HUGE))}, b"\0" * 8),
    "shape times zero overflows": lambda: header({"a": tensor(shape=(HUGE, HUGE, 0), offsets=(0, 0))}),
    "shape is negative": lambda: header({"a": tensor(shape=(-2,))}, b"\0" * 8),
    "shape does not fit the bytes": lambda: header({"a": tensor(shape=(3,))}, b"\0" * 8),
    "dtype unknown": lambda: header({"a": tensor(dtype="F31")}, b"\0" * 8),
    "dtype is a number": lambda: header({"a": tensor(dtype=7)}, b"\0" * 8),
    "name twice": lambda: header(b'{"a":%s,"a":%s}' % (json.dumps(tensor()).encode(),
                                                     json.dumps(tensor(offsets=(8, 16))).encode()), b"\0" * 16),
    "metadata is a number": lambda: header({"__metadata__": {"diffit.config": 3}, "a": tensor()}, b"\0" * 8),
    "bytes after the end": lambda: good_model() + b"\0",
    "truncated": lambda: good_model()[:-1],
    "cut in half": lambda: good_model()[: len(good_model()) // 2],
    "a weight is not a number": lambda: with_weight(nan),
    "a weight is infinite": lambda: with_weight(lambda w: w * np.float32(np.inf)),
    "a weight has another shape": lambda: with_weight(lambda w: w[:1]),
    "a weight is of integers": lambda: with_weight(lambda w: w.astype(np.int32)),
    "a weight is missing": without_weight,
    "configuration is no JSON": lambda: with_config("{"),
    "configuration is a list": lambda: with_config("[]"),
    "configuration of another kind": lambda: with_config('{"model":"image2"}'),
    "configuration takes terabytes": lambda: with_config(json.dumps(
        {"model": "image", "resolution": 4096, "channels": [65536] * 3, "depth": [1024] * 3, "window": 4,
         "head_dim": 32})),
    "latent configuration takes terabytes": lambda: with_config(json.dumps(
        {"model": "latent", "input_size": 4096, "patch": 1, "hidden": 65536, "depth": 1024, "heads": 1024})),
    "configuration divides by zero": lambda: with_config(json.dumps(
        {"model": "image", "resolution": 16, "channels": [16, 32, 32], "depth": [1, 1, 1], "window": 0, "head_dim": 0})),
    "configuration key mistyped": lambda: with_config(json.dumps({"model": "image", "resolutoin": 16})),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", SAFETENSORS)
def test_hostile_model(name, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(SAFETENSORS[name]())
    refused_quietly(tmp_path, "sample", "-m", "bad.safetensors", "-n", "1", "-o", "x.png")


def refused_quietly(folder, *command, bad="bad"):
    before = files_below(folder)
    result = run(*command, "--quiet", code=2, cwd=folder)
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error:") and bad in lines[0], result.err
    assert len(lines[0]) < 4000
    assert result.rss < LARGEST, f"{result.rss >> 20} MiB taken"
    assert files_below(folder) == before
    return lines[0]


@pytest.mark.smoke
def test_the_good_model_is_taken(tmp_path):
    (tmp_path / "good.safetensors").write_bytes(good_model())
    run("sample", "-m", "good.safetensors", "-n", "1", "--classes", "0", "--steps", "2", "-o", "x.png", cwd=tmp_path)


def test_a_model_with_a_flipped_bit_is_refused_or_is_another_model(tmp_path):
    """Any bit of the header: an error line, or (a changed name of metadata, say) still a model. Never a crash."""
    raw = good_model()
    rng = np.random.default_rng(0)
    end = 8 + struct.unpack("<Q", raw[:8])[0]
    for at in [*range(8), *rng.integers(8, end, 24)]:
        bad = bytearray(raw)
        bad[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad.safetensors").write_bytes(bad)
        try:
            refused_quietly(tmp_path, "info", "bad.safetensors")
        except AssertionError:
            run("info", "bad.safetensors", cwd=tmp_path)


def zipped(entries, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def picture(side=8):
    return formats.png_bytes(np.full((side, side, 3), 9, np.uint8))


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth=8, colour=2, rows=b"", tail=b""):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"") + tail)


def claiming(size):
    """An archive whose entry claims `size` bytes."""
    raw = bytearray(zipped([("a.png", picture())]))
    central = raw.rindex(b"PK\1\2")
    raw[22:26] = raw[central + 24 : central + 28] = struct.pack("<I", size)
    return bytes(raw)


def flipped(raw, at):
    raw = bytearray(raw)
    raw[at] ^= 0x40
    return bytes(raw)


def labels(value):
    return zipped([("a.png", picture()), ("dataset.json", value if isinstance(value, str) else json.dumps(value))])


DATA = {
    "zip: empty": ("bad.zip", lambda: b""),
    "zip: only a beginning": ("bad.zip", lambda: b"PK\3\4" + b"\0" * 30),
    "zip: cut short": ("bad.zip", lambda: zipped([("a.png", picture())])[:-10]),
    "zip: no picture": ("bad.zip", lambda: zipped([("a.txt", b"hello")])),
    "zip: name twice": ("bad.zip", lambda: zipped([("a.png", picture()), ("a.png", picture())])),
    "zip: claims 4 GiB": ("bad.zip", lambda: claiming(0xFFFFFFFE)),
    "zip: bit of the picture flipped": ("bad.zip", lambda: flipped(zipped([("a.png", picture())]), 60)),
    "zip: bomb": ("bad.zip", lambda: zipped([("a.png", b"\0" * (200 << 20))], compression=zipfile.ZIP_DEFLATED)),
    "zip: bomb of labels": ("bad.zip", lambda: zipped([("a.png", picture()), ("dataset.json", b" " * (600 << 20))],
                                                    compression=zipfile.ZIP_DEFLATED)),
    "labels: no JSON": ("bad.zip", lambda: labels("{")),
    "labels: nest deep": ("bad.zip", lambda: labels("[" * 100000)),
    "labels: of a picture that is not there": ("bad.zip", lambda: labels({"labels": [["b.png", 0]]})),
    "labels: negative": ("bad.zip", lambda: labels({"labels": [["a.png", -1]]})),
    "labels: huge": ("bad.zip", lambda: labels({"labels": [["a.png", 2**63]]})),
    "labels: text": ("bad.zip", lambda: labels({"labels": [["a.png", "cat"]]})),
    "labels: a fraction": ("bad.zip", lambda: labels({"labels": [["a.png", 0.5]]})),
    "labels: of a list": ("bad.zip", lambda: labels({"labels": [3]})),
    "png: 2^31 wide": ("bad/a.png", lambda: png(2**31 - 1, 2**31 - 1)),
    "png: 32768 square, no pixels": ("bad/a.png", lambda: png(32768, 32768)),
    "png: no size": ("bad/a.png", lambda: png(0, 0)),
    "png: pixels cut": ("bad/a.png", lambda: png(8, 8, rows=b"\0" * 10)),
    "png: cut": ("bad/a.png", lambda: picture()[:-20]),
    "png: bad checksum": ("bad/a.png", lambda: flipped(picture(), 20)),
    "png: bit depth 3": ("bad/a.png", lambda: png(8, 8, depth=3)),
    "png: bomb": ("bad/a.png", lambda: png(30000, 30000, rows=b"\0" * (100 << 20))),
    "png: only its signature": ("bad/a.png", lambda: b"\x89PNG\r\n\x1a\n"),
    "jpeg: only its beginning": ("bad/a.jpg", lambda: b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
    "jpeg: 65535 square": ("bad/a.jpg", lambda: b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1"),
    "webp: only its beginning": ("bad/a.webp", lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff"),
    "webp: 16384 square": ("bad/a.webp", lambda: b"RIFF\x24\0\0\0WEBPVP8L\x10\0\0\0\x2f\xff\xff\xff\x0f" + b"\0" * 12),
    "a picture that is text": ("bad/a.png", lambda: b"hello"),
    "idx: empty": ("bad-images-idx3-ubyte", lambda: b""),
    "idx: 2^32-1 in each axis": ("bad-images-idx3-ubyte", lambda: b"\0\0\x08\3" + b"\xff" * 12),
    "idx: cut": ("bad-images-idx3-ubyte", lambda: formats.idx_bytes(np.zeros((2, 8, 8), np.uint8))[:-1]),
    "idx: one byte too many": ("bad-images-idx3-ubyte", lambda: formats.idx_bytes(np.zeros((2, 8, 8), np.uint8)) + b"\0"),
    "idx: of floats": ("bad-images-idx3-ubyte", lambda: b"\0\0\x0d\3" + struct.pack(">3I", 1, 1, 1) + b"\0\0\0\0"),
    "idx: of one axis": ("bad-images-idx3-ubyte", lambda: formats.idx_bytes(np.zeros(4, np.uint8))),
    "idx: gzip cut": ("bad-images-idx3-ubyte.gz",
                      lambda: gzip.compress(formats.idx_bytes(np.zeros((20, 28, 28), np.uint8)))[:-9]),
    "idx: gzip bomb": ("bad-images-idx3-ubyte.gz", lambda: gzip.compress(
        b"\0\0\x08\3" + struct.pack(">3I", 2, 2, 2) + b"\0" * (300 << 20))),
    "idx: gzip claims terabytes": ("bad-images-idx3-ubyte.gz", lambda: gzip.compress(
        b"\0\0\x08\3" + struct.pack(">3I", 2**31, 64, 64))),
    "cifar: one byte short": ("bad.bin", lambda: b"\0" * 3072),
    "cifar: label 200": ("bad.bin", lambda: b"\xc8" + b"\0" * 3072),
    "cifar: empty": ("bad.bin", lambda: b""),
    "cifar: a pickle that runs a program": ("bad/test_batch", lambda: b"\x80\x02cos\nsystem\nU\x04true\x85R."),
    "cifar: a pickle of no dict": ("bad/data_batch_1", lambda: b"\x80\x02]."),
    "cifar: a pickle cut short": ("bad/train", lambda: pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}, 2)[:3000]),
    "cifar: an array of objects": ("bad/train", lambda: pickle.dumps(
        {"data": np.array([[None] * 3072]), "fine_labels": [0]}, 4)),
    "cifar: a pickle that claims terabytes": ("bad/test", lambda: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 42)),
}


@pytest.mark.parametrize("command", [["data", "convert", "DATA", "out.zip"], ["data", "info", "DATA"],
                                     ["train", "smoke", "--data", "DATA", "--out", "run", "--set", "train.images=8"]],
                         ids=["convert", "info", "train"])
@pytest.mark.parametrize("name", DATA)
def test_hostile_data(name, command, tmp_path):
    path, make = DATA[name]
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(make())
    source = path.split("/")[0]
    if command[1] == "info" and not name.startswith(("idx", "cifar", "labels", "zip: ")):
        pytest.skip("info need not decode every picture")
    refused_quietly(tmp_path, *[source if word == "DATA" else word for word in command])


def test_labels_that_do_not_match_the_pictures(tmp_path):
    (tmp_path / "bad-images-idx3-ubyte").write_bytes(formats.idx_bytes(np.zeros((3, 8, 8), np.uint8)))
    (tmp_path / "bad-labels-idx1-ubyte").write_bytes(formats.idx_bytes(np.zeros(2, np.uint8)))
    refused_quietly(tmp_path, "data", "convert", "bad-images-idx3-ubyte", "out.zip")


NOISE = {
    "wrong shape": lambda: formats.safetensors_bytes({"noise": np.zeros((1, 3, 8, 8), np.float32)}),
    "too few": lambda: formats.safetensors_bytes({"noise": np.zeros((1, 3, 16, 16), np.float32)}),
    "double": lambda: formats.safetensors_bytes({"noise": np.zeros((2, 3, 16, 16))}),
    "not a number": lambda: formats.safetensors_bytes({"noise": np.full((2, 3, 16, 16), np.nan, np.float32)}),
    "another name": lambda: formats.safetensors_bytes({"x": np.zeros((2, 3, 16, 16), np.float32)}),
    "no safetensors": lambda: b"hello",
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", NOISE)
def test_hostile_noise(name, image_model, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(NOISE[name]())
    refused_quietly(tmp_path, "sample", "-m", image_model, "-n", "2", "--classes", "0", "--init-noise",
                    "bad.safetensors", "-o", "x.png")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_hostile_states(damage, small_data, tmp_path):
    folder = tmp_path / "run"
    command = ["train", "smoke", "--data", small_data, "--out", folder, "--set", "train.batch=8", "--set",
               "sample.pictures=0"]
    run(*command, "--set", "train.images=16")
    for path in folder.glob("state*.safetensors"):
        raw = path.read_bytes()
        path.write_bytes({"cut": raw[: len(raw) // 3], "flip": flipped(raw, len(raw) - 100), "empty": b"",
                          "text": b"hello"}[damage])
    before = {k: v for k, v in files_below(folder).items() if k.suffix == ".safetensors"}
    result = run(*command, "--set", "train.images=32", "--resume", "--quiet", code=2)
    assert result.err.splitlines()[-1].startswith("error:") and "state" in result.err
    assert {k: v for k, v in files_below(folder).items() if k.suffix == ".safetensors"} == before
