/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "walk.h"

#define SEED 22

static gboolean
is_sampler (const Check *c)
{
    return c->info->manifest->kind == DLH_SAMPLER;
}

const Place *
places (const Check *c)
{
    static const Place of_samplers[] = {{"density", PLACE_DENSITY},
                                        {"posterior", PLACE_POSTERIOR},
                                        {"minibatch", PLACE_MINIBATCH},
                                        {NULL, 0}};
    static const Place of_models[] = {{"own-density", PLACE_OWN}, {NULL, 0}};

    return is_sampler (c) ? of_samplers : of_models;
}

/* The known density: logistic numbers of location 1, of three scales, one of scale 1 and four of
 * scale 2. Logistic, so that a method right on normal ones alone is found out. */

#define LOCATION 1.0

static const DlhBlock known_blocks[] = {{"x", {1, {3}}, {DLH_INIT_NORMAL, 1, 2}},
                                        {"s", {0, {0}}, {DLH_INIT_NORMAL, 1, 2}},
                                        {"m", {2, {2, 2}}, {DLH_INIT_NORMAL, 1, 4}}};
static const double x_scales[] = {0.5, 1, 2};

static double
known_scale (guint block, gint64 element)
{
    return block == 0 ? x_scales[element] : block == 1 ? 1 : 2;
}

guint
known_n_blocks (void)
{
    return G_N_ELEMENTS (known_blocks);
}

const char *
known_name (guint block)
{
    return known_blocks[block].name;
}

gint64
known_size (guint block)
{
    return dlh_shape_count (known_blocks[block].shape);
}

double
known_quantile (guint block, gint64 element, double u)
{
    return LOCATION + known_scale (block, element) * log (u / (1 - u));
}

double
known_share (guint block, gint64 element, double x)
{
    return 1 / (1 + exp (-(x - LOCATION) / known_scale (block, element)));
}

// log p = -z - 2 log (1 + exp (-z)), z = (q - location) / scale, summed over a chain's numbers.
static DlhNode *
known_log_density (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    const Walk *w = user_data;
    DlhNode *sum = NULL;

    for (guint i = 0; i < known_n_blocks (); i++) {
        gint64 n = known_size (i);
        g_autoptr (DlhTensor) scale = dlh_tensor_new (dlh_node_dtype (q[i]), dlh_shape (n), NULL);
        DlhNode *z, *part;

        for (gint64 j = 0; j < n; j++)
            dlh_tensor_set (scale, j, known_scale (i, j));
        z = dlh_reshape (q[i], dlh_shape (dlh_node_dim (q[i], 0), n));
        z = dlh_div (dlh_offset (z, -LOCATION), dlh_constant (b->graph, scale));
        part = dlh_neg (dlh_add (z, dlh_scale (dlh_softplus (dlh_neg (z)), 2)));
        part = dlh_sum_axis (part, 1);
        sum = sum ? dlh_add (sum, part) : part;
    }
    return w->spoiled ? dlh_scale (sum, NAN) : sum;
}

static DlhTarget *
new_posterior (Walk *w, gint64 batch, gint64 n_chains, GError **error)
{
    g_autoptr (DlhComponent) model = builtin_model ();
    g_autoptr (DlhData) data = problem_data (&problems[0], dlh_store_get_dtype (w->store), 12);
    DlhPosterior posterior = {
        .size = sizeof posterior, .precision = 1, .batch = batch, .spread = 0.1, .n_monitor = 2};

    return dlh_target_new_posterior (w->store, model, data, &posterior, n_chains, error);
}

static DlhTarget *
new_target (Walk *w, PlaceKind kind, DlhComponent *plugin, gint64 n_chains, GError **error)
{
    switch (kind) {
    case PLACE_POSTERIOR:
        return new_posterior (w, 0, n_chains, error);
    case PLACE_MINIBATCH:
        return new_posterior (w, 4, n_chains, error);
    case PLACE_OWN:
        return dlh_target_new_density (w->store, plugin, n_chains, error);
    case PLACE_DENSITY:
    default:
        return dlh_target_new (w->store, n_chains, known_blocks, known_n_blocks (),
                               known_log_density, w, error);
    }
}

void
walk_clear (Walk *walk)
{
    dlh_chains_free (walk->chains);
    dlh_target_free (walk->target);
    dlh_store_unref (walk->store);
}

gboolean
walk_init (Walk *w, Check *c, const Place *place, gint64 n_chains, gint64 n_warmup,
           GHashTable *settings, GError **error)
{
    g_autoptr (DlhComponent) plugin = check_load (c, settings, error);
    g_autoptr (DlhComponent) other = builtin_sampler ();

    if (!plugin)
        return FALSE;
    w->store = dlh_store_new (SEED, DLH_F32);
    w->target = new_target (w, place->kind, plugin, n_chains, error);
    if (!check_told (w->target != NULL, "blocks()", error))
        return FALSE;
    w->chains = dlh_chains_new (w->target, is_sampler (c) ? plugin : other, n_warmup, error);
    return check_told (w->chains != NULL, "build()", error);
}

gboolean
walk_on (Walk *w, guint n, GError **error)
{
    for (guint i = 0; i < n; i++)
        if (!check_told (dlh_chains_transition (w->chains, error), "between()", error))
            return FALSE;
    return TRUE;
}
