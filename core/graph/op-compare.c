/* SPDX-License-Identifier: MIT */
/* Comparison, choice, conversion, and the two identities: stop-gradient and assert-finite. */
#include "cpu/loops.h"
#include "cpu/parallel.h"
#include "graph/elementwise-private.h"

/* Comparisons: bool results, no gradients. */

#define COMPARISON(op)                                                                             \
    DlhNode *dlh_##op (DlhNode *a, DlhNode *b)                                                     \
    {                                                                                              \
        return dlh_elementwise_2 (&dlh_op_##op, NULL, a, b);                                       \
    }                                                                                              \
    SAMPLE_2 (op, -2, 2)                                                                           \
    const DlhOp dlh_op_##op = {                                                                    \
        EW_ROW (op),                                                                               \
        .flags = DLH_OP_NOT_SMOOTH,                                                                \
        .infer = dlh_infer_compare,                                                                \
        .sample = op##_sample,                                                                     \
        .reject = op##_reject,                                                                     \
    };

COMPARISON (equal)
COMPARISON (not_equal)
COMPARISON (less)
COMPARISON (less_equal)
COMPARISON (greater)
COMPARISON (greater_equal)

static gboolean
is_finite_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    if (!dlh_infer_same (node, dtype, shape, error))
        return FALSE;
    *dtype = DLH_BOOL;
    return TRUE;
}

EW_SAMPLE_1 (is_finite, -2, 2)
EW_REJECT_INTEGER (is_finite)
const DlhOp dlh_op_is_finite = {
    EW_ROW (is_finite),
    .flags = DLH_OP_NOT_SMOOTH,
    .infer = is_finite_infer,
    .sample = is_finite_sample,
    .reject = is_finite_reject,
};
MAKE_1 (is_finite)

/* where */

static gboolean
where_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *c = node->inputs[0], *a = node->inputs[1], *b = node->inputs[2];
    g_autofree char *ct = dlh_shape_to_string (c->shape);
    g_autofree char *at = dlh_shape_to_string (a->shape);
    g_autofree char *bt = dlh_shape_to_string (b->shape);

    *dtype = a->dtype;
    *shape = a->shape;
    if (c->dtype == DLH_BOOL && a->dtype == b->dtype && dlh_shape_equal (a->shape, b->shape) &&
        dlh_shape_equal (a->shape, c->shape))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "where: condition %s %s, values %s %s and %s %s: needs bool, two equal element "
                 "types, and shapes that broadcast",
                 dlh_dtype_name (c->dtype), ct, dlh_dtype_name (a->dtype), at,
                 dlh_dtype_name (b->dtype), bt);
    return FALSE;
}

static void
where_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *condition = dlh_node_input (y, 0), *zero = dlh_full_like (dy, 0);

    dx[1] = dlh_where (condition, dy, zero);
    dx[2] = dlh_where (condition, zero, dy);
}

static DlhNode *
where_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 3, 4);
    DlhNode *condition = dlh_sample_bool (s, which == 1 ? dlh_sample_shape (s, 4) : shape);

    return which > 1 ? NULL
                     : dlh_where (condition, dlh_sample_uniform (s, -2, 2, shape),
                                  dlh_sample_uniform (s, -2, 2, shape));
}

static DlhNode *
where_reject (DlhSample *s, guint which)
{
    DlhNode *x = dlh_sample_uniform (s, -2, 2, dlh_shape (3, 4));

    switch (which) {
    case 0:
        return dlh_where (x, x, x);
    case 1:
        return dlh_where (dlh_sample_bool (s, dlh_shape (3)), x, x);
    case 2:
        return dlh_where (dlh_sample_bool (s, dlh_shape (3, 4)), x,
                          dlh_sample_index (s, 3, dlh_shape (3, 4)));
    default:
        return NULL;
    }
}

const DlhOp dlh_op_where = {
    EW_ROW (where),
    .flags = DLH_OP_STEPWISE,
    .infer = where_infer,
    .vjp = where_vjp,
    .sample = where_sample,
    .reject = where_reject,
};

DlhNode *
dlh_where (DlhNode *condition, DlhNode *a, DlhNode *b)
{
    return dlh_elementwise_3 (&dlh_op_where, NULL, condition, a, b);
}

/* cast */

static gboolean
cast_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    double p = *(const double *) node->attrs;

    if (!(p >= DLH_F32 && p <= DLH_BOOL)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "cast: %g is no element type", p);
        return FALSE;
    }
    *dtype = (DlhDType) p;
    *shape = node->inputs[0]->shape;
    return TRUE;
}

static void
cast_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhDType from = dlh_node_dtype (dlh_node_input (y, 0));

    if (dlh_dtype_is_float (from) && dlh_dtype_is_float (dlh_node_dtype (y)))
        dx[0] = dlh_cast (dy, from);
}

static DlhNode *
cast_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 3, 4);

    switch (which) {
    case 0:
        return dlh_cast (dlh_cast (dlh_sample_uniform (s, -2, 2, shape), DLH_F64),
                         dlh_sample_dtype (s));
    case 1:
        return dlh_cast (dlh_sample_index (s, 5, shape), dlh_sample_dtype (s));
    case 2:
        return dlh_cast (dlh_sample_bool (s, shape), dlh_sample_dtype (s));
    default:
        return NULL;
    }
}

static DlhNode *
cast_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_cast (dlh_sample_uniform (s, -2, 2, dlh_shape (3)), (DlhDType) 77);
}

const DlhOp dlh_op_cast = {
    EW_ROW (cast),
    .infer = cast_infer,
    .vjp = cast_vjp,
    .sample = cast_sample,
    .reject = cast_reject,
};

DlhNode *
dlh_cast (DlhNode *x, DlhDType dtype)
{
    const double p = dtype;

    if (dlh_node_failed (x) || x->dtype == dtype)
        return x;
    return dlh_elementwise_1 (&dlh_op_cast, &p, x);
}

/* stop_gradient: a view. */

static DlhNode *
stop_gradient_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_stop_gradient (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 3, 4)));
}

static DlhNode *
stop_gradient_reject (DlhSample *s, guint which)
{
    // Every value will do, but not one of a failed graph.
    return which ? NULL
                 : dlh_stop_gradient (dlh_add (dlh_sample_uniform (s, 0, 1, dlh_shape (2)),
                                               dlh_sample_uniform (s, 0, 1, dlh_shape (3))));
}

const DlhOp dlh_op_stop_gradient = {
    .size = sizeof (DlhOp),
    .name = "stop_gradient",
    .n_inputs = 1,
    .flags = DLH_OP_VIEW | DLH_OP_NOT_SMOOTH,
    .infer = dlh_infer_any,
    .sample = stop_gradient_sample,
    .reject = stop_gradient_reject,
};

DlhNode *
dlh_stop_gradient (DlhNode *x)
{
    return dlh_node_new (&dlh_op_stop_gradient, &x, 1, NULL);
}

/* as_noise: a view. */

static void
as_noise_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dy;
}

static DlhNode *
as_noise_sample (DlhSample *s, guint which)
{
    return which ? NULL : dlh_as_noise (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 3, 4)));
}

static DlhNode *
as_noise_reject (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_as_noise (dlh_add (dlh_sample_uniform (s, 0, 1, dlh_shape (2)),
                                          dlh_sample_uniform (s, 0, 1, dlh_shape (3))));
}

const DlhOp dlh_op_as_noise = {
    .size = sizeof (DlhOp),
    .name = "as_noise",
    .n_inputs = 1,
    .flags = DLH_OP_VIEW,
    .infer = dlh_infer_any,
    .vjp = as_noise_vjp,
    .sample = as_noise_sample,
    .reject = as_noise_reject,
};

DlhNode *
dlh_as_noise (DlhNode *x)
{
    return dlh_node_new (&dlh_op_as_noise, &x, 1, NULL);
}

/* assert_finite: a view whose run looks at every element. */

typedef struct {
    gint64 what; // GQuark
} AssertFiniteAttrs;

typedef struct {
    const char *data;
    gsize size;
    gboolean (*finite) (const void *x, gsize n);
    gint bad;
} Scan;

static void
scan_part (gsize begin, gsize end, guint thread, gpointer data)
{
    Scan *scan = data;

    (void) thread;
    if (!scan->finite (scan->data + begin * scan->size, end - begin))
        g_atomic_int_set (&scan->bad, TRUE);
}

static void
assert_finite_error (const DlhCall *call, gsize n, GError **error)
{
    const AssertFiniteAttrs *a = call->node->attrs;
    const char *what = g_quark_to_string ((GQuark) a->what);
    gboolean wide = call->node->dtype == DLH_F64;
    g_autofree char *shape = dlh_shape_to_string (call->node->shape);

    for (gsize i = 0; i < n; i++) {
        double x = wide ? ((const double *) call->in[0])[i] : ((const float *) call->in[0])[i];

        if (x - x == 0)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                     "%s is not finite: element %" G_GSIZE_FORMAT " of %s is %g", what, i, shape,
                     x);
        return;
    }
}

static gboolean
assert_finite_run (const DlhCall *call, GError **error)
{
    gboolean wide = call->node->dtype == DLH_F64;
    gsize n = (gsize) dlh_shape_count (call->node->shape);
    Scan scan = {.data = call->in[0],
                 .size = wide ? sizeof (double) : sizeof (float),
                 .finite = dlh_loops ()->finite[wide]};

    dlh_parallel_for (n, 65536, scan_part, &scan);
    if (!g_atomic_int_get (&scan.bad))
        return TRUE;
    assert_finite_error (call, n, error);
    return FALSE;
}

static void
assert_finite_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dy;
}

static DlhNode *
assert_finite_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_assert_finite (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 3, 4)),
                                      "sample");
}

EW_REJECT_INTEGER (assert_finite, "sample")
const DlhOp dlh_op_assert_finite = {
    .size = sizeof (DlhOp),
    .name = "assert_finite",
    .n_inputs = 1,
    .attrs_size = sizeof (AssertFiniteAttrs),
    .flags = DLH_OP_VIEW | DLH_OP_FALLIBLE,
    .infer = dlh_infer_same,
    .vjp = assert_finite_vjp,
    .run = assert_finite_run,
    .sample = assert_finite_sample,
    .reject = assert_finite_reject,
};

DlhNode *
dlh_assert_finite (DlhNode *x, const char *what)
{
    AssertFiniteAttrs a = {.what = g_quark_from_string (what)};

    return dlh_node_new (&dlh_op_assert_finite, &x, 1, &a);
}
