"""Model files in plain Python: safetensors with the configuration under the metadata key "diffit.config"."""

from __future__ import annotations

import ctypes
import json
import os
import struct
import tempfile

import torch

from .._errors import FailedError, InvalidError

CONFIG_KEY = "diffit.config"
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
           "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def read_safetensors(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a file. Raises InvalidError if it is not a whole safetensors file."""
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            if length > min(size - 8, 100 << 20):
                raise InvalidError(f"{path}: wanted a safetensors file, but its header does not fit into {size} bytes")
            header = json.loads(file.read(length))
            data = bytearray(file.read())
        metadata = header.pop("__metadata__", {})
        tensors, end = {}, 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            begin, stop = entry["data_offsets"]
            dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
            count = 1
            for side in shape:
                count *= side
            if begin != end or stop - begin != count * dtype.itemsize or stop > len(data) or min(shape, default=0) < 0:
                raise InvalidError(f"{path}: {name}: its shape {shape} and its place {begin} to {stop} of {len(data)} "
                                   "bytes do not fit together")
            tensors[name] = (torch.frombuffer(data, dtype=dtype, count=count, offset=begin).reshape(shape).clone()
                             if count else torch.empty(shape, dtype=dtype))
            end = stop
        if end != len(data):
            raise InvalidError(f"{path}: {len(data) - end} bytes after the last tensor")
        return tensors, metadata
    except OSError as error:
        raise InvalidError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InvalidError):
            raise
        raise InvalidError(f"{path}: wanted a safetensors file: {error}") from None


def write_safetensors(path: str | os.PathLike, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Writes a file whole or not at all. Raises FailedError for values that are not finite and for I/O."""
    path = os.fspath(path)
    header, blocks, end = {"__metadata__": metadata}, [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        tensor = tensor.detach().cpu().contiguous()
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise FailedError(f"{path}: not written: {name} contains values that are not finite")
        block = ctypes.string_at(tensor.data_ptr(), tensor.nbytes) if tensor.numel() else b""
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [end, end + len(block)]}
        end += len(block)
        blocks.append(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    folder = os.path.dirname(os.path.abspath(path))
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".diffit-", suffix=".tmp", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(struct.pack("<Q", len(text)) + text)
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise FailedError(f"{path}: cannot be written: {error.strerror}") from None
