/* SPDX-License-Identifier: MIT */
/* Running a sampler, for tasks and for programs that embed dlhost.
 *
 *     g_autoptr (DlhTarget) target = dlh_target_new_density (store, model, 4, &error);
 *     g_autoptr (DlhChains) chains = dlh_chains_new (target, sampler, 1000, &error);
 *     g_autoptr (DlhDraws) draws = dlh_draws_new (chains, 1000, &error);
 *
 *     while (dlh_chains_done (chains) < 2000 && dlh_chains_transition (chains, &error))
 *         if (dlh_chains_done (chains) > 1000)
 *             dlh_draws_append (draws, &error);
 *
 * Positions are the variables "chains/<block>", the number of transitions done is "chains/step",
 * draws are "draws/<block>" and "draws/report/<name>": a store loaded from a checkpoint goes on
 * with the bits of an uninterrupted run.
 */
#pragma once

#include <dlhost/function.h>
#include <dlhost/model.h>
#include <dlhost/registry.h>
#include <dlhost/sampler.h>

G_BEGIN_DECLS

/* What is sampled: blocks, and their log density for all chains. Serves one DlhChains. */
typedef struct _DlhTarget DlhTarget;

/** DlhLogDensity: Returns: (C) for @positions[i] (C, shape of block i), nodes of @build's graph. */
typedef DlhNode *(*DlhLogDensity) (DlhBuild *build, DlhNode *const *positions, gpointer user_data);

/** dlh_target_new: any density of a program's own; the names of @blocks must outlive it. */
DLH_EXPORT DlhTarget *dlh_target_new (DlhStore *store, gint64 n_chains, const DlhBlock *blocks,
                                      guint n_blocks, DlhLogDensity log_density, gpointer user_data,
                                      GError **error);
/** dlh_target_new_density: of a model with the density role. */
DLH_EXPORT DlhTarget *dlh_target_new_density (DlhStore *store, DlhComponent *model, gint64 n_chains,
                                              GError **error);

/* The posterior of a supervised model's parameters: log density =
 * sum over parameters of log N (0, 1 / precision) + sum over examples of log p (target | input). */
typedef struct {
    gsize size;
    double precision; /* of the prior, > 0 */
    gint64 batch;     /* 0: every example; else drawn with replacement for each chain and pass, and
                       * their sum multiplied by examples / batch */
    double spread;    /* chains start at the store's parameters plus this times N (0, 1) */
    gint64 n_monitor; /* predictions at this many first examples are monitored */
} DlhPosterior;

/** dlh_target_new_posterior: @data's training split; the model in evaluation mode. Each chain is a
 * copy of the model in the graph. */
DLH_EXPORT DlhTarget *dlh_target_new_posterior (DlhStore *store, DlhComponent *model, DlhData *data,
                                                const DlhPosterior *posterior, gint64 n_chains,
                                                GError **error);
/* The posterior of a latent model's z given observations: log p(z) + log p(x | z), for @n_chains
 * chains of each of @n_examples examples at once: chain c of example e is row e n_chains + c. The
 * one block is "z". Its chance depends on the examples' numbers, not on what else is in the batch. */
typedef struct {
    gsize size;
    gint64 n_examples; /* of a batch */
    gint64 n_chains;   /* of each example */
    gboolean encoder;  /* paths of densities begin at q(z | x) instead of the prior */
} DlhLatentPosterior;

/** dlh_target_new_latent: of a model with the latent role, in evaluation mode. Give it examples before
 * the first transition. */
DLH_EXPORT DlhTarget *dlh_target_new_latent (DlhStore *store, DlhComponent *model,
                                             const DlhProblem *problem,
                                             const DlhLatentPosterior *posterior, GError **error);
/**
 * dlh_target_set_examples:
 * @x: (n_examples, input_shape): copied
 * @first: the number of the first, >= 0; the others follow
 * Returns: FALSE with DLH_ERROR_SHAPE when @x does not fit, or an error of the encoder.
 */
DLH_EXPORT gboolean dlh_target_set_examples (DlhTarget *target, DlhTensor *x, gint64 first,
                                             GError **error);
/** dlh_target_free: NULL is allowed. */
DLH_EXPORT void dlh_target_free (DlhTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhTarget, dlh_target_free)
/** dlh_target_graph: (transfer none): where its nodes are made. */
DLH_EXPORT DlhGraph *dlh_target_graph (DlhTarget *target);

/** dlh_sampler_path: transitions of a path of a sampler that weighs paths, 0 of any other. */
DLH_EXPORT gint64 dlh_sampler_path (DlhComponent *sampler);

/** dlh_chains_new: builds and compiles every pass. @target must outlive it. Returns: (transfer
 * full). */
DLH_EXPORT DlhChains *dlh_chains_new (DlhTarget *target, DlhComponent *sampler, gint64 n_warmup,
                                      GError **error);
/** dlh_chains_free: its variables stay in the store. NULL is allowed. */
DLH_EXPORT void dlh_chains_free (DlhChains *chains);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhChains, dlh_chains_free)

/** dlh_chains_transition: one transition of every chain; allocates nothing. After an error the
 * chains are in between two states: go on from a checkpoint. */
DLH_EXPORT gboolean dlh_chains_transition (DlhChains *chains, GError **error);
/** dlh_chains_restart: back to transition 0 with the sampler's streams at their beginning, for other
 * examples. What is tuned stays as it is. */
DLH_EXPORT void dlh_chains_restart (DlhChains *chains);
/** dlh_chains_done: transitions done, warm-up included, from the store. */
DLH_EXPORT gint64 dlh_chains_done (DlhChains *chains);
/** dlh_chains_value: (transfer none): block @i of all chains, (C, ...). */
DLH_EXPORT const DlhTensor *dlh_chains_value (DlhChains *chains, guint i);
/** dlh_chains_n_reports, dlh_chains_report_name: the columns of diagnostics that the sampler has. */
DLH_EXPORT guint dlh_chains_n_reports (DlhChains *chains);
DLH_EXPORT const char *dlh_chains_report_name (DlhChains *chains, guint i);
/** dlh_chains_report: (transfer none): column @i of the last transition, C numbers. */
DLH_EXPORT const double *dlh_chains_report (DlhChains *chains, guint i);
/** dlh_chains_find_report: (transfer none) (nullable): by name. */
DLH_EXPORT const double *dlh_chains_find_report (DlhChains *chains, const char *name);
/** dlh_chains_notes: (element-type utf8): lines from dlh_chains_note(). */
DLH_EXPORT GPtrArray *dlh_chains_notes (DlhChains *chains);
/** dlh_chains_pass_runs: how often pass @name has run in this process: what a transition costs. */
DLH_EXPORT gint64 dlh_chains_pass_runs (DlhChains *chains, const char *name);

/** dlh_warmup_windows: ends (exclusive) of the warm-up's windows into @ends, at most 64: the first
 * and the last tune step sizes only, those between are slow. Returns: how many. */
DLH_EXPORT guint dlh_warmup_windows (gint64 n_warmup, gint64 *ends);

/* Draws, kept in the store. */
typedef struct _DlhDraws DlhDraws;

/** dlh_draws_new: room for @n_draws draws of @chains, or DLH_ERROR_MEMORY. */
DLH_EXPORT DlhDraws *dlh_draws_new (DlhChains *chains, gint64 n_draws, GError **error);
/** dlh_draws_free: the draws stay in the store. NULL is allowed. */
DLH_EXPORT void dlh_draws_free (DlhDraws *draws);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhDraws, dlh_draws_free)
/** dlh_draws_append: takes the chains' positions, reports and monitored values. FALSE with an error
 * when they cannot be evaluated or there is no room. */
DLH_EXPORT gboolean dlh_draws_append (DlhDraws *draws, GError **error);
/** dlh_draws_count: of each chain, so far. */
DLH_EXPORT gint64 dlh_draws_count (DlhDraws *draws);
/** dlh_draws_n_arrays, dlh_draws_array_name: blocks, then reports, then "monitor" where the target has one. */
DLH_EXPORT guint dlh_draws_n_arrays (DlhDraws *draws);
DLH_EXPORT const char *dlh_draws_array_name (DlhDraws *draws, guint i);
/** dlh_draws_width: numbers of one chain's draw in array @i. */
DLH_EXPORT gint64 dlh_draws_width (DlhDraws *draws, guint i);
/** dlh_draws_column: element @k of array @i: C * count numbers into @out, chain after chain. */
DLH_EXPORT void dlh_draws_column (DlhDraws *draws, guint i, gint64 k, double *out);
/** dlh_draws_save: what has been drawn, (count, C, ...) for each array: npz where @path ends in
 * ".npz", else safetensors. */
DLH_EXPORT gboolean dlh_draws_save (DlhDraws *draws, const char *path, GError **error);

G_END_DECLS
