#!/usr/bin/env python3
"""Writes small files of torch.save, tests/golden/torch/: needs torch. expected.safetensors holds what each has to give."""

import collections
import json
import pathlib
import struct

import numpy as np
import torch

OUT = pathlib.Path(__file__).parent / "torch"


def numbers(*shape, dtype=torch.float32, seed=0):
    values = torch.arange(int(np.prod(shape)), dtype=torch.float64).reshape(shape) / 4 + seed
    return values.to(dtype)


def small_model():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    for i, p in enumerate(model.parameters()):
        p.data = numbers(*p.shape, seed=i)
    model.register_buffer("index", torch.arange(6).reshape(2, 3))
    return model


def files():
    base = numbers(4, 6)
    square = numbers(3, 4)
    yield "dtypes", {"f64": numbers(2, 2, dtype=torch.float64), "f32": numbers(5), "f16": numbers(3, dtype=torch.float16),
                     "bf16": numbers(7, dtype=torch.bfloat16), "i64": numbers(2, 3, dtype=torch.int64),
                     "i32": numbers(4, dtype=torch.int32), "u8": numbers(4, dtype=torch.uint8),
                     "bool": torch.tensor([True, False]), "scalar": torch.tensor(2.5), "none": torch.empty(0, 3)}
    yield "shared", collections.OrderedDict(whole=base, row=base[2], rows=base[1:3], again=base, columns=base[:, 1:3],
                                            transposed=square.t(), last=numbers(2, 3, 2, 2).to(memory_format=torch.channels_last))
    yield "module", small_model().state_dict()  # an OrderedDict with an attribute
    yield "parameter", dict(small_model().named_parameters())
    plain, average = small_model().state_dict(), {k: v + 1 for k, v in small_model().state_dict().items()}
    yield "nested", {"model": plain, "ema": average, "step": 1000, "lr": 1e-4, "name": "run", "betas": (0.9, 0.999),
                     "resume": None, "flags": [True, False], "seed": 2**64 - 1}
    yield "parallel", {"module." + name: value for name, value in plain.items()}
    yield "optimizer", {"state_dict": plain, "opt": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": numbers(2)}},
                                                     "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99), "params": [0, 1]}]}}


def write_safetensors(path, tensors):
    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
             torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    expected = {}
    for kind, content in files():
        torch.save(content, OUT / f"{kind}.pt")
        chosen = content.get("ema", content.get("state_dict", content))
        for name, tensor in chosen.items():
            expected[f"{kind}/{name.removeprefix('module.')}"] = tensor
    torch.save(small_model().state_dict(), OUT / "protocol4.pt", pickle_protocol=4)
    expected |= {f"protocol4/{name}": tensor for name, tensor in small_model().state_dict().items()}
    torch.save(small_model().state_dict(), OUT / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), OUT / "object.pt")
    write_safetensors(OUT / "expected.safetensors", expected)
