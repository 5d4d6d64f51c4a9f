/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "boost.h"
#include "scores.h"

// 1 - entropy of the shares / log n; 0 when all are nothing.
static double
concentration (const double *x, guint n, gsize stride, double *sum)
{
    double entropy = 0;

    *sum = 0;
    for (guint i = 0; i < n; i++)
        *sum += x[i * stride];
    for (guint i = 0; i<n && * sum> 0; i++)
        if (x[i * stride] > 0)
            entropy -= x[i * stride] / *sum * log (x[i * stride] / *sum);
    return *sum > 0 ? 1 - entropy / log (n) : 0;
}

void
dci_of_importance (const double *importance, guint d, guint k, Dci *out)
{
    double total = 0, sum;

    out->disentanglement = out->completeness = 0;
    for (guint j = 0; j < d; j++) {
        double part = concentration (importance + j * k, k, 1, &sum);

        out->disentanglement += sum * part;
        total += sum;
    }
    for (guint i = 0; i < k; i++) {
        double part = concentration (importance + i, d, k, &sum);

        out->completeness += sum * part;
    }
    out->disentanglement = total > 0 ? out->disentanglement / total : 0;
    out->completeness = total > 0 ? out->completeness / total : 0;
}

/* Some examples with their codes in bins. */
typedef struct {
    const Codes *codes;
    gint64 n_train, n;
    gint64 *rows;
    guint8 *bins; /* (n, d) */
} Cases;

static void
take_cases (Cases *cases, const ScoreOptions *options)
{
    const Codes *c = cases->codes;
    g_auto (Drawer) drawer = {0};
    g_autofree double *u = g_new (double, cases->n), *x = g_new (double, cases->n);
    double cuts[BOOST_BINS - 1];

    drawer_init (&drawer, c);
    dlh_random_fill_uniform (options->seed, "disentangle/dci", 0, u, (gsize)cases->n);
    for (gint64 i = 0; i < cases->n; i++)
        cases->rows[i] = drawer_any (&drawer, u[i]);
    for (guint j = 0; j < c->d; j++) {
        for (gint64 i = 0; i < cases->n; i++)
            x[i] = c->mean[j * (gsize)c->n + (gsize)cases->rows[i]];
        boost_cuts (x, cases->n_train, cuts);
        for (gint64 i = 0; i < cases->n; i++)
            cases->bins[i * c->d + j] = boost_bin (cuts, x[i]);
    }
}

// R^2 on the test cases, at least 0.
static double
fit_numbers (const Cases *cases, const CodesFactor *f, double *importance)
{
    gint64 n_train = cases->n_train, n_test = cases->n - n_train;
    g_autofree double *y = g_new (double, cases->n), *got = g_new (double, cases->n);
    double mean = 0, all = 0, left = 0;

    for (gint64 i = 0; i < cases->n; i++)
        y[i] = f->values[f->value[cases->rows[i]]];
    boost_fit (cases->bins, n_train, n_test, cases->codes->d, y, importance, got);
    for (gint64 i = n_train; i < cases->n; i++)
        mean += y[i] / (double)n_test;
    for (gint64 i = n_train; i < cases->n; i++) {
        all += (y[i] - mean) * (y[i] - mean);
        left += (y[i] - got[i]) * (y[i] - got[i]);
    }
    return all > 0 ? fmax (1 - left / all, 0) : 0;
}

// Accuracy on the test cases of one regression a value; importances are their mean.
static double
fit_categories (const Cases *cases, const CodesFactor *f, double *importance)
{
    guint d = cases->codes->d;
    gint64 n = cases->n, right = 0;
    g_autofree double *y = g_new (double, n), *got = g_new (double, n), *most = g_new (double, n);
    g_autofree gint64 *best = g_new0 (gint64, n);
    g_autofree double *sum = g_new0 (double, d);

    for (gint64 i = 0; i < n; i++)
        most[i] = -INFINITY;
    for (gint64 v = 0; v < f->n_values; v++) {
        for (gint64 i = 0; i < n; i++)
            y[i] = f->value[cases->rows[i]] == v;
        boost_fit (cases->bins, cases->n_train, n - cases->n_train, d, y, sum, got);
        for (gint64 i = 0; i < n; i++)
            if (got[i] > most[i]) {
                most[i] = got[i];
                best[i] = v;
            }
    }
    for (guint j = 0; j < d; j++)
        importance[j] += sum[j] / (double)f->n_values;
    for (gint64 i = cases->n_train; i < n; i++)
        right += best[i] == f->value[cases->rows[i]];
    return (double)right / (double)(n - cases->n_train);
}

Dci
score_dci (const Codes *c, const ScoreOptions *options)
{
    guint K;
    g_autofree guint *factors = scored_factors (c, &K);
    gint64 n = options->n_train + options->n_test;
    g_autofree gint64 *rows = g_new (gint64, n);
    g_autofree guint8 *bins = g_new (guint8, (gsize)n * c->d);
    g_autofree double *importance = g_new0 (double, (gsize)c->d *MAX (K, 1));
    g_autofree double *column = g_new (double, c->d);
    Cases cases = {c, options->n_train, n, rows, bins};
    Dci out = {NAN, NAN, NAN};
    double informativeness = 0;

    if (K < 2 || c->d < 2)
        return out;
    take_cases (&cases, options);
    for (guint k = 0; k < K; k++) {
        const CodesFactor *f = &c->factors[factors[k]];

        memset (column, 0, c->d * sizeof *column);
        informativeness +=
            (f->values ? fit_numbers (&cases, f, column) : fit_categories (&cases, f, column)) / K;
        for (guint j = 0; j < c->d; j++)
            importance[j * K + k] = column[j];
    }
    dci_of_importance (importance, c->d, K, &out);
    out.informativeness = informativeness;
    return out;
}
