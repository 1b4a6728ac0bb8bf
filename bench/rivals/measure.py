"""Measures images per second of eager PyTorch with the network of diffit.torch; prints JSON.

A training step matches `diffit bench --what train`: noise, EDM loss, backward pass, gradient norm and clipping,
fused Adam, three running averages. Images are generated in advance, while diffit reads them through its loader.
"""
import argparse
import json
import time

import torch

from image import ImageDiffiT, denoise


def training_step(net, optimizer, averages, y, labels, autocast):
    sigma = (torch.randn(len(y)) * 1.2 - 1.2).exp()
    noise = torch.randn_like(y) * sigma.reshape(-1, 1, 1, 1)
    optimizer.zero_grad(set_to_none=True)
    with autocast:
        d = denoise(net, y + noise, sigma, labels)
    weight = (sigma ** 2 + 0.25) / (sigma * 0.5) ** 2
    loss = (weight.reshape(-1, 1, 1, 1) * (d.float() - y) ** 2).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0, foreach=True)
    optimizer.step()
    with torch.no_grad():
        for average in averages:
            torch._foreach_lerp_(average, list(net.parameters()), 0.01)
    return loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, help="JSON: arguments of ImageDiffiT")
    parser.add_argument("--what", choices=["train", "forward"], required=True)
    parser.add_argument("--dtype", choices=["f32", "bf16"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = json.loads(args.config)
    net = ImageDiffiT(**config)
    if args.channels_last:
        net = net.to(memory_format=torch.channels_last)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16")
    side, channels, classes = config["resolution"], config["in_channels"], config["classes"]
    x = torch.rand(args.batch, channels, side, side) * 2 - 1
    labels = torch.randint(classes, (args.batch,)) if classes else None
    run = torch.compile(net) if args.compile else net

    if args.what == "train":
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
        averages = [[p.detach().clone() for p in net.parameters()] for _ in range(3)]

        def once():
            training_step(run, optimizer, averages, x, labels, autocast)
    else:
        c_noise = torch.zeros(args.batch)

        def once():
            with torch.no_grad(), autocast:
                run(x, c_noise, labels)

    once()
    start, done, seconds = time.perf_counter(), 0, 0.0
    while seconds < args.seconds:
        once()
        done += args.batch
        seconds = time.perf_counter() - start
    print(json.dumps({"images_per_second": done / seconds}))


if __name__ == "__main__":
    main()
