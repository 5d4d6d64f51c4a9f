/* SPDX-License-Identifier: MIT */
/* Figures of the bounds: their means by the number of temperatures of a path, which shows whether
 * there are enough of them, and the gap of each simulated example. */
#include <math.h>
#include <dlhost/figure.h>
#include "likelihood.h"

#define MOST LIKELIHOOD_MOST

/* Of one bound by length, shortest first: means over examples and their standard errors. */
typedef struct {
    double temperatures[MOST], mean[MOST], error[MOST], low[MOST], high[MOST];
} Bound;

static void
mean_and_error (const double *x, gint64 n, double *mean, double *error)
{
    double square = 0;

    *mean = 0;
    for (gint64 i = 0; i < n; i++)
        *mean += x[i] / (double)n;
    for (gint64 i = 0; i < n; i++)
        square += (x[i] - *mean) * (x[i] - *mean);
    *error = n > 1 ? sqrt (square / ((double)(n - 1) * (double)n)) : 0;
}

// Indices of lengths, shortest first.
static void
sort_lengths (const Likelihood *l, guint *order)
{
    for (guint i = 0; i < l->n_paths; i++) {
        guint k = i;

        for (; k > 0 && l->strides[order[k - 1]] < l->strides[i]; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
}

// @sign: -1 for weights of the way back.
static void
fill (Likelihood *l, DlhTensor *const *weights, gint64 first, gint64 n, double sign, Bound *b)
{
    g_autofree double *x = g_new (double, n);
    guint order[MOST];
    gint64 C = l->opt->chains;

    sort_lengths (l, order);
    for (guint i = 0; i < l->n_paths; i++) {
        const double *w = dlh_tensor_get_data (weights[order[i]]);

        for (gint64 e = 0; e < n; e++)
            x[e] = sign * dlh_log_mean_exp (w + (first + e) * C, (gsize)C);
        mean_and_error (x, n, &b->mean[i], &b->error[i]);
        b->temperatures[i] = (double)likelihood_length (l, order[i]) + 1;
        b->low[i] = b->mean[i] - b->error[i];
        b->high[i] = b->mean[i] + b->error[i];
    }
}

static DlhCurve
curve (const Likelihood *l, const char *label, const Bound *b)
{
    return (DlhCurve){.label = label,
                      .x = b->temperatures,
                      .y = b->mean,
                      .low = b->low,
                      .high = b->high,
                      .n = l->n_paths};
}

static gboolean
save (Likelihood *l, const Bound *data, const Bound *lower, const Bound *upper, GError **error)
{
    const char *folder = dlh_run_folder (l->run);
    g_autofree char *path = folder ? g_build_filename (folder, "bounds.csv", NULL) : NULL;
    g_autoptr (GString) text =
        g_string_new ("temperatures,log_p,log_p_se,lower,lower_se,upper,upper_se\n");

    for (guint i = 0; path && i < l->n_paths; i++) {
        const Bound *bounds[] = {data, lower, upper};

        g_string_append_printf (text, "%.0f", (l->n ? data : lower)->temperatures[i]);
        for (guint k = 0; k < 3; k++) {
            char mean[G_ASCII_DTOSTR_BUF_SIZE] = "", se[G_ASCII_DTOSTR_BUF_SIZE] = "";

            if (k ? l->m : l->n) {
                g_ascii_formatd (mean, sizeof mean, "%.10g", bounds[k]->mean[i]);
                g_ascii_formatd (se, sizeof se, "%.6g", bounds[k]->error[i]);
            }
            g_string_append_printf (text, ",%s,%s", mean, se);
        }
        g_string_append_c (text, '\n');
    }
    return !path || dlh_file_write (path, text->str, text->len, error);
}

static void
tell (Likelihood *l, const Bound *lower, const Bound *upper)
{
    for (guint i = 0; l->m && i + 1 < l->n_paths; i++)
        dlh_run_message (l->run,
                         "simulated examples at %.0f temperatures: lower bound %.4f, upper bound "
                         "%.4f, gap %.4f",
                         lower->temperatures[i], lower->mean[i], upper->mean[i],
                         upper->mean[i] - lower->mean[i]);
}

gboolean
likelihood_draw_curve (Likelihood *l, GError **error)
{
    Bound data, lower, upper;
    DlhCurve curves[3];
    DlhFigure figure = {.size = sizeof figure,
                        .name = "bounds",
                        .title = "log p(x) by temperatures",
                        .caption = "Means over examples, with their standard errors",
                        .x_label = "temperatures",
                        .y_label = "log p(x), nats",
                        .log_x = TRUE,
                        .curves = curves};

    if (l->n) {
        fill (l, l->forward, 0, l->n, 1, &data);
        curves[figure.n_curves++] = curve (l, "data, lower bound", &data);
    }
    if (l->m) {
        fill (l, l->forward, l->n, l->m, 1, &lower);
        fill (l, l->reverse, 0, l->m, -1, &upper);
        curves[figure.n_curves++] = curve (l, "simulated, lower bound", &lower);
        curves[figure.n_curves++] = curve (l, "simulated, upper bound", &upper);
    }
    tell (l, &lower, &upper);
    return save (l, &data, &lower, &upper, error) && dlh_run_figure (l->run, &figure, error);
}

gboolean
likelihood_draw_gaps (Likelihood *l, const double *lower, const double *upper, GError **error)
{
    g_autofree double *gap = g_new (double, l->m);
    const DlhCurve points = {
        .label = "an example", .x = lower, .y = gap, .n = (gsize)l->m, .style = DLH_CURVE_POINTS};
    const DlhFigure figure = {.size = sizeof figure,
                              .name = "gaps",
                              .title = "Gap of the bounds of simulated examples",
                              .x_label = "lower bound of log p(x), nats",
                              .y_label = "upper - lower bound, nats",
                              .curves = &points,
                              .n_curves = 1};

    for (gint64 e = 0; e < l->m; e++)
        gap[e] = upper[e] - lower[e];
    return dlh_run_figure (l->run, &figure, error);
}
