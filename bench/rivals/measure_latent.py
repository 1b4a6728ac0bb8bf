"""Measures milliseconds of eager PyTorch with the latent network; prints JSON.

`--what forward`: one evaluation of LatentDiffiT (batch 2: one guided image). `--what attention`: TMSA between its
linear layers, that is, addition of the time token's contribution, scores, bias, softmax, values. With bf16, the
whole network is in bfloat16, without autocast.
"""
import argparse
import json
import time

import torch

from latent import TMSA, LatentDiffiT


def attention(tmsa, qkv, qkv_t):
    """TMSA.forward between its linear layers."""
    b, n, ch = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    qkv = qkv_t.unsqueeze(1) + qkv
    q, k, v = qkv.reshape(b, n, 3, tmsa.h, ch // tmsa.h).permute(2, 0, 3, 1, 4).unbind(0)
    a = (q * (ch // tmsa.h) ** -0.5) @ k.transpose(-2, -1)
    r = tmsa.relative_position_bias_table[tmsa.relative_position_index.view(-1)].view(n, n, -1)
    a = (a + r.permute(2, 0, 1).contiguous().unsqueeze(0)).softmax(-1)
    return (a @ v).transpose(1, 2).reshape(b, n, ch)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, help="JSON: arguments of LatentDiffiT")
    parser.add_argument("--what", choices=["forward", "attention"], required=True)
    parser.add_argument("--dtype", choices=["f32", "bf16"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    dtype = torch.float32 if args.dtype == "f32" else torch.bfloat16
    config = json.loads(args.config)
    if args.what == "forward":
        net = LatentDiffiT(**config).to(dtype)
        channels, side = config["in_channels"], config["input_size"]
        x = torch.randn(args.batch, channels, side, side, dtype=dtype)
        t, y = torch.full((args.batch,), 500.0), torch.arange(args.batch) % (config["classes"] + 1)

        def once():
            net(x, t, y)
    else:
        grid = config["input_size"] // config["patch"]
        tmsa = TMSA(config["hidden"], config["heads"], grid).to(dtype)
        qkv = torch.randn(args.batch, grid * grid, 3 * config["hidden"], dtype=dtype)
        qkv_t = torch.randn(args.batch, 3 * config["hidden"], dtype=dtype)

        def once():
            attention(tmsa, qkv, qkv_t)

    with torch.no_grad():
        once()
        start, done, seconds = time.perf_counter(), 0, 0.0
        while seconds < args.seconds:
            once()
            done += 1
            seconds = time.perf_counter() - start
    print(json.dumps({"milliseconds": 1e3 * seconds / done}))


if __name__ == "__main__":
    main()
