/* SPDX-License-Identifier: MIT */
/* Draws in the store: positions, reports and monitored values of kept transitions. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "sample/private.h"

typedef struct {
    char *name;
    DlhVariable *kept; /* (n_draws, C, ...) */
    gint64 width;
} Array;

struct _DlhDraws {
    DlhChains *chains;
    gint64 n_draws;
    DlhVariable *count;
    GArray *arrays;       /* Array */
    DlhFunction *monitor; /* (nullable) */
};

static void
array_clear (gpointer data)
{
    g_free (((Array *)data)->name);
}

void
dlh_draws_free (DlhDraws *draws)
{
    if (!draws)
        return;
    g_array_unref (draws->arrays);
    dlh_function_unref (draws->monitor);
    g_free (draws);
}

static gboolean
add_array (DlhDraws *d, const char *prefix, const char *name, DlhDType dtype, DlhShape shape,
           GError **error)
{
    g_autofree char *full = g_strdup_printf ("draws/%s%s", prefix, name);
    Array a = {.width = dlh_shape_count (shape) / shape.dims[0]};

    if (shape.rank == DLH_MAX_RANK) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "draws: block '%s' of all draws and chains has more than %d axes", name,
                     DLH_MAX_RANK);
        return FALSE;
    }
    a.kept = dlh_store_variable (d->chains->target->store, full, dtype,
                                 dlh_shape_insert (shape, 0, d->n_draws),
                                 (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);
    if (!a.kept)
        return FALSE;
    a.name = g_strdup (name);
    g_array_append_val (d->arrays, a);
    return TRUE;
}

static gboolean
add_monitor (DlhDraws *d, GError **error)
{
    DlhTarget *t = d->chains->target;
    DlhNode *node;

    if (!t->monitor)
        return TRUE;
    node = t->monitor (t, d->chains->reads);
    if (!dlh_graph_check (t->graph, error) ||
        !(d->monitor = dlh_graph_compile (t->graph, &node, 1, error)))
        return FALSE;
    return add_array (d, "", "monitor", DLH_F64, dlh_node_shape (node), error);
}

DlhDraws *
dlh_draws_new (DlhChains *chains, gint64 n_draws, GError **error)
{
    g_autoptr (DlhDraws) d = g_new0 (DlhDraws, 1);
    DlhTarget *t = chains->target;

    d->chains = chains;
    d->n_draws = n_draws;
    d->arrays = g_array_new (FALSE, FALSE, sizeof (Array));
    g_array_set_clear_func (d->arrays, array_clear);
    g_return_val_if_fail (n_draws > 0, NULL);
    d->count = dlh_store_variable (t->store, "draws/count", DLH_I64, dlh_shape (),
                                   (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);
    if (!d->count)
        return NULL;
    for (guint i = 0; i < t->n_blocks; i++)
        if (!add_array (d, "", t->blocks[i].name, dlh_store_get_dtype (t->store),
                        dlh_target_shape (t, i), error))
            return NULL;
    for (guint i = 0; i < dlh_chains_n_reports (chains); i++)
        if (!add_array (d, "report/", dlh_chains_report_name (chains, i), DLH_F64,
                        dlh_shape (t->n_chains), error))
            return NULL;
    return add_monitor (d, error) ? g_steal_pointer (&d) : NULL;
}

static gint64 *
count_of (DlhDraws *d)
{
    return dlh_tensor_get_data (dlh_variable_tensor (d->count));
}

gboolean
dlh_draws_append (DlhDraws *draws, GError **error)
{
    DlhTarget *t = draws->chains->target;
    guint n_reports = dlh_chains_n_reports (draws->chains);
    gint64 row = *count_of (draws);

    if (row == draws->n_draws) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                     "draws: there is room for %" G_GINT64_FORMAT " draws, and they are drawn",
                     draws->n_draws);
        return FALSE;
    }
    if (draws->monitor && !dlh_function_run (draws->monitor, t->inputs, t->n_inputs, error))
        return FALSE;
    for (guint i = 0; i < draws->arrays->len; i++) {
        DlhTensor *kept = dlh_variable_tensor (g_array_index (draws->arrays, Array, i).kept);
        gsize size = dlh_tensor_bytes (kept) / (gsize)draws->n_draws;
        gconstpointer from;

        if (i < t->n_blocks)
            from = dlh_tensor_get_data (dlh_chains_value (draws->chains, i));
        else if (i - t->n_blocks < n_reports)
            from = dlh_chains_report (draws->chains, i - t->n_blocks);
        else
            from = dlh_tensor_get_data (dlh_function_output (draws->monitor, 0));
        memcpy ((char *)dlh_tensor_get_data (kept) + (gsize)row * size, from, size);
    }
    ++*count_of (draws);
    return TRUE;
}

gint64
dlh_draws_count (DlhDraws *draws)
{
    return *count_of (draws);
}

guint
dlh_draws_n_arrays (DlhDraws *draws)
{
    return draws->arrays->len;
}

const char *
dlh_draws_array_name (DlhDraws *draws, guint i)
{
    g_return_val_if_fail (i < draws->arrays->len, NULL);
    return g_array_index (draws->arrays, Array, i).name;
}

gint64
dlh_draws_width (DlhDraws *draws, guint i)
{
    g_return_val_if_fail (i < draws->arrays->len, 0);
    return g_array_index (draws->arrays, Array, i).width;
}

void
dlh_draws_column (DlhDraws *draws, guint i, gint64 k, double *out)
{
    gint64 n = dlh_draws_count (draws), n_chains = draws->chains->target->n_chains;
    const Array *a;
    const DlhTensor *kept;

    g_return_if_fail (i < draws->arrays->len);
    a = &g_array_index (draws->arrays, Array, i);
    kept = dlh_variable_tensor (a->kept);
    g_return_if_fail (k >= 0 && k < a->width);
    for (gint64 c = 0; c < n_chains; c++)
        for (gint64 t = 0; t < n; t++)
            out[c * n + t] = dlh_tensor_get (kept, (t * n_chains + c) * a->width + k);
}

gboolean
dlh_draws_save (DlhDraws *draws, const char *path, GError **error)
{
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    g_autoptr (GPtrArray) tensors =
        g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);

    for (guint i = 0; i < draws->arrays->len; i++) {
        const Array *a = &g_array_index (draws->arrays, Array, i);

        g_ptr_array_add (names, (gpointer)(dlh_variable_name (a->kept) + strlen ("draws/")));
        g_ptr_array_add (
            tensors, dlh_tensor_rows (dlh_variable_tensor (a->kept), 0, dlh_draws_count (draws)));
    }
    if (g_str_has_suffix (path, ".npz"))
        return dlh_npz_write (path, (const char *const *)names->pdata,
                              (DlhTensor *const *)tensors->pdata, names->len, FALSE, error);
    return dlh_safetensors_write (path, (const char *const *)names->pdata,
                                  (DlhTensor *const *)tensors->pdata, names->len, NULL, error);
}
