/* SPDX-License-Identifier: MIT */
/* The maps of a layer's inputs and outputs: random ones of a family. Their inverses are known by
 * construction: M = Q D R with Q, R orthogonal and D = diag (exp (spread z)), z standard normal. */
#include <math.h>
#include <string.h>
#include "invariance.h"

/* What a family consists of. */
typedef struct {
    const char *name;
    gboolean rotation, stretch; /* M = Q, D, or Q D R */
    gboolean in_shift, out_shift;
} Family;

static const Family families[] = {
    {"affine", TRUE, TRUE, TRUE, TRUE},       {"linear", TRUE, TRUE, FALSE, FALSE},
    {"orthogonal", TRUE, FALSE, FALSE, TRUE}, {"diagonal", FALSE, TRUE, FALSE, FALSE},
    {"shift", FALSE, FALSE, TRUE, TRUE},
};

void
map_clear (Map *map)
{
    g_clear_pointer (&map->matrix, dlh_tensor_unref);
    g_clear_pointer (&map->inverse, dlh_tensor_unref);
    g_clear_pointer (&map->scale, dlh_tensor_unref);
    g_clear_pointer (&map->shift, dlh_tensor_unref);
}

gboolean
map_is_identity (const Map *map)
{
    return !map->matrix && !map->scale && !map->shift;
}

DlhTensor *
evaluate (DlhNode *node, GError **error)
{
    g_autoptr (DlhFunction) f = dlh_graph_compile (dlh_node_graph (node), &node, 1, error);

    if (!f || !dlh_function_run (f, NULL, 0, error))
        return NULL;
    return dlh_tensor_copy (dlh_function_output (f, 0), error);
}

// A vector (n) as (n, 1, 1) where it belongs to channels.
static DlhNode *
constant (DlhNode *x, const DlhTensor *v, gboolean channels)
{
    DlhNode *c = dlh_constant (dlh_node_graph (x), v);

    return channels ? dlh_reshape (c, dlh_shape (-1, 1, 1)) : c;
}

DlhNode *
map_apply (const Map *map, DlhNode *x, gboolean channels)
{
    DlhConv conv = DLH_CONV_DEFAULT;
    DlhGraph *graph = dlh_node_graph (x);
    const gint64 n = map->groups * map->n;
    DlhNode *m, *v;

    if (!map->matrix) {
        if (map->scale)
            x = dlh_mul (x, constant (x, map->scale, channels));
        return map->shift ? dlh_add (x, constant (x, map->shift, channels)) : x;
    }
    m = dlh_constant (graph, map->matrix);
    v = map->shift ? dlh_constant (graph, map->shift) : NULL;
    if (!channels)
        return dlh_linear (x, dlh_reshape (m, dlh_shape (n, map->n)), v);
    conv.groups = map->groups;
    return dlh_conv2d (x, dlh_reshape (m, dlh_shape (n, map->n, 1, 1)), v, conv);
}

/* Drawing. */

typedef struct {
    DlhStore *store; /* of first values: they depend on the seed and their names */
    DlhGraph *graph;
    const Family *family;
    double spread, shift;
} Draw;

static DlhNode *
draw (Draw *d, const char *name, gint64 part, const char *what, DlhShape shape, DlhInitKind kind)
{
    g_autofree char *full = g_strdup_printf ("%s/%s%" G_GINT64_FORMAT, name, what, part);

    return dlh_parameter (d->graph, d->store, full, shape,
                          (DlhInit){kind, kind == DLH_INIT_NORMAL ? 0 : 1, 1});
}

// exp (+- spread z), (n)
static DlhNode *
stretches (Draw *d, const char *name, gint64 part, gint64 n, double sign)
{
    return dlh_exp (dlh_scale (draw (d, name, part, "stretch", dlh_shape (n), DLH_INIT_NORMAL),
                               sign * d->spread));
}

// M of each group, or M^-1: (groups, n, n)
static DlhTensor *
draw_matrix (Draw *d, const char *name, gint64 groups, gint64 n, gboolean inverse, GError **error)
{
    g_autofree DlhNode **parts = g_new (DlhNode *, (gsize)groups);
    const DlhShape square = dlh_shape (n, n);

    for (gint64 i = 0; i < groups; i++) {
        DlhNode *q = draw (d, name, i, "left", square, DLH_INIT_ORTHOGONAL), *r;

        parts[i] = inverse ? dlh_t (q) : q;
        if (!d->family->stretch)
            continue;
        r = draw (d, name, i, "right", square, DLH_INIT_ORTHOGONAL);
        if (inverse)
            parts[i] = dlh_matmul (dlh_mul (dlh_t (r), stretches (d, name, i, n, -1)), dlh_t (q));
        else
            parts[i] = dlh_matmul (dlh_mul (q, stretches (d, name, i, n, 1)), r);
    }
    return evaluate (dlh_stack (parts, (guint)groups, 0), error);
}

static gboolean
draw_map (Draw *d, const char *name, Map *map, gint64 groups, gint64 n, gboolean shift,
          GError **error)
{
    DlhNode *v;

    *map = (Map){.groups = groups, .n = n};
    if (d->family->rotation && n > MAX_MATRIX) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'%s' has %" G_GINT64_FORMAT
                     " numbers, a matrix is drawn for at most %d: give "
                     "maps=diagonal or maps=shift, or a smaller model",
                     name, n, MAX_MATRIX);
        return FALSE;
    }
    if (d->family->rotation && (!(map->matrix = draw_matrix (d, name, groups, n, FALSE, error)) ||
                                !(map->inverse = draw_matrix (d, name, groups, n, TRUE, error))))
        return FALSE;
    if (!d->family->rotation && d->family->stretch &&
        !(map->scale = evaluate (stretches (d, name, 0, groups * n, 1), error)))
        return FALSE;
    if (!shift)
        return TRUE;
    v = draw (d, name, 0, "shift", dlh_shape (groups * n), DLH_INIT_NORMAL);
    map->shift = evaluate (dlh_scale (v, d->shift), error);
    return map->shift != NULL;
}

static gboolean
draw_layer (Draw *d, Layer *l, GError **error)
{
    g_autofree char *in = g_strconcat (l->label, " in", NULL);
    g_autofree char *out = g_strconcat (l->label, " out", NULL);

    if (!draw_map (d, in, &l->in, l->groups, l->n_in, d->family->in_shift && layer_takes_shift (l),
                   error))
        return FALSE;
    return l->last ||
           draw_map (d, out, &l->out, l->groups, l->n_out, d->family->out_shift && l->bias, error);
}

gboolean
maps_draw (Layers *layers, const InvarianceOptions *opt, guint64 seed, GError **error)
{
    g_autoptr (DlhStore) store = dlh_store_new (seed, DLH_F64);
    Draw d = {.store = store, .spread = opt->spread, .shift = opt->shift};

    for (guint i = 0; i < G_N_ELEMENTS (families); i++)
        if (strcmp (families[i].name, opt->maps) == 0)
            d.family = &families[i];
    for (guint i = 0; i < layers->len; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();

        d.graph = graph;
        if (!draw_layer (&d, layers->pdata[i], error))
            return FALSE;
    }
    return TRUE;
}
