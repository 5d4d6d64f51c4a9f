/* SPDX-License-Identifier: MIT */
/* Both copies are the same plugin behind a component of this file, which calls its build() and
 * rewrites the graph: every layer between its two maps in the twin, nothing in the original. */
#include <string.h>
#include "invariance.h"

// Zeros around @x written out, so that the map shifts them as well.
static DlhNode *
pad (DlhNode *x, const DlhConv *conv)
{
    const gint64 around[] = {0, 0, conv->padding[0], conv->padding[1]};

    return dlh_pad (x, around, around, 0);
}

static DlhNode *
mapped_layer (const Copy *copy, const Layer *l, DlhNode *node, DlhNode *const *inputs)
{
    DlhNode *x = inputs[0], *moved[3] = {NULL, inputs[1], l->bias ? inputs[2] : NULL};
    gboolean pads = l->padded && l->in.shift && !copy->zeros;
    DlhConv conv;

    if (pads) {
        conv = *(const DlhConv *)dlh_node_attrs (node);
        x = pad (x, &conv);
        conv.padding[0] = conv.padding[1] = 0;
    }
    moved[0] = map_apply (&l->in, x, l->conv);
    x = pads ? dlh_conv2d (moved[0], moved[1], moved[2], conv) : dlh_node_rebuild (node, moved);
    return map_apply (&l->out, x, l->conv);
}

// tanh (s) = 2 sigmoid (2 s) - 1, and the other way round.
static DlhNode *
swapped (const Copy *copy, DlhNode *node, DlhNode *x)
{
    if (!copy->mapped || !copy->swap || !dlh_node_is (node, copy->swap))
        return NULL;
    if (strcmp (copy->swap, "tanh") == 0)
        return dlh_offset (dlh_scale (dlh_sigmoid (dlh_scale (x, 2)), 2), -1);
    return dlh_offset (dlh_scale (dlh_tanh (dlh_scale (x, 0.5)), 0.5), 0.5);
}

static DlhNode *
rewrite (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    Copy *copy = data;
    Layer *l = layers_lookup (copy->layers, node);
    DlhNode *out;

    if (!l)
        return swapped (copy, node, inputs[0]);
    out = copy->mapped ? mapped_layer (copy, l, node, inputs) : dlh_node_rebuild (node, inputs);
    if (copy->notes) {
        Note note = {.input = inputs[0], .output = out};

        g_ptr_array_find (copy->layers, l, &note.layer);
        g_array_append_val (copy->notes, note);
    }
    return out;
}

static gboolean
copy_build (DlhBuild *build, const DlhProblem *problem, gconstpointer data, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    Copy *copy = (Copy *)data;
    const DlhModel *model = dlh_component_interface (copy->model);

    if (!model->supervised->build (build, problem, dlh_component_options (copy->model), x, y,
                                   objective, error))
        return FALSE;
    if (!objective->loss || !objective->prediction)
        return TRUE;
    if (!copy->layers)
        copy->layers = layers_find (objective);
    dlh_objective_rewrite (objective, build->updates, rewrite, copy);
    return dlh_graph_check (build->graph, error);
}

DlhComponent *
copy_component (Copy *copy, GError **error)
{
    static const DlhSupervised supervised = {sizeof (DlhSupervised), copy_build};
    static const DlhModel model = {.size = sizeof (DlhModel), .supervised = &supervised};

    return dlh_component_new_wrapping (copy->model, &model, copy, NULL, error);
}

/* W' = Ph^-1 (W Ombar^-1 - [0 | tau]) */

// (groups, n_out, taps, n_in) from the shape of the variable, and back.
static DlhNode *
unpack (const Layer *l, DlhNode *w)
{
    if (l->transposed)
        return dlh_transpose (dlh_reshape (w, dlh_shape (l->groups, l->n_in, l->n_out, l->taps)),
                              (const guint[]){0, 2, 3, 1}, 4);
    return dlh_transpose (dlh_reshape (w, dlh_shape (l->groups, l->n_out, l->n_in, l->taps)),
                          (const guint[]){0, 1, 3, 2}, 4);
}

static DlhNode *
pack (const Layer *l, DlhNode *w, DlhShape shape)
{
    w = dlh_reshape (w, dlh_shape (l->groups, l->n_out, l->taps, l->n_in));
    if (l->transposed)
        w = dlh_transpose (w, (const guint[]){0, 3, 1, 2}, 4);
    else
        w = dlh_transpose (w, (const guint[]){0, 1, 3, 2}, 4);
    return dlh_reshape (w, shape);
}

// Rows (groups, m, n) times Om^-1.
static DlhNode *
times_inverse (const Map *map, DlhNode *rows)
{
    DlhGraph *graph = dlh_node_graph (rows);

    if (map->inverse)
        return dlh_matmul (rows, dlh_constant (graph, map->inverse));
    if (!map->scale)
        return rows;
    return dlh_div (
        rows, dlh_reshape (dlh_constant (graph, map->scale), dlh_shape (map->groups, 1, map->n)));
}

// Ph^-1 times columns (groups, n, m).
static DlhNode *
inverse_times (const Map *map, DlhNode *columns)
{
    DlhGraph *graph = dlh_node_graph (columns);

    if (map->inverse)
        return dlh_matmul (dlh_constant (graph, map->inverse), columns);
    if (!map->scale)
        return columns;
    return dlh_div (columns, dlh_reshape (dlh_constant (graph, map->scale),
                                          dlh_shape (map->groups, map->n, 1)));
}

// b - tau - sum over taps of W Om^-1 om, (groups, n_out, 1); @w is W Om^-1.
static DlhNode *
mapped_bias (const Layer *l, DlhNode *w, DlhNode *b)
{
    DlhGraph *graph = dlh_node_graph (w);
    const DlhShape column = dlh_shape (l->groups, l->n_out, 1);

    b = dlh_reshape (b, column);
    if (l->out.shift)
        b = dlh_sub (b, dlh_reshape (dlh_constant (graph, l->out.shift), column));
    if (l->in.shift) {
        DlhNode *om =
            dlh_reshape (dlh_constant (graph, l->in.shift), dlh_shape (l->groups, l->n_in, 1));

        w = dlh_reshape (w, dlh_shape (l->groups, l->n_out, l->taps, l->n_in));
        b = dlh_sub (b, dlh_matmul (dlh_sum_axis (w, 2), om));
    }
    return b;
}

static gboolean
start_layer (const Layer *l, DlhStore *original, DlhStore *twin, GError **error)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhFunction) f = NULL;
    DlhVariable *to = dlh_store_lookup (twin, l->weight);
    DlhNode *w = dlh_read (graph, dlh_store_lookup (original, l->weight)), *outputs[2];

    w = dlh_reshape (unpack (l, w), dlh_shape (l->groups, l->n_out * l->taps, l->n_in));
    w = times_inverse (&l->in, w);
    outputs[0] = inverse_times (&l->out, dlh_reshape (w, dlh_shape (l->groups, l->n_out, -1)));
    outputs[0] = dlh_assign (to, pack (l, outputs[0], dlh_variable_shape (to)));
    if (l->bias) {
        DlhNode *b = dlh_read (graph, dlh_store_lookup (original, l->bias));

        to = dlh_store_lookup (twin, l->bias);
        b = inverse_times (&l->out, mapped_bias (l, w, b));
        outputs[1] = dlh_assign (to, dlh_reshape (b, dlh_variable_shape (to)));
    }
    f = dlh_graph_compile (graph, outputs, l->bias ? 2 : 1, error);
    return f && dlh_function_run (f, NULL, 0, error);
}

gboolean
twin_start (Layers *layers, DlhStore *original, DlhStore *twin, GError **error)
{
    for (guint i = 0; i < layers->len; i++)
        if (!start_layer (layers->pdata[i], original, twin, error))
            return FALSE;
    return TRUE;
}
