/* SPDX-License-Identifier: MIT */
#include "model/family.h"

DlhNode *
dlh_family_check (DlhDistribution *d, DlhNode *value, DlhShape want)
{
    g_autofree char *got = NULL, *text = NULL;

    if (dlh_shape_equal (dlh_node_shape (value), want))
        return NULL;
    got = dlh_shape_to_string (dlh_node_shape (value));
    text = dlh_shape_to_string (want);
    return dlh_graph_fail (dlh_node_graph (value), DLH_ERROR_SHAPE,
                           "log_prob: the value is %s, a draw of this %s distribution is %s", got,
                           dlh_distribution_name (d), text);
}

DlhNode *
dlh_family_sum_event (DlhDistribution *d, DlhNode *x)
{
    guint n = dlh_distribution_event_rank (d);

    return n > 0 ? dlh_sum_last (x, n) : x;
}

DlhNode *
dlh_family_flatten (DlhNode *x, guint n)
{
    DlhShape shape;
    gint64 cases = 1, size = 1;

    if (dlh_node_failed (x))
        return x;
    shape = dlh_node_shape (x);
    for (guint i = 0; i < shape.rank; i++)
        *(i + n < shape.rank ? &cases : &size) *= shape.dims[i];
    return dlh_reshape (x, dlh_shape (cases, size));
}

DlhNode *
dlh_family_fit (const char *name, DlhNode *first, DlhNode *second)
{
    DlhShape a, b;
    gboolean fits;
    g_autofree char *got = NULL, *want = NULL;

    if (dlh_node_failed (first) || dlh_node_failed (second))
        return dlh_node_failed (first) ? first : second;
    a = dlh_node_shape (first);
    b = dlh_node_shape (second);
    fits = b.rank <= a.rank;
    for (guint i = 0; fits && i < b.rank; i++)
        fits = b.dims[i] == 1 || b.dims[i] == a.dims[i + a.rank - b.rank];
    if (fits)
        return dlh_shape_equal (a, b) ? second : dlh_broadcast (second, a);
    got = dlh_shape_to_string (b);
    want = dlh_shape_to_string (a);
    return dlh_graph_fail (dlh_node_graph (first), DLH_ERROR_SHAPE,
                           "%s: scale %s does not broadcast to %s", name, got, want);
}
