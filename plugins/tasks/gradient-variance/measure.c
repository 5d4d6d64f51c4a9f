/* SPDX-License-Identifier: MIT */
// Gradients of one batch after another, nothing moving: examples are drawn with replacement, so
// that they are independent, and noise by setting the positions of its streams. A batch that is too
// large for memory is taken in parts, which have the draw of the batch in common and nothing else.
#include <math.h>
#include <string.h>
#include "gradient-variance.h"

#define DRAWS_OF_BATCH "/draw" /* the end of the name of a stream that parts have in common */
#define NOISE "random/perturb/"

/* Moments of elements over gradients, around the first one. */
typedef struct {
    double *origin, *sum, *square;
    gint64 n;
} Moments;

static void
moments_clear (Moments *m)
{
    g_free (m->origin);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Moments, moments_clear)

static Moments
moments_new (gsize n)
{
    double *values = g_new0 (double, 3 * n + 1);

    return (Moments){values, values + n, values + 2 * n, 0};
}

static void
moments_add (Moments *m, const double *g, gsize n)
{
    if (m->n++ == 0)
        memcpy (m->origin, g, n * sizeof *g);
    for (gsize i = 0; i < n; i++) {
        const double d = g[i] - m->origin[i];

        m->sum[i] += d;
        m->square[i] += d * d;
    }
}

// Unbiased, the mean over the layer's elements.
static double
moments_variance (const Moments *m, const Layer *l)
{
    const double n = (double)m->n;
    double total = 0;

    for (gsize i = l->first; i < l->first + l->n_picks; i++)
        total += (m->square[i] - m->sum[i] * m->sum[i] / n) / (n - 1);
    return total / (double)l->n_picks;
}

/* One gradient. */

gboolean
measure_batch (Study *s, gint64 n, gint64 *counter, DlhTensor **x, DlhTensor **y, GError **error)
{
    const guint64 seed = dlh_store_get_seed (dlh_run_store (s->run));
    const gint64 count = dlh_data_count (s->data, DLH_SPLIT_TRAIN);
    DlhTensor *targets = dlh_data_targets (s->data, DLH_SPLIT_TRAIN);
    g_autofree double *uniform = g_new (double, n);
    g_autofree gint64 *rows = g_new (gint64, n);

    dlh_random_fill_uniform (seed, "gradient-variance/rows", (guint64)(*counter)++, uniform,
                             (gsize)n);
    for (gint64 i = 0; i < n; i++)
        rows[i] = MIN ((gint64)(uniform[i] * (double)count), count - 1);
    *x = dlh_tensor_new (dlh_data_dtype (s->data, DLH_SPLIT_TRAIN),
                         dlh_shape_insert (dlh_data_input_shape (s->data), 0, n), error);
    if (!*x)
        return FALSE;
    dlh_data_gather (s->data, DLH_SPLIT_TRAIN, rows, *x);
    *y = targets ? dlh_tensor_new (dlh_tensor_get_dtype (targets),
                                   dlh_shape_with (dlh_tensor_get_shape (targets), 0, n), error)
                 : NULL;
    if (!*y)
        return !targets;
    for (gint64 i = 0; i < n; i++) {
        const gsize size = dlh_tensor_bytes (*y) / (gsize)n;

        memcpy ((char *)dlh_tensor_get_data (*y) + (gsize)i * size,
                (const char *)dlh_tensor_get_data (targets) + (gsize)rows[i] * size, size);
    }
    return TRUE;
}

static void
set_positions (const Estimator *e)
{
    for (guint i = 0; i < dlh_store_n_variables (e->store); i++) {
        DlhVariable *v = dlh_store_get_variable (e->store, i);
        const char *name = dlh_variable_name (v);
        gint64 *position = dlh_tensor_get_data (dlh_variable_tensor (v));

        if (g_str_has_prefix (name, NOISE) && g_str_has_suffix (name, DRAWS_OF_BATCH))
            *position = e->draw;
        else if (g_str_has_prefix (name, "random/"))
            *position = e->part;
    }
}

static gboolean
add_part (Study *s, Estimator *e, gint64 n, double share, double *out, GError **error)
{
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;
    g_autoptr (GArray) gradients = NULL;

    if (!measure_batch (s, n, &s->rows_drawn, &x, &y, error))
        return FALSE;
    e->part++;
    set_positions (e);
    if (!(gradients = dlh_trainer_gradients (e->trainer, x, y, error)))
        return FALSE;
    for (guint k = 0; k < gradients->len; k++) {
        const DlhGradient *g = &g_array_index (gradients, DlhGradient, k);

        for (guint j = 0; j < s->layers->len; j++) {
            const Layer *l = s->layers->pdata[j];

            for (gsize i = 0;
                 i < l->n_picks && g_str_equal (l->name, dlh_variable_name (g->variable)); i++)
                out[l->first + i] += share * dlh_tensor_get (g->gradient, l->picks[i]);
        }
    }
    return TRUE;
}

// The gradient of a batch of @n with the draw that is set, into @out.
static gboolean
gradient (Study *s, Estimator *e, gint64 n, double *out, GError **error)
{
    memset (out, 0, s->n_picks * sizeof *out);
    for (gint64 first = 0; first < n; first += e->pass) {
        const gint64 m = MIN (e->pass, n - first);

        if (!add_part (s, e, m, (double)m / (double)n, out, error))
            return FALSE;
    }
    for (gsize i = 0; i < s->n_picks; i++)
        if (!isfinite (out[i])) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "gradient-variance: a gradient under %s is not finite", e->name);
            return FALSE;
        }
    dlh_run_progress (s->run, ++s->done, s->total, 0);
    if (!dlh_run_should_stop (s->run))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                 "stopped after %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                 " gradients, which are not kept: run it again with another --out",
                 s->done, s->total);
    return FALSE;
}

/* Variances, and the theorem's parts. */

double *
variances_at (const Study *s, guint estimator, gsize batch, guint layer)
{
    const gsize i = (estimator * s->opt->batches.n + batch) * s->layers->len + layer;

    return s->variances + i * (gsize)s->opt->repeats;
}

Parts *
parts_at (const Study *s, guint estimator, guint layer)
{
    return s->parts + ((gsize)estimator * s->layers->len + layer) * (gsize)s->opt->repeats;
}

gboolean
measured_at (const Study *s, guint estimator, gsize batch)
{
    const Estimator *e = s->estimators->pdata[estimator];

    return !e->each || s->opt->batches.values[batch] <= s->opt->each_most;
}

gint64
measure_samples (const Study *s, gint64 n)
{
    return s->opt->samples * CLAMP (s->opt->cheap / n, 1, 32);
}

static gboolean
measure_variance (Study *s, guint estimator, gsize batch, gint64 repeat, GError **error)
{
    Estimator *e = s->estimators->pdata[estimator];
    const gint64 n = s->opt->batches.values[batch];
    g_auto (Moments) moments = moments_new (s->n_picks);
    g_autofree double *g = g_new (double, s->n_picks);

    for (gint64 k = 0; k < measure_samples (s, n); k++) {
        e->draw++;
        if (!gradient (s, e, n, g, error))
            return FALSE;
        moments_add (&moments, g, s->n_picks);
    }
    for (guint j = 0; j < s->layers->len; j++)
        variances_at (s, estimator, batch, j)[repeat] =
            moments_variance (&moments, s->layers->pdata[j]);
    return TRUE;
}

// Two batches of n examples with one draw: half the mean square of their difference is
// (alpha - shared) / n, and a quarter of the variance of their sum is that over 2 and shared.
static gboolean
measure_parts (Study *s, guint estimator, gint64 repeat, GError **error)
{
    Estimator *e = s->estimators->pdata[estimator];
    const gint64 n = e->each ? MIN (s->opt->inner, s->opt->each_most) : s->opt->inner;
    g_auto (Moments) differences = moments_new (s->n_picks);
    g_auto (Moments) sums = moments_new (s->n_picks);
    g_autofree double *a = g_new (double, s->n_picks), *b = g_new (double, s->n_picks);

    for (gint64 k = 0; k < s->opt->nested; k++) {
        e->draw++;
        if (!gradient (s, e, n, a, error) || !gradient (s, e, n, b, error))
            return FALSE;
        for (gsize i = 0; i < s->n_picks; i++) {
            a[i] += b[i];
            b[i] = a[i] - 2 * b[i];
        }
        moments_add (&sums, a, s->n_picks);
        moments_add (&differences, b, s->n_picks);
    }
    for (guint j = 0; j < s->layers->len; j++) {
        const double within = moments_variance (&differences, s->layers->pdata[j]) / 2;
        const double mean = moments_variance (&sums, s->layers->pdata[j]) / 4;
        const double shared = mean - within / 2;

        parts_at (s, estimator, j)[repeat] = (Parts){(double)n * within + shared, shared};
    }
    return TRUE;
}

gboolean
measure_all (Study *s, GError **error)
{
    for (gint64 r = 0; r < s->opt->repeats; r++)
        for (guint e = 0; e < s->estimators->len; e++) {
            if (!measure_parts (s, e, r, error))
                return FALSE;
            for (gsize b = 0; b < s->opt->batches.n; b++)
                if (measured_at (s, e, b) && !measure_variance (s, e, b, r, error))
                    return FALSE;
        }
    return TRUE;
}
