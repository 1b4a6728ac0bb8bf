#!/usr/bin/env python3
"""Writes fuzz/corpus/: small valid files of each format, and files with every known kind of error.

The files are committed; run this again only to add files. Findings of a fuzzer are added by hand under a descriptive name.
replay.cpp truncates each file and flips bits, so files with such corruption need not be stored.
"""

import gzip
import io
import json
import pathlib
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

CORPUS = pathlib.Path(__file__).parent / "corpus"


def write(kind, **files):
    folder = CORPUS / kind
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def make_safetensors():
    write("safetensors", good=safetensors(
        {"__metadata__": {"diffit.config": "{\"model\": \"image\"}"}, "a": tensor(), "b": tensor("I64", (), (8, 16))},
        bytes(16)))
    write("safetensors",
          empty_tensor=safetensors({"a": tensor(shape=(0, 3), offsets=(0, 0))}),
          overlap=safetensors({"a": tensor(), "b": tensor(offsets=(4, 12))}, bytes(12)),
          gap=safetensors({"a": tensor(), "b": tensor(offsets=(12, 20))}, bytes(20)),
          backwards=safetensors({"a": tensor(offsets=(8, 0))}, bytes(8)),
          offset_overflow=safetensors({"a": tensor(offsets=(0, 2**64 - 1))}, bytes(8)),
          shape_overflow=safetensors({"a": tensor(shape=(2**62, 2**62))}, bytes(8)),
          shape_overflow_to_zero=safetensors({"a": tensor(shape=(2**32, 2**32), offsets=(0, 0))}),
          shape_overflow_times_zero=safetensors({"a": tensor(shape=(2**62, 2**62, 0), offsets=(0, 0))}),
          negative=safetensors({"a": tensor(shape=(-2,))}, bytes(8)),
          name_twice=safetensors(b'{"a":%s,"a":%s}' % ((json.dumps(tensor()).encode(),) * 2), bytes(8)),
          deep=safetensors(b'{"a":' + b"[" * 20000),
          header_2_63=safetensors({}, length=2**63),
          metadata_number=safetensors({"__metadata__": {"a": 3}}),
          not_utf8=safetensors(b'{"\xff\xfe":1}'))


def npy(header, data=b"", version=(1, 0)):
    text = header.encode()
    size = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text + data


def array_bytes(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def make_npy():
    for name, array in {"good": np.arange(6, dtype=np.float32).reshape(2, 3), "scalar": np.float64(3),
                        "bool": np.array([True]), "empty": np.zeros((0, 4), np.uint8)}.items():
        write("npy", **{name: array_bytes(array)})
    fields = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }\n"
    write("npy",
          objects=npy(fields % ("'|O'", "False", "(1,)")), fortran=npy(fields % ("'<f4'", "True", "(1, 1)")),
          big_endian=npy(fields % ("'>f4'", "False", "(1,)")), text=npy(fields % ("'<U4'", "False", "(1,)")),
          structure=npy(fields % ("[('a', '<f4')]", "False", "(1,)")),
          huge=npy(fields % ("'<f4'", "False", "(%d, %d)" % (2**62, 2**62))),
          negative=npy(fields % ("'<f4'", "False", "(-1,)")), no_shape=npy("{'descr': '<f4'}\n"),
          open_tuple=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1"),
          version_9=npy(fields % ("'<f4'", "False", "(1,)"), version=(9, 0)),
          version_3=npy(fields % ("'<f4'", "False", "(1,)"), b"\0\0\0\0", version=(3, 0)),
          header_4_gib=b"\x93NUMPY\2\0\xff\xff\xff\xff{")


def zipped(entries, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, **({"compress_type": zipfile.ZIP_DEFLATED} if options else {}))
    return out.getvalue()


def claiming(content, size):
    raw = bytearray(content)
    central = raw.rindex(b"PK\1\2")
    raw[22:26] = raw[central + 24 : central + 28] = struct.pack("<I", size)
    return bytes(raw)


def make_zips():
    write("zip", stored=zipped([("a/b.txt", b"hello hello hello")]))
    write("zip", deflated=zipped([("a", b"hello" * 50), ("b", b"")], compression=zipfile.ZIP_DEFLATED))
    one = zipped([("a", b"hello")])
    write("zip", name_twice=zipped([("a", b"1"), ("a", b"2")]), claims_4_gib=claiming(one, 0xFFFFFFFE),
          claims_zip64=claiming(one, 0xFFFFFFFF), folder=zipped([("a/", b"")]), name_empty=zipped([("", b"x")]),
          bomb=zipped([("a", bytes(8 << 20))], compression=zipfile.ZIP_DEFLATED), no_entries=b"PK\5\6" + bytes(18))
    out = io.BytesIO()
    np.savez(out, arr_0=np.zeros((2, 4, 4, 3), np.uint8), arr_1=np.arange(2))
    write("npz", good=out.getvalue())
    write("npz", object_array=zipped([("a.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"))]),
          shape_larger_than_data=zipped([("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }\n", b"1"))]),
          not_an_array=zipped([("a.npy", b"hello")]), other_names=zipped([("a.txt", b"hello")]))


def picture_bytes(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth=8, colour=2, rows=b""):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def make_pictures():
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    for mode in ["L", "RGB", "P", "RGBA", "LA", "1"]:
        write("picture", **{f"png_{mode}": picture_bytes(rgb.convert(mode), "PNG")})
    write("picture", png_16=picture_bytes(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000), "PNG"))
    for mode in ["L", "RGB", "CMYK"]:
        write("picture", **{f"jpeg_{mode}": picture_bytes(rgb.convert(mode), "JPEG")})
    write("picture", jpeg_progressive=picture_bytes(rgb, "JPEG", progressive=True))
    write("picture", webp_lossless=picture_bytes(rgb, "WEBP", lossless=True))
    write("picture", webp_lossy=picture_bytes(rgb.convert("RGBA"), "WEBP"))
    write("picture", png_2_31=png(2**31 - 1, 2**31 - 1), png_32768=png(32768, 32768), png_no_size=png(0, 0),
          png_pixels_cut=png(8, 8, rows=bytes(10)), png_depth_3=png(8, 8, depth=3), png_only_signature=b"\x89PNG\r\n\x1a\n",
          png_palette_missing=png(2, 2, colour=3, rows=bytes(6)),
          webp_animated=picture_bytes(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90, expand=False)]),
          jpeg_65535=b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1", text=b"hello", empty=b"")


def make_idx():
    good = b"\0\0\x08\3" + struct.pack(">3I", 2, 3, 4) + bytes(range(24))
    write("idx", good=good)
    write("idx", gzipped=gzip.compress(good, mtime=0))
    write("idx", all_ones=b"\0\0\x08\3" + b"\xff" * 12, floats=b"\0\0\x0d\1" + struct.pack(">I", 1) + bytes(4),
          no_axes=b"\0\0\x08\0", axes_255=b"\0\0\x08\xff" + bytes(8), zero=b"\0\0\x08\2" + bytes(8),
          gzip_bomb=gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 4) + bytes(4 << 20), mtime=0),
          gzip_claims=gzip.compress(b"\0\0\x08\3" + struct.pack(">3I", 2**31, 64, 64), mtime=0),
          gzip_two_members=gzip.compress(good[:10], mtime=0) + gzip.compress(good[10:], mtime=0))


def make_text():
    json_files = {"good": b'{"a": [1, 2.5, "x", null, true], "b": {}}', "deep": b"[" * 20000, "huge_number": b"1e99999",
                  "not_utf8": b'"\xff"', "surrogate": b'"\\ud800"', "twice": b'{"a":1,"a":2}', "nul": b'"\\u0000"'}
    toml_files = {"good": b'a = 1\n[b]\nc = [1, 2]\nd = "x"\ne = 1.5\nf = true\n', "deep": b"a = " + b"[" * 5000,
                  "date": b"a = 1979-05-27\n", "twice": b"a = 1\na = 2\n", "open": b"[a\n", "inf": b"a = inf\nb = nan\n",
                  "dotted": b"a.b.c = 1\n", "tables": b"[[a]]\nb = 1\n[[a]]\nb = 2\n", "nul": b"a = \"\\u0000\"\n",
                  "keys": b'"a b" = 1\n"" = 2\n"\\n" = 3\n', "long": b"a = 99999999999999999999\n",
                  "deep_tables": b"[" + b"a." * 3000 + b"a]\n"}
    set_files = {"good": b"train.lr=1e-3", "text": b"a=hello", "none": b"a", "empty": b"=1", "dots": b"a..b=1",
                 "deep": b"a." * 5000 + b"a=1", "list": b"a=[1,2"}
    for first, kind, files in [(b"\0", "json", json_files), (b"\1", "toml", toml_files), (b"\2", "set", set_files)]:
        write("text", **{f"{kind}_{name}": first + content for name, content in files.items()})


def make_torch():
    """Files written by torch.save (tests/golden/make_torch_files.py), and the pickles in them."""
    for path in sorted((CORPUS.parents[1] / "tests/golden/torch").glob("*.pt")):
        content = path.read_bytes()
        write("torch", **{path.stem: content})
        if content.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                write("pickle", **{path.stem: archive.read(f"{path.stem}/data.pkl")})
    write("pickle", system=b"\x80\x02cos\nsystem\nX\4\0\0\0true\x85R.", deep=b"\x80\x02N" + b"\x85" * 20000 + b".",
          marks=b"\x80\x02" + b"(" * 20000, itself=b"\x80\x02}q\0X\1\0\0\0ah\0s.", text_4_gib=b"\x80\x02X\xff\xff\xff\xff",
          large_integer=b"\x80\x02\x8a\x09" + b"\xff" * 9 + b".", protocol_0=b"(dp0\n.", empty=b"")


if __name__ == "__main__":
    make_safetensors()
    make_npy()
    make_zips()
    make_pictures()
    make_idx()
    make_text()
    make_torch()
