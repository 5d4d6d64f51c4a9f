/* SPDX-License-Identifier: MIT */
/* How probable a latent model holds data: log p (x) by annealed importance sampling, and on
 * examples simulated from the model by bidirectional Monte Carlo, arXiv 1611.04273; beside it
 * estimates by draws of the prior and of an encoder. */
#include <string.h>
#include "tasks/splits.h"
#include "likelihood.h"

#define SECONDS_BETWEEN_CHECKPOINTS 30

static void
likelihood_clear (Likelihood *l)
{
    dlh_chains_free (l->chains);
    dlh_target_free (l->target);
    dlh_tensor_unref (l->x);
    dlh_tensor_unref (l->data);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Likelihood, likelihood_clear)

gboolean
likelihood_checkpoint (Likelihood *l, gint64 done, GError **error)
{
    gint64 now = g_get_monotonic_time ();
    gint64 total = likelihood_transitions (l) + likelihood_blocks (l);

    dlh_run_progress (l->run, done, total, l->done_here * (double)(l->batch * l->opt->chains));
    if (dlh_run_should_stop (l->run) && done < total) {
        if (dlh_run_checkpoint (l->run, done, error))
            g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                         "stopped at step %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, done, total);
        return FALSE;
    }
    if (done < total &&
        (l->opt->checkpoint ? done % l->opt->checkpoint
                            : now - l->saved_at < SECONDS_BETWEEN_CHECKPOINTS * G_USEC_PER_SEC))
        return TRUE;
    l->saved_at = now;
    return dlh_run_checkpoint (l->run, done, error);
}

DlhSplit
likelihood_split (const Likelihood *l)
{
    return split_named (l->opt->split);
}

static gboolean
find_data (Likelihood *l, GError **error)
{
    DlhData *data = dlh_run_data (l->run, error);
    DlhSplit split = DLH_SPLIT_TEST;

    if (!data)
        return FALSE;
    if (l->opt->examples && !split_find ("likelihood", data, l->opt->split, &split, error))
        return FALSE;
    l->problem = dlh_problem_of (data);
    l->n = l->opt->examples ? MIN (l->opt->examples, dlh_data_count (data, split)) : 0;
    l->m = l->opt->simulated;
    l->batch = MIN (l->opt->batch, MAX (l->n, l->m));
    if (l->n && !(l->data = dlh_data_rows (data, split, 0, l->n, error)))
        return FALSE;
    l->targets = l->n ? dlh_data_targets (data, split) : NULL;
    if (l->n + l->m > 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "likelihood: 'examples' and 'simulated' are both 0: there is nothing to do");
    return FALSE;
}

static DlhTensor *
state (Likelihood *l, const char *name, DlhDType dtype, DlhShape shape, GError **error)
{
    g_autofree char *full = g_strdup_printf ("likelihood/%s", name);
    DlhVariable *v = dlh_store_variable (dlh_run_store (l->run), full, dtype, shape,
                                         (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);

    return v ? dlh_variable_tensor (v) : NULL;
}

static gboolean
make_state (Likelihood *l, GError **error)
{
    DlhShape none = dlh_shape (), all = dlh_shape (l->n + l->m, l->opt->chains);
    DlhTensor *unit, *stage, *sums;

    if (!(unit = state (l, "batch", DLH_I64, none, error)) ||
        !(stage = state (l, "stage", DLH_I64, none, error)) ||
        !(sums = state (l, "sums", DLH_F64, dlh_shape (2), error)) ||
        !(l->accept = state (l, "accept", DLH_F64, dlh_shape (l->n + l->m), error)) ||
        (l->n && l->opt->kde && !(l->kde = state (l, "kde", DLH_F64, dlh_shape (l->n), error))) ||
        (l->n && l->opt->importance &&
         !(l->importance = state (l, "importance", DLH_F64, dlh_shape (l->n), error))))
        return FALSE;
    for (guint i = 0; i < l->n_paths; i++) {
        g_autofree char *prefix = i ? g_strdup_printf ("%u/", i) : g_strdup ("");
        g_autofree char *there = g_strdup_printf ("%slog_weights", prefix);
        g_autofree char *back = g_strdup_printf ("%sreverse_log_weights", prefix);

        l->forward[i] = state (l, there, DLH_F64, all, error);
        if (!l->forward[i])
            return FALSE;
        if (l->m &&
            !(l->reverse[i] = state (l, back, DLH_F64, dlh_shape (l->m, l->opt->chains), error)))
            return FALSE;
    }
    l->unit = dlh_tensor_get_data (unit);
    l->stage = dlh_tensor_get_data (stage);
    l->sum_accept = dlh_tensor_get_data (sums);
    l->n_accept = l->sum_accept + 1;
    return TRUE;
}

// Strides of shorter paths; none of a length that there is already.
static void
choose_lengths (Likelihood *l)
{
    l->strides[0] = 1;
    l->n_paths = 1;
    for (gsize i = 0; i < l->opt->curve.n && l->n_paths < LIKELIHOOD_MOST; i++) {
        gint64 stride = l->path / MAX (l->opt->curve.values[i] - 1, 1);
        gboolean known = FALSE;

        for (guint k = 0; k < l->n_paths; k++)
            known = known || l->strides[k] == stride;
        if (stride > 1 && !known)
            l->strides[l->n_paths++] = stride;
    }
}

static gboolean
make_chains (Likelihood *l, GError **error)
{
    DlhStore *store = dlh_run_store (l->run);
    const DlhLatentPosterior posterior = {sizeof posterior, l->batch, l->opt->chains,
                                          l->opt->encoder};
    g_autofree char *reverse = g_strdup_printf ("%s/reverse", dlh_component_name (l->sampler));
    g_autofree char *stride = g_strdup_printf ("%s/stride", dlh_component_name (l->sampler));
    const DlhTensor *z;

    if (!l->path) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "likelihood: sampler '%s' does not weigh paths from one density to another: "
                     "give --sampler=ais",
                     dlh_component_name (l->sampler));
        return FALSE;
    }
    l->target = dlh_target_new_latent (store, l->model, &l->problem, &posterior, error);
    l->chains = l->target ? dlh_chains_new (l->target, l->sampler, l->path, error) : NULL;
    if (!l->chains)
        return FALSE;
    if (!dlh_chains_find_report (l->chains, "log_weight") ||
        (l->m && !dlh_store_lookup (store, reverse))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "likelihood: sampler '%s' has paths, but not both a report 'log_weight' and "
                     "a state 'reverse'",
                     dlh_component_name (l->sampler));
        return FALSE;
    }
    if (!dlh_store_lookup (store, stride))
        l->n_paths = 1;
    z = dlh_chains_value (l->chains, 0);
    l->posterior =
        state (l, "posterior", dlh_tensor_get_dtype (z),
               dlh_shape (l->n + l->m, LIKELIHOOD_DRAWS, dlh_tensor_get_shape (z).dims[1]), error);
    if (!l->posterior)
        return FALSE;
    l->x = dlh_tensor_new (dlh_tensor_get_dtype (l->data ? l->data : l->simulated_x),
                           dlh_shape_insert (l->problem.input_shape, 0, l->batch), error);
    return l->x != NULL;
}

// A model that is trained here has steps behind it; one that comes with its parameters does not.
static gboolean
is_trained (Likelihood *l, const DlhModel *m, GError **error)
{
    DlhVariable *step = dlh_store_variable (dlh_run_store (l->run), "train/step", DLH_I64,
                                            dlh_shape (), (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);

    if (!step)
        return FALSE;
    if (l->opt->untrained || !m->supervised || dlh_tensor_get (dlh_variable_tensor (step), 0) > 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "likelihood: no trained checkpoint is given: give --checkpoint=FILE, or "
                 "--task.untrained=true to score first values");
    return FALSE;
}

static gboolean
prepare (Likelihood *l, GError **error)
{
    const DlhModel *m;

    l->saved_at = g_get_monotonic_time ();
    dlh_run_keep_checkpoints (l->run, 2);
    l->sampler = dlh_run_require (l->run, DLH_SAMPLER, error);
    l->model = l->sampler ? dlh_run_require (l->run, DLH_MODEL, error) : NULL;
    if (!l->model || !find_data (l, error))
        return FALSE;
    m = dlh_component_interface (l->model);
    if (!m->latent) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "likelihood: model '%s' has no latent variables: give --model=vae or another "
                     "with the latent role",
                     dlh_component_name (l->model));
        return FALSE;
    }
    if (l->opt->importance && !m->latent->encode) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "likelihood: model '%s' has no encoder for importance=%" G_GINT64_FORMAT
                     ": give importance=0",
                     dlh_component_name (l->model), l->opt->importance);
        return FALSE;
    }
    if (!dlh_run_average (l->run, l->opt->average, error)) {
        g_prefix_error (error, "likelihood: ");
        return FALSE;
    }
    l->path = dlh_sampler_path (l->sampler);
    choose_lengths (l);
    return is_trained (l, m, error) && make_state (l, error) &&
           (!l->m || likelihood_simulate (l, error)) && make_chains (l, error);
}

static gboolean
likelihood_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Likelihood) l = {.run = run, .opt = options};
    GPtrArray *notes;

    if (!prepare (&l, error))
        return FALSE;
    notes = dlh_chains_notes (l.chains);
    for (guint i = 0; i < notes->len; i++)
        dlh_run_message (run, "%s", (const char *)notes->pdata[i]);
    return likelihood_anneal (&l, error) && likelihood_estimate (&l, error) &&
           likelihood_conclude (&l, error);
}

static const DlhTask likelihood = {.size = sizeof (DlhTask), .run = likelihood_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, likelihood, LikelihoodOptions,
    DLH_OPTIONS (
        DLH_CHOICE (LikelihoodOptions, split, "test", "train|valid|test", "What to score"),
        DLH_INT (LikelihoodOptions, examples, 100, 0, 100000000, "First examples of the split",
                 .unit = "examples"),
        DLH_INT (LikelihoodOptions, simulated, 100, 0, 100000000,
                 "Examples simulated from the model, with bounds from both sides",
                 .unit = "examples"),
        DLH_INT (LikelihoodOptions, chains, 16, 1, 1000000, "Of each example", .unit = "chains"),
        DLH_INT (LikelihoodOptions, batch, 10, 1, 1000000, "Examples at once", .unit = "examples"),
        DLH_INTS (LikelihoodOptions, curve, "10,30,100", 2, 10000000,
                  "Shorter paths beside the sampler's, of about so many densities each, for the "
                  "figure of the bounds; those that are no shorter are left out",
                  .flags = DLH_ALLOW_EMPTY),
        DLH_AVERAGE_OPTION (LikelihoodOptions),
        DLH_BOOL_OPTION (LikelihoodOptions, untrained, false,
                         "Score a model's first values when no checkpoint is given"),
        DLH_BOOL_OPTION (LikelihoodOptions, encoder, false,
                         "Paths begin at the encoder's q(z | x) instead of the prior"),
        DLH_INT (LikelihoodOptions, kde, 0, 0, 1000000000,
                 "Draws of the prior for an estimate without chains; 0: none", .unit = "draws"),
        DLH_INT (LikelihoodOptions, importance, 0, 0, 1000000000,
                 "Draws of the encoder for an importance-weighted bound; 0: none", .unit = "draws"),
        DLH_INT (LikelihoodOptions, bootstrap, 1000, 2, 1000000,
                 "Resamplings of the chains for the error that they leave"),
        DLH_INT (LikelihoodOptions, draws, 1000, 0, 1000000000,
                 "Draws of the prior whose classes are counted, of data that have classes; 0: none",
                 .unit = "draws"),
        DLH_INT (LikelihoodOptions, pictures, 8, 0, 1000,
                 "Examples shown with draws of their posteriors: the first, and those that are "
                 "reconstructed worst",
                 .unit = "examples"),
        DLH_INT (LikelihoodOptions, log, 100, 1, 1000000000,
                 "Transitions between records of metrics", .unit = "transitions"),
        DLH_INT (LikelihoodOptions, checkpoint, 0, 0, 1000000000,
                 "Transitions between checkpoints; 0: every 30 s", .unit = "transitions")),
    .name = "likelihood", .version = "1.0", .paper = "1611.04273",
    .summary = "log p(x) of a latent model by annealed importance sampling, with bounds");
