/* SPDX-License-Identifier: MIT */
/* Chains, batch after batch: those of data, then those of simulated examples. Each batch has a
 * round that tunes, one that weighs and, where it is simulated, one back from the latents that it
 * was simulated from. The store knows the batch, the way and the transition, so a stopped run goes
 * on with the same bits. */
#include <math.h>
#include <string.h>
#include "likelihood.h"

typedef enum {
    STAGE_BEGIN = 0, /* the batch's chains are to be started */
    STAGE_FORWARD,
    STAGE_REVERSE,
} Stage;

gboolean
likelihood_simulate (Likelihood *l, GError **error)
{
    const DlhLatent *role = ((const DlhModel *)dlh_component_interface (l->model))->latent;
    gconstpointer options = dlh_component_options (l->model);
    DlhStore *store = dlh_run_store (l->run);
    DlhStream *stream = dlh_store_stream (store, "likelihood/simulate");
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    g_autoptr (DlhFunction) f = NULL;
    DlhVariable *v[2], *drawn;
    DlhNode *z, *x;

    drawn = dlh_store_variable (store, "likelihood/drawn", DLH_I64, dlh_shape (),
                                (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);
    if (!drawn)
        return FALSE;
    dlh_graph_push_scope (graph, dlh_component_name (l->model));
    z = dlh_sample_from (role->prior (&b, &l->problem, options, l->m), stream);
    x = dlh_sample_from (role->decode (&b, &l->problem, options, z), stream);
    dlh_graph_pop_scope (graph);
    if (!dlh_graph_check (graph, error))
        return FALSE;
    v[0] = dlh_store_variable (store, "likelihood/z", dlh_node_dtype (z), dlh_node_shape (z),
                               (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);
    v[1] = v[0] ? dlh_store_variable (store, "likelihood/x", dlh_node_dtype (x), dlh_node_shape (x),
                                      (DlhInit){DLH_INIT_ZEROS, 0, 0}, error)
                : NULL;
    if (!v[1])
        return FALSE;
    l->simulated_z = dlh_variable_tensor (v[0]);
    l->simulated_x = dlh_variable_tensor (v[1]);
    if (dlh_tensor_get (dlh_variable_tensor (drawn), 0) > 0)
        return TRUE;
    f = dlh_graph_compile (graph, (DlhNode *[]){dlh_assign (v[0], z), dlh_assign (v[1], x)}, 2,
                           error);
    if (!f || !dlh_function_run (f, NULL, 0, error))
        return FALSE;
    dlh_tensor_set (dlh_variable_tensor (drawn), 0, 1);
    return TRUE;
}

static gint64
n_batches (gint64 n, gint64 batch)
{
    return (n + batch - 1) / batch;
}

static gboolean
is_simulated (Likelihood *l)
{
    return *l->unit >= n_batches (l->n, l->batch);
}

// The first example of the present batch, among its kind.
static gint64
first_of (Likelihood *l)
{
    return (*l->unit - (is_simulated (l) ? n_batches (l->n, l->batch) : 0)) * l->batch;
}

// Copies rows; those beyond the last are copies of it, and their results are dropped.
static void
copy_rows (DlhTensor *to, gint64 n_to, const DlhTensor *from, gint64 first, gint64 n_from,
           gint64 repeat)
{
    gsize bytes = dlh_tensor_bytes (to) / (gsize)n_to;

    for (gint64 r = 0; r < n_to; r++) {
        gint64 row = MIN (first + r / repeat, n_from - 1);

        memcpy ((char *)dlh_tensor_get_data (to) + (gsize)r * bytes,
                (const char *)dlh_tensor_get_data (from) + (gsize)row * bytes, bytes);
    }
}

// Examples are numbered by kind, so that each has chance of its own whatever the batch.
static gboolean
give_examples (Likelihood *l, GError **error)
{
    gboolean simulated = is_simulated (l);
    gint64 first = first_of (l);

    copy_rows (l->x, l->batch, simulated ? l->simulated_x : l->data, first, simulated ? l->m : l->n,
               1);
    return dlh_target_set_examples (
        l->target, l->x, first + (simulated ? n_batches (l->n, l->batch) * l->batch : 0), error);
}

static DlhTensor *
lookup (Likelihood *l, const char *name)
{
    DlhVariable *v = dlh_store_lookup (dlh_run_store (l->run), name);

    return v ? dlh_variable_tensor (v) : NULL;
}

static void
set_reverse (Likelihood *l, gboolean reverse)
{
    g_autofree char *name = g_strdup_printf ("%s/reverse", dlh_component_name (l->sampler));

    dlh_tensor_set (lookup (l, name), 0, reverse);
}

// Back from the latents of the simulated examples, all chains of an example from the same.
static void
turn_back (Likelihood *l)
{
    DlhTensor *z = lookup (l, "chains/z");

    copy_rows (z, l->batch * l->opt->chains, l->simulated_z, first_of (l), l->m, l->opt->chains);
    dlh_tensor_set (lookup (l, "chains/step"), 0, (double)l->path);
    set_reverse (l, TRUE);
}

static void
keep_weights (Likelihood *l)
{
    const double *w = dlh_chains_find_report (l->chains, "log_weight");
    DlhTensor *to = *l->stage == STAGE_REVERSE ? l->reverse : l->forward;
    gint64 first = first_of (l), C = l->opt->chains, kind = is_simulated (l) ? l->m : l->n;
    gint64 offset = *l->stage == STAGE_FORWARD && is_simulated (l) ? l->n : 0;

    for (gint64 i = 0; i < MIN (l->batch, kind - first) * C; i++)
        dlh_tensor_set (to, (offset + first) * C + i, w[i]);
}

static void
count_acceptance (Likelihood *l)
{
    const double *accept = dlh_chains_find_report (l->chains, "accept");
    gint64 first = first_of (l), C = l->opt->chains, kind = is_simulated (l) ? l->m : l->n;

    for (gint64 i = 0; accept && i < MIN (l->batch, kind - first) * C; i++) {
        gint64 e = (is_simulated (l) ? l->n : 0) + first + i / C;

        *l->sum_accept += accept[i];
        ++*l->n_accept;
        if (*l->stage == STAGE_FORWARD && dlh_chains_done (l->chains) > l->path)
            dlh_tensor_set (l->accept, e,
                            dlh_tensor_get (l->accept, e) + accept[i] / (double)(C * l->path));
    }
}

// After the last transition of a way.
static void
advance (Likelihood *l)
{
    keep_weights (l);
    if (*l->stage == STAGE_FORWARD && is_simulated (l)) {
        turn_back (l);
        *l->stage = STAGE_REVERSE;
        return;
    }
    ++*l->unit;
    *l->stage = STAGE_BEGIN;
}

static gint64
transitions_done (Likelihood *l)
{
    gint64 real = n_batches (l->n, l->batch), unit = *l->unit, done;

    done = MIN (unit, real) * 2 * l->path + MAX (unit - real, 0) * 3 * l->path;
    if (*l->stage == STAGE_FORWARD)
        done += dlh_chains_done (l->chains);
    if (*l->stage == STAGE_REVERSE)
        done += dlh_chains_done (l->chains) + l->path;
    return done;
}

// Acceptance since the last record, and how even the weights of the present batch are.
static gboolean
record (Likelihood *l, gint64 done, GError **error)
{
    static const char *const names[] = {"ais/accept", "ais/ess", "ais/temperature"};
    const double *w = dlh_chains_find_report (l->chains, "log_weight");
    const double *b = dlh_chains_find_report (l->chains, "temperature");
    gint64 C = l->opt->chains;
    double values[] = {*l->sum_accept / fmax (*l->n_accept, 1), 0, b ? b[0] : 0};

    for (gint64 e = 0; e < l->batch; e++)
        values[1] += dlh_ess_weights (w + e * C, (gsize)C) / (double)l->batch;
    *l->sum_accept = *l->n_accept = 0;
    if (!isfinite (values[1]))
        values[1] = 0;
    return dlh_run_log (l->run, "step", done, names, values, b ? 3 : 2, error);
}

static gboolean
begin (Likelihood *l)
{
    dlh_chains_restart (l->chains);
    if (l->m)
        set_reverse (l, FALSE);
    *l->stage = STAGE_FORWARD;
    return TRUE;
}

gboolean
likelihood_anneal (Likelihood *l, GError **error)
{
    gint64 real = n_batches (l->n, l->batch), simulated = n_batches (l->m, l->batch), given = -1;
    gint64 total = (2 * real + 3 * simulated) * l->path;

    while (*l->unit < real + simulated) {
        gint64 done;

        if (given != *l->unit && !give_examples (l, error))
            return FALSE;
        given = *l->unit;
        if (*l->stage == STAGE_BEGIN)
            begin (l);
        if (!dlh_chains_transition (l->chains, error))
            return FALSE;
        count_acceptance (l);
        done = transitions_done (l);
        l->done_here++;
        if ((done % l->opt->log == 0 || done == total) && !record (l, done, error))
            return FALSE;
        if (dlh_chains_done (l->chains) == 2 * l->path)
            advance (l);
        if (!likelihood_checkpoint (l, done, total, error))
            return FALSE;
    }
    return TRUE;
}
