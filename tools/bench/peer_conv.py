#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Convolutions and pooling beside PyTorch's: peer_conv.py BENCH_CONV [THREADS [ROUNDS]]

Each shape is measured in turn by bench-conv and by PyTorch (oneDNN), ROUNDS times; a line has both
medians in ms, GF/s, and how many times faster dlhost is. Needs Debian's python3-torch."""
import statistics
import subprocess
import sys
import time

import torch

CONVS = {  # batch, channels, filters, size, kernel, padding
    'lenet conv1': (128, 1, 20, 28, 5, 0),
    'lenet conv2': (128, 20, 50, 12, 5, 0),
    'lenet5 conv1': (128, 1, 6, 28, 5, 2),
    'lenet5 conv2': (128, 6, 16, 14, 5, 0),
    '3-32 32x32': (64, 3, 32, 32, 3, 1),
    '32-32 32x32': (64, 32, 32, 32, 3, 1),
    '64-64 16x16': (64, 64, 64, 16, 3, 1),
    '128-128 8x8': (64, 128, 128, 8, 3, 1),
    '256-256 8x8': (32, 256, 256, 8, 3, 1),
    '64-128 1x1': (64, 64, 128, 16, 1, 0),
}
POOLS = {  # batch, channels, size
    'pool 20x24x24': (128, 20, 24),
    'pool 50x8x8': (128, 50, 8),
    'pool 32x32x32': (64, 32, 32),
}


def clock():
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def timed(run, samples=21):
    run()
    start = clock()
    run()
    repeats = 1 + int(2e-3 / (clock() - start + 1e-7))
    times = []
    for _ in range(samples):
        start = clock()
        for _ in range(repeats):
            run()
        times.append((clock() - start) / repeats)
    return 1e3 * statistics.median(times)


def peer_conv(batch, channels, filters, size, kernel, padding):
    x = torch.randn(batch, channels, size, size)
    w = torch.randn(filters, channels, kernel, kernel)
    b = torch.randn(filters)
    dy = torch.randn_like(torch.conv2d(x, w, b, padding=padding))

    def backward(*mask):
        return lambda: torch.ops.aten.convolution_backward(
            dy, x, w, [filters], [1, 1], [padding, padding], [1, 1], False, [0, 0], 1, mask)

    return {'forward': timed(lambda: torch.conv2d(x, w, b, padding=padding)),
            'data': timed(backward(True, False, False)),
            'weight': timed(backward(False, True, False))}


def peer_pool(batch, channels, size):
    x = torch.randn(batch, channels, size, size, requires_grad=True)
    y = torch.max_pool2d(x, 2)
    dy = torch.randn_like(y)
    return {'forward': timed(lambda: torch.max_pool2d(x.detach(), 2)),
            'data': timed(lambda: torch.autograd.grad(y, x, dy, retain_graph=True))}


def ours(bench, kind, shape, threads):
    out = subprocess.run([bench, kind, *map(str, shape), str(threads)], check=True,
                         capture_output=True, text=True).stdout
    rows = (line.split() for line in out.splitlines())
    return {row[0]: (float(row[1]), float(row[3])) for row in rows}


def main():
    bench = sys.argv[1]
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    torch.set_num_threads(threads)
    print(f'PyTorch {torch.__version__}, {threads} thread(s), medians of {rounds} rounds')
    jobs = [('conv', peer_conv, *job) for job in CONVS.items()]
    jobs += [('pool', peer_pool, *job) for job in POOLS.items()]
    for kind, peer, name, shape in jobs:
        mine, theirs = {}, {}
        for _ in range(rounds):
            for what, row in ours(bench, kind, shape, threads).items():
                mine.setdefault(what, []).append(row)
            for what, ms in peer(*shape).items():
                theirs.setdefault(what, []).append(ms)
        for what, rows in mine.items():
            ms = statistics.median(row[0] for row in rows)
            rate = statistics.median(row[1] for row in rows)
            other = statistics.median(theirs[what])
            print(f'{name:14} {what:8} {ms:8.3f} ms {rate:6.1f} G/s   PyTorch {other:8.3f} ms'
                  f'   {other / ms:5.2f} x', flush=True)


if __name__ == '__main__':
    main()
