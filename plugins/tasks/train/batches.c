/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "batches.h"

gboolean
batches_init (Batches *b, DlhRun *run, DlhData *data, gint64 size, GError **error)
{
    b->data = data;
    b->seed = dlh_store_get_seed (dlh_run_store (run));
    if (!dlh_data_has_split (data, DLH_SPLIT_TRAIN) ||
        !(b->n = dlh_data_count (data, DLH_SPLIT_TRAIN))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "train: the data set has no training examples");
        return FALSE;
    }
    // A running text is read in as many places at once as the data set says.
    b->size = dlh_data_is_stream (data) ? dlh_data_lanes (data) : MIN (size, b->n);
    b->per_epoch = (b->n + b->size - 1) / b->size;
    b->order = g_new (gint64, b->n);
    b->order_of = -1;
    return TRUE;
}

void
batches_clear (Batches *b)
{
    for (guint i = 0; i < 2; i++) {
        dlh_tensor_unref (b->x[i]);
        dlh_tensor_unref (b->y[i]);
    }
    g_free (b->order);
}

static void
gather (const DlhTensor *from, DlhTensor *to, const gint64 *rows, gint64 n)
{
    gsize size = dlh_tensor_bytes (to) / (gsize)n;
    const char *source = dlh_tensor_get_data (from);
    char *target = dlh_tensor_get_data (to);

    for (gint64 i = 0; i < n; i++)
        memcpy (target + (gsize)i * size, source + (gsize)rows[i] * size, size);
}

static gboolean
make (Batches *b, gboolean last, gint64 n, GError **error)
{
    DlhTensor *y = dlh_data_targets (b->data, DLH_SPLIT_TRAIN);

    if (!b->x[last])
        b->x[last] =
            dlh_tensor_new (dlh_data_dtype (b->data, DLH_SPLIT_TRAIN),
                            dlh_shape_insert (dlh_data_input_shape (b->data), 0, n), error);
    if (b->x[last] && y && !b->y[last])
        b->y[last] = dlh_tensor_new (dlh_tensor_get_dtype (y),
                                     dlh_shape_with (dlh_tensor_get_shape (y), 0, n), error);
    return b->x[last] && (!y || b->y[last]);
}

static void
put_in_order (Batches *b, gint64 epoch)
{
    if (epoch == b->order_of)
        return;
    b->order_of = epoch;
    if (!dlh_data_is_stream (b->data)) {
        dlh_data_epoch (b->data, DLH_SPLIT_TRAIN, b->seed, "train/order", (guint64)epoch, b->order);
        return;
    }
    for (gint64 i = 0; i < b->n; i++)
        b->order[i] = i;
}

gboolean
batches_take (Batches *b, gint64 step, GError **error)
{
    gint64 first = step % b->per_epoch * b->size, n = MIN (b->size, b->n - first);
    gboolean last = n < b->size;
    DlhTensor *targets = dlh_data_targets (b->data, DLH_SPLIT_TRAIN);

    put_in_order (b, step / b->per_epoch);
    if (!make (b, last, n, error))
        return FALSE;
    dlh_data_gather (b->data, DLH_SPLIT_TRAIN, b->order + first, b->x[last]);
    if (targets)
        gather (targets, b->y[last], b->order + first, n);
    b->last_x = b->x[last];
    b->last_y = b->y[last];
    b->seen += (double)n;
    return TRUE;
}
