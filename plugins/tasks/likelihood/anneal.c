/* SPDX-License-Identifier: MIT */
/* Chains, batch after batch: those of data, then those of simulated examples. Each batch has a
 * round that tunes; then paths that weigh, of each length; then, where it is simulated, as many
 * back from the latents that it was simulated from. The store knows the batch, the path and the
 * transition, so a stopped run goes on with the same bits. */
#include <math.h>
#include <string.h>
#include "likelihood.h"

// The batch's chains are to be started.
#define BEGIN 0

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

gint64
likelihood_length (const Likelihood *l, guint i)
{
    return (l->path + l->strides[i] - 1) / l->strides[i];
}

static guint
length_of_stage (Likelihood *l)
{
    return (guint)(*l->stage - 1) % l->n_paths;
}

static gboolean
is_back (Likelihood *l)
{
    return *l->stage > l->n_paths;
}

static void
set_state (Likelihood *l, const char *state, gint64 value)
{
    g_autofree char *name = g_strdup_printf ("%s/%s", dlh_component_name (l->sampler), state);
    DlhTensor *t = lookup (l, name);

    // Of data alone nothing goes back, and a sampler may have no stride.
    if (t)
        dlh_tensor_set (t, 0, (double)value);
}

// The next path of the batch, from where the warm-up ended. On the way back all chains of an
// example start from the latents that it was simulated from.
static void
next_path (Likelihood *l)
{
    ++*l->stage;
    if (is_back (l))
        copy_rows (lookup (l, "chains/z"), l->batch * l->opt->chains, l->simulated_z, first_of (l),
                   l->m, l->opt->chains);
    dlh_tensor_set (lookup (l, "chains/step"), 0, (double)l->path);
    set_state (l, "reverse", is_back (l));
    set_state (l, "stride", l->strides[length_of_stage (l)]);
}

static void
keep_weights (Likelihood *l)
{
    const double *w = dlh_chains_find_report (l->chains, "log_weight");
    DlhTensor *to = (is_back (l) ? l->reverse : l->forward)[length_of_stage (l)];
    gint64 first = first_of (l), C = l->opt->chains, kind = is_simulated (l) ? l->m : l->n;
    gint64 offset = !is_back (l) && is_simulated (l) ? l->n : 0;

    for (gint64 i = 0; i < MIN (l->batch, kind - first) * C; i++)
        dlh_tensor_set (to, (offset + first) * C + i, w[i]);
    if (*l->stage == 1)
        likelihood_keep_draws (l, offset, first, MIN (l->batch, kind - first));
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
        if (*l->stage == 1 && dlh_chains_done (l->chains) > l->path)
            dlh_tensor_set (l->accept, e,
                            dlh_tensor_get (l->accept, e) + accept[i] / (double)(C * l->path));
    }
}

// After the last transition of a path.
static void
advance (Likelihood *l)
{
    gint64 last = l->n_paths * (is_simulated (l) ? 2 : 1);

    keep_weights (l);
    if (*l->stage < last) {
        next_path (l);
        return;
    }
    ++*l->unit;
    *l->stage = BEGIN;
}

// Of a batch up to the end of path @stage, with the warm-up.
static gint64
transitions_to (const Likelihood *l, gint64 stage)
{
    gint64 n = stage > 0 ? l->path : 0;

    for (gint64 k = 0; k < stage; k++)
        n += likelihood_length (l, (guint)k % l->n_paths);
    return n;
}

gint64
likelihood_transitions (const Likelihood *l)
{
    return n_batches (l->n, l->batch) * transitions_to (l, l->n_paths) +
           n_batches (l->m, l->batch) * transitions_to (l, 2 * l->n_paths);
}

static gint64
transitions_done (Likelihood *l)
{
    gint64 real = n_batches (l->n, l->batch), unit = *l->unit, stage = *l->stage, done;

    done = MIN (unit, real) * transitions_to (l, l->n_paths) +
           MAX (unit - real, 0) * transitions_to (l, 2 * l->n_paths);
    if (stage == BEGIN)
        return done;
    done += transitions_to (l, stage - 1) + dlh_chains_done (l->chains);
    return stage > 1 ? done - l->path : done;
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

static void
begin (Likelihood *l)
{
    dlh_chains_restart (l->chains);
    set_state (l, "reverse", 0);
    set_state (l, "stride", 1);
    *l->stage = 1;
}

gboolean
likelihood_anneal (Likelihood *l, GError **error)
{
    gint64 n = n_batches (l->n, l->batch) + n_batches (l->m, l->batch), given = -1;
    gint64 total = likelihood_transitions (l);

    while (*l->unit < n) {
        gint64 done;

        if (given != *l->unit && !give_examples (l, error))
            return FALSE;
        given = *l->unit;
        if (*l->stage == BEGIN)
            begin (l);
        if (!dlh_chains_transition (l->chains, error))
            return FALSE;
        count_acceptance (l);
        done = transitions_done (l);
        l->done_here++;
        if ((done % l->opt->log == 0 || done == total) && !record (l, done, error))
            return FALSE;
        if (dlh_chains_done (l->chains) == l->path + likelihood_length (l, length_of_stage (l)))
            advance (l);
        if (!likelihood_checkpoint (l, done, error))
            return FALSE;
    }
    return TRUE;
}
