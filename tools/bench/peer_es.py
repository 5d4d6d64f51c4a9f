#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One layer of a population on a GPU, in PyTorch: flipped signs of one draw beside a draw for each candidate.

    peer_es.py [WIDTH [CANDIDATES]]

The arithmetic of docs/methods/flipout.md says when independent draws are bound by memory, from the rate P of the
GPU's products and the rate W of its memory. Both are measured here, then the layer itself: WIDTH x WIDTH weights,
CANDIDATES perturbations on B rows each. Times are medians of CUDA events, weights and draws included; "drawn" adds
the Gaussian numbers. Needs a PyTorch that sees a GPU; dlhost itself takes no part."""
import statistics
import sys

import torch

ROWS = (1, 4, 16, 64, 256)


def seconds(work, rounds=15):
    for _ in range(3):
        work()
    times = []
    for _ in range(rounds):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        work()
        b.record()
        torch.cuda.synchronize()
        times.append(1e-3 * a.elapsed_time(b))
    return statistics.median(times)


def rates(dtype):
    a = torch.randn(8192, 8192, device='cuda', dtype=dtype)
    b, c = torch.randn_like(a), torch.empty_like(a)
    big = torch.empty(1 << 30, device='cuda', dtype=torch.uint8)
    to = torch.empty_like(big)
    return 2 * 8192 ** 3 / seconds(lambda: torch.mm(a, b, out=c)), 2 * (1 << 30) / seconds(lambda: to.copy_(big))


def signs(*shape, dtype):
    return torch.randint(0, 2, shape, device='cuda').to(dtype) * 2 - 1


def layer(n, count, rows, dtype):
    """Seconds of flipped signs, of independent draws that exist, and of drawing them as well."""
    x = torch.randn(count, rows, n, device='cuda', dtype=dtype)
    w = torch.randn(n, n, device='cuda', dtype=dtype)
    d, each = torch.empty_like(w), torch.empty(count, n, n, device='cuda', dtype=dtype)
    s, r = signs(count, 1, n, dtype=dtype), signs(count, 1, n, dtype=dtype)
    y, z, out = (torch.empty(count * rows, n, device='cuda', dtype=dtype) for _ in range(3))

    def flipped():
        d.normal_(std=0.02)
        torch.mm(x.view(-1, n), w, out=y)
        torch.mm((x * s).view(-1, n), d, out=z)
        torch.addcmul(y.view_as(x), z.view_as(x), r, out=out.view_as(x))

    def independent():
        torch.baddbmm(x.new_zeros(1), x, each, beta=0, out=out.view_as(x))

    def drawn():
        each.normal_(std=0.02).add_(w)
        independent()

    each.normal_()
    return seconds(flipped), seconds(independent), seconds(drawn)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1600
    print(f'{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, {n} x {n}, {count} candidates')
    for name, dtype, tf32 in (('f32', torch.float32, False), ('tf32', torch.float32, True), ('bf16', torch.bfloat16, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        p, w = rates(dtype)
        size = torch.empty(0, dtype=dtype).element_size()
        print(f'{name}: products {1e-12 * p:.0f} TFLOP/s, memory {1e-12 * w:.2f} TB/s; one weight read for each '
              f'row costs what its product does at {size / 2 * p / w:.0f} rows', flush=True)
        for rows in ROWS:
            f, i, d = layer(n, count, rows, dtype)
            flops, read = 2 * count * rows * n * n, count * n * n * size
            print(f'  {rows:4d} rows  flipped {1e3 * f:8.3f} ms (arithmetic alone {2e3 * flops / p:8.3f})   independent '
                  f'{1e3 * i:8.3f} ms (floor {1e3 * max(flops / p, read / w):8.3f})   drawn {1e3 * d:8.3f} ms   '
                  f'independent / flipped {i / f:6.2f}, drawn {d / f:6.2f}', flush=True)


if __name__ == '__main__':
    main()
