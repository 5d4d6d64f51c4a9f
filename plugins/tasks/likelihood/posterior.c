/* SPDX-License-Identifier: MIT */
/* What the model makes of each example: draws of its posterior are chains of the longest path,
 * taken with probabilities in proportion to their weights, decoded. An example of a mode that the
 * model lacks is reconstructed badly, however the chains try; one that it has, as well as the
 * examples that it made itself. */
#include <math.h>
#include <string.h>
#include "likelihood.h"

#define DRAWS LIKELIHOOD_DRAWS
#define GAP 2 /* pixels */

// A chain by its weight; @u uniform in [0, 1).
static gint64
choose (const double *log_weights, gint64 n, double u)
{
    double total = dlh_log_mean_exp (log_weights, (gsize)n), sum = 0;

    if (!isfinite (total))
        return 0;
    for (gint64 c = 0; c < n; c++) {
        sum += exp (log_weights[c] - total) / (double)n;
        if (u < sum)
            return c;
    }
    return n - 1;
}

void
likelihood_keep_draws (Likelihood *l, gint64 row, gint64 first, gint64 n)
{
    const double *w = dlh_chains_find_report (l->chains, "log_weight");
    const DlhTensor *z = dlh_chains_value (l->chains, 0);
    gint64 C = l->opt->chains;
    gsize bytes = dlh_tensor_bytes (z) / (gsize)(l->batch * C);
    guint64 seed = dlh_store_get_seed (dlh_run_store (l->run));

    for (gint64 e = 0; e < n; e++) {
        double u[DRAWS];

        dlh_random_fill_uniform (seed, "likelihood/posterior", (guint64)(first + e), u, DRAWS);
        for (gint64 k = 0; k < DRAWS; k++)
            memcpy ((char *)dlh_tensor_get_data (l->posterior) +
                        (gsize)((row + first + e) * DRAWS + k) * bytes,
                    (const char *)dlh_tensor_get_data (z) +
                        (gsize)(e * C + choose (w + e * C, C, u[k])) * bytes,
                    bytes);
    }
}

/* Decoding. */

typedef struct {
    Likelihood *l;
    DlhTensor *z; /* (batch DRAWS, d) */
    DlhFunction *function;
} Decoder;

static void
decoder_clear (Decoder *d)
{
    dlh_tensor_unref (d->z);
    dlh_function_unref (d->function);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Decoder, decoder_clear)

static gboolean
decoder_init (Decoder *d, Likelihood *l, GError **error)
{
    const DlhLatent *role = ((const DlhModel *)dlh_component_interface (l->model))->latent;
    DlhStore *store = dlh_run_store (l->run);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    DlhDType dtype = dlh_tensor_get_dtype (l->posterior);
    DlhShape shape = dlh_shape (l->batch * DRAWS, dlh_tensor_get_shape (l->posterior).dims[2]);
    DlhNode *z = dlh_input (graph, "z", dtype, shape), *mean;

    d->l = l;
    dlh_graph_push_scope (graph, dlh_component_name (l->model));
    mean =
        dlh_distribution_mean (role->decode (&b, &l->problem, dlh_component_options (l->model), z));
    dlh_graph_pop_scope (graph);
    if (!dlh_graph_check (graph, error))
        return FALSE;
    d->z = dlh_tensor_new (dtype, shape, error);
    d->function = d->z ? dlh_graph_compile (graph, &mean, 1, error) : NULL;
    return d->function != NULL;
}

// The means of all draws of at most a batch of examples, (batch DRAWS, input).
static const DlhTensor *
decode (Decoder *d, const gint64 *examples, gint64 n, GError **error)
{
    gsize bytes = dlh_tensor_bytes (d->z) / (gsize)d->l->batch;

    for (gint64 e = 0; e < d->l->batch; e++)
        memcpy ((char *)dlh_tensor_get_data (d->z) + (gsize)e * bytes,
                (const char *)dlh_tensor_get_data (d->l->posterior) +
                    (gsize)examples[MIN (e, n - 1)] * bytes,
                bytes);
    return dlh_function_run (d->function, &d->z, 1, error) ? dlh_function_output (d->function, 0)
                                                           : NULL;
}

// Element @i of example @e, data first, then simulated ones.
static double
element (const Likelihood *l, gint64 e, gint64 i)
{
    gint64 width = dlh_shape_count (l->problem.input_shape);
    const DlhTensor *from = e < l->n ? l->data : l->simulated_x;

    return dlh_tensor_get (from, (e < l->n ? e : e - l->n) * width + i);
}

// Mean squared errors of an element, (n + m).
static gboolean
measure (Decoder *d, double *errors, GError **error)
{
    Likelihood *l = d->l;
    gint64 width = dlh_shape_count (l->problem.input_shape), all = l->n + l->m;
    g_autofree gint64 *numbers = g_new (gint64, l->batch);

    for (gint64 first = 0; first < all; first += l->batch) {
        gint64 n = MIN (l->batch, all - first);
        const DlhTensor *mean;

        for (gint64 e = 0; e < n; e++)
            numbers[e] = first + e;
        if (!(mean = decode (d, numbers, n, error)))
            return FALSE;
        for (gint64 e = 0; e < n; e++) {
            double sum = 0;

            for (gint64 i = 0; i < DRAWS * width; i++) {
                double r = element (l, first + e, i % width) -
                           dlh_tensor_get (mean, e * DRAWS * width + i);

                sum += r * r;
            }
            errors[first + e] = sum / (double)(DRAWS * width);
        }
    }
    return TRUE;
}

/* Pictures: each example with its draws to the right. */

static gboolean
is_picture (const Likelihood *l, gint64 *channels, gint64 *height, gint64 *width)
{
    DlhShape s = l->problem.input_shape;
    guint skip = s.rank == 3 ? 1 : 0;

    if ((s.rank != 2 && s.rank != 3) || (s.rank == 3 && s.dims[0] != 1 && s.dims[0] != 3))
        return FALSE;
    *channels = skip ? s.dims[0] : 1;
    *height = s.dims[skip];
    *width = s.dims[skip + 1];
    return TRUE;
}

// Example @e and its draws, from row @row of @mean on, as picture @i of @out (n, channels, h, w).
static void
paint (const Likelihood *l, DlhTensor *out, gint64 i, gint64 e, const DlhTensor *mean, gint64 row)
{
    const gint64 *dims = dlh_tensor_get_shape (out).dims;
    gint64 h = dims[2], wide = dims[3], w = (wide + GAP) / (DRAWS + 1) - GAP,
           size = dims[1] * h * w;

    for (gint64 k = 0; k < dims[1] * h * wide; k++) {
        gint64 y = k / wide, panel = k % wide / (w + GAP), x = k % wide % (w + GAP);
        gint64 at = y * w + x;
        double v = 1;

        if (x < w)
            v = panel == 0 ? element (l, e, at)
                           : dlh_tensor_get (mean, (row * DRAWS + panel - 1) * size + at);
        dlh_tensor_set (out, i * dims[1] * h * wide + k, v);
    }
}

static gboolean
show (Decoder *d, const char *name, const gint64 *examples, gint64 n, GError **error)
{
    Likelihood *l = d->l;
    gint64 channels, height, width;
    g_autoptr (DlhTensor) out = NULL;

    if (n == 0 || !is_picture (l, &channels, &height, &width))
        return TRUE;
    out = dlh_tensor_new (
        DLH_F32, dlh_shape (n, channels, height, (DRAWS + 1) * (width + GAP) - GAP), error);
    if (!out)
        return FALSE;
    for (gint64 first = 0; first < n; first += l->batch) {
        gint64 part = MIN (l->batch, n - first);
        const DlhTensor *mean = decode (d, examples + first, part, error);

        if (!mean)
            return FALSE;
        for (gint64 e = 0; e < part; e++)
            paint (l, out, first + e, examples[first + e], mean, e);
    }
    return dlh_run_log_image (l->run, likelihood_transitions (l) + likelihood_blocks (l), name, out,
                              error);
}

static int
worst_first (gconstpointer a, gconstpointer b, gpointer user_data)
{
    const double *errors = user_data;
    gint64 i = *(const gint64 *)a, j = *(const gint64 *)b;
    double difference = errors[j] - errors[i];

    return difference != 0 ? (difference > 0 ? 1 : -1) : (i > j) - (i < j);
}

gboolean
likelihood_reconstruct (Likelihood *l, double *errors, GError **error)
{
    g_auto (Decoder) d = {0};
    gint64 shown = MIN (l->opt->pictures, l->n);
    g_autofree gint64 *order = g_new (gint64, l->n);

    if (!decoder_init (&d, l, error) || !measure (&d, errors, error))
        return FALSE;
    for (gint64 e = 0; e < l->n; e++)
        order[e] = e;
    if (!show (&d, "likelihood/posterior", order, shown, error))
        return FALSE;
    g_qsort_with_data (order, (int)l->n, sizeof *order, worst_first, errors);
    return show (&d, "likelihood/missed", order, shown, error);
}
