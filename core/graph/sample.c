/* SPDX-License-Identifier: MIT */
/* Small valid inputs for the ops' automatic tests. */
#include "graph/private.h"

#include <dlhost/arrange.h>
#include <dlhost/elementwise.h>
#include <dlhost/sample.h>

#include <math.h>

#define SAMPLE_SEED 20240229

struct _DlhSample {
    DlhSampleMode mode;
    DlhDType dtype;
    DlhGraph *graph;
    DlhStore *store;    /* made when first asked for */
    GPtrArray *nodes;   /* the dlh_input() nodes */
    GPtrArray *tensors; /* their values */
    GArray *taken;      /* doubles: every uniform value so far */
    guint64 n_draws;
};

DlhSample *
dlh_sample_new (DlhSampleMode mode, DlhDType dtype)
{
    DlhSample *s = g_new0 (DlhSample, 1);

    s->mode = mode;
    s->dtype = dtype;
    s->graph = dlh_graph_new ();
    s->nodes = g_ptr_array_new ();
    s->tensors = g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);
    s->taken = g_array_new (FALSE, FALSE, sizeof (double));
    return s;
}

void
dlh_sample_free (DlhSample *sample)
{
    if (!sample)
        return;
    g_array_unref (sample->taken);
    g_ptr_array_unref (sample->tensors);
    g_ptr_array_unref (sample->nodes);
    dlh_graph_unref (sample->graph);
    g_clear_pointer (&sample->store, dlh_store_unref);
    g_free (sample);
}

DlhGraph *
dlh_sample_graph (DlhSample *sample)
{
    return sample->graph;
}

DlhDType
dlh_sample_dtype (DlhSample *sample)
{
    return sample->dtype;
}

gboolean
dlh_sample_small (DlhSample *sample)
{
    return sample->mode == DLH_SAMPLE_ONE || sample->mode == DLH_SAMPLE_ZERO;
}

gint64
dlh_sample_dim (DlhSample *sample, gint64 n)
{
    return sample->mode == DLH_SAMPLE_ONE ? 1 : sample->mode == DLH_SAMPLE_ZERO ? 0 : n;
}

DlhShape
dlh_sample_resize (DlhSample *sample, DlhShape shape)
{
    for (guint i = 0; i < shape.rank; i++)
        shape.dims[i] = dlh_sample_dim (sample, shape.dims[i]);
    return shape;
}

guint
dlh_sample_n_inputs (DlhSample *sample)
{
    return sample->nodes->len;
}

DlhNode *
dlh_sample_input (DlhSample *sample, guint i)
{
    return g_ptr_array_index (sample->nodes, i);
}

DlhTensor *const *
dlh_sample_tensors (DlhSample *sample)
{
    return (DlhTensor *const *)sample->tensors->pdata;
}

DlhStore *
dlh_sample_store (DlhSample *sample)
{
    if (!sample->store)
        sample->store = dlh_store_new (SAMPLE_SEED, sample->dtype);
    return sample->store;
}

DlhStream *
dlh_sample_stream (DlhSample *sample)
{
    return dlh_store_stream (dlh_sample_store (sample), "sample");
}

// Sets element @i, counted in @shape's order, of a tensor that holds the transpose.
static void
set_transposed (DlhTensor *tensor, DlhShape shape, gint64 i, double value)
{
    gint64 rows = shape.dims[shape.rank - 2], columns = shape.dims[shape.rank - 1];
    gint64 matrix = i / (rows * columns), within = i % (rows * columns);

    dlh_tensor_set (tensor, matrix * rows * columns + within % columns * rows + within / columns,
                    value);
}

// Makes an input whose value, seen through the node that is returned, is @values.
static DlhNode *
add_input (DlhSample *s, DlhDType dtype, DlhShape shape, const double *values)
{
    gboolean transposed = s->mode == DLH_SAMPLE_TRANSPOSED && shape.rank >= 2;
    g_autofree char *name = g_strdup_printf ("x%u", s->nodes->len);
    g_autoptr (GError) error = NULL;
    DlhShape stored = shape;
    DlhTensor *tensor;
    DlhNode *node;

    if (transposed) {
        stored.dims[shape.rank - 2] = shape.dims[shape.rank - 1];
        stored.dims[shape.rank - 1] = shape.dims[shape.rank - 2];
    }
    tensor = dlh_tensor_new (dtype, stored, &error);
    if (!tensor)
        return dlh_graph_fail (s->graph, error->code, "sample: %s", error->message);
    for (gint64 i = 0; i < dlh_tensor_count (tensor); i++)
        if (transposed)
            set_transposed (tensor, shape, i, values[i]);
        else
            dlh_tensor_set (tensor, i, values[i]);
    node = dlh_input (s->graph, name, dtype, stored);
    g_ptr_array_add (s->nodes, node);
    g_ptr_array_add (s->tensors, tensor);
    return transposed ? dlh_t (node) : node;
}

static double
draw (DlhSample *s)
{
    double u;

    dlh_random_fill_uniform (SAMPLE_SEED, "sample", s->n_draws++, &u, 1);
    return u;
}

static gboolean
is_free (DlhSample *s, double value, const double *kinks, guint n)
{
    for (guint i = 0; i < n; i++)
        if (fabs (value - kinks[i]) < 0.05)
            return FALSE;
    for (guint i = 0; i < s->taken->len; i++)
        if (fabs (value - g_array_index (s->taken, double, i)) < 1e-3)
            return FALSE;
    return TRUE;
}

DlhNode *
dlh_sample_away (DlhSample *sample, double lo, double hi, DlhShape shape, const double *kinks,
                 guint n)
{
    gint64 count = dlh_shape_count (shape);
    g_autofree double *values = g_new (double, count + 1);

    for (gint64 i = 0; i < count; i++) {
        guint tries = 0;

        // Rounded to f32, so that both element types see the same input.
        do
            values[i] = (float)(lo + (hi - lo) * draw (sample));
        while (!is_free (sample, values[i], kinks, n) && ++tries < 10000);
        if (tries == 10000)
            return dlh_graph_fail (sample->graph, DLH_ERROR_OPTION,
                                   "sample: no room for %" G_GINT64_FORMAT
                                   " distinct values in (%g, %g), make the sample smaller",
                                   count, lo, hi);
        g_array_append_val (sample->taken, values[i]);
    }
    return add_input (sample, sample->dtype, shape, values);
}

DlhNode *
dlh_sample_uniform (DlhSample *sample, double lo, double hi, DlhShape shape)
{
    return dlh_sample_away (sample, lo, hi, shape, NULL, 0);
}

// @n integers below @limit, as doubles.
static double *
draw_integers (DlhSample *s, gint64 limit, gint64 n)
{
    double *values = g_new (double, n + 1);

    for (gint64 i = 0; i < n; i++)
        values[i] = limit > 0 ? floor ((double)limit * draw (s)) : 0;
    return values;
}

DlhNode *
dlh_sample_index (DlhSample *sample, gint64 n, DlhShape shape)
{
    g_autofree double *values = draw_integers (sample, n, dlh_shape_count (shape));

    return add_input (sample, sample->dtype == DLH_F32 ? DLH_I32 : DLH_I64, shape, values);
}

DlhNode *
dlh_sample_bool (DlhSample *sample, DlhShape shape)
{
    g_autofree double *values = draw_integers (sample, 2, dlh_shape_count (shape));

    return add_input (sample, DLH_BOOL, shape, values);
}

// a = diag (1, 1.7, 2.4, ...) + 0.3 b b' / n with b uniform in (-1, 1): positive definite, and its
// eigenvalues stay apart, as the eigenvectors' gradient asks.
static void
fill_spd (DlhSample *s, gint64 n, double *a)
{
    g_autofree double *b = g_new (double, n *n + 1);

    for (gint64 i = 0; i < n * n; i++)
        b[i] = 2 * draw (s) - 1;
    for (gint64 i = 0; i < n; i++)
        for (gint64 j = 0; j <= i; j++) {
            double sum = 0;

            for (gint64 k = 0; k < n; k++)
                sum += b[i * n + k] * b[j * n + k];
            sum = (i == j ? 1 + 0.7 * (double)i : 0) + 0.3 * sum / (double)n;
            a[i * n + j] = a[j * n + i] = (float)sum;
        }
}

// An op may read one triangle only, while its gradient is that of a symmetric matrix. The input is
// therefore symmetrised by nodes: differences by any of its elements keep the matrix symmetric.
DlhNode *
dlh_sample_spd (DlhSample *sample, DlhShape shape)
{
    gint64 count = dlh_shape_count (shape), n = shape.rank >= 2 ? shape.dims[shape.rank - 1] : 0;
    g_autofree double *values = g_new0 (double, count + 1);
    DlhNode *m;

    for (gint64 i = 0; i + n * n <= count && n > 0; i += n * n)
        fill_spd (sample, n, values + i);
    m = add_input (sample, sample->dtype, shape, values);
    return shape.rank >= 2 ? dlh_scale (dlh_add (m, dlh_t (m)), 0.5) : m;
}
