/* SPDX-License-Identifier: MIT */
/* Samplers: build(), called once, turns a log density of given positions into passes: assignments
 * that the host runs as compiled functions. C chains advance together: a position is one node
 * (C, ...) for each block of the target, and whatever is said of a chain is f64 (C). All state is
 * variables, all chance is named streams, so that a resumed run goes on with the same bits. A
 * random walk over one block:
 *
 *     DlhNode *q = dlh_chains_position (c, 0), *now = dlh_chains_log_density (c, &q);
 *     DlhNode *step = dlh_chains_normal (c, dlh_chains_stream (c, "walk"), 0);
 *     DlhNode *to = dlh_add (q, dlh_scale (step, opt->scale));
 *     DlhNode *ratio = dlh_sub (dlh_chains_log_density (c, &to), now);
 *     DlhNode *u = dlh_uniform (dlh_chains_graph (c), dlh_chains_stream (c, "accept"), DLH_F64,
 *                               dlh_node_shape (ratio));
 *     DlhPass *move = dlh_chains_pass (c, "move", DLH_PASS_EVERY);
 *
 *     dlh_pass_assign (move, q, dlh_chains_where (c, dlh_less (dlh_log (u), ratio), to, q));
 *     dlh_pass_report (move, "accept", dlh_chains_accept_probability (c, ratio));
 */
#pragma once

#include <dlhost/distribution.h>

G_BEGIN_DECLS

/* Chains as a sampler builds upon them, and one of the functions that it makes. */
typedef struct _DlhChains DlhChains; /* all chains of a run */
typedef struct _DlhPass DlhPass;     /* owned by the chains */

/* Role: moves chains so that the target stays invariant. */
typedef struct {
    gsize size;
    gboolean (*build) (DlhChains *chains, gconstpointer options, GError **error);
    /* (nullable): called after each transition, for what a graph cannot do: may read and write
     * variables, must leave all that it needs again in them. */
    gboolean (*between) (DlhChains *chains, gconstpointer options, GError **error);
    /* (nullable): transitions of a path from the normalised start to the target, or back from draws
     * of it where the i64 state "reverse" is 1; the report "log_weight" says then what it weighs. A
     * round begins at transition 0, and at the first after the warm-up. With an i64 state "stride"
     * of s > 1, if there is one, a path after the warm-up has every s-th of the densities and the
     * last: s times fewer transitions, rounded up. */
    gint64 (*path) (gconstpointer options);
} DlhTransition;

/* A sampler states its roles. New ones go at the end. */
typedef struct {
    gsize size;
    const DlhTransition *transition;
    /* (nullable): FALSE with DLH_ERROR_OPTION when options contradict each other. Called as soon as
     * they are known, before any data are read. */
    gboolean (*check) (gconstpointer options, GError **error);
} DlhSampler;

/* What there is to work with. */

/** dlh_chains_graph, dlh_chains_store: (transfer none): where nodes are made, and all state is. */
DLH_EXPORT DlhGraph *dlh_chains_graph (DlhChains *c);
DLH_EXPORT DlhStore *dlh_chains_store (DlhChains *c);
/** dlh_chains_count: C. */
DLH_EXPORT gint64 dlh_chains_count (DlhChains *c);
/** dlh_chains_n_warmup: transitions in which the sampler may tune itself; may be 0. */
DLH_EXPORT gint64 dlh_chains_n_warmup (DlhChains *c);
/** dlh_chains_n_blocks, dlh_chains_block_name: the arrays that a position consists of. */
DLH_EXPORT guint dlh_chains_n_blocks (DlhChains *c);
DLH_EXPORT const char *dlh_chains_block_name (DlhChains *c, guint i);
/** dlh_chains_position: block @i of all chains before the pass, (C, ...) of the store's dtype. */
DLH_EXPORT DlhNode *dlh_chains_position (DlhChains *c, guint i);
/** dlh_chains_step: f64 scalar: transitions done before this one. */
DLH_EXPORT DlhNode *dlh_chains_step (DlhChains *c);
/** dlh_chains_stream: random stream "<sampler>/@name". */
DLH_EXPORT DlhStream *dlh_chains_stream (DlhChains *c, const char *name);
/** dlh_chains_normal: standard normal numbers of the shape of block @i. */
DLH_EXPORT DlhNode *dlh_chains_normal (DlhChains *c, DlhStream *stream, guint i);

/* The target. Arrays have an entry a block, (C, ...) each. */

/** dlh_chains_log_density: f64 (C), up to a constant; any number of times, of any positions. */
DLH_EXPORT DlhNode *dlh_chains_log_density (DlhChains *c, DlhNode *const *positions);
/** dlh_chains_gradients: of the log density, of the positions' shapes, into @out.
 * Returns: the log density, f64 (C). */
DLH_EXPORT DlhNode *dlh_chains_gradients (DlhChains *c, DlhNode *const *positions, DlhNode **out);
/** dlh_chains_is_estimate: whether the log density is an unbiased estimate from a part of the data,
 * another one each pass: then nothing may be accepted or rejected by it. */
DLH_EXPORT gboolean dlh_chains_is_estimate (DlhChains *c);
/** dlh_chains_n_examples: behind the log density; 1 when it is not of data. */
DLH_EXPORT double dlh_chains_n_examples (DlhChains *c);
/** dlh_chains_n_groups: of consecutive chains, as many in each, that have a density of their own
 * (each example's) and so perhaps a step size; 1 where all chains share one. */
DLH_EXPORT gint64 dlh_chains_n_groups (DlhChains *c);
/** dlh_chains_has_prior: whether the two functions below have something to give. */
DLH_EXPORT gboolean dlh_chains_has_prior (DlhChains *c);
/** dlh_chains_log_prior: (nullable): the normalised part of the log density that can be drawn from:
 * the start of a path of densities. NULL when the target has none. */
DLH_EXPORT DlhNode *dlh_chains_log_prior (DlhChains *c, DlhNode *const *positions);
/** dlh_chains_draw_prior: independent draws of it into @out. FALSE when the target has none. */
DLH_EXPORT gboolean dlh_chains_draw_prior (DlhChains *c, DlhStream *stream, DlhNode **out);

/* State: variables named "<sampler>/<name>". */

/** dlh_chains_state: of any shape, dtype and start; Returns: the read node. */
DLH_EXPORT DlhNode *dlh_chains_state (DlhChains *c, const char *name, DlhDType dtype,
                                      DlhShape shape, DlhInit init);
/** dlh_chains_tuned: as dlh_chains_state(), frozen after the warm-up: to assign it in a pass that
 * runs later is a sticky error. */
DLH_EXPORT DlhNode *dlh_chains_tuned (DlhChains *c, const char *name, DlhDType dtype,
                                      DlhShape shape, DlhInit init);
/** dlh_chains_state_like: zeros of block @i's shape: "<sampler>/<block>/@name". */
DLH_EXPORT DlhNode *dlh_chains_state_like (DlhChains *c, guint i, const char *name);

/* What to do. A pass is one function; reads in it see the values from before it. At each transition
 * the passes that are due run in the order of their declaration. */
typedef enum {
    DLH_PASS_START = 1 << 0,   /* once, before the first transition */
    DLH_PASS_EVERY = 1 << 1,   /* at each transition */
    DLH_PASS_WARMUP = 1 << 2,  /* at each transition of the warm-up */
    DLH_PASS_COLLECT = 1 << 3, /* at each transition of its slow windows */
    DLH_PASS_WINDOW = 1 << 4,  /* at the last transition of each slow window */
    DLH_PASS_FREEZE = 1 << 5,  /* at the last transition of the warm-up */
} DlhPassWhen;

/** dlh_chains_pass: @when is one or several of DlhPassWhen; at most 16 passes. */
DLH_EXPORT DlhPass *dlh_chains_pass (DlhChains *c, const char *name, guint when);
/** dlh_pass_while: runs the pass as long as @state, an i64 scalar state, is above 0, perhaps never;
 * @limit runs are DLH_ERROR_NUMERIC. So an earlier pass decides how many leapfrog steps follow. */
DLH_EXPORT void dlh_pass_while (DlhPass *p, DlhNode *state, gint64 limit);
/** dlh_pass_assign: stores @value in the variable that @state, or a position, reads. */
DLH_EXPORT void dlh_pass_assign (DlhPass *p, DlhNode *state, DlhNode *value);
/** dlh_pass_report: a column of diagnostics, (C) or a scalar. Names with a common meaning: "accept"
 * (probability), "divergent" (0 or 1), "energy", "steps" (gradients), "step_size", "log_density",
 * "log_weight". */
DLH_EXPORT void dlh_pass_report (DlhPass *p, const char *name, DlhNode *value);
/** dlh_chains_note: one line for the run's log, once. */
DLH_EXPORT void dlh_chains_note (DlhChains *c, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Arithmetic over chains. */

/** dlh_chains_spread: @x, (C) or a scalar, in the dtype and rank of block @i, to be broadcast. */
DLH_EXPORT DlhNode *dlh_chains_spread (DlhChains *c, DlhNode *x, guint i);
/** dlh_chains_dot: sum of a b over all blocks, f64 (C). */
DLH_EXPORT DlhNode *dlh_chains_dot (DlhChains *c, DlhNode *const *a, DlhNode *const *b);
/** dlh_chains_where: whole chains of @a where @condition, bool (C), holds, else of @b: a block or
 * f64 (C). */
DLH_EXPORT DlhNode *dlh_chains_where (DlhChains *c, DlhNode *condition, DlhNode *a, DlhNode *b);
/** dlh_chains_all_finite: bool (C): whether nothing in a chain's blocks is NaN or infinite. */
DLH_EXPORT DlhNode *dlh_chains_all_finite (DlhChains *c, DlhNode *const *blocks);
/** dlh_chains_accept_probability: min (1, exp @log_ratio), 0 for NaN. */
DLH_EXPORT DlhNode *dlh_chains_accept_probability (DlhChains *c, DlhNode *log_ratio);

G_END_DECLS
