"""Samples a latent with the sampling loop of the released checkpoints in eager PyTorch.

`--write FILE` writes a model file with random weights that both programs can read. `--model FILE` samples one latent from it
with DDPM, 250 steps, and guidance as released, with both halves of the batch at every step. Prints the time of the loop as JSON.
"""
import argparse
import json
import time

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from latent import LatentDiffiT


def respaced(steps, T=1000):
    """Returns the kept timesteps and the betas of the respaced process."""
    alpha_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, T))
    kept = np.rint(np.linspace(0, T - 1, steps)).astype(int)
    before = np.append(1.0, alpha_bar[kept][:-1])
    return kept, 1 - alpha_bar[kept] / before, alpha_bar[kept], before


def sample(net, scale, label, steps, dtype):
    """Ancestral sampling with a learned variance range; x is float32, the network computes in dtype."""
    side, channels = net.input_size, net.out // 2
    timesteps, beta, bar, before = respaced(steps)
    posterior = beta * (1 - before) / (1 - bar)
    posterior[0] = posterior[1]
    x = torch.randn(1, channels, side, side).repeat(2, 1, 1, 1)
    y = torch.tensor([label, net.y_embedder.embedding_table.num_embeddings - 1])
    for k in reversed(range(steps)):
        t = torch.full((2,), float(timesteps[k]))
        out = net.guided(x.to(dtype), t, y, scale).float()
        eps, v = out[:, :channels], (out[:, channels:] + 1) / 2
        x0 = x / bar[k] ** 0.5 - (1 / bar[k] - 1) ** 0.5 * eps
        mean = (beta[k] * before[k] ** 0.5 * x0 + (1 - before[k]) * (1 - beta[k]) ** 0.5 * x) / (1 - bar[k])
        log_variance = v * np.log(beta[k]) + (1 - v) * np.log(posterior[k])
        x = mean if k == 0 else mean + torch.exp(0.5 * log_variance) * torch.randn_like(x)
    return x[:1]


def write(path, config):
    torch.manual_seed(0)
    net = LatentDiffiT(**config)
    for name, parameter in net.named_parameters():
        if name == "final_layer.linear.weight" or "relative_position_bias_table" in name:
            torch.nn.init.normal_(parameter, 0, 0.02)
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path,
              {"diffit.config": json.dumps({"model": "latent", **config})})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--config", help="JSON: arguments of LatentDiffiT, with --write")
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--scale", type=float, default=4.4)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.write:
        return write(args.write, json.loads(args.config))
    with safe_open(args.model, "pt") as file:
        config = json.loads(file.metadata()["diffit.config"])
        config.pop("model")
        net = LatentDiffiT(**config)
        net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    dtype = torch.float32 if args.dtype == "f32" else torch.bfloat16
    net = net.to(dtype).eval()
    with torch.no_grad():
        sample(net, args.scale, 207, 2, dtype)
        start = time.perf_counter()
        latent = sample(net, args.scale, 207, args.steps, dtype)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "finite": bool(latent.isfinite().all())}))


if __name__ == "__main__":
    main()
