#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The same training steps in PyTorch (Debian: python3-torch), eager, for bench-train's figures.

    peer_train.py JOB THREADS      JOB: mlp-small, autoencoder, lenet, conv6, mlp-50
"""
import resource
import statistics
import sys
import time

import torch
from torch import nn

job, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
torch.manual_seed(1)


def mlp(*sizes, activation=nn.ReLU, last=False):
    layers = []
    for i in range(len(sizes) - 1):
        layers.append(nn.Linear(sizes[i], sizes[i + 1]))
        if i + 2 < len(sizes) or last:
            layers.append(activation())
    return layers


def autoencoder():
    # tanh hidden layers, linear code and linear logits
    encoder = mlp(784, 1000, 500, 250, 30, activation=nn.Tanh)
    decoder = mlp(30, 250, 500, 1000, 784, activation=nn.Tanh)
    return nn.Sequential(*encoder, *decoder)


def lenet():
    return nn.Sequential(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


def conv6():
    layers, before = [], 3
    for i, c in enumerate([32, 32, 64, 64, 128, 128]):
        layers += [nn.Conv2d(before, c, 3, padding=1), nn.ReLU()]
        before = c
        if i % 2:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, 10))


jobs = {
    "mlp-small": (lambda: nn.Sequential(*mlp(784, 64, 10)), (64, 784), 10),
    "mlp-50": (lambda: nn.Sequential(*mlp(8, 50, 2)), (32, 8), 2),
    "autoencoder": (autoencoder, (500, 784), 0),
    "lenet": (lenet, (128, 1, 28, 28), 10),
    "conv6": (conv6, (128, 3, 32, 32), 10),
}
make, shape, classes = jobs[job]
model = make()
x = torch.rand(*shape)
y = torch.arange(shape[0]) * 7 % max(classes, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


def step():
    optimizer.zero_grad()
    z = model(x)
    if classes:
        loss = nn.functional.cross_entropy(z, y)
    else:
        loss = nn.functional.binary_cross_entropy_with_logits(z, x, reduction="sum") / shape[0]
    loss.backward()
    optimizer.step()


samples, inner = [], 1
for i in range(34):
    start = time.perf_counter()
    for _ in range(inner):
        step()
    seconds = time.perf_counter() - start
    if i == 2 and seconds < 2e-3:
        inner = int(2e-3 / seconds) + 1
    if i >= 3:
        samples.append(seconds / inner)
median = statistics.median(samples)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"torch {torch.__version__} {job} batch {shape[0]}: {median * 1e6:.1f} us a step, "
      f"{shape[0] / median:.0f} examples/s; {peak} MB peak; {threads} threads")
