"""D(x; sigma) from the network F (EDM table 1), for every prediction and noise schedule.

    x = x_0 + sigma n,   D = c_skip x + c_out F(c_in x, c_noise)
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor


@functools.lru_cache(maxsize=None)
def _linear_sigmas() -> Tensor:
    """Noise levels of the 1000 timesteps of the linear schedule (Ho et al. 2020): [1000] float64."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = torch.cumprod(1 - beta, 0)
    return ((1 - alpha_bar) / alpha_bar).sqrt()


def nearest_timestep(sigma: Tensor) -> Tensor:
    """The timestep 0..999 of the linear schedule whose noise level is nearest: [B] -> [B] int64."""
    levels = _linear_sigmas().to(sigma.device)
    wanted = sigma.to(torch.float64).contiguous()
    above = torch.searchsorted(levels, wanted, right=True).clamp(1, len(levels) - 1)
    below = above - 1
    return torch.where((levels[below] - wanted).abs() <= (levels[above] - wanted).abs(), below, above)


def c_in(schedule: str, sigma_data: float, sigma: Tensor) -> Tensor:
    if schedule in ("vp", "vp_linear"):
        return 1 / (sigma.square() + 1).sqrt()
    if schedule == "ve":
        return torch.ones_like(sigma)
    if schedule == "flow":
        return 1 / (sigma + 1)
    return 1 / (sigma.square() + sigma_data**2).sqrt()


def c_noise(schedule: str, sigma: Tensor) -> Tensor:
    if schedule == "vp":  # 999 times t of sigma(t)^2 = exp(19.9 / 2 t^2 + 0.1 t) - 1
        return 999 * ((0.1**2 + 2 * 19.9 * sigma.square().log1p()).sqrt() - 0.1) / 19.9
    if schedule == "ve":
        return (sigma / 2).log()
    if schedule == "flow":
        return 1000 * sigma / (sigma + 1)
    if schedule == "vp_linear":
        return nearest_timestep(sigma).to(sigma.dtype)
    return sigma.log() / 4


def c_skip(prediction: str, sigma_data: float, sigma: Tensor) -> Tensor:
    if prediction == "x0":
        return torch.zeros_like(sigma)
    if prediction == "eps":
        return torch.ones_like(sigma)
    if prediction == "v":
        return 1 / (sigma.square() + 1)
    if prediction == "velocity":
        return 1 / (sigma + 1)
    return sigma_data**2 / (sigma.square() + sigma_data**2)


def c_out(prediction: str, schedule: str, sigma_data: float, sigma: Tensor) -> Tensor:
    if prediction == "x0":
        return torch.ones_like(sigma)
    if prediction == "eps":
        return sigma if schedule == "ve" else -sigma
    if prediction == "v":
        return -sigma / (sigma.square() + 1).sqrt()
    if prediction == "velocity":
        return -sigma / (sigma + 1)
    return sigma * sigma_data / (sigma.square() + sigma_data**2).sqrt()


def per_image(coefficient: Tensor) -> Tensor:
    """[B] -> [B, 1, 1, 1]."""
    return coefficient.reshape(-1, 1, 1, 1)


def denoised(network, prediction: str, schedule: str, sigma_data: float, x: Tensor, sigma: Tensor) -> Tensor:
    """D(x; sigma). network(c_in x, c_noise) -> F, of the shape of x."""
    f = network(per_image(c_in(schedule, sigma_data, sigma)) * x, c_noise(schedule, sigma)).to(x.dtype)
    return (per_image(c_skip(prediction, sigma_data, sigma)) * x
            + per_image(c_out(prediction, schedule, sigma_data, sigma)) * f)
