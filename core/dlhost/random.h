/* SPDX-License-Identifier: MIT */
/* Random streams: Philox4x32-10 (Salmon et al. 2011, as in Random123). A random node's values depend
 * on (seed, stream name, the stream's counter, which node of the stream, element) alone: not on
 * threads, backend or what else runs. The counter is the variable "random/<name>" and grows by one
 * each run of a function that draws from the stream. */
#pragma once

#include <dlhost/store.h>

G_BEGIN_DECLS

/** dlh_store_stream: (transfer none): the stream @name of the store, made at the first call. */
DLH_EXPORT DlhStream *dlh_store_stream (DlhStore *store, const char *name);

/** dlh_uniform, dlh_normal: a float node of fresh draws at each run, uniform in [0, 1) or standard
 * normal; not differentiable. */
DLH_EXPORT DlhNode *dlh_uniform (DlhGraph *graph, DlhStream *stream, DlhDType dtype,
                                 DlhShape shape); /* in [0, 1) */
DLH_EXPORT DlhNode *dlh_normal (DlhGraph *graph, DlhStream *stream, DlhDType dtype,
                                DlhShape shape);
/** dlh_bernoulli_draw: 1 with probability @p (same shape), else 0, in @p's dtype; not
 * differentiable. */
DLH_EXPORT DlhNode *dlh_bernoulli_draw (DlhStream *stream, DlhNode *p);
/** dlh_rademacher: -1 or 1. */
DLH_EXPORT DlhNode *dlh_rademacher (DlhGraph *graph, DlhStream *stream, DlhDType dtype,
                                    DlhShape shape);
/**
 * dlh_softplus_normal:
 * @mean, @rho: of one shape and type, f32 or f64
 * @squares: (out) (nullable): a scalar: the sum of mean^2 + s^2, s = softplus (rho)
 * @log_std: (out) (nullable): a scalar: the sum of log s
 * One pass draws, applies softplus and sums; another one, with what else is done to its result, is
 * the gradient.
 * Returns: s times standard normal numbers, those that dlh_normal() would be next; differentiable by
 * @rho, as the sums are by both.
 */
DLH_EXPORT DlhNode *dlh_softplus_normal (DlhStream *stream, DlhNode *mean, DlhNode *rho,
                                         DlhNode **squares, DlhNode **log_std);
/** dlh_permutation: i64 (n): 0 .. n - 1 in random order. */
DLH_EXPORT DlhNode *dlh_permutation (DlhGraph *graph, DlhStream *stream, gint64 n);

/**
 * dlh_graph_push_rows, dlh_graph_pop_rows:
 * @rows: i64 (R), at least 0
 * Of the uniform, normal, Bernoulli and Rademacher nodes made between the two, those of R rows (of
 * one axis or more, the first of size R) give row r what row rows[r] of a larger draw would get: so
 * a case's chance depends on its number, not on the batch that it is part of. Fails at a run with
 * DLH_ERROR_NUMERIC when a row is out of the generator's range (2^34 elements of 64-element rows).
 */
DLH_EXPORT void dlh_graph_push_rows (DlhGraph *graph, DlhNode *rows);
DLH_EXPORT void dlh_graph_pop_rows (DlhGraph *graph);

/* The generator itself, for the host side: shuffling, synthetic data. */

/** dlh_philox: one block of Philox4x32-10. */
DLH_EXPORT void dlh_philox (const guint32 counter[4], const guint32 key[2], guint32 out[4]);
/** dlh_philox_key: the key of stream @name under @seed. */
DLH_EXPORT void dlh_philox_key (guint64 seed, const char *name, guint32 key[2]);
/** dlh_random_fill_normal, dlh_random_fill_uniform: fill @n doubles as draw @counter of stream. */
DLH_EXPORT void dlh_random_fill_normal (guint64 seed, const char *name, guint64 counter, double *out,
                                        gsize n);
DLH_EXPORT void dlh_random_fill_uniform (guint64 seed, const char *name, guint64 counter,
                                         double *out, gsize n);
/** dlh_random_permutation: @out gets 0 .. n - 1 shuffled (Fisher-Yates). */
DLH_EXPORT void dlh_random_permutation (guint64 seed, const char *name, guint64 counter, gint64 *out,
                                        gsize n);

G_END_DECLS
