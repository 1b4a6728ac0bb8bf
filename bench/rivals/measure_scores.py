#!/usr/bin/env python3
"""Measures the time of torch-fidelity's precision and recall, and of its Frechet distance, on random features."""
import argparse
import json
import time

import torch

try:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_prc import calculate_precision_recall_full, calculate_precision_recall_part
except ImportError as error:
    raise SystemExit(f"torch-fidelity is not there ({error}): pip install torch-fidelity torchvision, or set PYTHONPATH")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", choices=["precision-recall", "frechet"], required=True)
    parser.add_argument("--pictures", type=int, default=10000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save-cpu-ram", action="store_true", help="precision and recall without the whole matrices")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    a, b = torch.randn(args.pictures, args.width), torch.randn(args.pictures, args.width) * 1.1
    if args.what == "frechet":
        a, b = fid_features_to_statistics(a), fid_features_to_statistics(b)
    start = time.perf_counter()
    with torch.no_grad():
        if args.what == "frechet":
            fid_statistics_to_metric(a, b, verbose=False)
        else:
            (calculate_precision_recall_part if args.save_cpu_ram else calculate_precision_recall_full)(a, b, 3, 10000)
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
