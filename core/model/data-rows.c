/* SPDX-License-Identifier: MIT */
/* Splits whose examples are made when they are asked for, and how tasks take examples of any split.
 */
#include <string.h>
#include <unistd.h>
#include <dlhost/function.h>
#include "model/data-private.h"

DlhRowsShared *
dlh_rows_ref (DlhRowsShared *rows)
{
    if (rows)
        g_atomic_int_inc (&rows->ref_count);
    return rows;
}

void
dlh_rows_unref (DlhRowsShared *rows)
{
    if (!rows || !g_atomic_int_dec_and_test (&rows->ref_count))
        return;
    if (rows->rows.free_source)
        rows->rows.free_source (rows->rows.source);
    g_free (rows);
}

gboolean
dlh_data_set_examples (DlhData *data, DlhSplit split, const DlhExamples *rows, DlhTensor *targets,
                       GError **error)
{
    DlhRowsShared *shared;
    DlhSplitData *s;

    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, FALSE);
    g_return_val_if_fail (rows && rows->size >= sizeof (DlhExamples) && rows->fill &&
                              rows->n >= 0 && dlh_dtype_is_float (rows->dtype),
                          FALSE);
    shared = g_new (DlhRowsShared, 1);
    *shared = (DlhRowsShared){1, *rows};
    if (!dlh_data_check_shapes (data, split, dlh_shape_insert (rows->shape, 0, rows->n), targets,
                                error) ||
        !dlh_data_check_targets (data, split, targets, error)) {
        dlh_rows_unref (shared);
        return FALSE;
    }
    s = &data->splits[split];
    if (targets)
        dlh_tensor_ref (targets);
    dlh_tensor_unref (s->inputs);
    dlh_tensor_unref (s->targets);
    dlh_rows_unref (s->rows);
    *s = (DlhSplitData){.targets = targets,
                        .factors = s->factors,
                        .weights = s->weights,
                        .rows = shared,
                        .n = rows->n};
    return TRUE;
}

DlhShape
dlh_data_whole_shape (DlhData *data, DlhSplit split)
{
    const DlhSplitData *s = &data->splits[split];

    if (s->rows)
        return dlh_shape_insert (s->rows->rows.shape, 0, s->n);
    return s->inputs ? dlh_tensor_get_shape (s->inputs) : dlh_shape ();
}

gboolean
dlh_data_in_memory (DlhData *data, DlhSplit split)
{
    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, FALSE);
    return data->splits[split].inputs != NULL;
}

DlhDType
dlh_data_dtype (DlhData *data, DlhSplit split)
{
    const DlhSplitData *s = &data->splits[split];

    g_return_val_if_fail (s->inputs || s->rows, DLH_F32);
    return s->inputs ? dlh_tensor_get_dtype (s->inputs) : s->rows->rows.dtype;
}

typedef struct {
    const DlhSplitData *split;
    const gint64 *rows;
    char *out;
    gsize bytes; /* of one example */
} Gather;

// Numbers are those of the split, not of the rows that it is a part of.
static void
gather_part (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Gather *g = user_data;
    const DlhSplitData *s = g->split;
    gint64 block[64];

    (void)thread;
    for (gsize i = begin; s->inputs && i < end; i++)
        memcpy (g->out + i * g->bytes,
                (const char *)dlh_tensor_get_data (s->inputs) + (gsize)g->rows[i] * g->bytes,
                g->bytes);
    while (!s->inputs && begin < end) {
        gsize n = MIN (end - begin, G_N_ELEMENTS (block));

        for (gsize i = 0; i < n; i++)
            block[i] = s->first + g->rows[begin + i];
        s->rows->rows.fill (s->rows->rows.source, block, n, g->out + begin * g->bytes);
        begin += n;
    }
}

void
dlh_data_gather (DlhData *data, DlhSplit split, const gint64 *rows, DlhTensor *x)
{
    gint64 n = dlh_tensor_get_shape (x).dims[0];
    Gather g = {&data->splits[split], rows, dlh_tensor_get_data (x), 0};

    g_return_if_fail (dlh_data_has_split (data, split) &&
                      dlh_tensor_get_dtype (x) == dlh_data_dtype (data, split) &&
                      dlh_shape_equal (dlh_tensor_get_shape (x),
                                       dlh_shape_with (dlh_data_whole_shape (data, split), 0, n)));
    for (gint64 i = 0; i < n; i++)
        g_return_if_fail (rows[i] >= 0 && rows[i] < dlh_data_count (data, split));
    if (n > 0)
        g.bytes = dlh_tensor_bytes (x) / (gsize)n;
    // Memory's speed is not multiplied by threads as computing is.
    if (g.split->inputs)
        gather_part (0, (gsize)n, 0, &g);
    else
        dlh_parallel_for ((gsize)n, 16, gather_part, &g);
}

DlhTensor *
dlh_data_rows (DlhData *data, DlhSplit split, gint64 first, gint64 n, GError **error)
{
    const DlhSplitData *s = &data->splits[split];
    g_autofree gint64 *rows = NULL;
    DlhTensor *x;

    g_return_val_if_fail (first >= 0 && n >= 0 && first + n <= dlh_data_count (data, split), NULL);
    if (s->inputs)
        return dlh_tensor_rows (s->inputs, first, n);
    x = dlh_tensor_new (s->rows->rows.dtype, dlh_shape_insert (s->rows->rows.shape, 0, n), error);
    if (!x)
        return NULL;
    rows = g_new (gint64, n);
    for (gint64 i = 0; i < n; i++)
        rows[i] = first + i;
    dlh_data_gather (data, split, rows, x);
    return x;
}

static gboolean
fits_in_memory (const DlhSplitData *s)
{
    double bytes = (double)s->n * (double)dlh_shape_count (s->rows->rows.shape) *
                   (double)dlh_dtype_size (s->rows->rows.dtype);
    double pages = (double)sysconf (_SC_PHYS_PAGES), page = (double)sysconf (_SC_PAGE_SIZE);

    return bytes <= pages * page / 2;
}

void
dlh_data_begin_epoch (DlhData *data, DlhSplit split, guint64 epoch)
{
    DlhSplitData *s = &data->splits[split];

    if (!s->rows || !s->rows->rows.begin_epoch)
        return;
    s->rows->rows.begin_epoch (s->rows->rows.source, epoch);
    dlh_tensor_unref (g_steal_pointer (&s->inputs));
}

DlhTensor *
dlh_data_inputs (DlhData *data, DlhSplit split)
{
    DlhSplitData *s;

    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, NULL);
    s = &data->splits[split];
    if (!s->inputs && s->rows && fits_in_memory (s))
        s->inputs = dlh_data_rows (data, split, 0, s->n, NULL);
    return s->inputs;
}
