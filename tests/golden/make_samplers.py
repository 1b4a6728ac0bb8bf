"""Writes samplers.safetensors: what the samplers of the VP process must give on an analytic network.

DDIM, DPM-Solver++(2M) and UniPC come from diffusers (0.35.2), run in float64 with its default grids; ancestral
sampling and Heun's method, which it has not in this form, from the formulas in numpy below.
Usage: python make_samplers.py OUT.safetensors      (needs torch and diffusers)
"""

import json
import struct
import sys

import numpy as np
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

T, SHAPE = 1000, (2, 4)
BETA = np.linspace(1e-4, 0.02, T)
ABAR = np.cumprod(1 - BETA)
SIGMA = np.sqrt((1 - ABAR) / ABAR)
J = np.arange(SHAPE[1])
MU, SPREAD = 0.3 - 0.1 * J, 0.5 + 0.05 * J


def eps(x, t):
    """The exact answer for a Gaussian, and a little that is not linear."""
    alpha, s = np.sqrt(ABAR[t]), np.sqrt(1 - ABAR[t])
    return s * (x - alpha * MU) / (alpha**2 * SPREAD**2 + s**2) + 0.1 * np.sin(x)


def v(x, t):
    return np.sin(x + t / 100)


def with_diffusers(scheduler, steps, noise, step_noise=None, **options):
    """In float64: diffusers casts to float32 in places, a name that stands for float64 while it runs."""
    scheduler.alphas_cumprod = torch.from_numpy(ABAR.copy())
    float32 = torch.float32
    torch.float32 = torch.float64
    try:
        scheduler.set_timesteps(steps)
        times = [int(t) for t in scheduler.timesteps]
        if hasattr(scheduler, "sigmas"):
            scheduler.sigmas = torch.from_numpy(np.append(SIGMA[times], 0.0))
        x = torch.from_numpy(noise.copy())
        for k, t in enumerate(times):
            if options.get("eta", 0) > 0:
                options["variance_noise"] = torch.from_numpy(step_noise[min(k, len(step_noise) - 1)].copy())
            x = scheduler.step(torch.from_numpy(eps(x.numpy(), t)), t, x, **options).prev_sample
            assert x.dtype == torch.float64
    finally:
        torch.float32 = float32
    return x.numpy(), times


def respaced(steps):
    stride, place, times = (T - 1) / (steps - 1), 0.0, []
    for _ in range(steps):
        times.append(round(place))
        place += stride
    return times


def ancestral(steps, noise, step_noise):
    """guided-diffusion's p_sample with a learned range, without clipping."""
    times = respaced(steps)
    a = ABAR[times]
    a_before = np.append(1.0, a[:-1])
    beta = 1 - a / a_before
    variance = beta * (1 - a_before) / (1 - a)
    low, high = np.log(np.append(variance[1], variance[1:])), np.log(beta)
    x = noise
    for k, i in enumerate(reversed(range(steps))):
        t = times[i]
        x0 = x / np.sqrt(a[i]) - np.sqrt(1 / a[i] - 1) * eps(x, t)
        f = (v(x, t) + 1) / 2
        mean = (beta[i] * np.sqrt(a_before[i]) * x0 + (1 - a_before[i]) * np.sqrt(1 - beta[i]) * x) / (1 - a[i])
        x = mean
        if i > 0:
            x = mean + np.exp(0.5 * (f * high[i] + (1 - f) * low[i])) * step_noise[k]
    return x, times


def edm(steps, noise, step_noise, churn, second_order):
    """EDM's algorithm 2 on D = x - sigma eps(x / sqrt(1 + sigma^2), t(sigma)), every sigma from the table."""
    nearest = lambda sigma: int(np.argmin(np.abs(SIGMA - sigma)))
    low, high = max(0.002, SIGMA[0]), min(80, SIGMA[-1])
    i = np.arange(steps)
    grid = (high ** (1 / 7) + i / (steps - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    grid = np.append(SIGMA[[nearest(sigma) for sigma in grid]], 0.0)
    denoised = lambda x, sigma: x - sigma * eps(x / np.sqrt(1 + sigma**2), nearest(sigma))
    x, row = noise * grid[0], 0
    for now, after in zip(grid[:-1], grid[1:]):
        gamma = min(churn / steps, np.sqrt(2) - 1)
        up = SIGMA[nearest(now + gamma * now)] if gamma > 0 else now
        if gamma > 0:
            x = x + np.sqrt(up**2 - now**2) * step_noise[row]
            row += 1
        d = (x - denoised(x, up)) / up
        to = x + (after - up) * d
        if second_order and after > 0:
            to = x + (after - up) * (d + (to - denoised(to, after)) / after) / 2
        x = to
    return x


def write(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, array in tensors.items():
        array = np.ascontiguousarray(array, "<f8")
        header[name] = {"dtype": "F64", "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def main():
    rng = np.random.default_rng(7)
    noise, step_noise = rng.standard_normal(SHAPE), rng.standard_normal((50, *SHAPE))
    out, grids = {"noise": noise, "step_noise": step_noise}, {}
    steps_tried = [1, 2, 3, 5, 12, 14, 15, 20, 50]
    for steps in steps_tried:
        plain = dict(clip_sample=False, beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
        for eta in (0.0, 0.5, 1.0):
            out[f"ddim.{steps}.{eta}"], grids[f"ddim.{steps}"] = with_diffusers(
                DDIMScheduler(**plain), steps, noise, step_noise, eta=eta)
        solver = dict(beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
        out[f"dpmpp2m.{steps}"], grids[f"dpmpp2m.{steps}"] = with_diffusers(
            DPMSolverMultistepScheduler(**solver, final_sigmas_type="zero"), steps, noise)
        out[f"unipc.{steps}"], grids[f"unipc.{steps}"] = with_diffusers(
            UniPCMultistepScheduler(**solver, solver_type="bh2", final_sigmas_type="zero"), steps, noise)
        if steps > 1:
            out[f"ddpm.{steps}"], grids[f"ddpm.{steps}"] = ancestral(steps, noise, step_noise)
            for name, second in (("heun", True), ("euler", False)):
                for churn in (0, 5):
                    out[f"{name}.{steps}.{churn}"] = edm(steps, noise, step_noise, churn, second)
    grids["ddpm.250"] = respaced(250)
    assert all(np.isfinite(array).all() for array in out.values())
    write(sys.argv[1], out, {"grids": json.dumps(grids), "steps": json.dumps(steps_tried)})


if __name__ == "__main__":
    main()
