/* SPDX-License-Identifier: MIT */
/* Sampling: chains of a density, or of the posterior of a model's parameters given the training
 * split; draws to the run folder, and whether they can be believed. */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>

#define MAX_REPORTS 24
#define SECONDS_BETWEEN_CHECKPOINTS 30
/* What a user is warned of: thresholds of Vehtari et al. 2021 and Betancourt 2017. */
#define MAX_RHAT 1.01
#define MIN_ESS_PER_CHAIN 100
#define MIN_EBFMI 0.3

typedef struct {
    gint64 chains, warmup, draws, thin, batch, monitor, log, checkpoint, show, diagnose;
    double precision, spread;
    const char *format;
    gboolean strict;
} SampleOptions;

/* The worst of what has been diagnosed. */
typedef struct {
    double rhat, ess_bulk, ess_tail, ebfmi, accept;
    gint64 n_divergent;
    gboolean undefined; /* a scalar whose R-hat cannot be computed */
} Verdict;

typedef struct {
    DlhRun *run;
    const SampleOptions *opt;
    DlhTarget *target;
    DlhChains *chains;
    DlhDraws *draws;
    const DlhDensity *density; /* (nullable): that is sampled */
    gint64 total;              /* transitions */
    double *sums;              /* of the reports since the last record, then of how many */
    gint64 saved_at;
    double done_here;
} Sample;

static void
sample_clear (Sample *s)
{
    dlh_draws_free (s->draws);
    dlh_chains_free (s->chains);
    dlh_target_free (s->target);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sample, sample_clear)

static gboolean
prepare (Sample *s, GError **error)
{
    const SampleOptions *opt = s->opt;
    DlhStore *store = dlh_run_store (s->run);
    DlhComponent *sampler = dlh_run_require (s->run, DLH_SAMPLER, error);
    DlhComponent *model = sampler ? dlh_run_require (s->run, DLH_MODEL, error) : NULL;
    DlhVariable *sums;
    DlhData *data;
    DlhPosterior posterior = {sizeof posterior, opt->precision, opt->batch, opt->spread,
                              opt->monitor};

    if (!model)
        return FALSE;
    if (dlh_run_component (s->run, DLH_OBJECTIVE)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "sample: --objective=%s changes the loss of training, and draws are of prior "
                     "and likelihood: leave it out",
                     dlh_component_name (dlh_run_component (s->run, DLH_OBJECTIVE)));
        return FALSE;
    }
    s->density = ((const DlhModel *)dlh_component_interface (model))->density;
    if (s->density)
        s->target = dlh_target_new_density (store, model, opt->chains, error);
    else if ((data = dlh_run_data (s->run, error)))
        s->target = dlh_target_new_posterior (store, model, data, &posterior, opt->chains, error);
    if (!s->target || !(s->chains = dlh_chains_new (s->target, sampler, opt->warmup, error)) ||
        !(s->draws = dlh_draws_new (s->chains, opt->draws, error)))
        return FALSE;
    // In the store, so that the first record after a resumption is that of an uninterrupted run.
    sums = dlh_store_variable (store, "sample/sums", DLH_F64, dlh_shape (MAX_REPORTS + 1),
                               (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);
    if (!sums)
        return FALSE;
    s->sums = dlh_tensor_get_data (dlh_variable_tensor (sums));
    s->total = opt->warmup + opt->draws * opt->thin;
    s->saved_at = g_get_monotonic_time ();
    return TRUE;
}

/* While it runs. */

static void
accumulate (Sample *s)
{
    for (guint i = 0; i < MIN (dlh_chains_n_reports (s->chains), MAX_REPORTS); i++)
        for (gint64 c = 0; c < s->opt->chains; c++)
            s->sums[i] += dlh_chains_report (s->chains, i)[c] / (double)s->opt->chains;
    s->sums[MAX_REPORTS]++;
}

// Means over chains and over the transitions since the last record.
static gboolean
report (Sample *s, gint64 step, GError **error)
{
    guint n = MIN (dlh_chains_n_reports (s->chains), MAX_REPORTS);
    const char *prefix = step <= s->opt->warmup ? "warmup" : "sample";
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    double values[MAX_REPORTS];

    for (guint i = 0; i < n; i++) {
        g_ptr_array_add (names,
                         g_strdup_printf ("%s/%s", prefix, dlh_chains_report_name (s->chains, i)));
        values[i] = s->sums[i] / s->sums[MAX_REPORTS];
    }
    memset (s->sums, 0, (MAX_REPORTS + 1) * sizeof (double));
    return dlh_run_log (s->run, "step", step, (const char *const *)names->pdata, values, n, error);
}

static gboolean
checkpoint_is_due (Sample *s, gint64 step)
{
    gint64 now = g_get_monotonic_time ();

    if (s->opt->checkpoint)
        return step % s->opt->checkpoint == 0;
    if (now - s->saved_at < SECONDS_BETWEEN_CHECKPOINTS * G_USEC_PER_SEC)
        return FALSE;
    s->saved_at = now;
    return TRUE;
}

static gboolean
after_transition (Sample *s, gint64 step, GError **error)
{
    gint64 kept = step - s->opt->warmup;

    accumulate (s);
    if (kept > 0 && kept % s->opt->thin == 0 && !dlh_draws_append (s->draws, error))
        return FALSE;
    // The warm-up and the draws are not averaged together.
    if ((step % s->opt->log == 0 || step == s->total || kept == 0) && !report (s, step, error))
        return FALSE;
    dlh_run_progress (s->run, step, s->total, s->done_here * (double)s->opt->chains);
    if (step == s->total)
        return dlh_run_checkpoint (s->run, step, error);
    if (dlh_run_should_stop (s->run)) {
        if (dlh_run_checkpoint (s->run, step, error))
            g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                         "stopped at transition %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, step,
                         s->total);
        return FALSE;
    }
    return !checkpoint_is_due (s, step) || dlh_run_checkpoint (s->run, step, error);
}

static gboolean
loop (Sample *s, GError **error)
{
    GPtrArray *notes = dlh_chains_notes (s->chains);

    for (guint i = 0; i < notes->len; i++)
        dlh_run_message (s->run, "%s", (const char *)notes->pdata[i]);
    while (dlh_chains_done (s->chains) < s->total) {
        if (!dlh_chains_transition (s->chains, error))
            return FALSE;
        s->done_here++;
        if (!after_transition (s, dlh_chains_done (s->chains), error))
            return FALSE;
    }
    return TRUE;
}

/* At its end. */

static void
show (Sample *s, const char *name, gint64 k, gint64 width, const DlhSummary *d, guint block)
{
    g_autofree char *label =
        width > 1 ? g_strdup_printf ("%s[%" G_GINT64_FORMAT "]", name, k) : g_strdup (name);
    g_autofree char *truth = g_strdup ("");
    double mean = NAN, variance = NAN;

    if (s->density && s->density->moments && strcmp (name, "log_density") != 0)
        s->density->moments (dlh_component_options (dlh_run_component (s->run, DLH_MODEL)), block,
                             k, &mean, &variance);
    if (isfinite (mean)) {
        g_free (truth);
        truth = g_strdup_printf ("  (truth: mean %.4g, sd %.4g)", mean, sqrt (variance));
    }
    dlh_run_message (
        s->run,
        "%-16s mean %9.4g +- %-8.2g sd %-8.4g 5%% %9.4g  50%% %9.4g  95%% %9.4g  R-hat "
        "%.4f  ESS %.0f bulk, %.0f tail%s",
        label, d->mean, d->mcse_mean, d->sd, d->q05, d->median, d->q95, d->rhat, d->ess_bulk,
        d->ess_tail, truth);
}

// Array @i of the draws: at most `diagnose` of its scalars, evenly spread; the first are shown.
static void
diagnose_array (Sample *s, guint i, Verdict *v)
{
    gint64 n = dlh_draws_count (s->draws), width = dlh_draws_width (s->draws, i);
    gint64 stride = (width + s->opt->diagnose - 1) / s->opt->diagnose, shown = 0;
    g_autofree double *x = g_new (double, n * s->opt->chains);

    for (gint64 k = 0; k < width; k += stride) {
        DlhSummary d = {.size = sizeof d};

        dlh_draws_column (s->draws, i, k, x);
        dlh_summarize (x, (gsize)n, (gsize)s->opt->chains, &d);
        v->undefined = v->undefined || isnan (d.rhat) || isnan (d.ess_tail);
        v->rhat = fmax (v->rhat, d.rhat);
        v->ess_bulk = fmin (v->ess_bulk, d.ess_bulk);
        v->ess_tail = fmin (v->ess_tail, d.ess_tail);
        if (shown++ < s->opt->show)
            show (s, dlh_draws_array_name (s->draws, i), k, width, &d, i);
    }
}

// The columns of a sampler that mean the same for every one.
static void
diagnose_column (Sample *s, guint i, Verdict *v)
{
    const char *name = dlh_draws_array_name (s->draws, i);
    gint64 n = dlh_draws_count (s->draws), C = s->opt->chains;
    g_autofree double *x = g_new (double, n *C);

    dlh_draws_column (s->draws, i, 0, x);
    if (strcmp (name, "accept") == 0)
        for (gint64 t = 0; t < n * C; t++)
            v->accept = (t ? v->accept : 0) + x[t] / (double)(n * C);
    if (strcmp (name, "divergent") == 0)
        for (gint64 t = 0; t < n * C; t++)
            v->n_divergent += x[t] > 0;
    if (strcmp (name, "energy") == 0)
        for (gint64 c = 0; c < C; c++)
            v->ebfmi = fmin (v->ebfmi, dlh_ebfmi (x + c * n, (gsize)n));
}

// Parameters of a network have symmetric copies, between which chains need not move: its
// predictions are diagnosed, and its log density.
static Verdict
diagnose (Sample *s)
{
    Verdict v = {-INFINITY, INFINITY, INFINITY, INFINITY, NAN, 0, FALSE};
    guint n = dlh_draws_n_arrays (s->draws), n_reports = dlh_chains_n_reports (s->chains);
    gboolean monitored = g_str_equal (dlh_draws_array_name (s->draws, n - 1), "monitor");
    guint first_report = n - n_reports - (monitored ? 1 : 0);

    for (guint i = 0; i < n; i++) {
        gboolean report_column = i >= first_report && i < first_report + n_reports;

        if (report_column)
            diagnose_column (s, i, &v);
        if (report_column ? g_str_equal (dlh_draws_array_name (s->draws, i), "log_density")
                          : i >= first_report || !monitored)
            diagnose_array (s, i, &v);
    }
    return v;
}

static char *
doubts (Sample *s, const Verdict *v)
{
    GString *text = g_string_new (NULL);
    double wanted = (double)(MIN_ESS_PER_CHAIN * s->opt->chains);

    if (v->undefined)
        g_string_append (text,
                         "; something has not moved in any chain, or there are too few draws");
    if (v->rhat > MAX_RHAT)
        g_string_append_printf (text, "; R-hat reaches %.4g, above %g", v->rhat, MAX_RHAT);
    if (v->ess_bulk < wanted || v->ess_tail < wanted)
        g_string_append_printf (text, "; effective draws fall to %.0f, below %.0f",
                                fmin (v->ess_bulk, v->ess_tail), wanted);
    if (v->n_divergent)
        g_string_append_printf (text, "; %" G_GINT64_FORMAT " paths diverged", v->n_divergent);
    if (v->ebfmi < MIN_EBFMI)
        g_string_append_printf (text, "; E-BFMI falls to %.2f, below %g", v->ebfmi, MIN_EBFMI);
    if (s->opt->chains < 4)
        g_string_append (text, "; fewer than 4 chains");
    return g_string_free (text, FALSE);
}

static gboolean
save_draws (Sample *s, GError **error)
{
    const char *folder = dlh_run_folder (s->run);
    g_autofree char *name = g_strdup_printf ("draws.%s", s->opt->format);
    g_autofree char *path = folder ? g_build_filename (folder, name, NULL) : NULL;

    return !path || dlh_draws_save (s->draws, path, error);
}

// The final record: of what the sampler does not report there is no number.
static gboolean
record (Sample *s, const Verdict *v, GError **error)
{
    static const char *const names[] = {"sample/rhat",   "sample/ess_bulk", "sample/ess_tail",
                                        "sample/accept", "sample/ebfmi",    "sample/divergences",
                                        "sample/draws"};
    const double values[] = {v->rhat,
                             v->ess_bulk,
                             v->ess_tail,
                             v->accept,
                             v->ebfmi,
                             (double)v->n_divergent,
                             (double)(dlh_draws_count (s->draws) * s->opt->chains)};
    const char *known[G_N_ELEMENTS (values)];
    double finite[G_N_ELEMENTS (values)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS (values); i++)
        if (isfinite (values[i])) {
            known[n] = names[i];
            finite[n++] = values[i];
        }
    return dlh_run_log (s->run, "final", dlh_chains_done (s->chains), known, finite, n, error);
}

static gboolean
conclude (Sample *s, GError **error)
{
    Verdict v = diagnose (s);
    g_autofree char *text = doubts (s, &v);

    if (!save_draws (s, error) || !record (s, &v, error))
        return FALSE;
    if (*text && s->opt->strict) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                     "the draws are not to be believed%s: give more warm-up and draws, or another "
                     "sampler",
                     text);
        return FALSE;
    }
    if (*text)
        dlh_run_message (s->run, "the draws are not to be believed%s", text);
    else
        dlh_run_message (s->run, "no sign against the draws (rank-normalised split R-hat, bulk and "
                                 "tail ESS, divergences, E-BFMI)");
    return TRUE;
}

static gboolean
sample_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Sample) s = {.run = run, .opt = options};

    dlh_run_keep_checkpoints (run, 2);
    return prepare (&s, error) && loop (&s, error) && conclude (&s, error);
}

static const DlhTask sample = {.size = sizeof (DlhTask), .run = sample_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, sample, SampleOptions,
    DLH_OPTIONS (
        DLH_INT (SampleOptions, chains, 4, 1, 1000000, "Chains side by side", .unit = "chains"),
        DLH_INT (SampleOptions, warmup, 1000, 0, 1000000000,
                 "Transitions in which the sampler tunes itself, not kept", .unit = "transitions"),
        DLH_INT (SampleOptions, draws, 1000, 1, 1000000000, "Draws kept of each chain",
                 .unit = "draws"),
        DLH_INT (SampleOptions, thin, 1, 1, 1000000, "Transitions a draw", .unit = "transitions"),
        DLH_DOUBLE (SampleOptions, precision, 1, 0.0, 1e12,
                    "Of the prior N(0, 1 / precision) of a model's parameters",
                    .flags = DLH_MIN_OPEN),
        DLH_INT (SampleOptions, batch, 0, 0, 100000000,
                 "Examples in an estimate of the log density; 0: all, exactly", .unit = "examples"),
        DLH_DOUBLE (SampleOptions, spread, 0.1, 0.0, 1e6,
                    "Standard deviation of chains' starts about the model's first parameters"),
        DLH_INT (SampleOptions, monitor, 10, 0, 1000000,
                 "First training examples whose predictions are kept and diagnosed; 0: the "
                 "parameters are",
                 .unit = "examples"),
        DLH_INT (SampleOptions, log, 100, 1, 1000000000, "Transitions between records of metrics",
                 .unit = "transitions"),
        DLH_INT (SampleOptions, checkpoint, 0, 0, 1000000000,
                 "Transitions between checkpoints; 0: every 30 s", .unit = "transitions"),
        DLH_INT (SampleOptions, show, 10, 0, 1000000, "Scalars of each array that are printed"),
        DLH_INT (SampleOptions, diagnose, 1000, 1, 1000000000,
                 "Scalars of each array that are diagnosed, evenly spread"),
        DLH_CHOICE (SampleOptions, format, "safetensors", "safetensors|npz",
                    "Of the file of draws"),
        DLH_BOOL_OPTION (SampleOptions, strict, false,
                         "Fail when the draws are not to be believed")),
    .name = "sample", .version = "1.0",
    .summary = "Draws from a density or from the posterior of a model's parameters");
