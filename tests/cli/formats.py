"""The formats that diffit reads and writes, by numpy and the standard library alone: an independent witness."""

import gzip
import io
import json
import pathlib
import struct
import zipfile

import numpy as np
from PIL import Image

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
NAMES = {np.dtype(value): name for name, value in DTYPES.items()}


def read_safetensors(path):
    """Tensors by name, and the metadata. bfloat16 comes as float32."""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    data = raw[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        piece = data[entry["data_offsets"][0] : entry["data_offsets"][1]]
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(piece, "<u2").astype("<u4") << 16).view("<f4")
        else:
            array = np.frombuffer(piece, DTYPES[entry["dtype"]])
        tensors[name] = array.reshape(entry["shape"]).copy()
    return tensors, header.get("__metadata__", {})


def safetensors_bytes(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        array = np.ascontiguousarray(array)
        begin = len(data)
        data += array.tobytes()
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write_safetensors(path, tensors, metadata=None):
    pathlib.Path(path).write_bytes(safetensors_bytes(tensors, metadata))


def read_idx(path):
    raw = pathlib.Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    dims = struct.unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)


def idx_bytes(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def png_bytes(array):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def edm_zip(path, pictures, labels=None):
    """The layout of EDM's data sets: stored PNGs and dataset.json."""
    names = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(pictures))]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, picture in zip(names, pictures):
            archive.writestr(name, png_bytes(picture))
        pairs = None if labels is None else [[name, int(label)] for name, label in zip(names, labels)]
        archive.writestr("dataset.json", json.dumps({"labels": pairs}))


def read_edm_zip(path):
    """Pictures and labels in the order of dataset.json (or of names)."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        meta = json.loads(archive.read("dataset.json"))
        pictures = [np.array(Image.open(io.BytesIO(archive.read(name)))) for name in names]
        label_of = None if meta["labels"] is None else dict(meta["labels"])
        labels = None if label_of is None else [label_of[name] for name in names]
    return np.stack(pictures), labels


def _crc32c_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


CRC32C = _crc32c_table()


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _message(data):
    """Fields of a protocol-buffer message: [(number, value)], by wire type alone."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        wire = key & 7
        if wire == 0:
            value = varint()
        elif wire == 1:
            value, at = data[at : at + 8], at + 8
        elif wire == 5:
            value, at = data[at : at + 4], at + 4
        else:
            assert wire == 2, f"wire type {wire}"
            size = varint()
            value, at = data[at : at + size], at + size
            assert len(value) == size
        fields.append((key >> 3, value))
    return fields


def read_events(path):
    """TensorBoard events as TensorBoard reads them: (step, tag, float or image bytes), every checksum proved."""
    raw, at, events = pathlib.Path(path).read_bytes(), 0, []
    version = None
    while at < len(raw):
        (size,) = struct.unpack("<Q", raw[at : at + 8])
        assert masked_crc32c(raw[at : at + 8]) == struct.unpack("<I", raw[at + 8 : at + 12])[0]
        body = raw[at + 12 : at + 12 + size]
        assert masked_crc32c(body) == struct.unpack("<I", raw[at + 12 + size : at + 16 + size])[0]
        at += 16 + size
        event = _message(body)
        fields = dict(event)
        if 3 in fields:
            version = fields[3].decode()
        for _, value in [pair for pair in _message(fields[5])] if 5 in fields else []:
            entry = dict(_message(value))
            tag, step = entry[1].decode(), fields.get(2, 0)
            if 2 in entry:
                events.append((step, tag, struct.unpack("<f", entry[2])[0]))
            elif 4 in entry:
                events.append((step, tag, dict(_message(entry[4]))[4]))
            else:
                tensor = dict(_message(entry[8]))
                content = tensor[4] if 4 in tensor else tensor[5]
                events.append((step, tag, struct.unpack("<f", content[:4])[0]))
    assert version == "brain.Event:2"
    return events


def png_text(path):
    return dict(Image.open(path).text)


