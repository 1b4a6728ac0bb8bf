"""Inception-v3 of 2015-12-05 with weights by a formula (tests/golden/make_inception.py), written by numpy alone."""

import formats
import numpy as np

MASK = 0xFFFFFFFFFFFFFFFF


def _a(width, pool):
    return (f"1x1:64,{width},1,1 5x5_1:48,{width},1,1 5x5_2:64,48,5,5 3x3dbl_1:64,{width},1,1 3x3dbl_2:96,64,3,3 "
            f"3x3dbl_3:96,96,3,3 _pool:{pool},{width},1,1")


def _c(c):
    return (f"1x1:192,768,1,1 7x7_1:{c},768,1,1 7x7_2:{c},{c},1,7 7x7_3:192,{c},7,1 7x7dbl_1:{c},768,1,1 "
            f"7x7dbl_2:{c},{c},7,1 7x7dbl_3:{c},{c},1,7 7x7dbl_4:{c},{c},7,1 7x7dbl_5:192,{c},1,7 _pool:192,768,1,1")


def _e(width):
    return (f"1x1:320,{width},1,1 3x3_1:384,{width},1,1 3x3_2a:384,384,1,3 3x3_2b:384,384,3,1 3x3dbl_1:448,{width},1,1 "
            f"3x3dbl_2:384,448,3,3 3x3dbl_3a:384,384,1,3 3x3dbl_3b:384,384,3,1 _pool:192,{width},1,1")


STEM = {"Conv2d_1a_3x3": (32, 3, 3, 3), "Conv2d_2a_3x3": (32, 32, 3, 3), "Conv2d_2b_3x3": (64, 32, 3, 3),
        "Conv2d_3b_1x1": (80, 64, 1, 1), "Conv2d_4a_3x3": (192, 80, 3, 3)}
BLOCKS = {
    "Mixed_5b": _a(192, 32), "Mixed_5c": _a(256, 64), "Mixed_5d": _a(288, 64),
    "Mixed_6a": "3x3:384,288,3,3 3x3dbl_1:64,288,1,1 3x3dbl_2:96,64,3,3 3x3dbl_3:96,96,3,3",
    "Mixed_6b": _c(128), "Mixed_6c": _c(160), "Mixed_6d": _c(160), "Mixed_6e": _c(192),
    "Mixed_7a": "3x3_1:192,768,1,1 3x3_2:320,192,3,3 7x7x3_1:192,768,1,1 7x7x3_2:192,192,1,7 7x7x3_3:192,192,7,1 "
                "7x7x3_4:192,192,3,3",
    "Mixed_7b": _e(1280), "Mixed_7c": _e(2048)}


def uniform(name, shape):
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    z = np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2**23 - 1).reshape(shape)


def weights():
    convolutions = dict(STEM)
    for block, branches in BLOCKS.items():
        for branch in branches.split():
            name, shape = branch.split(":")
            convolutions[f"{block}.branch{name}"] = tuple(map(int, shape.split(",")))
    state = {}
    with np.errstate(over="ignore"):
        for name, shape in convolutions.items():
            state[f"{name}.conv.weight"] = uniform(f"{name}.conv.weight", shape) * np.sqrt(6 / np.prod(shape[1:]))
            for part, scale, shift in (("weight", 0.2, 1), ("bias", 0.1, 0), ("running_mean", 0.1, 0),
                                       ("running_var", 0.5, 1)):
                state[f"{name}.bn.{part}"] = shift + scale * uniform(f"{name}.bn.{part}", shape[:1])
        state["fc.weight"] = 0.1 * uniform("fc.weight", (1008, 2048))
        state["fc.bias"] = 0.1 * uniform("fc.bias", (1008,))
    return {name: value.astype(np.float32) for name, value in state.items()}


def write(path):
    formats.write_safetensors(path, weights())
