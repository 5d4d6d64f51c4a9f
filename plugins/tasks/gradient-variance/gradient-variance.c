/* SPDX-License-Identifier: MIT */
// Variance of the gradient against the size of the batch, for ways to put noise on weights
// (arXiv 1803.04386, section 4.1 and appendix C): measured at fixed parameters, before training and
// after some of it, beside what the theorem makes of parts that are measured apart from it.
#include "gradient-variance.h"

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Study, study_clear)

static gboolean
check_options (const VarianceOptions *opt, GError **error)
{
    for (gsize i = 1; i < opt->batches.n; i++)
        if (opt->batches.values[i] <= opt->batches.values[i - 1]) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "batches: %" G_GINT64_FORMAT " after %" G_GINT64_FORMAT
                         ", must be in rising order",
                         opt->batches.values[i], opt->batches.values[i - 1]);
            return FALSE;
        }
    for (gsize i = 1; i < opt->train.n; i++)
        if (opt->train.values[i] <= opt->train.values[i - 1]) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "train: %" G_GINT64_FORMAT " after %" G_GINT64_FORMAT
                         ", must be in rising order",
                         opt->train.values[i], opt->train.values[i - 1]);
            return FALSE;
        }
    return TRUE;
}

static void
count_work (Study *s)
{
    gint64 gradients = 0;

    for (guint e = 0; e < s->estimators->len; e++) {
        gradients += 2 * s->opt->nested;
        for (gsize b = 0; b < s->opt->batches.n; b++)
            gradients += measured_at (s, e, b) ? measure_samples (s, s->opt->batches.values[b]) : 0;
    }
    s->total = gradients * s->opt->repeats * (gint64)s->opt->train.n;
}

static gboolean
variance_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Study) s = {.run = run, .opt = options};

    if (!check_options (s.opt, error) || !study_open (&s, error))
        return FALSE;
    count_work (&s);
    for (gsize i = 0; i < s.opt->train.n; i++)
        if (!study_train (&s, s.opt->train.values[i], error) || !measure_all (&s, error) ||
            !study_report (&s, error))
            return FALSE;
    return TRUE;
}

static const DlhTask variance = {.size = sizeof (DlhTask), .run = variance_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, variance, VarianceOptions,
    DLH_OPTIONS (
        DLH_STRING (VarianceOptions, estimators, "flipout|shared|per_example|local_reparam",
                    "Plugins of kind perturb, | between them; those that cannot perturb what the "
                    "first does are left out"),
        DLH_STRING (VarianceOptions, weights, "*",
                    "Parameters to perturb: names, * for any part, | between alternatives"),
        DLH_STRING (VarianceOptions, noise, "multiplicative",
                    "gaussian (learned scale), fixed, multiplicative, dropconnect, or a plugin"),
        DLH_STRING (VarianceOptions, bias, "none", "Noise of biases: none, shared, fresh or auto"),
        DLH_STRING (VarianceOptions, layers, "*",
                    "Perturbed weights whose gradient is looked at, as for weights"),
        DLH_DOUBLE (VarianceOptions, sigma, -1, -1.0, 1e6,
                    "Scale of the noise; below 0: the noise's own preset, multiplicative 1"),
        DLH_DOUBLE (VarianceOptions, rate, 0.5, 0.0, 1.0, "Of dropconnect: share of weights cut",
                    .flags = DLH_MIN_OPEN | DLH_MAX_OPEN),
        DLH_INTS (VarianceOptions, batches, "[1,2,4,8,16,32,64,128,256,512,1024,2048,4096,8192]", 1,
                  100000000, "Sizes of batches, rising", .unit = "examples"),
        DLH_INTS (VarianceOptions, train, "[0]", 0, 100000000,
                  "Training steps, by the run's optimizer, after which to measure; rising",
                  .unit = "steps"),
        DLH_INT (VarianceOptions, samples, 50, 2, 1000000, "Gradients that a variance is taken of"),
        DLH_INT (
            VarianceOptions, cheap, 1024, 1, 100000000,
            "Batches below this have as many more gradients as they are smaller, up to 32 times",
            .unit = "examples"),
        DLH_INT (VarianceOptions, repeats, 5, 1, 1000, "Variances that an interval is taken of"),
        DLH_INT (VarianceOptions, nested, 50, 2, 1000000,
                 "Pairs of batches with one draw in a repeat, for the theorem's parts"),
        DLH_INT (VarianceOptions, inner, 512, 1, 100000000, "Size of such a batch",
                 .unit = "examples"),
        DLH_INT (VarianceOptions, pass, 512, 1, 100000000,
                 "Largest part of a batch that is computed at once", .unit = "examples"),
        DLH_INT (VarianceOptions, each_most, 256, 1, 100000000,
                 "Largest batch of an estimator with a weight in memory for each example",
                 .unit = "examples"),
        DLH_INT (VarianceOptions, elements, 2000, 1, 100000000,
                 "Elements of a weight that are looked at, spread over it"),
        DLH_INT (VarianceOptions, batch, 128, 1, 100000000, "Examples in a training step",
                 .unit = "examples")),
    .name = "gradient-variance", .version = "1.0", .paper = "1803.04386",
    .summary = "Variance of the gradient against batch size under noise on the weights");
