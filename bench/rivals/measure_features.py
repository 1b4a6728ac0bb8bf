#!/usr/bin/env python3
"""Measures images per second of Inception-v3 in pytorch-fid or torch-fidelity, with their own preprocessing and random weights.

    bench/rivals/measure_features.py --write FILE.safetensors        writes weights for diffit, with pytorch-fid's names
    bench/rivals/measure_features.py --network pytorch-fid --size 256
"""
import argparse
import json
import time

import torch

try:
    from pytorch_fid import inception as pytorch_fid
    from torch_fidelity import feature_extractor_inceptionv3 as torch_fidelity
except ImportError as error:
    raise SystemExit(f"not there ({error}): pip install pytorch-fid torch-fidelity torchvision, or set PYTHONPATH")


def random_network():
    """torch-fidelity's network with initial weights, and statistics for which activations neither vanish nor explode."""
    torch.manual_seed(0)
    torch_fidelity.load_state_dict_from_url = lambda *_, **__: {}
    load = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda *_, **__: None
    network = torch_fidelity.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    torch.nn.Module.load_state_dict = load
    for name, value in network.state_dict().items():
        if name.endswith("conv.weight"):
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
    return network.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", help="writes the weights there, and ends")
    parser.add_argument("--network", choices=["pytorch-fid", "torch-fidelity"], default="pytorch-fid")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    network = random_network()
    if args.write:
        from safetensors.torch import save_file

        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, args.write)
        return
    pictures = torch.randint(0, 256, (args.batch, 3, args.size, args.size), dtype=torch.uint8)
    if args.network == "pytorch-fid":
        pytorch_fid.load_state_dict_from_url = lambda *_, **__: network.state_dict()
        rival = pytorch_fid.InceptionV3([3]).eval()
        once = lambda: rival(pictures.float() / 255)  # noqa: E731
    else:
        once = lambda: network(pictures)  # noqa: E731
    with torch.no_grad():
        once()
        start, done = time.perf_counter(), 0
        while done == 0 or time.perf_counter() - start < args.seconds:
            once()
            done += args.batch
    print(json.dumps({"pictures_per_second": done / (time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
