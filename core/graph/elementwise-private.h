/* SPDX-License-Identifier: MIT */
/* What the files of element-wise ops share: the list as constants, rules, and makers of nodes and
 * of samples. */
#pragma once

#include <dlhost/arrange.h>
#include <dlhost/elementwise.h>
#include <dlhost/sample.h>

#include "graph/private.h"

/* Of each op of the list: EW_ARITY_add, EW_PARAMS_add, ew_body_add, dlh_op_add. */
#define EW(name, arity, n_params, types, body)                                                     \
    enum { EW_ARITY_##name = arity, EW_PARAMS_##name = n_params };                                 \
    G_GNUC_UNUSED static const char ew_body_##name[] = #body;                                      \
    extern const DlhOp dlh_op_##name;
#include "graph/elementwise.list"
#undef EW

/* The part of a row that the list knows. */
#define EW_ROW(op)                                                                                 \
    .size = sizeof (DlhOp), .name = #op, .n_inputs = EW_ARITY_##op,                                \
    .attrs_size = EW_PARAMS_##op * sizeof (double), .body = ew_body_##op

/* The rows in the order of the list, then those that are not element-wise. */
extern const DlhOp *const dlh_ops_elementwise[];

/* As dlh_infer_same(), but also integers; also bool. */
gboolean dlh_infer_number (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error);
gboolean dlh_infer_any (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error);

/* A node of @op, whose inputs are broadcast to their common shape; @params may be NULL. */
DlhNode *dlh_elementwise (const DlhOp *op, const double *params, DlhNode *const *inputs, guint n);
#define dlh_elementwise_1(op, params, x) dlh_elementwise (op, params, (DlhNode *[]){x}, 1)
#define dlh_elementwise_2(op, params, a, b) dlh_elementwise (op, params, (DlhNode *[]){a, b}, 2)
#define dlh_elementwise_3(op, params, a, b, c)                                                     \
    dlh_elementwise (op, params, (DlhNode *[]){a, b, c}, 3)

/* (u + v s^2) s' / s of one shape, s = softplus x: d (u log s + v s^2 / 2) / dx. */
DlhNode *dlh_softplus_grad (DlhNode *x, DlhNode *u, DlhNode *v);

/* The maker of an op of one operand that needs no thought. */
#define MAKE_1(name)                                                                               \
    DlhNode *dlh_##name (DlhNode *x)                                                               \
    {                                                                                              \
        return dlh_elementwise_1 (&dlh_op_##name, NULL, x);                                        \
    }

/* Sample of a smooth function on (lo, hi) with the further arguments of its maker; what the
 * maker must refuse. */
#define EW_SAMPLE_1(name, lo, hi, ...)                                                             \
    static DlhNode *name##_sample (DlhSample *s, guint which)                                      \
    {                                                                                              \
        return which ? NULL                                                                        \
                     : dlh_##name (dlh_sample_uniform (s, lo, hi, dlh_sample_shape (s, 3, 4)),     \
                                   ##__VA_ARGS__);                                                 \
    }
#define EW_REJECT_INTEGER(name, ...)                                                               \
    static DlhNode *name##_reject (DlhSample *s, guint which)                                      \
    {                                                                                              \
        return which ? NULL : dlh_##name (dlh_sample_index (s, 3, dlh_shape (2, 3)),               \
                                          ##__VA_ARGS__);                                          \
    }
#define EW_REJECT_BOOL(name, ...)                                                                  \
    static DlhNode *name##_reject (DlhSample *s, guint which)                                      \
    {                                                                                              \
        return which ? NULL : dlh_##name (dlh_sample_bool (s, dlh_shape (2, 3)), ##__VA_ARGS__);   \
    }
#define SAMPLE_2(name, lo, hi)                                                                     \
    static DlhNode *name##_sample (DlhSample *s, guint which)                                      \
    {                                                                                              \
        return dlh_sample_binary (s, which, lo, hi, dlh_##name);                                   \
    }                                                                                              \
    static DlhNode *name##_reject (DlhSample *s, guint which)                                      \
    {                                                                                              \
        return dlh_reject_binary (s, which, dlh_##name);                                           \
    }
/* Of two operands: with the same shape, and with each broadcast. */
DlhNode *dlh_sample_binary (DlhSample *s, guint which, double lo, double hi,
                            DlhNode *(*make) (DlhNode *a, DlhNode *b));
DlhNode *dlh_reject_binary (DlhSample *s, guint which, DlhNode *(*make) (DlhNode *a, DlhNode *b));
