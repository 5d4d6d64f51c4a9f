/* SPDX-License-Identifier: MIT */
/* All examples through the encoder, batch after batch, in evaluation mode: nothing of one example
 * depends on the others of its batch, its draw included, which goes by seed and number alone. */
#include <math.h>
#include <string.h>
#include "disentangle.h"

typedef struct {
    Disentangle *t;
    gint64 batch;
    DlhFunction *function; /* x, noise to mean, log_std, z, log p (x | z) */
    DlhTensor *x, *noise;  /* noise (batch, d): standard normal */
} Encoder;

static void
encoder_clear (Encoder *e)
{
    dlh_function_unref (e->function);
    dlh_tensor_unref (e->x);
    dlh_tensor_unref (e->noise);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoder, encoder_clear)

// Location and log scale (n, d), f64; an error when the family is another.
static gboolean
take_parts (Disentangle *t, DlhDistribution *d, const char *what, gboolean laplace, DlhNode **out,
            GError **error)
{
    const char *family = dlh_distribution_name (d);
    DlhNode *mean = dlh_distribution_parameter (d, 0);

    if (dlh_node_failed (mean))
        return dlh_graph_check (dlh_node_graph (mean), error);
    if ((strcmp (family, "Gaussian") != 0 && !(laplace && strcmp (family, "Laplace") == 0)) ||
        dlh_node_rank (mean) != 2) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "disentangle: the %s of model '%s' is %s, a diagonal Gaussian%s over (n, d) "
                     "is wanted",
                     what, dlh_component_name (t->model), family, laplace ? " or Laplace" : "");
        return FALSE;
    }
    out[0] = dlh_cast (mean, DLH_F64);
    out[1] = dlh_cast (dlh_broadcast (dlh_distribution_parameter (d, 1), dlh_node_shape (mean)),
                       DLH_F64);
    return TRUE;
}

static gboolean
build (Encoder *e, GError **error)
{
    Disentangle *t = e->t;
    gconstpointer options = dlh_component_options (t->model);
    DlhStore *store = dlh_run_store (t->run);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    DlhDType dtype = dlh_data_dtype (t->data, t->split);
    DlhShape shape = dlh_shape_insert (t->problem.input_shape, 0, e->batch);
    DlhNode *x = dlh_input (graph, "x", dtype, shape), *out[4];
    DlhDistribution *q;
    DlhNode *mean, *noise, *z;

    dlh_graph_push_scope (graph, dlh_component_name (t->model));
    q = t->latent->encode (&b, &t->problem, options, x);
    if (!dlh_graph_check (graph, error) || !take_parts (t, q, "encoder", FALSE, out, error))
        return FALSE;
    mean = dlh_distribution_parameter (q, 0);
    noise = dlh_input (graph, "noise", dlh_node_dtype (mean), dlh_node_shape (mean));
    z = dlh_add (mean, dlh_mul (dlh_exp (dlh_distribution_parameter (q, 1)), noise));
    out[2] = dlh_cast (z, DLH_F64);
    if (t->opt->elbo)
        out[3] =
            dlh_cast (dlh_log_prob (t->latent->decode (&b, &t->problem, options, z), x), DLH_F64);
    dlh_graph_pop_scope (graph);
    if (!dlh_graph_check (graph, error))
        return FALSE;
    e->x = dlh_tensor_new (dtype, shape, error);
    e->noise = e->x ? dlh_tensor_new (dlh_node_dtype (mean), dlh_node_shape (mean), error) : NULL;
    e->function = e->noise ? dlh_graph_compile (graph, out, t->opt->elbo ? 4 : 3, error) : NULL;
    return e->function &&
           codes_init (&t->codes, dlh_data_count (t->data, t->split), (guint)dlh_node_dim (mean, 1),
                       error) &&
           disentangle_keep_init (t, dlh_node_dtype (mean), error);
}

// @numbers: (batch): of the examples
static void
draw_noise (Encoder *e, const gint64 *numbers)
{
    guint64 seed = dlh_store_get_seed (dlh_run_store (e->t->run));
    guint d = e->t->codes.d;
    g_autofree double *row = g_new (double, d);

    for (gint64 i = 0; i < e->batch; i++) {
        dlh_random_fill_normal (seed, "disentangle/z", (guint64)numbers[i], row, d);
        for (guint j = 0; j < d; j++)
            dlh_tensor_set (e->noise, i * d + j, row[j]);
    }
}

static gboolean
take_prior (Disentangle *t, GError **error)
{
    DlhStore *store = dlh_run_store (t->run);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    g_autoptr (DlhFunction) f = NULL;
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    gsize bytes = t->codes.d * sizeof (double);
    DlhDistribution *p;
    DlhNode *out[2];

    dlh_graph_push_scope (graph, dlh_component_name (t->model));
    p = t->latent->prior (&b, &t->problem, dlh_component_options (t->model), 1);
    dlh_graph_pop_scope (graph);
    if (!dlh_graph_check (graph, error) || !take_parts (t, p, "prior", TRUE, out, error))
        return FALSE;
    f = dlh_graph_compile (graph, out, 2, error);
    if (!f || !dlh_function_run (f, NULL, 0, error))
        return FALSE;
    t->prior.laplace = strcmp (dlh_distribution_name (p), "Laplace") == 0;
    t->prior.mean = g_memdup2 (dlh_tensor_get_data (dlh_function_output (f, 0)), bytes);
    t->prior.log_scale = g_memdup2 (dlh_tensor_get_data (dlh_function_output (f, 1)), bytes);
    return TRUE;
}

static gboolean
keep (Encoder *e, gint64 first, gint64 n, GError **error)
{
    Codes *c = &e->t->codes;
    double *to[] = {c->mean, c->log_std, c->z};

    for (guint part = 0; part < 3; part++) {
        const double *from = dlh_tensor_get_data (dlh_function_output (e->function, part));

        for (gint64 i = 0; i < n; i++)
            for (guint j = 0; j < c->d; j++) {
                double v = from[i * c->d + j];

                to[part][j * (gsize)c->n + (gsize)(first + i)] = v;
                if (isfinite (v))
                    continue;
                g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                             "disentangle: the code of example %" G_GINT64_FORMAT
                             " is %g in latent %u: has the model diverged?",
                             first + i, v, j + 1);
                return FALSE;
            }
    }
    disentangle_keep_codes (e->t, first, n);
    for (gint64 i = 0; i < n && e->t->opt->elbo; i++)
        *e->t->kept.log_likelihood +=
            c->p[first + i] * dlh_tensor_get (dlh_function_output (e->function, 3), i);
    return TRUE;
}

gboolean
disentangle_encode (Disentangle *t, const Pace *pace, GError **error)
{
    gint64 n = dlh_data_count (t->data, t->split);
    DlhTensor *weights = dlh_data_weights (t->data, t->split);
    g_auto (Encoder) e = {.t = t, .batch = MIN (t->opt->batch, n)};
    g_autofree gint64 *numbers = g_new (gint64, e.batch);
    gint64 *done;

    if (!build (&e, error) || !take_prior (t, error))
        return FALSE;
    if (weights)
        codes_set_weights (&t->codes, dlh_tensor_get_data (weights));
    done = disentangle_begin (t, STAGE_ENCODE, n);
    while (*done < n) {
        gint64 first = *done, m = MIN (e.batch, n - first);

        // What is beyond the last is a copy of it, and not looked at.
        for (gint64 i = 0; i < e.batch; i++)
            numbers[i] = MIN (first + i, n - 1);
        dlh_data_gather (t->data, t->split, numbers, e.x);
        draw_noise (&e, numbers);
        if (!dlh_function_run (e.function, (DlhTensor *[]){e.x, e.noise}, 2, error) ||
            !keep (&e, first, m, error))
            return FALSE;
        t->n_encoded += (double)m;
        *done += m;
        if (!pace_step (pace, (double)(first + m) / (double)n, error))
            return FALSE;
    }
    return TRUE;
}
