#!/usr/bin/env python3
"""Golden values of Inception-v3 (2015-12-05): what torch-fidelity and pytorch-fid make of weights by a formula.

    python tests/golden/make_inception.py [tests/golden/inception.safetensors]

Needs torch, torchvision, torch-fidelity 0.4.0, pytorch-fid 0.3.0 and safetensors. Weights at full size are 95 MB; here
each number is a function of its tensor's name and its index, computed the same in src/nn/features/inception_test.cpp, and only
pictures and outputs are kept. `reference` is float32 as those packages compute it, `exact` the same network in float64.
"""
import sys

import numpy as np
import torch
from pytorch_fid import inception as pytorch_fid_inception
from safetensors.torch import save_file
from torch_fidelity import feature_extractor_inceptionv3 as torch_fidelity_inception

MASK = 0xFFFFFFFFFFFFFFFF


def uniform(name, shape):
    """Numbers in [-1, 1), multiples of 2^-23: SplitMix64's finaliser of (FNV-1a of the name) + index * its constant."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    z = np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2**23 - 1).reshape(shape)


def value(name, shape):
    u = uniform(name, shape)
    if name.endswith(".conv.weight"):
        u = u * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith(".bn.weight"):
        u = 1 + 0.2 * u
    elif name.endswith(".bn.running_var"):
        u = 1 + 0.5 * u
    elif name == "fc.weight":
        u = 0.1 * u
    else:  # .bn.bias, .bn.running_mean, fc.bias
        u = 0.1 * u
    return torch.from_numpy(u.astype(np.float32))


def networks():
    torch_fidelity_inception.load_state_dict_from_url = lambda *_, **__: {}
    strict = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda *_, **__: None
    network = torch_fidelity_inception.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    torch.nn.Module.load_state_dict = strict
    state = {k: value(k, v.shape) for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    network.load_state_dict(state, strict=False)
    pytorch_fid_inception.load_state_dict_from_url = lambda *_, **__: network.state_dict()
    other = pytorch_fid_inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()
    return network.eval(), other


def main():
    out = {}
    network, other = networks()
    spatial = {}
    network.Mixed_6d.branch1x1.register_forward_hook(lambda _, __, y: spatial.update(map=y))
    with torch.no_grad():
        for case, (height, width) in {"square": (32, 32), "oblong": (48, 40)}.items():
            y, x = np.mgrid[:height, :width]
            noise = uniform(case, (2, height, width, 3))
            wave = np.sin(np.stack([y / 3, x / 5, (x + y) / 7], -1)) * np.array([1, -1]).reshape(2, 1, 1, 1)
            pictures = torch.from_numpy(np.clip(128 + 90 * wave + 37 * noise, 0, 255).astype(np.uint8))
            out[f"{case}.pictures"] = pictures
            first = {}
            hook = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, args: first.update(x=args[0]))
            for kind, dtype in (("reference", torch.float32), ("exact", torch.float64)):
                network.to(dtype)
                network.feature_extractor_internal_dtype = dtype
                pooled = []
                pool = network.AvgPool.register_forward_hook(lambda _, __, y: pooled.append(y.flatten(1)))
                _, logits = network(pictures.permute(0, 3, 1, 2))
                pool.remove()
                logits = pooled[0] @ network.fc.weight.T
                out[f"{case}.{kind}.input"] = first["x"].permute(0, 2, 3, 1)[:, ::23, ::13].contiguous()
                out[f"{case}.{kind}.pooled"] = pooled[0]
                out[f"{case}.{kind}.spatial"] = spatial["map"][:, :7].permute(0, 2, 3, 1).flatten(1).contiguous()
                out[f"{case}.{kind}.probabilities"] = logits.softmax(1)
                if dtype == torch.float32:
                    out[f"{case}.pytorch_fid.pooled"] = other(first["x"])[0].flatten(1)
            hook.remove()
            p = out[f"{case}.exact.probabilities"]
            print(case, "pooled deviation", out[f"{case}.exact.pooled"].std().item(), "between pictures",
                  (pooled[0][0] - pooled[0][1]).abs().mean().item(), "entropy", -(p * p.log()).sum(1))
    save_file(out, sys.argv[1] if len(sys.argv) > 1 else "tests/golden/inception.safetensors",
              metadata={"made_by": "tests/golden/make_inception.py", "torch": torch.__version__})


if __name__ == "__main__":
    main()
