/* SPDX-License-Identifier: MIT */
/* What is said of all runs. */
#include <math.h>
#include <dlhost/figure.h>
#include "scan.h"

#define MOST_SPLITS 3
#define N_ESTIMATES 3
/* Above this gap the chains have not met: the paper's own threshold. */
#define WIDE_GAP 1.0

static const char *const names[N_ESTIMATES] = {"log_p", "kde", "importance"};
static const char *const titles[N_ESTIMATES] = {"chains", "draws of the prior",
                                                "draws of the encoder"};

static double
result (const Scan *s, guint p, guint split, guint field)
{
    return s->results[(p * s->n_splits + split) * SCAN_N_FIELDS + field];
}

static double
point (const Scan *s, guint p)
{
    return g_array_index (s->points, double, p);
}

static gboolean
is_varied (const Scan *s)
{
    return *s->opt->vary != '\0';
}

gboolean
scan_log (Scan *s, guint p, const char *event, GError **error)
{
    g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func (g_free);
    double values[MOST_SPLITS * (N_ESTIMATES + 2)];
    gint64 step = is_varied (s) ? (gint64)p + 1 : (gint64)point (s, p);

    for (guint i = 0; i < s->n_splits; i++) {
        for (guint k = 0; k < N_ESTIMATES; k++)
            if (isfinite (result (s, p, i, 2 * k))) {
                values[list->len] = result (s, p, i, 2 * k);
                g_ptr_array_add (list, g_strdup_printf ("%s/%s", s->splits[i], names[k]));
            }
        values[list->len] = result (s, p, i, SCAN_LOG_P_SE);
        g_ptr_array_add (list, g_strdup_printf ("%s/log_p_se", s->splits[i]));
        if (isfinite (result (s, p, i, SCAN_GAP))) {
            values[list->len] = result (s, p, i, SCAN_GAP);
            g_ptr_array_add (list, g_strdup_printf ("%s/gap", s->splits[i]));
        }
    }
    return dlh_run_log (s->run, event, step, (const char *const *)list->pdata, values, list->len,
                        error);
}

static void
tell (Scan *s)
{
    guint chooser = 0, best = 0;
    gboolean differ = FALSE;
    double widest = 0;

    for (guint p = 0; p < s->points->len; p++) {
        g_autoptr (GString) text = g_string_new (is_varied (s) ? s->opt->vary : "step");

        g_string_append_printf (text, " %.6g: log p(x)", point (s, p));
        for (guint i = 0; i < s->n_splits; i++)
            g_string_append_printf (text, "%s %s %.4f +- %.4f", i ? "," : "", s->splits[i],
                                    result (s, p, i, SCAN_LOG_P), result (s, p, i, SCAN_LOG_P_SE));
        // Simulated examples are the same for all splits.
        if (isfinite (result (s, p, 0, SCAN_GAP))) {
            g_string_append_printf (text, "; gap of the bounds %.4f", result (s, p, 0, SCAN_GAP));
            widest = fmax (widest, result (s, p, 0, SCAN_GAP));
        }
        dlh_run_message (s->run, "%s", text->str);
    }
    if (widest > WIDE_GAP)
        dlh_run_message (s->run,
                         "the bounds are up to %.1f nats apart: give more temperatures before the "
                         "numbers are believed",
                         widest);
    for (guint i = 0; i < s->n_splits; i++)
        if (g_str_equal (s->splits[i], "valid"))
            chooser = i;
    for (guint p = 1; p < s->points->len; p++)
        if (result (s, p, chooser, SCAN_LOG_P) > result (s, best, chooser, SCAN_LOG_P))
            best = p;
    for (guint p = 1; p < s->points->len; p++)
        differ |= result (s, p, chooser, SCAN_LOG_P) != result (s, 0, chooser, SCAN_LOG_P);
    if (is_varied (s) && s->points->len > 1 && !differ)
        dlh_run_message (s->run,
                         "all values of '%s' give the same: the model has no use for it as it is",
                         s->opt->vary);
    else if (s->points->len > 1)
        dlh_run_message (s->run, "the greatest log p(x) of %s examples is at %s %.6g%s",
                         s->splits[chooser], is_varied (s) ? s->opt->vary : "step", point (s, best),
                         is_varied (s) && (best == 0 || best + 1 == s->points->len)
                             ? ", an end of the values: a better one may lie beyond"
                             : "");
}

static gboolean
save (Scan *s, GError **error)
{
    const char *folder = dlh_run_folder (s->run);
    g_autofree char *path = folder ? g_build_filename (folder, "scan.csv", NULL) : NULL;
    g_autoptr (GString) text = g_string_new (NULL);

    g_string_append_printf (text,
                            "%s,split,log_p,log_p_se,kde,kde_se,importance,importance_se,gap\n",
                            is_varied (s) ? s->opt->vary : "step");
    for (guint p = 0; p < s->points->len; p++)
        for (guint i = 0; i < s->n_splits; i++) {
            char number[G_ASCII_DTOSTR_BUF_SIZE];

            g_string_append_printf (text, "%s,%s",
                                    g_ascii_formatd (number, sizeof number, "%.10g", point (s, p)),
                                    s->splits[i]);
            for (guint k = 0; k < SCAN_N_FIELDS; k++) {
                double v = result (s, p, i, k);

                g_string_append_c (text, ',');
                if (isfinite (v))
                    g_string_append (text, g_ascii_formatd (number, sizeof number, "%.10g", v));
            }
            g_string_append_c (text, '\n');
        }
    return !path || dlh_file_write (path, text->str, text->len, error);
}

// A curve for each split and estimate; a split has one colour, estimates without chains are points.
static gboolean
draw (Scan *s, GError **error)
{
    guint n = s->points->len, width = n * s->n_splits * N_ESTIMATES, n_curves = 0;
    g_autofree double *y = g_new (double, 3 * width);
    DlhCurve curves[MOST_SPLITS * N_ESTIMATES] = {0};
    g_autoptr (GPtrArray) labels = g_ptr_array_new_with_free_func (g_free);
    const DlhFigure figure = {.size = sizeof figure,
                              .name = "log_p",
                              .title = "log p(x)",
                              .caption = "Means over examples, with their standard errors",
                              .x_label = is_varied (s) ? s->opt->vary : "training step",
                              .y_label = "log p(x), nats",
                              .log_x = is_varied (s),
                              .curves = curves};
    DlhFigure whole = figure;

    for (guint i = 0; i < s->n_splits; i++)
        for (guint k = 0; k < N_ESTIMATES; k++) {
            double *at = y + 3 * n * (i * N_ESTIMATES + k);

            if (!isfinite (result (s, 0, i, 2 * k)))
                continue;
            for (guint p = 0; p < n; p++) {
                double error_of = result (s, p, i, 2 * k + 1);

                at[p] = result (s, p, i, 2 * k);
                at[n + p] = at[p] - error_of;
                at[2 * n + p] = at[p] + error_of;
            }
            g_ptr_array_add (labels, g_strdup_printf ("%s, %s", s->splits[i], titles[k]));
            curves[n_curves++] = (DlhCurve){.label = labels->pdata[labels->len - 1],
                                            .x = (const double *)(gpointer)s->points->data,
                                            .y = at,
                                            .low = at + n,
                                            .high = at + 2 * n,
                                            .n = n,
                                            .style = k ? DLH_CURVE_POINTS : DLH_CURVE_LINE,
                                            .colour = i + 1};
        }
    whole.n_curves = n_curves;
    return dlh_run_figure (s->run, &whole, error);
}

gboolean
scan_conclude (Scan *s, GError **error)
{
    tell (s);
    return save (s, error) && draw (s, error) && scan_log (s, s->points->len - 1, "final", error);
}
