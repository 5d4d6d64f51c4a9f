/* SPDX-License-Identifier: MIT */
/* Optimizers: build(), called once a compiled training step, turns gradient nodes into assignments.
 *
 *     for (guint i = 0; i < dlh_update_n_params (u); i++) {
 *         DlhNode *m = dlh_update_state (u, i, "m");
 *         DlhNode *v = dlh_add (dlh_scale (m, opt->momentum), dlh_update_gradient (u, i));
 *
 *         dlh_update_assign (u, m, v);
 *         dlh_update_move (u, i, dlh_mul (dlh_update_rate (u, opt->lr), dlh_neg (v)));
 *     }
 */
#pragma once

#include <dlhost/model.h>

G_BEGIN_DECLS

typedef struct _DlhUpdate DlhUpdate; /* a training step in the making */

/* The interface of an optimizer plugin; build() may run for several batch sizes. */
typedef struct {
    gsize size;
    gboolean (*build) (DlhUpdate *update, gconstpointer options, GError **error);
    /* (nullable): FALSE with DLH_ERROR_OPTION when options contradict each other. Called as soon as
     * they are known, before any data are read. */
    gboolean (*check) (gconstpointer options, GError **error);
} DlhOptimizer;

/* What there is to work with. */

/** dlh_update_graph, dlh_update_store, dlh_update_objective: (transfer none): the graph of the
 * training step, its variables, and what the model made of the batch. */
DLH_EXPORT DlhGraph *dlh_update_graph (DlhUpdate *u);
DLH_EXPORT DlhStore *dlh_update_store (DlhUpdate *u);
DLH_EXPORT const DlhObjective *dlh_update_objective (DlhUpdate *u);
/**
 * dlh_update_part:
 * @n: from 1 to the batch's size
 * Returns: (transfer none) (nullable): what the model makes of the first @n examples of the batch, for
 * work that a part is enough for. Draws of its own (dropout) are others than the whole batch's.
 */
DLH_EXPORT const DlhObjective *dlh_update_part (DlhUpdate *u, gint64 n, GError **error);
/** dlh_update_n_examples: the batch's size. */
DLH_EXPORT gint64 dlh_update_n_examples (DlhUpdate *u);
/** dlh_update_n_params, dlh_update_variable: the trainable variables that the loss depends on. */
DLH_EXPORT guint dlh_update_n_params (DlhUpdate *u);
DLH_EXPORT DlhVariable *dlh_update_variable (DlhUpdate *u, guint i);
/** dlh_update_value: parameter @i before the step. */
DLH_EXPORT DlhNode *dlh_update_value (DlhUpdate *u, guint i);
/** dlh_update_gradient: of the loss by parameter @i, with the run's weight decay (coupled) and
 * gradient clipping applied. */
DLH_EXPORT DlhNode *dlh_update_gradient (DlhUpdate *u, guint i);
/** dlh_update_weight_decay: the coefficient of the coupled weight decay in dlh_update_gradient(). */
DLH_EXPORT double dlh_update_weight_decay (DlhUpdate *u);
/** dlh_update_step: f64 scalar: steps done before this one; 0 at the first. */
DLH_EXPORT DlhNode *dlh_update_step (DlhUpdate *u);
/** dlh_update_step_of: the same counted in the steps at which parameter @i moves: all, unless it has
 * a DlhPace with a period. For corrections of a moving average's start. */
DLH_EXPORT DlhNode *dlh_update_step_of (DlhUpdate *u, guint i);
/** dlh_update_rate: @base times the run's schedule at this step, a scalar of the store's dtype. */
DLH_EXPORT DlhNode *dlh_update_rate (DlhUpdate *u, double base);
/** dlh_update_stream: random stream "<optimizer>/@name". */
DLH_EXPORT DlhStream *dlh_update_stream (DlhUpdate *u, const char *name);

/* State: variables named "<optimizer>/<parameter>/<name>" and "<optimizer>/<name>". */

/** dlh_update_state: zeros of parameter @i's shape; Returns: the read node. */
DLH_EXPORT DlhNode *dlh_update_state (DlhUpdate *u, guint i, const char *name);
/** dlh_update_state_full: of any shape, dtype and start. */
DLH_EXPORT DlhNode *dlh_update_state_full (DlhUpdate *u, const char *name, DlhDType dtype,
                                           DlhShape shape, DlhInit init);

/* What to do. */

/** dlh_update_assign: stores @value in the variable that @state reads. A parameter's DlhPace needs no
 * care: its state (dlh_update_state) and its moves wait for its turn and are scaled. */
DLH_EXPORT void dlh_update_assign (DlhUpdate *u, DlhNode *state, DlhNode *value);
/** dlh_update_move: parameter @i += @delta; the run's decoupled weight decay is added here. */
DLH_EXPORT void dlh_update_move (DlhUpdate *u, guint i, DlhNode *delta);
/** dlh_update_log: a scalar to show as "train/@name". */
DLH_EXPORT void dlh_update_log (DlhUpdate *u, const char *name, DlhNode *value);
/** dlh_update_note: one line for the run's log, once: "conv1: Kronecker factors 26 x 20". */
DLH_EXPORT void dlh_update_note (DlhUpdate *u, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Work that is not done at every step. Assignments of a phase run at steps k (from 0) with
 * (k - first) % period == 0 and k >= first. */
typedef enum {
    DLH_PHASE_WITH = 1, /* in the same pass as the step: shares its nodes, sees values from before */
    DLH_PHASE_AFTER,    /* a pass of its own after the step: sees what the step has stored */
    DLH_PHASE_RECOVER,  /* a pass of its own when a step failed with DLH_ERROR_NUMERIC, which changes
                           nothing: it may undo what led there. Then the phases after a step run, and
                           the step is tried again; both up to ten times. Where that does not help,
                           every variable is put back. Its period and first step do not count. */
} DlhPhaseWhen;

/** dlh_update_phase: declares phase @name; at most 8. */
DLH_EXPORT void dlh_update_phase (DlhUpdate *u, const char *name, DlhPhaseWhen when, gint64 period,
                                  gint64 first);
/**
 * dlh_update_phase_delay:
 * @delay: 0 (the default) or more, and below the phase's period
 * Phase @name, one after the step, is computed on a thread of its own while @delay more steps go on,
 * from copies of the variables that it reads; it may depend on nothing else. What began after step k is
 * stored after step k + @delay, always, but the first result of all right away. The copies are state
 * ("<optimizer>/@name/copy/..."): a run resumed in between has the same bits. An error ends the step
 * that would have stored the result.
 */
DLH_EXPORT void dlh_update_phase_delay (DlhUpdate *u, const char *name, gint64 delay);
/** dlh_update_phase_assign: as dlh_update_assign() in phase @name. */
DLH_EXPORT void dlh_update_phase_assign (DlhUpdate *u, const char *name, DlhNode *state,
                                         DlhNode *value);

G_END_DECLS
