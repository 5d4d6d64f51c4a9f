/* SPDX-License-Identifier: MIT */
#include "problems.h"

const Problem problems[] = {
    {"class", {1, {6}}, DLH_TARGET_CLASS, .n_classes = 3},
    {"real", {1, {6}}, DLH_TARGET_REAL, .n_targets = 2},
    {"image", {3, {1, 28, 28}}, DLH_TARGET_CLASS, .n_classes = 4},
    {"sequence", {1, {7}}, DLH_TARGET_SEQUENCE, .n_classes = 11, .vocabulary = 11},
    {"series", {2, {5, 3}}, DLH_TARGET_CLASS, .n_classes = 3},
    {"inputs-alone", {1, {12}}, DLH_TARGET_NONE},
    {"image-alone", {3, {1, 28, 28}}, DLH_TARGET_NONE},
    {NULL},
};

static DlhShape
target_shape (const Problem *p)
{
    switch (p->target) {
    case DLH_TARGET_REAL:
        return dlh_shape (p->n_targets);
    case DLH_TARGET_SEQUENCE:
        return p->input;
    default:
        return dlh_shape ();
    }
}

DlhProblem
problem_describe (const Problem *p)
{
    return (DlhProblem){.size = sizeof (DlhProblem),
                        .input_shape = p->input,
                        .target_shape = target_shape (p),
                        .target_kind = p->target,
                        .n_classes = p->n_classes,
                        .n_examples = 96,
                        .vocabulary = p->vocabulary,
                        .target_std = 1};
}

// Uniform in [0, 1), or whole numbers below @limit.
static DlhTensor *
filled (DlhDType dtype, DlhShape shape, guint64 seed, const char *stream, gint64 limit)
{
    DlhTensor *t = dlh_tensor_new (dtype, shape, NULL);
    gint64 n = dlh_tensor_count (t);
    g_autofree double *u = g_new (double, n + 1);

    dlh_random_fill_uniform (seed, stream, 0, u, (gsize)n);
    for (gint64 i = 0; i < n; i++)
        dlh_tensor_set (t, i, limit ? (double)(gint64)(u[i] * (double)limit) : u[i]);
    return t;
}

void
problem_batch (const Problem *p, DlhDType dtype, gint64 n, guint64 seed, DlhTensor **x,
               DlhTensor **y)
{
    DlhShape target = target_shape (p);
    gboolean real = p->target == DLH_TARGET_REAL;

    *x = filled (p->vocabulary ? DLH_I64 : dtype, dlh_shape_insert (p->input, 0, n), seed,
                 "check/x", p->vocabulary);
    *y = p->target == DLH_TARGET_NONE
             ? NULL
             : filled (real ? dtype : DLH_I64, dlh_shape_insert (target, 0, n), seed, "check/y",
                       real ? 0 : p->n_classes);
}

DlhData *
problem_data (const Problem *p, DlhDType dtype, gint64 n)
{
    DlhData *data = dlh_data_new ();

    dlh_data_set_targets (data, p->target, p->n_classes);
    if (p->vocabulary)
        dlh_data_set_vocabulary (data, p->vocabulary);
    for (guint split = DLH_SPLIT_TRAIN; split <= DLH_SPLIT_TEST; split++) {
        g_autoptr (DlhTensor) x = NULL;
        g_autoptr (DlhTensor) y = NULL;
        g_autoptr (GError) error = NULL;

        problem_batch (p, dtype, split == DLH_SPLIT_TRAIN ? n : n / 2, split, &x, &y);
        if (!dlh_data_set_split (data, split, x, y, &error))
            g_error ("%s", error->message);
    }
    return data;
}
