#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Annealed importance sampling in PyTorch (Debian: python3-torch), eager, beside bench-ais on the same job in
turns: decoder 50-200-200-784, Bernoulli pixels, transitions of 10 leapfrog steps.

    peer_ais.py ROWS THREADS [BENCH-AIS [ROUNDS]]

Gradients are of the latents alone, and kept over a change of temperature, as in the plugin. Times are this process's
processor time where THREADS is 1 and by the clock else; the least of the samples counts."""
import subprocess
import sys
import time

import torch

rows, threads = int(sys.argv[1]), int(sys.argv[2])
bench = sys.argv[3] if len(sys.argv) > 3 else None
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
torch.set_num_threads(threads)
torch.manual_seed(1)
STEPS, SAMPLES, EPS = 10, 10, 0.15
now = time.process_time if threads == 1 else time.perf_counter

SIZES = [50, 200, 200, 784]
layers = []
for i in range(3):
    layers.append(torch.nn.Linear(SIZES[i], SIZES[i + 1]))
    if i < 2:
        layers.append(torch.nn.Tanh())
decoder = torch.nn.Sequential(*layers)
for parameter in decoder.parameters():
    parameter.requires_grad_(False)
x = torch.zeros(rows, 784)


def evaluate(z):
    """Log likelihood and log prior of each row, and their gradients."""
    z = z.detach().requires_grad_(True)
    logits = decoder(z)
    likelihood = -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    gradient, = torch.autograd.grad(likelihood.sum(), z)
    return likelihood.detach().double(), -0.5 * (z.detach() ** 2).sum(1).double(), gradient


def transition(state, b):
    z, likelihood, prior, gradient = state
    v = torch.randn_like(z)
    before = 0.5 * (v ** 2).sum(1).double() - prior - b * likelihood
    q, g = z, gradient
    v = v + EPS / 2 * (b * g - q)
    for k in range(STEPS):
        q = q + EPS * v
        new_likelihood, new_prior, g = evaluate(q)
        v = v + (EPS if k + 1 < STEPS else EPS / 2) * (b * g - q)
    change = 0.5 * (v ** 2).sum(1).double() - new_prior - b * new_likelihood - before
    yes = torch.rand(rows, dtype=torch.float64) < torch.exp(-change)
    return (torch.where(yes[:, None], q, z), torch.where(yes, new_likelihood, likelihood),
            torch.where(yes, new_prior, prior), torch.where(yes[:, None], g, gradient))


z = torch.randn(rows, 50)
likelihood, prior, gradient = evaluate(z)
state = (z, likelihood, prior, gradient)
best = float("inf")
for _ in range(rounds):
    if bench:
        subprocess.run([bench, str(rows), str(threads)], check=True)
    for i in range(SAMPLES):
        start = now()
        state = transition(state, 0.001 * (i + 1))
        best = min(best, now() - start)
print(f"PyTorch {torch.__version__}, {rows} chains, {threads} threads: "
      f"{rows * STEPS / best / 1e3:.1f} thousand leapfrog-chains/s")
