/* SPDX-License-Identifier: MIT */
/* The sum of a value's gradients, one from each use. Gradients of slices that do not overlap are
 * laid side by side: as arrays of the whole value's size they would cost a recurrence of T steps,
 * each of which reads its part of the inputs, T passes over all T parts. */
#include <dlhost/dlhost.h>
#include "graph/private.h"

typedef struct {
    DlhNode **term; /* a slice_scatter */
    gint64 start, stop;
} Part;

// Axis, start, step and size: see op-slice.c.
static const gint64 *
scatter_of (const DlhNode *term)
{
    return dlh_node_is (term, "slice_scatter") ? term->attrs : NULL;
}

static int
part_compare (gconstpointer a, gconstpointer b)
{
    const Part *p = a, *q = b;

    if (p->start != q->start)
        return p->start < q->start ? -1 : 1;
    return p->term < q->term ? -1 : p->term > q->term;
}

// Those of @terms that are contiguous slices along the first one's axis, by where they begin.
static GArray *
find_parts (DlhNode **terms, guint n)
{
    GArray *parts = g_array_new (FALSE, FALSE, sizeof (Part));
    const gint64 axis = scatter_of (terms[0])[0];

    for (guint i = 0; i < n; i++) {
        const gint64 *a = terms[i] ? scatter_of (terms[i]) : NULL;
        Part part;

        if (!a || a[0] != axis || a[2] != 1)
            continue;
        part = (Part){&terms[i], a[1], a[1] + terms[i]->inputs[0]->shape.dims[axis]};
        g_array_append_val (parts, part);
    }
    g_array_sort (parts, part_compare);
    return parts;
}

static void
add_zeros (GPtrArray *pieces, DlhNode *like, guint axis, gint64 n)
{
    if (n > 0)
        g_ptr_array_add (
            pieces, dlh_full (like->graph, like->dtype, dlh_shape_with (like->shape, axis, n), 0));
}

// Takes the first of @terms, or others that begin before it, and what fits beside them.
static DlhNode *
join (DlhNode **terms, guint n)
{
    g_autoptr (GArray) parts = find_parts (terms, n);
    g_autoptr (GPtrArray) pieces = g_ptr_array_new ();
    DlhNode *whole = terms[0];
    const guint axis = (guint)scatter_of (whole)[0];
    gint64 at = 0;
    guint n_taken = 0;

    for (guint i = 0; i < parts->len; i++) {
        const Part *part = &g_array_index (parts, Part, i);
        DlhNode *term = *part->term;

        if (part->start < at)
            continue;
        add_zeros (pieces, term, axis, part->start - at);
        g_ptr_array_add (pieces, term->inputs[0]);
        at = part->stop;
        *part->term = NULL;
        if (n_taken++ == 0)
            whole = term;
    }
    if (n_taken == 1)
        return whole;
    add_zeros (pieces, whole, axis, whole->shape.dims[axis] - at);
    return dlh_concat ((DlhNode **)pieces->pdata, pieces->len, (int)axis);
}

DlhNode *
dlh_gradient_sum (DlhNode **terms, guint n)
{
    DlhNode *sum = NULL;

    for (guint i = 0; i < n; i++)
        while (terms[i]) {
            const gint64 *a = scatter_of (terms[i]);
            DlhNode *term = terms[i];

            if (a && a[2] == 1)
                term = join (terms + i, n - i);
            else
                terms[i] = NULL;
            sum = sum ? dlh_add (sum, term) : term;
        }
    return sum;
}
