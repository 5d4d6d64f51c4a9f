/* SPDX-License-Identifier: MIT */
/* A row of the op table. A plugin makes ops of its own with a const DlhOp and dlh_node_new(); nothing
 * needs registering. Element-wise rows carry a body that backends fuse; others carry a kernel.
 *
 *     static const DlhOp op_square = {
 *         .size = sizeof (DlhOp), .name = "square", .n_inputs = 1,
 *         .infer = dlh_infer_same, .vjp = square_vjp,
 *         .body = "x0 * x0", .loop_f32 = square_f32, .loop_f64 = square_f64,
 *         .sample = square_sample, .reject = square_reject,
 *     };
 */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/* As n_inputs: any number. */
#define DLH_VARIADIC G_MAXUINT

/* Properties that the compiler and the tests must know. */
typedef enum {
    DLH_OP_IMPURE = 1 << 0,      /* never merged with an equal node, never folded */
    DLH_OP_VIEW = 1 << 1,        /* output is input 0's memory under another shape */
    DLH_OP_NOT_SMOOTH = 1 << 2,  /* gradient is zero or undefined by nature: no gradient check */
    DLH_OP_IN_PLACE = 1 << 3,    /* run() accepts out == in[0] */
    DLH_OP_STEPWISE = 1 << 4,    /* piecewise linear: second-order gradient is zero */
    DLH_OP_FALLIBLE = 1 << 5,    /* run() can fail: it is done before any variable changes */
    DLH_OP_SERIAL = 1 << 6,      /* run() gains little from threads: such steps that do not need each
                                  * other run side by side, a thread each */
} DlhOpFlags;

/* One execution of a non-element-wise op. Memory is contiguous, row-major, 64-byte aligned. */
typedef struct {
    const DlhNode *node;
    const void *const *in;
    void *out;
    void *work;     /* dlh_op.workspace bytes, or NULL */
    gpointer state; /* what prepare() returned */
} DlhCall;

/* How the automatic tests get small valid inputs; see dlhost/sample.h. */
typedef struct _DlhSample DlhSample;

/* The row. */
struct _DlhOp {
    gsize size;
    const char *name;
    guint n_inputs;   /* or DLH_VARIADIC */
    gsize attrs_size; /* plain bytes without padding: they are compared with memcmp */
    DlhOpFlags flags;

    /* Sets dtype and shape from inputs and attributes; FALSE with DLH_ERROR_SHAPE that names them.
     * dlh_node_new() has checked that inputs share a graph and are not failed. */
    gboolean (*infer) (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error);
    /* Sets dx[i] to dL/d(input i), in public ops, or leaves it NULL for zero.
     * NULL: no gradient flows (as for comparisons). */
    void (*vjp) (DlhNode *y, DlhNode *dy, DlhNode **dx);

    /* Element-wise: C expression in x0.. and attributes p0.. (doubles), for run-time compilers,
     * and the same expression as loops; x1, x2 may be NULL; p are the attributes, all doubles. A loop
     * is called on blocks. Built-in rows leave the loops NULL: the CPU backend has them for each
     * instruction set. */
    const char *body;
    void (*loop_f32) (void *y, const void *x0, const void *x1, const void *x2, gsize n,
                      const double *p);
    void (*loop_f64) (void *y, const void *x0, const void *x1, const void *x2, gsize n,
                      const double *p);

    /* Otherwise: */
    gsize (*workspace) (const DlhNode *node);                      /* NULL: 0 bytes */
    gboolean (*prepare) (const DlhNode *node, gpointer *state, GError **error); /* once a compile */
    void (*release) (gpointer state);
    gboolean (*run) (const DlhCall *call, GError **error);          /* no heap allocation */

    double (*flops) (const DlhNode *node); /* NULL: one an output element */

    /* Returns the @which-th sample use of the op on inputs from @sample, NULL after the last. */
    DlhNode *(*sample) (DlhSample *sample, guint which);
    /* Returns the @which-th use that must be refused, NULL after the last. */
    DlhNode *(*reject) (DlhSample *sample, guint which);

    const char *cuda; /* later: source of a CUDA kernel */
};

/**
 * dlh_node_new:
 * @inputs: (array length=n_inputs): nodes of one graph
 * @attrs: (nullable): op->attrs_size bytes, copied
 * Returns: (transfer none): the node, an equal earlier one, or the error node.
 */
DLH_EXPORT DlhNode *dlh_node_new (const DlhOp *op, DlhNode *const *inputs, guint n_inputs,
                                  gconstpointer attrs);
/** dlh_node_new_leaf: as above for an op without inputs. */
DLH_EXPORT DlhNode *dlh_node_new_leaf (DlhGraph *graph, const DlhOp *op, gconstpointer attrs);
/** dlh_node_rebuild: the same op and attributes on other inputs. */
DLH_EXPORT DlhNode *dlh_node_rebuild (DlhNode *node, DlhNode *const *inputs);

/* Shape rules for the usual cases. */
/** dlh_infer_same, dlh_infer_compare: the output is like the inputs, which must agree, or bool of
 * their shape. */
DLH_EXPORT gboolean dlh_infer_same (const DlhNode *node, DlhDType *dtype, DlhShape *shape,
                                    GError **error); /* float inputs of one shape and dtype */
DLH_EXPORT gboolean dlh_infer_compare (const DlhNode *node, DlhDType *dtype, DlhShape *shape,
                                       GError **error); /* same, bool result */

/** dlh_op_table: Returns: (transfer none): the built-in rows, NULL-terminated. */
DLH_EXPORT const DlhOp *const *dlh_op_table (void);

G_END_DECLS
