/* SPDX-License-Identifier: MIT */
#include "damped.h"

#include <math.h>
#include <string.h>

#define MAX_RAISES 30

extern void spotrf_ (const char *uplo, const int *n, float *a, const int *lda, int *info, size_t);
extern void dpotrf_ (const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
extern void spotri_ (const char *uplo, const int *n, float *a, const int *lda, int *info, size_t);
extern void dpotri_ (const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);

// The output has a row more than the matrix: its first element counts the raises.
static gboolean
damped_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhShape a = dlh_node_shape (dlh_node_input (node, 0));
    const DlhShape c = dlh_node_shape (dlh_node_input (node, 1));

    if (a.rank != 3 || a.dims[1] != a.dims[2] || a.dims[1] > G_MAXINT32 ||
        !dlh_shape_equal (c, dlh_shape (a.dims[0], 1, 1)) ||
        !dlh_dtype_is_float (dlh_node_dtype (dlh_node_input (node, 0))) ||
        dlh_node_dtype (dlh_node_input (node, 0)) != dlh_node_dtype (dlh_node_input (node, 1))) {
        g_autofree char *have = dlh_shape_to_string (a), *with = dlh_shape_to_string (c);

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "damped_inverse: matrices %s and damping %s, must be [groups,n,n] and "
                     "[groups,1,1] of one float type",
                     have, with);
        return FALSE;
    }
    *dtype = dlh_node_dtype (dlh_node_input (node, 0));
    *shape = dlh_shape (a.dims[0], a.dims[1] + 1, a.dims[1]);
    return TRUE;
}

// x <- upper factor, then upper triangle of the inverse. Returns: LAPACK's info.
static int
factor (gboolean f64, int n, void *x)
{
    int info = 0;

    if (f64)
        dpotrf_ ("U", &n, x, &n, &info, 1);
    else
        spotrf_ ("U", &n, x, &n, &info, 1);
    return info;
}

static int
invert (gboolean f64, int n, void *x)
{
    int info = 0;

    if (f64)
        dpotri_ ("U", &n, x, &n, &info, 1);
    else
        spotri_ ("U", &n, x, &n, &info, 1);
    return info;
}

#define T float
#define NAME(f) f##_f32
#include "damped-type.h"
#undef T
#undef NAME
#define T double
#define NAME(f) f##_f64
#include "damped-type.h"
#undef T
#undef NAME

static gboolean
damped_run (const DlhCall *call, GError **error)
{
    const DlhShape a = dlh_node_shape (dlh_node_input (call->node, 0));
    const gboolean f64 = dlh_node_dtype (call->node) == DLH_F64;
    gboolean ok = TRUE;

    for (gint64 g = 0; g < a.dims[0] && a.dims[1] && ok; g++)
        ok = f64 ? damped_one_f64 (call, g, (gsize)a.dims[1])
                 : damped_one_f32 (call, g, (gsize)a.dims[1]);
    if (!ok) {
        g_autofree char *what = dlh_node_describe (call->node);

        g_set_error (
            error, DLH_ERROR, DLH_ERROR_NUMERIC,
            "%s: a curvature factor is not finite, or indefinite beyond repair: the training "
            "has diverged; try a smaller step size or more damping",
            what);
    }
    return ok;
}

static double
damped_flops (const DlhNode *node)
{
    const DlhShape a = dlh_node_shape (dlh_node_input (node, 0));

    return (double)a.dims[0] * pow ((double)a.dims[1], 3);
}

static DlhNode *node_of (DlhNode *a, DlhNode *c);

static DlhNode *
damped_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 2, 3, 3);
    DlhNode *a;

    if (which > 0)
        return NULL;
    a = dlh_sample_spd (s, shape);
    return node_of (a, dlh_sample_uniform (s, 0.1, 0.5, dlh_shape (shape.dims[0], 1, 1)));
}

static DlhNode *
damped_reject (DlhSample *s, guint which)
{
    if (which > 0)
        return NULL;
    return node_of (dlh_sample_uniform (s, 0, 1, dlh_shape (2, 3, 4)),
                    dlh_sample_uniform (s, 0, 1, dlh_shape (2, 1, 1)));
}

static const DlhOp op_damped_inverse = {
    .size = sizeof (DlhOp),
    .name = "damped_inverse",
    .n_inputs = 2,
    .flags = DLH_OP_FALLIBLE | DLH_OP_NOT_SMOOTH | DLH_OP_SERIAL,
    .infer = damped_infer,
    .run = damped_run,
    .flops = damped_flops,
    .sample = damped_sample,
    .reject = damped_reject,
};

static DlhNode *
node_of (DlhNode *a, DlhNode *c)
{
    return dlh_node_new (&op_damped_inverse, (DlhNode *[]){a, c}, 2, NULL);
}

DlhNode *
kfac_damped_inverse (DlhNode *a, DlhNode *c, DlhNode **raises)
{
    DlhNode *packed = node_of (a, c);
    const gint64 n = dlh_node_failed (a) ? 0 : dlh_node_dim (a, -1);

    *raises = dlh_index (dlh_index (packed, 1, n), 1, 0);
    return dlh_slice (packed, 1, 0, n, 1);
}
