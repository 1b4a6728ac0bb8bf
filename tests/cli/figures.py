"""The figures of diffit eval by numpy in float64, straight from their definitions: an independent witness."""

import numpy as np


def moments(x):
    x = x.astype(np.float64)
    return x.mean(0), np.cov(x, rowvar=False)


def factor(sigma):
    """L [D, r] with sigma = L L^T, by Cholesky's algorithm with pivots: r steps for a covariance of rank r."""
    left, columns = sigma.diagonal().copy(), []
    floor = 1e-11 * left.max()
    while left.max() > floor and len(columns) < len(sigma):
        pivot = left.argmax()
        column = sigma[:, pivot] - sum((c * c[pivot] for c in columns), np.zeros(len(sigma)))
        column /= np.sqrt(left[pivot])
        columns.append(column)
        left -= column**2
    return np.stack(columns, 1)


def frechet(mu_a, sigma_a, mu_b, sigma_b):
    """tr (S_a S_b)^(1/2) is the sum of the singular values of L_a^T L_b."""
    between = np.linalg.svd(factor(sigma_a).T @ factor(sigma_b), compute_uv=False).sum()
    return ((mu_a - mu_b) ** 2).sum() + np.trace(sigma_a) + np.trace(sigma_b) - 2 * between


def squared_distances(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.stack([((row - y) ** 2).sum(1) for row in x])


def precision_recall(samples, reference, k=3):
    def inside(points, balls):
        radii = np.sort(squared_distances(balls, balls), axis=1)[:, k]
        return (squared_distances(points, balls) <= radii).any(1).mean()

    return inside(samples, reference), inside(reference, samples)


def kernel_distance(x, y):
    """Unbiased, of whole sets of one size."""
    def kernel(a, b):
        return (a.astype(np.float64) @ b.astype(np.float64).T / a.shape[1] + 1) ** 3

    n = len(x)
    off = 1 - np.eye(n)
    return ((kernel(x, x) + kernel(y, y)) * off).sum() / (n * (n - 1)) - 2 * kernel(x, y).mean()


def inception_score(p, block=5000):
    scores = []
    for first in range(0, len(p), block):
        part = p[first : first + block].astype(np.float64)
        scores.append(np.exp((part * (np.log(part) - np.log(part.mean(0)))).sum(1).mean()))
    return np.mean(scores)
