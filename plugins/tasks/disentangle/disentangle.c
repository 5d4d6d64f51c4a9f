/* SPDX-License-Identifier: MIT */
/* How far the latents of a model are those of the data's factors, over all examples of a split, and
 * what its divergence from the prior consists of (arXiv 1802.04942). */
#include <math.h>
#include <string.h>
#include "tasks/splits.h"
#include "disentangle.h"

/* Shares of the time, about as a perceptron of 1200 units needs them; they order the progress. */
#define COST_ENCODE 40
#define COST_GRID 10
#define COST_SAMPLES 80
#define COST_ELBO 20
#define COST_SCORES 5
#define MAX_FACTORS 32
#define MAX_ROWS 12 /* latents that are drawn */

static void
disentangle_clear (Disentangle *t)
{
    codes_clear (&t->codes);
    g_free (t->prior.mean);
    g_free (t->prior.log_scale);
    g_clear_pointer (&t->names, g_ptr_array_unref);
    g_clear_pointer (&t->values, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Disentangle, disentangle_clear)

static gboolean
step (gpointer data, double share, GError **error)
{
    Disentangle *t = data;
    // Samples that were not expected make it late.
    double done = fmin ((t->stage_begin + share * t->stage_cost) / t->total_cost, 1);

    // Only the encoding goes by examples: elsewhere there is no rate.
    dlh_run_progress (t->run, (gint64)(1000 * done), 1000,
                      *t->kept.stage == STAGE_ENCODE ? t->n_encoded : 0);
    if (done >= 1 || !dlh_run_should_stop (t->run))
        return disentangle_save (t, (gint64)(1000 * done), FALSE, error);
    if (disentangle_save (t, (gint64)(1000 * done), TRUE, error))
        g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED, "stopped at %.0f%%", 100 * done);
    return FALSE;
}

Pace
disentangle_stage (Disentangle *t, double cost)
{
    t->stage_begin += t->stage_cost;
    t->stage_cost = cost;
    return (Pace){step, t};
}

void
disentangle_add (Disentangle *t, double value, const char *format, ...)
{
    g_autofree char *name = NULL;
    va_list args;

    va_start (args, format);
    name = g_strdup_vprintf (format, args);
    va_end (args);
    g_ptr_array_add (t->names, g_strconcat ("disentangle/", name, NULL));
    g_array_append_val (t->values, value);
}

static gboolean
find_data (Disentangle *t, GError **error)
{
    if (!(t->data = dlh_run_data (t->run, error)) ||
        !split_find ("disentangle", t->data, t->opt->split, &t->split, error))
        return FALSE;
    if (dlh_data_vocabulary (t->data)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "disentangle: the data set's inputs are tokens, numbers are wanted");
        return FALSE;
    }
    t->problem = dlh_problem_of (t->data);
    if (!dlh_data_factor_values (t->data, t->split))
        dlh_run_message (t->run, "the data set does not say what its examples were made from: only "
                                 "the divergence is looked at; --dataset=dsprites has factors");
    return TRUE;
}

static gboolean
prepare (Disentangle *t, GError **error)
{
    DlhVariable *trained;

    t->names = g_ptr_array_new_with_free_func (g_free);
    t->values = g_array_new (FALSE, FALSE, sizeof (double));
    if (!(t->model = dlh_run_require (t->run, DLH_MODEL, error)) || !find_data (t, error))
        return FALSE;
    t->latent = ((const DlhModel *)dlh_component_interface (t->model))->latent;
    if (!t->latent || !t->latent->encode) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "disentangle: model '%s' has no encoder of latent variables: give --model=vae "
                     "or another with the latent role",
                     dlh_component_name (t->model));
        return FALSE;
    }
    if (!dlh_run_average (t->run, t->opt->average, error)) {
        g_prefix_error (error, "disentangle: ");
        return FALSE;
    }
    trained = dlh_store_variable (dlh_run_store (t->run), "train/step", DLH_I64, dlh_shape (),
                                  (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);
    if (!trained)
        return FALSE;
    t->trained = (gint64)dlh_tensor_get (dlh_variable_tensor (trained), 0);
    if (t->opt->untrained || t->trained > 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "disentangle: no trained checkpoint is given: give --checkpoint=FILE, or "
                 "--task.untrained=true to score first values");
    return FALSE;
}

static void
add_factors (Disentangle *t)
{
    DlhTensor *values = dlh_data_factor_values (t->data, t->split);
    guint K = dlh_data_n_factors (t->data);

    for (guint k = 0; values && k < K; k++)
        codes_add_factor (&t->codes, dlh_data_factor (t->data, k),
                          (const gint64 *)dlh_tensor_get_data (values) + k, K);
}

/* The gap. */

static void
tell_gap (Disentangle *t, const Information *information, gboolean by_grid)
{
    const Codes *c = &t->codes;
    const char *suffix = by_grid ? "" : "_sampled";
    g_autoptr (GString) text = g_string_new (NULL);
    double gaps[MAX_FACTORS], gap = information_gap (c, information, gaps);

    disentangle_add (t, gap, "mig%s", suffix);
    for (guint k = 0; k < c->k; k++) {
        if (!c->factors[k].scored)
            continue;
        disentangle_add (t, gaps[k], "mig%s_%s", suffix, c->factors[k].name);
        g_string_append_printf (text, "%s%s %.4f", text->len ? ", " : "", c->factors[k].name,
                                gaps[k]);
    }
    dlh_run_message (t->run, "MIG %.4f by %s: %s", gap,
                     by_grid ? "quadrature" : "samples of z, the authors' estimator", text->str);
}

// @found: (out): by the grid, or by samples when none is fine enough or wanted.
static gboolean
work_information (Disentangle *t, const Information **found, GError **error)
{
    Kept *kept = &t->kept;
    gboolean grid = strcmp (t->opt->estimator, "samples") != 0, fits = FALSE;
    Pace pace = disentangle_stage (t, COST_GRID);
    gint64 *done = disentangle_begin (t, STAGE_GRID, t->codes.d);
    guint n_scored;

    g_free (scored_factors (&t->codes, &n_scored));
    if (!n_scored) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "disentangle: no factor of the data has two values and is to be scored: give "
                     "data with more of their factors' values");
        return FALSE;
    }
    if (grid &&
        !information_by_grid (&t->codes, t->opt->points, &kept->grid, &fits, done, &pace, error))
        return FALSE;
    *found = fits ? &kept->grid : &kept->sampled;
    if (fits)
        tell_gap (t, &kept->grid, TRUE);
    else if (grid)
        dlh_run_message (t->run, "some q(z|x) are too narrow for a grid: MIG is estimated by "
                                 "samples");
    if (fits && strcmp (t->opt->estimator, "grid") == 0)
        return TRUE;
    pace = disentangle_stage (t, COST_SAMPLES);
    done = disentangle_begin (t, STAGE_SAMPLES, t->codes.d);
    if (!information_by_samples (&t->codes, t->opt->samples,
                                 dlh_store_get_seed (dlh_run_store (t->run)), &kept->sampled, done,
                                 &pace, error))
        return FALSE;
    tell_gap (t, &kept->sampled, FALSE);
    return TRUE;
}

/* The bound. */

static gboolean
work_elbo (Disentangle *t, GError **error)
{
    Pace pace = disentangle_stage (t, COST_ELBO);
    g_autofree double *variance = g_new (double, t->codes.d);
    DecomposeState state = {disentangle_begin (t, STAGE_ELBO, t->opt->samples), t->kept.joint,
                            t->kept.marginals};
    double log_likelihood = *t->kept.log_likelihood;
    Decomposition d;
    guint active = 0;

    if (!decompose (&t->codes, &t->prior, t->opt->samples,
                    dlh_store_get_seed (dlh_run_store (t->run)), &state, &d, &pace, error))
        return FALSE;
    codes_moments (&t->codes, NULL, variance);
    for (guint j = 0; j < t->codes.d; j++)
        active += variance[j] > SCORES_ACTIVE;
    disentangle_add (t, log_likelihood - d.kl, "elbo");
    disentangle_add (t, log_likelihood, "log_likelihood");
    disentangle_add (t, d.kl, "kl");
    disentangle_add (t, d.information, "mutual_information");
    disentangle_add (t, d.information_se, "mutual_information_se");
    disentangle_add (t, d.correlation, "total_correlation");
    disentangle_add (t, d.correlation_se, "total_correlation_se");
    disentangle_add (t, d.dimensions, "dimension_kl");
    disentangle_add (t, d.dimensions_se, "dimension_kl_se");
    disentangle_add (t, active, "active");
    dlh_run_message (t->run,
                     "ELBO %.4f = log p(x|z) %.4f - KL %.4f; KL = I(z;n) %.4f + TC %.4f (+- %.4f) "
                     "+ dimension-wise %.4f; %u of %u latents active",
                     log_likelihood - d.kl, log_likelihood, d.kl, d.information, d.correlation,
                     d.correlation_se, d.dimensions, active, t->codes.d);
    return TRUE;
}

/* Scores by prediction. */

// FALSE: there are too few factors or latents.
static gboolean
can_score (Disentangle *t)
{
    guint n_scored;

    g_free (scored_factors (&t->codes, &n_scored));
    return n_scored >= 2 && t->codes.d >= 2;
}

static void
work_score (Disentangle *t, gint64 at)
{
    const ScoreOptions options = {t->opt->cases, t->opt->test_cases, t->opt->group,
                                  dlh_store_get_seed (dlh_run_store (t->run))};
    double *to = t->kept.scores;
    Dci dci;

    switch (at) {
    case 0:
        to[0] = score_sap (&t->codes);
        return;
    case 1:
        dci = score_dci (&t->codes, &options);
        to[1] = dci.disentanglement;
        to[2] = dci.completeness;
        to[3] = dci.informativeness;
        return;
    case 2:
        to[4] = score_factor_vae (&t->codes, &options);
        return;
    default:
        to[5] = score_beta_vae (&t->codes, &options);
    }
}

static gboolean
work_scores (Disentangle *t, GError **error)
{
    static const double shares[] = {0.3, 0.6, 0.8, 1};
    static const char *const names[N_SCORES] = {"sap",
                                                "dci_disentanglement",
                                                "dci_completeness",
                                                "dci_informativeness",
                                                "factor_vae_score",
                                                "beta_vae_score"};
    const double *s = t->kept.scores;
    Pace pace = disentangle_stage (t, COST_SCORES);
    gint64 *done = disentangle_begin (t, STAGE_SCORES, G_N_ELEMENTS (shares));

    if (!can_score (t))
        return pace_step (&pace, 1, error);
    while (*done < (gint64)G_N_ELEMENTS (shares)) {
        work_score (t, *done);
        ++*done;
        if (!pace_step (&pace, shares[*done - 1], error))
            return FALSE;
    }
    for (guint i = 0; i < N_SCORES; i++)
        disentangle_add (t, s[i], "%s", names[i]);
    dlh_run_message (t->run,
                     "by the means: SAP %.4f, DCI %.4f %.4f %.4f (disentanglement, completeness, "
                     "informativeness), FactorVAE score %.4f, BetaVAE score %.4f",
                     s[0], s[1], s[2], s[3], s[4], s[5]);
    return TRUE;
}

/* Pictures. */

// Latents in use, those whose means vary most first.
static guint *
latents_in_use (Disentangle *t, guint *n)
{
    g_autofree double *variance = g_new (double, t->codes.d);
    guint *out = g_new (guint, t->codes.d);

    *n = 0;
    codes_moments (&t->codes, NULL, variance);
    for (guint j = 0; j < t->codes.d; j++) {
        guint at = *n;

        if (!(variance[j] > SCORES_ACTIVE))
            continue;
        for (; at > 0 && variance[out[at - 1]] < variance[j]; at--)
            out[at] = out[at - 1];
        out[at] = j;
        ++*n;
    }
    *n = MIN (*n, MAX_ROWS);
    return out;
}

static gboolean
draw (Disentangle *t, const Information *information, GError **error)
{
    guint n;
    g_autofree guint *latents = latents_in_use (t, &n);

    return disentangle_traverse (t, latents, n, error) &&
           (!information || disentangle_respond (t, information, latents, n, error));
}

static gboolean
disentangle_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Disentangle) t = {.run = run, .opt = options};
    const Information *information = NULL;
    gboolean factors;
    Pace pace;

    if (!prepare (&t, error))
        return FALSE;
    factors = dlh_data_factor_values (t.data, t.split) != NULL;
    t.total_cost =
        COST_ENCODE + (factors ? COST_GRID + COST_SAMPLES : 0) + (t.opt->elbo ? COST_ELBO : 0);
    if (strcmp (t.opt->estimator, "grid") == 0)
        t.total_cost -= factors ? COST_SAMPLES : 0;
    pace = disentangle_stage (&t, COST_ENCODE);
    if (!disentangle_encode (&t, &pace, error))
        return FALSE;
    add_factors (&t);
    if ((factors && !work_information (&t, &information, error)) ||
        (factors && t.opt->scores && !work_scores (&t, error)) ||
        (t.opt->elbo && !work_elbo (&t, error)) || !disentangle_table (&t, information, error) ||
        !draw (&t, information, error))
        return FALSE;
    return dlh_run_log (run, "final", t.trained, (const char *const *)t.names->pdata,
                        (const double *)(gconstpointer)t.values->data, t.names->len, error);
}

static const DlhTask disentangle = {.size = sizeof (DlhTask), .run = disentangle_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, disentangle, DisentangleOptions,
    DLH_OPTIONS (
        DLH_CHOICE (DisentangleOptions, split, "train", "train|valid|test", "What is encoded"),
        DLH_INT (DisentangleOptions, batch, 2048, 1, 1000000, "Examples encoded at once",
                 .unit = "examples"),
        DLH_CHOICE (DisentangleOptions, estimator, "grid", "grid|samples|both",
                    "Of the mutual information gap: quadrature, or the authors' by samples"),
        DLH_INT (DisentangleOptions, samples, 10000, 2, 10000000,
                 "Draws of z behind an entropy that is estimated by samples", .unit = "draws"),
        DLH_INT (DisentangleOptions, points, 4096, 512, 65536,
                 "Of the grid for quadrature, at least", .unit = "points"),
        DLH_AVERAGE_OPTION (DisentangleOptions),
        DLH_BOOL_OPTION (DisentangleOptions, untrained, false,
                         "Score a model's first values when no checkpoint is given"),
        DLH_BOOL_OPTION (DisentangleOptions, scores, true,
                         "SAP, DCI, FactorVAE and BetaVAE scores as well"),
        DLH_INT (DisentangleOptions, cases, 10000, 10, 10000000,
                 "That DCI, FactorVAE and BetaVAE scores fit a predictor to"),
        DLH_INT (DisentangleOptions, test_cases, 5000, 10, 10000000,
                 "That they judge the predictor by"),
        DLH_INT (DisentangleOptions, group, 64, 2, 100000,
                 "Examples, or pairs, behind a case of the FactorVAE and BetaVAE scores"),
        DLH_INT (DisentangleOptions, traversals, 3, 0, 100,
                 "Examples whose latents are moved one by one, as pictures", .unit = "examples"),
        DLH_DOUBLE (DisentangleOptions, range, 2, 0.0, 100.0,
                    "Of a traversal to either side, in deviations of the prior"),
        DLH_DOUBLE (DisentangleOptions, checkpoint, 30, 0.0, 1e9,
                    "Time between checkpoints; 0: at every step", .unit = "s"),
        DLH_BOOL_OPTION (DisentangleOptions, elbo, true,
                         "The bound, and the divergence in its three parts")),
    .name = "disentangle", .version = "1.0", .paper = "1802.04942",
    .summary = "Scores how far latents are the factors of the data; parts of the divergence");
