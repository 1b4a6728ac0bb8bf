"""Measures images per second of the same networks in PyTorch on a GPU; prints JSON.

`--compile`: torch.compile with its default mode. A training step is that of `diffit bench`: noise, loss, backward, gradient
norm and clipping, fused AdamW, running averages; it does not wait for its loss. bf16 is autocast with float32 weights in
training, and weights in bfloat16 for an evaluation of a latent model. Attention is scaled_dot_product_attention with the bias
as a mask in latent models (windows are faster without it). Inputs are generated in advance and stay on the GPU.
"""
import argparse
import json
import time

import torch
import torch.nn.functional as F

import latent
from image import ImageDiffiT, denoise


def sdpa(s, x, c):
    """TMSA.forward of latent.py by scaled_dot_product_attention."""
    b, n, ch = x.shape
    qkv = s.qkv_temb(c).unsqueeze(1).to(x.dtype) + s.qkv(x)
    q, k, v = qkv.reshape(b, n, 3, s.h, ch // s.h).permute(2, 0, 3, 1, 4).unbind(0)
    bias = s.relative_position_bias_table[s.relative_position_index.view(-1)].view(n, n, -1).permute(2, 0, 1).contiguous()
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype).unsqueeze(0))
    return s.proj(out.transpose(1, 2).reshape(b, n, ch))


def image_loss(net, x, labels):
    sigma = (torch.randn(len(x), device=x.device) * 1.2 - 1.2).exp()
    noise = torch.randn_like(x) * sigma.reshape(-1, 1, 1, 1)
    with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
        d = denoise(net, x + noise, sigma, labels)
    weight = (sigma**2 + 0.25) / (sigma * 0.5) ** 2
    return (weight.reshape(-1, 1, 1, 1) * (d.float() - x) ** 2).mean()


def latent_loss(net, x, labels):
    t = torch.randint(1000, (len(x),), device=x.device)
    noise = torch.randn_like(x)
    a = torch.linspace(0.999, 0.01, 1000, device=x.device)[t].reshape(-1, 1, 1, 1)
    with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
        out = net(a.sqrt() * x + (1 - a).sqrt() * noise, t.float(), labels)
    return (out.float()[:, : x.shape[1]] - noise).square().mean() + out.float()[:, x.shape[1]:].square().mean()


def trainer(net, run, loss_of, x, labels, averages):
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
    copies = [[p.detach().clone() for p in net.parameters()] for _ in range(averages)]

    def once():
        optimizer.zero_grad(set_to_none=True)
        loss_of(run, x, labels).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0, foreach=True)
        optimizer.step()
        with torch.no_grad():
            for copy in copies:
                torch._foreach_lerp_(copy, list(net.parameters()), 0.01)
    return once


parser = argparse.ArgumentParser()
parser.add_argument("--model", choices=["image", "latent"], required=True)
parser.add_argument("--config", required=True, help="JSON: arguments of ImageDiffiT or LatentDiffiT")
parser.add_argument("--what", choices=["train", "forward"], required=True)
parser.add_argument("--dtype", choices=["f32", "bf16"], default="bf16")
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--averages", type=int, default=3)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float, default=1)
parser.add_argument("--compile", action="store_true")
args = parser.parse_args()

bf16 = args.dtype == "bf16"
torch.manual_seed(0)
torch.set_default_device("cuda")
config = json.loads(args.config)
if args.model == "image":
    net = ImageDiffiT(**config).to(memory_format=torch.channels_last)
    side, classes, inputs = config["resolution"], config["classes"], torch.zeros(args.batch)
else:
    latent.TMSA.forward = sdpa
    net = latent.LatentDiffiT(**config)
    side, classes, inputs = config["input_size"], config["classes"], torch.full((args.batch,), 500.0)
    if args.what == "forward" and bf16:
        net = net.bfloat16()
x = torch.randn(args.batch, config["in_channels"], side, side)
labels = torch.randint(classes, (args.batch,)) if classes else None
run = torch.compile(net) if args.compile else net

if args.what == "train":
    loss_of = image_loss if args.model == "image" else latent_loss
    once = trainer(net, run, loss_of, x, labels, args.averages)
else:
    x = x.to(next(net.parameters()).dtype)

    def once():
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=bf16 and args.model == "image"):
            run(x, inputs, labels)

for _ in range(4):
    once()
rates = []
for _ in range(args.rounds):
    torch.cuda.synchronize()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < args.seconds:
        for _ in range(4):
            once()
        done += 4 * args.batch
        torch.cuda.synchronize()
    rates.append(done / (time.perf_counter() - start))
print(json.dumps({"images_per_second": rates, "median": sorted(rates)[len(rates) // 2]}))
