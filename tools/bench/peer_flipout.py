#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""bayesian-torch's flipout layers beside PyTorch's plain ones: peer_flipout.py [ROUNDS]

Forward, backward and the KL of one layer, one thread: milliseconds of the processor, the fastest of ROUNDS, and
the ratio to the plain layer in the same run. Needs Debian's python3-torch and bayesian-torch (PyPI)."""
import sys
import time

import torch
from bayesian_torch.layers import Conv2dFlipout, Conv2dReparameterization
from bayesian_torch.layers import LinearFlipout, LinearReparameterization

CASES = {
    'linear 784-1000, batch 128': ((128, 784), (784, 1000), None),
    'linear 400-400, batch 128': ((128, 400), (400, 400), None),
    'linear 1024-1024, batch 128': ((128, 1024), (1024, 1024), None),
    'linear 1024-1024, batch 512': ((512, 1024), (1024, 1024), None),
    'conv 32-64 3x3, 32x32, batch 32': ((32, 32, 32, 32), (32, 64), 3),
}


def layers(sizes, kernel):
    if kernel is None:
        return torch.nn.Linear(*sizes), LinearFlipout(*sizes), LinearReparameterization(*sizes)
    return (torch.nn.Conv2d(*sizes, kernel, padding=1), Conv2dFlipout(*sizes, kernel, padding=1),
            Conv2dReparameterization(*sizes, kernel, padding=1))


def step(layer, x, dy):
    for p in layer.parameters():
        p.grad = None
    x.grad = None
    begun = time.process_time()
    y = layer(x)
    if isinstance(y, tuple):
        torch.autograd.backward([y[0], y[1]], [dy, torch.tensor(1 / 60000)])
    else:
        y.backward(dy)
    return time.process_time() - begun


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    torch.set_num_threads(1)
    for name, (shape, sizes, kernel) in CASES.items():
        kinds = layers(sizes, kernel)
        x = torch.randn(shape, requires_grad=True)
        dy = torch.randn_like(kinds[0](x))
        best = [float('inf')] * len(kinds)
        for r in range(rounds + 1):
            for i, layer in enumerate(kinds):
                seconds = step(layer, x, dy)
                if r:
                    best[i] = min(best[i], seconds)
        print(f'{name:34s} plain {1e3 * best[0]:7.2f} ms   flipout {best[1] / best[0]:5.2f}   '
              f'reparameterised {best[2] / best[0]:5.2f}', flush=True)


if __name__ == '__main__':
    main()
