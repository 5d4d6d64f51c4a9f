/* SPDX-License-Identifier: MIT */
/* Ops that move elements about: shapes, slices, indices. All have gradients by their float input. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/** dlh_reshape: as many elements as before; one size may be -1. A view: costs nothing. */
DLH_EXPORT DlhNode *dlh_reshape (DlhNode *x, DlhShape shape);
/** dlh_flatten: (d0, .., dk-1, rest): joins the axes from @first_axis on into one. */
DLH_EXPORT DlhNode *dlh_flatten (DlhNode *x, guint first_axis);
/** dlh_expand: inserts an axis of size 1 at @axis. */
DLH_EXPORT DlhNode *dlh_expand (DlhNode *x, int axis);
/** dlh_transpose: axis i of the result is axis @axes[i] of @x; @n is the rank. */
DLH_EXPORT DlhNode *dlh_transpose (DlhNode *x, const guint *axes, guint n);
/** dlh_t: the last two axes exchanged. */
DLH_EXPORT DlhNode *dlh_t (DlhNode *x);
/** dlh_broadcast: NumPy's rule: axes are prepended, sizes of 1 repeat. */
DLH_EXPORT DlhNode *dlh_broadcast (DlhNode *x, DlhShape shape);
/** dlh_slice: elements @start, @start + @step, .. below @stop along @axis; 0 <= start <= stop <=
 * size, step >= 1. */
DLH_EXPORT DlhNode *dlh_slice (DlhNode *x, int axis, gint64 start, gint64 stop, gint64 step);
/** dlh_slice_scatter: the adjoint: @x placed in zeros of size @size along @axis. */
DLH_EXPORT DlhNode *dlh_slice_scatter (DlhNode *x, int axis, gint64 start, gint64 step,
                                       gint64 size);
/** dlh_index: slice of one, with the axis removed. */
DLH_EXPORT DlhNode *dlh_index (DlhNode *x, int axis, gint64 i);
/** dlh_concat: joins @n nodes along @axis; their other sizes and element types must agree. */
DLH_EXPORT DlhNode *dlh_concat (DlhNode *const *xs, guint n, int axis);
/** dlh_stack: joins along a new @axis. */
DLH_EXPORT DlhNode *dlh_stack (DlhNode *const *xs, guint n, int axis);
/** dlh_pad: @before[i] and @after[i] copies of @value around axis i; arrays of the rank. */
DLH_EXPORT DlhNode *dlh_pad (DlhNode *x, const gint64 *before, const gint64 *after, double value);
/** dlh_reverse: of @x's shape: its elements in the opposite order along @axis. */
DLH_EXPORT DlhNode *dlh_reverse (DlhNode *x, int axis);
/** dlh_gather: x[.., index, ..] along @axis: shape x[:axis] + index + x[axis+1:]. @index is i32 or
 * i64; one outside [0, size) stops the run. Embedding is axis 0. */
DLH_EXPORT DlhNode *dlh_gather (DlhNode *x, DlhNode *index, int axis);
/** dlh_scatter_add: the adjoint of gather: zeros of size @size along @axis, @x's parts added. */
DLH_EXPORT DlhNode *dlh_scatter_add (DlhNode *x, DlhNode *index, int axis, gint64 size);
/** dlh_take_along: x (.., n), index (..): the element of each row that the index names. */
DLH_EXPORT DlhNode *dlh_take_along (DlhNode *x, DlhNode *index);
/** dlh_put_along: the adjoint: (.., @n) with @x at the index, zero elsewhere. */
DLH_EXPORT DlhNode *dlh_put_along (DlhNode *x, DlhNode *index, gint64 n);
/** dlh_one_hot: index (..) to (.., n) of @dtype. */
DLH_EXPORT DlhNode *dlh_one_hot (DlhNode *index, gint64 n, DlhDType dtype);
/** dlh_embedding: rows of @table (V, d) for @index (..): (.., d). */
DLH_EXPORT DlhNode *dlh_embedding (DlhNode *table, DlhNode *index);
/** dlh_diag: (.., n) to diagonal matrices (.., n, n). */
DLH_EXPORT DlhNode *dlh_diag (DlhNode *x);
/** dlh_diag_part: (.., n, n) to its diagonal (.., n). */
DLH_EXPORT DlhNode *dlh_diag_part (DlhNode *x);
/** dlh_tril, dlh_triu: (.., m, n): zero above (below) the @k-th diagonal. */
DLH_EXPORT DlhNode *dlh_tril (DlhNode *x, int k);
DLH_EXPORT DlhNode *dlh_triu (DlhNode *x, int k);
/** dlh_trace: (.., n, n) to (..). */
DLH_EXPORT DlhNode *dlh_trace (DlhNode *x);
/** dlh_eye: identity matrix (n, n). */
DLH_EXPORT DlhNode *dlh_eye (DlhGraph *graph, DlhDType dtype, gint64 n);

G_END_DECLS
