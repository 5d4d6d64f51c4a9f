/* SPDX-License-Identifier: MIT */
/* Targets: blocks and a log density of all chains; those of models with the density role. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "sample/private.h"

DlhTarget *
dlh_target_alloc (DlhStore *store, gint64 n_chains)
{
    DlhTarget *t = g_new0 (DlhTarget, 1);

    t->store = dlh_store_ref (store);
    t->graph = dlh_graph_new ();
    t->n_chains = n_chains;
    t->n_examples = 1;
    t->n_groups = 1;
    t->names = g_ptr_array_new_with_free_func (g_free);
    return t;
}

void
dlh_target_free (DlhTarget *target)
{
    if (!target)
        return;
    if (target->free_self)
        target->free_self (target->self);
    for (guint i = 0; i < target->n_inputs; i++)
        dlh_tensor_unref (target->inputs[i]);
    g_free (target->inputs);
    g_free (target->blocks);
    g_ptr_array_unref (target->names);
    dlh_graph_unref (target->graph);
    dlh_store_unref (target->store);
    g_free (target);
}

DlhGraph *
dlh_target_graph (DlhTarget *target)
{
    return target->graph;
}

gboolean
dlh_target_add_block (DlhTarget *t, const DlhBlock *block, GError **error)
{
    DlhBlock copy = *block;
    g_autofree char *text = dlh_shape_to_string (block->shape);

    if (t->n_chains < 1) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%" G_GINT64_FORMAT " chains are asked for, at least 1 is needed",
                     t->n_chains);
        return FALSE;
    }
    if (block->shape.rank >= DLH_MAX_RANK ||
        !dlh_shape_valid (dlh_shape_insert (block->shape, 0, t->n_chains)) ||
        dlh_shape_count (block->shape) < 1) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "block '%s' has shape %s: %" G_GINT64_FORMAT
                     " chains of it need sizes of 1 or more, and at most %d axes",
                     block->name, text, t->n_chains, DLH_MAX_RANK - 1);
        return FALSE;
    }
    copy.name = g_strdup (block->name);
    g_ptr_array_add (t->names, (gpointer)copy.name);
    t->blocks = g_renew (DlhBlock, t->blocks, t->n_blocks + 1);
    t->blocks[t->n_blocks++] = copy;
    return TRUE;
}

DlhShape
dlh_target_shape (DlhTarget *t, guint i)
{
    return dlh_shape_insert (t->blocks[i].shape, 0, t->n_chains);
}

DlhNode *
dlh_target_add_input (DlhTarget *t, const char *name, DlhDType dtype, DlhShape shape,
                      DlhTensor *value)
{
    t->inputs = g_renew (DlhTensor *, t->inputs, t->n_inputs + 1);
    t->inputs[t->n_inputs++] = value ? dlh_tensor_ref (value) : NULL;
    return dlh_input (t->graph, name, dtype, shape);
}

gboolean
dlh_target_set_examples (DlhTarget *target, DlhTensor *x, gint64 first, GError **error)
{
    g_return_val_if_fail (target->set_examples, FALSE);
    return target->set_examples (target, x, first, error);
}

/* A program's own. */

typedef struct {
    DlhLogDensity function;
    gpointer user_data;
} Custom;

static DlhNode *
custom_log_density (DlhTarget *t, DlhNode *const *positions)
{
    Custom *c = t->self;
    DlhBuild build = {.size = sizeof build, .graph = t->graph, .store = t->store};

    return c->function (&build, positions, c->user_data);
}

DlhTarget *
dlh_target_new (DlhStore *store, gint64 n_chains, const DlhBlock *blocks, guint n_blocks,
                DlhLogDensity log_density, gpointer user_data, GError **error)
{
    g_autoptr (DlhTarget) t = dlh_target_alloc (store, n_chains);
    Custom c = {log_density, user_data};

    g_return_val_if_fail (n_blocks > 0, NULL);
    t->self = g_memdup2 (&c, sizeof c);
    t->free_self = g_free;
    t->log_density = custom_log_density;
    for (guint i = 0; i < n_blocks; i++)
        if (!dlh_target_add_block (t, &blocks[i], error))
            return NULL;
    return g_steal_pointer (&t);
}

/* A model's. */

static const DlhDensity *
density_of (DlhComponent *model)
{
    return ((const DlhModel *)dlh_component_interface (model))->density;
}

static DlhNode *
density_log_density (DlhTarget *t, DlhNode *const *positions)
{
    DlhComponent *model = t->self;
    DlhBuild build = {.size = sizeof build, .graph = t->graph, .store = t->store};

    return density_of (model)->log_density (&build, dlh_component_options (model), positions);
}

DlhTarget *
dlh_target_new_density (DlhStore *store, DlhComponent *model, gint64 n_chains, GError **error)
{
    g_autoptr (DlhTarget) t = dlh_target_alloc (store, n_chains);
    const DlhDensity *density = density_of (model);
    DlhBlock blocks[DLH_MAX_BLOCKS];
    guint n;

    if (!density || !density->blocks) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "model '%s' does not offer the density role", dlh_component_name (model));
        return NULL;
    }
    memset (blocks, 0, sizeof blocks);
    if (!(n = density->blocks (dlh_component_options (model), blocks, error))) {
        g_prefix_error (error, "%s: ", dlh_component_name (model));
        return NULL;
    }
    t->self = dlh_component_ref (model);
    t->free_self = (GDestroyNotify)dlh_component_unref;
    t->log_density = density_log_density;
    for (guint i = 0; i < MIN (n, DLH_MAX_BLOCKS); i++)
        if (!dlh_target_add_block (t, &blocks[i], error))
            return NULL;
    return g_steal_pointer (&t);
}
