#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""K-FAC steps of kfac-jax on bench-kfac's autoencoder, beside its forward and backward pass.

    python3 -m venv V && V/bin/pip install kfac-jax
    V/bin/python peer_kfac.py [BATCH [THREADS [STATISTICS INVERSES]...]]

Fixed step size, momentum and damping, sampled targets, factors and inverses in float32, as
bench-kfac's. Times are this process's processor time where THREADS is 1 (XLA is told to use one
thread) and by the clock else. One cycle is as many steps as lie between two inversions; the fastest
of the cycles counts."""
import importlib.metadata
import os
import resource
import sys
import time

batch = int(sys.argv[1]) if len(sys.argv) > 1 else 500
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
periods = [int(a) for a in sys.argv[3:]] or [1, 10, 10, 100]
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = ("--xla_cpu_multi_thread_eigen=" + ("false" if threads == 1 else "true")
                           + f" intra_op_parallelism_threads={threads}")
os.environ["OMP_NUM_THREADS"] = str(threads)
if threads == 1:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import kfac_jax  # noqa: E402

SIZES = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
LINEAR = {3, 7}  # the code and the logits


def make_parameters():
    parameters, key = [], jax.random.PRNGKey(1)
    for n_in, n_out in zip(SIZES[:-1], SIZES[1:]):
        key, k = jax.random.split(key)
        bound = (6 / (n_in + n_out)) ** 0.5
        parameters.append((jax.random.uniform(k, (n_in, n_out), minval=-bound, maxval=bound), jnp.zeros(n_out)))
    return parameters


def logits(parameters, x):
    h = x
    for i, (w, b) in enumerate(parameters):
        h = h @ w + b
        if i not in LINEAR:
            h = jnp.tanh(h)
    return h


def loss(parameters, x):
    z = logits(parameters, x)
    kfac_jax.register_multi_bernoulli_predictive_distribution(z, x)
    return jnp.mean(jnp.sum(jnp.logaddexp(z, 0) - x * z, axis=1))


def plain_loss(parameters, x):
    z = logits(parameters, x)
    return jnp.mean(jnp.sum(jnp.logaddexp(z, 0) - x * z, axis=1))


now = time.process_time if threads == 1 else time.perf_counter
x = jax.random.uniform(jax.random.PRNGKey(2), (batch, 784))
parameters = make_parameters()
passes = jax.jit(jax.value_and_grad(plain_loss))


def time_passes():
    start = now()
    jax.block_until_ready(passes(parameters, x))
    return now() - start


def n_bytes(tree):
    return sum(a.nbytes for a in jax.tree_util.tree_leaves(tree) if hasattr(a, "nbytes"))


def measure(statistics, inverses):
    optimizer = kfac_jax.Optimizer(
        jax.value_and_grad(loss), l2_reg=0.0, estimation_mode="fisher_gradients", num_burnin_steps=0,
        use_adaptive_learning_rate=False, use_adaptive_momentum=False, use_adaptive_damping=False,
        learning_rate_schedule=lambda global_step: 0.01, momentum_schedule=lambda global_step: 0.9,
        damping_schedule=lambda global_step: 0.3, norm_constraint=1e-2,
        curvature_update_period=statistics, inverse_update_period=inverses, multi_device=False)
    p, key = make_parameters(), jax.random.PRNGKey(3)
    state = optimizer.init(p, key, x)
    best, fastest = float("inf"), min(time_passes() for _ in range(5))
    for cycle in range(5):
        start = now()
        for step in range(cycle * inverses, (cycle + 1) * inverses):
            key, k = jax.random.split(key)
            p, state, _ = optimizer.step(p, state, k, batch=x, global_step_int=step)
        jax.block_until_ready(p)
        if cycle:  # the first compiles
            best = min(best, (now() - start) / inverses)
        fastest = min(fastest, time_passes())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"kfac-jax {importlib.metadata.version('kfac-jax')}, jax {jax.__version__}, batch {batch}, {threads} threads, "
          f"statistics {statistics}, inverses {inverses}: forward and backward {1e3 * fastest:.1f} ms, "
          f"a step {1e3 * best:.1f} ms, {best / fastest:.2f} x; {n_bytes((p, state)) / 1e6:.0f} MB of "
          f"parameters and state, {peak} MB peak of the process", flush=True)


time_passes()
for i in range(0, len(periods), 2):
    measure(periods[i], periods[i + 1])
