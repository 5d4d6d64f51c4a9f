/* SPDX-License-Identifier: MIT */
/* The batches of training: which examples step t takes depends on seed and t alone, so that a
 * resumed run goes on as if it had never stopped. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    DlhData *data;
    guint64 seed;
    gint64 n, size, per_epoch; /* examples, of a batch, batches of an epoch */
    gint64 *order;             /* of the examples in epoch order_of */
    gint64 order_of;
    DlhTensor *x[2], *y[2];     /* full batch; the epoch's last, smaller one */
    DlhTensor *last_x, *last_y; /* (unowned): the one that was taken last, NULL: none yet */
    double seen;                /* examples in this process */
} Batches;

/* Of at most @size examples. */
gboolean batches_init (Batches *b, DlhRun *run, DlhData *data, gint64 size, GError **error);
void batches_clear (Batches *b);
/* The batch of @step, as last_x and last_y. */
gboolean batches_take (Batches *b, gint64 step, GError **error);
