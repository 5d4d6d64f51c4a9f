/* SPDX-License-Identifier: MIT */
/* Traversals: what the decoder makes of an example's code when one latent takes other values. A
 * picture an example: a row for each latent, the example itself at the left. */
#include <math.h>
#include <string.h>
#include "disentangle.h"

#define STEPS 9
#define GAP 1 /* pixels between pictures */

typedef struct {
    Disentangle *t;
    const guint *latents; /* (n_latents): those that are shown */
    guint n_latents;
    gint64 channels, height, width;
    DlhFunction *decode; /* z (n_latents STEPS, d) to pictures */
    DlhTensor *z, *out;
    gint64 out_height, out_width;
} Traverse;

static double
deviation_of (const CodePrior *prior, guint j)
{
    return exp (prior->log_scale[j]) * (prior->laplace ? M_SQRT2 : 1);
}

static void
traverse_clear (Traverse *v)
{
    dlh_function_unref (v->decode);
    dlh_tensor_unref (v->z);
    dlh_tensor_unref (v->out);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Traverse, traverse_clear)

static gboolean
build (Traverse *v, GError **error)
{
    Disentangle *t = v->t;
    DlhStore *store = dlh_run_store (t->run);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    DlhShape shape = dlh_shape (v->n_latents * STEPS, t->codes.d);
    DlhNode *z = dlh_input (graph, "z", dlh_store_get_dtype (store), shape), *mean;

    dlh_graph_push_scope (graph, dlh_component_name (t->model));
    mean = dlh_distribution_mean (
        t->latent->decode (&b, &t->problem, dlh_component_options (t->model), z));
    dlh_graph_pop_scope (graph);
    if (!dlh_graph_check (graph, error))
        return FALSE;
    v->z = dlh_tensor_new (dlh_store_get_dtype (store), shape, error);
    v->decode = v->z ? dlh_graph_compile (graph, &mean, 1, error) : NULL;
    return v->decode != NULL;
}

// Picture @i of @from with its corner at (@top, @left) of picture @to.
static void
paste (Traverse *v, const DlhTensor *from, gint64 i, gint64 to, gint64 top, gint64 left)
{
    for (gint64 c = 0; c < 3; c++)
        for (gint64 row = 0; row < v->height; row++)
            for (gint64 column = 0; column < v->width; column++) {
                gint64 channel = i * v->channels + MIN (c, v->channels - 1);
                double value =
                    dlh_tensor_get (from, (channel * v->height + row) * v->width + column);

                dlh_tensor_set (v->out,
                                ((to * 3 + c) * v->out_height + top + row) * v->out_width + left +
                                    column,
                                CLAMP (value, 0, 1));
            }
}

static gboolean
traverse_example (Traverse *v, gint64 example, gint64 to, GError **error)
{
    Disentangle *t = v->t;
    const Codes *c = &t->codes;
    g_autoptr (DlhTensor) x = dlh_data_rows (t->data, t->split, example, 1, error);

    if (!x)
        return FALSE;
    for (guint r = 0; r < v->n_latents; r++)
        for (guint s = 0; s < STEPS; s++)
            for (guint j = 0; j < c->d; j++) {
                double at = c->mean[j * (gsize)c->n + (gsize)example];

                // As many deviations of the prior to either side as the user asked for.
                if (j == v->latents[r])
                    at = t->prior.mean[j] +
                         deviation_of (&t->prior, j) * t->opt->range * (2.0 * s / (STEPS - 1) - 1);
                dlh_tensor_set (v->z, (r * STEPS + s) * c->d + j, at);
            }
    if (!dlh_function_run (v->decode, &v->z, 1, error))
        return FALSE;
    for (guint r = 0; r < v->n_latents; r++) {
        gint64 top = r * (v->height + GAP);

        paste (v, x, 0, to, top, 0);
        for (guint s = 0; s < STEPS; s++)
            paste (v, dlh_function_output (v->decode, 0), r * STEPS + s, to, top,
                   (s + 1) * (v->width + GAP));
    }
    return TRUE;
}

gboolean
disentangle_traverse (Disentangle *t, const guint *latents, guint n_latents, GError **error)
{
    DlhShape shape = t->problem.input_shape;
    gint64 n = MIN (t->opt->traversals, t->codes.n);
    g_auto (Traverse) v = {.t = t, .latents = latents, .n_latents = n_latents};
    g_autofree double *u = g_new (double, MAX (n, 1));

    // Only what looks like pictures.
    if (n == 0 || n_latents == 0 || shape.rank != 3 || (shape.dims[0] != 1 && shape.dims[0] != 3) ||
        shape.dims[1] > 256 || shape.dims[2] > 256)
        return TRUE;
    v.channels = shape.dims[0];
    v.height = shape.dims[1];
    v.width = shape.dims[2];
    v.out_height = n_latents * (v.height + GAP) - GAP;
    v.out_width = (STEPS + 1) * (v.width + GAP) - GAP;
    v.out = dlh_tensor_new (DLH_F32, dlh_shape (n, 3, v.out_height, v.out_width), error);
    if (!v.out || !build (&v, error))
        return FALSE;
    for (gint64 i = 0; i < dlh_tensor_count (v.out); i++)
        ((float *)dlh_tensor_get_data (v.out))[i] = 0.5f;
    dlh_random_fill_uniform (dlh_store_get_seed (dlh_run_store (t->run)), "disentangle/traverse", 0,
                             u, (gsize)n);
    for (gint64 i = 0; i < n; i++)
        if (!traverse_example (&v, MIN ((gint64)(u[i] * (double)t->codes.n), t->codes.n - 1), i,
                               error))
            return FALSE;
    return dlh_run_log_image (t->run, 0, "traversals", v.out, error);
}
