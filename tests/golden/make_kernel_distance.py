#!/usr/bin/env python3
"""The kernel distance that torch-fidelity gives two sets of features by a formula: printed, for src/metrics/scores_test.cpp.

    python tests/golden/make_kernel_distance.py

Needs torch, numpy and torch-fidelity 0.4.0. The subsets are the whole sets, so that chance has no part in it. Features are
multiples of 2^-10, which float32 holds.
"""
import numpy as np
import torch
from torch_fidelity.metric_kid import kid_features_to_metric


def features(a, b, c, shift):
    i, j = np.arange(64)[:, None], np.arange(128)[None, :]
    return torch.from_numpy(((i * a + j * b + i * j * c) % 2048) / 1024 + shift)


x, y = features(7919, 104729, 31, 0.0), features(6101, 86243, 17, 0.25)
for precise in (True, False):
    sets = (x, y) if precise else (x.float(), y.float())
    told = kid_features_to_metric(*sets, kid_subsets=1, kid_subset_size=64, kid_kernel="poly", kid_kernel_poly_degree=3,
                                  kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0, rng_seed=2020, verbose=False)
    print("float64" if precise else "float32", told["kernel_inception_distance_mean"])
