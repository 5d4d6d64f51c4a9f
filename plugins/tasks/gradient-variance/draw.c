/* SPDX-License-Identifier: MIT */
// What was found, as records and figures.
#include <math.h>
#include <string.h>
#include "gradient-variance.h"

#define IDEAL 0.02 /* what examples have in common may be this much of a batch's variance */

typedef struct {
    GPtrArray *names;
    GArray *values;
} Record;

static Record
record_new (void)
{
    return (Record){g_ptr_array_new_with_free_func (g_free),
                    g_array_new (FALSE, FALSE, sizeof (double))};
}

static void
record_clear (Record *r)
{
    g_ptr_array_unref (r->names);
    g_array_unref (r->values);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Record, record_clear)

static void G_GNUC_PRINTF (3, 4) record_add (Record *r, double value, const char *format, ...)
{
    va_list args;

    if (!isfinite (value))
        return;
    va_start (args, format);
    g_ptr_array_add (r->names, g_strdup_vprintf (format, args));
    va_end (args);
    g_array_append_val (r->values, value);
}

static gboolean
record_log (const Record *r, Study *s, const char *event, GError **error)
{
    return !r->names->len ||
           dlh_run_log (s->run, event, s->done, (const char *const *)r->names->pdata,
                        (const double *)(gpointer)r->values->data, r->names->len, error);
}

static const char *
estimator_name (const Study *s, guint i)
{
    return ((const Estimator *)s->estimators->pdata[i])->name;
}

static const char *
layer_name (const Study *s, guint i)
{
    return ((const Layer *)s->layers->pdata[i])->name;
}

static Parts
mean_parts (const Study *s, guint estimator, guint layer)
{
    return parts_mean (parts_at (s, estimator, layer), (gsize)s->opt->repeats);
}

/* Slopes. */

// Of each repeat over the batch sizes up to @most, and their interval; @n: how many sizes there
// are.
static Interval
slopes (const Study *s, guint estimator, guint layer, double most, gsize *n)
{
    const gsize repeats = (gsize)s->opt->repeats;
    g_autofree double *each = g_new (double, repeats);
    g_autofree double *batches = g_new (double, s->opt->batches.n);
    g_autofree double *variances = g_new (double, s->opt->batches.n);

    for (gsize r = 0; r < repeats; r++) {
        *n = 0;
        for (gsize b = 0; b < s->opt->batches.n; b++)
            if (measured_at (s, estimator, b) && (double)s->opt->batches.values[b] <= most) {
                batches[*n] = (double)s->opt->batches.values[b];
                variances[(*n)++] = variances_at (s, estimator, b, layer)[r];
            }
        each[r] = slope_of (batches, variances, *n);
    }
    return interval_of (each, repeats);
}

// The largest batch in whose variance what the examples share is small.
static double
ideal_until (const Study *s, guint estimator, guint layer)
{
    const Parts parts = mean_parts (s, estimator, layer);
    double most = 1;

    for (gsize b = 0; b < s->opt->batches.n; b++) {
        const double n = (double)s->opt->batches.values[b];

        if (measured_at (s, estimator, b) && (n - 1) * parts.shared <= IDEAL * parts.alpha)
            most = fmax (most, n);
    }
    return most;
}

static void
add_interval (Record *r, const char *what, const Interval i, const char *where)
{
    record_add (r, i.mean, "%s/%s", what, where);
    record_add (r, i.low, "%s/%s/low", what, where);
    record_add (r, i.high, "%s/%s/high", what, where);
}

static Interval
part_interval (const Study *s, guint estimator, guint layer, gboolean shared)
{
    const Parts *parts = parts_at (s, estimator, layer);
    const gsize n = (gsize)s->opt->repeats;
    g_autofree double *values = g_new (double, n);

    for (gsize i = 0; i < n; i++)
        values[i] = shared ? parts[i].shared : parts[i].alpha;
    return interval_of (values, n);
}

static double
largest_departure (const Study *s, guint estimator, guint layer)
{
    const Parts parts = mean_parts (s, estimator, layer);
    double worst = 0;

    for (gsize b = 0; b < s->opt->batches.n; b++)
        if (measured_at (s, estimator, b)) {
            const double got =
                interval_of (variances_at (s, estimator, b, layer), (gsize)s->opt->repeats).mean;
            const double want = parts_predict (parts, (double)s->opt->batches.values[b]);

            worst = fmax (worst, fabs (got / want - 1));
        }
    return worst;
}

static void
describe (Study *s, guint estimator, guint layer, Record *r)
{
    g_autofree char *where =
        g_strdup_printf ("%s/%s", estimator_name (s, estimator), layer_name (s, layer));
    const double ideal = ideal_until (s, estimator, layer);
    const Parts parts = mean_parts (s, estimator, layer);
    gsize n, n_ideal;
    const Interval all = slopes (s, estimator, layer, INFINITY, &n);
    const Interval near = slopes (s, estimator, layer, ideal, &n_ideal);
    g_autofree char *slope = NULL;

    add_interval (r, "alpha", part_interval (s, estimator, layer, FALSE), where);
    add_interval (r, "shared", part_interval (s, estimator, layer, TRUE), where);
    if (n > 1)
        add_interval (r, "slope", all, where);
    record_add (r, ideal, "ideal_until/%s", where);
    if (n_ideal > 1)
        add_interval (r, "slope_ideal", near, where);
    record_add (r, largest_departure (s, estimator, layer), "apart/%s", where);
    // With one size there is no slope.
    slope = n < 2         ? g_strdup ("")
            : n_ideal < 2 ? g_strdup_printf (", slope %.3f", all.mean)
                          : g_strdup_printf (", slope %.3f, %.3f up to a batch of %g", all.mean,
                                             near.mean, ideal);
    dlh_run_message (s->run, "  %-14s alpha %.3g, shared %.2g%s, theorem within %.0f %%",
                     estimator_name (s, estimator), parts.alpha, parts.shared, slope,
                     100 * largest_departure (s, estimator, layer));
}

/* Figures. */

static double *
add_curve (GArray *curves, GPtrArray *owned, const char *label, DlhCurveStyle style, guint colour,
           gsize n)
{
    double *values = g_new0 (double, 4 * MAX (n, 1));
    DlhCurve curve = {
        .label = label, .x = values, .y = values + n, .n = n, .style = style, .colour = colour};

    g_ptr_array_add (owned, values);
    if (style == DLH_CURVE_POINTS) {
        curve.low = values + 2 * n;
        curve.high = values + 3 * n;
    }
    g_array_append_val (curves, curve);
    return values;
}

static void
add_measured (const Study *s, guint e, guint layer, GArray *curves, GPtrArray *owned)
{
    const gsize n = s->opt->batches.n;
    double *v = add_curve (curves, owned, estimator_name (s, e), DLH_CURVE_POINTS, e + 1, n);

    for (gsize b = 0; b < n; b++) {
        const Interval i = interval_of (variances_at (s, e, b, layer), (gsize)s->opt->repeats);
        const gboolean there = measured_at (s, e, b);

        v[b] = (double)s->opt->batches.values[b];
        v[n + b] = there ? i.mean : NAN;
        v[2 * n + b] = there && s->opt->repeats > 1 ? fmax (i.low, i.mean / 100) : v[n + b];
        v[3 * n + b] = there && s->opt->repeats > 1 ? i.high : v[n + b];
    }
}

static void
add_predicted (const Study *s, guint e, guint layer, GArray *curves, GPtrArray *owned)
{
    const gsize n = s->opt->batches.n;
    double *v = add_curve (curves, owned, NULL, DLH_CURVE_LINE, e + 1, n);

    for (gsize b = 0; b < n; b++) {
        v[b] = (double)s->opt->batches.values[b];
        v[n + b] = parts_predict (mean_parts (s, e, layer), v[b]);
    }
}

static void
add_part (const Study *s, const char *label, guint colour, double value, gboolean falls,
          GArray *curves, GPtrArray *owned)
{
    const gsize n = s->opt->batches.n;
    double *v = add_curve (curves, owned, label, DLH_CURVE_LINE, colour, n);

    for (gsize b = 0; b < n; b++) {
        v[b] = (double)s->opt->batches.values[b];
        v[n + b] = falls ? value / v[b] : value;
    }
}

static int
index_of (const Study *s, const char *name)
{
    for (guint i = 0; i < s->estimators->len; i++)
        if (g_str_equal (estimator_name (s, i), name))
            return (int)i;
    return -1;
}

// Where both are measured: beta is what signs of their own take away, gamma what they leave.
static void
add_theorem (Study *s, guint layer, guint flipout, guint shared, Record *r, GArray *curves,
             GPtrArray *owned)
{
    const Parts f = mean_parts (s, flipout, layer), h = mean_parts (s, shared, layer);
    const double beta = h.shared - f.shared;

    add_part (s, "alpha / N", 1, f.alpha, TRUE, curves, owned);
    add_part (s, "beta", 2, beta, FALSE, curves, owned);
    add_part (s, "gamma", 3, f.shared, FALSE, curves, owned);
    record_add (r, f.alpha, "theorem/alpha/%s", layer_name (s, layer));
    record_add (r, beta, "theorem/beta/%s", layer_name (s, layer));
    record_add (r, f.shared, "theorem/gamma/%s", layer_name (s, layer));
}

static gboolean
draw (Study *s, const char *name, guint layer, const char *title, const char *caption,
      const GArray *curves, GError **error)
{
    g_autofree char *file =
        g_strdup_printf ("%s-%u-%" G_GINT64_FORMAT, name, layer + 1, s->trained);
    g_autofree char *full = g_strdup_printf ("%s, %s, after %" G_GINT64_FORMAT " steps", title,
                                             layer_name (s, layer), s->trained);
    const DlhFigure figure = {.size = sizeof figure,
                              .kind = DLH_FIGURE_CURVES,
                              .name = file,
                              .title = full,
                              .caption = caption,
                              .x_label = "batch",
                              .y_label = "variance of an element of the gradient",
                              .log_x = TRUE,
                              .log_y = TRUE,
                              .curves = (const DlhCurve *)(gconstpointer)curves->data,
                              .n_curves = curves->len};

    return dlh_run_figure (s->run, &figure, error);
}

static gboolean
draw_layer (Study *s, guint layer, Record *r, GError **error)
{
    const int flipout = index_of (s, "flipout"), shared = index_of (s, "shared");
    g_autoptr (GArray) curves = g_array_new (FALSE, FALSE, sizeof (DlhCurve));
    g_autoptr (GArray) parts = g_array_new (FALSE, FALSE, sizeof (DlhCurve));
    g_autoptr (GPtrArray) owned = g_ptr_array_new_with_free_func (g_free);

    for (guint e = 0; e < s->estimators->len; e++) {
        add_measured (s, e, layer, curves, owned);
        add_predicted (s, e, layer, curves, owned);
    }
    if (!draw (s, "variance", layer, "Gradient variance",
               "Points: measured, with 90 % intervals. Lines: the theorem, its parts from nested "
               "sampling.",
               curves, error))
        return FALSE;
    if (flipout < 0 || shared < 0)
        return TRUE;
    add_theorem (s, layer, (guint)flipout, (guint)shared, r, parts, owned);
    return draw (s, "parts", layer, "Parts of the variance",
                 "Shared noise has all three, flipout has no beta, independent noise alpha / N "
                 "alone. A part that is estimated at 0 or below has no place.",
                 parts, error);
}

static gboolean
log_batches (Study *s, GError **error)
{
    for (gsize b = 0; b < s->opt->batches.n; b++) {
        g_auto (Record) r = record_new ();

        record_add (&r, (double)s->opt->batches.values[b], "batch");
        record_add (&r, (double)s->trained, "trained");
        for (guint e = 0; e < s->estimators->len; e++)
            for (guint j = 0; j < s->layers->len && measured_at (s, e, b); j++) {
                g_autofree char *where =
                    g_strdup_printf ("%s/%s", estimator_name (s, e), layer_name (s, j));
                const Interval i = interval_of (variances_at (s, e, b, j), (gsize)s->opt->repeats);

                add_interval (&r, "variance", i, where);
                record_add (&r,
                            parts_predict (mean_parts (s, e, j), (double)s->opt->batches.values[b]),
                            "predicted/%s", where);
            }
        if (!record_log (&r, s, "eval", error))
            return FALSE;
    }
    return TRUE;
}

gboolean
study_report (Study *s, GError **error)
{
    g_auto (Record) r = record_new ();

    record_add (&r, (double)s->trained, "trained");
    for (guint j = 0; j < s->layers->len; j++) {
        dlh_run_message (s->run, "%s, after %" G_GINT64_FORMAT " steps:", layer_name (s, j),
                         s->trained);
        for (guint e = 0; e < s->estimators->len; e++)
            describe (s, e, j, &r);
        if (!draw_layer (s, j, &r, error))
            return FALSE;
    }
    return log_batches (s, error) &&
           record_log (&r, s,
                       s->trained < s->opt->train.values[s->opt->train.n - 1] ? "eval" : "final",
                       error);
}
