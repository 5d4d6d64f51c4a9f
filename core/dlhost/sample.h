/* SPDX-License-Identifier: MIT */
/* Valid inputs for the automatic op tests. A row's sample() builds its op from these:
 *
 *     static DlhNode *
 *     tanh_sample (DlhSample *s, guint which)
 *     {
 *         return which == 0 ? dlh_tanh (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 3, 4)))
 *                           : NULL;
 *     }
 *
 * The tests run it in f32 and f64, on contiguous and on transposed inputs, with sizes as given, all
 * one, and all zero; dlh_sample_dim() says which size to use and gives @n in the plain mode. */
#pragma once

#include <dlhost/op.h>
#include <dlhost/random.h>

G_BEGIN_DECLS

/** dlh_sample_graph, dlh_sample_dtype: (transfer none): where the op is built, and its float type.
 * */
DLH_EXPORT DlhGraph *dlh_sample_graph (DlhSample *sample);
DLH_EXPORT DlhDType dlh_sample_dtype (DlhSample *sample);
/** dlh_sample_dim: @n, or 1 or 0 in the modes for small shapes. */
DLH_EXPORT gint64 dlh_sample_dim (DlhSample *sample, gint64 n);
/** dlh_sample_shape, dlh_sample_resize: a shape whose sizes are as dlh_sample_dim() says. */
#define dlh_sample_shape(sample, ...) dlh_sample_resize (sample, dlh_shape (__VA_ARGS__))
DLH_EXPORT DlhShape dlh_sample_resize (DlhSample *sample, DlhShape shape);
/** dlh_sample_small: Returns: whether sizes are shrunk: cases that need fixed sizes return NULL. */
DLH_EXPORT gboolean dlh_sample_small (DlhSample *sample);

/** dlh_sample_uniform: a differentiable input with values in (@lo, @hi), distinct by >= 1e-3. */
DLH_EXPORT DlhNode *dlh_sample_uniform (DlhSample *sample, double lo, double hi, DlhShape shape);
/** dlh_sample_away: as dlh_sample_uniform(), at least 0.05 away from each of @n kinks. */
DLH_EXPORT DlhNode *dlh_sample_away (DlhSample *sample, double lo, double hi, DlhShape shape,
                                     const double *kinks, guint n);
/** dlh_sample_index: integers in [0, @n), not differentiated; i32 beside f32, i64 beside f64. */
DLH_EXPORT DlhNode *dlh_sample_index (DlhSample *sample, gint64 n, DlhShape shape);
/** dlh_sample_bool: true and false in turn, irregularly; not differentiated. */
DLH_EXPORT DlhNode *dlh_sample_bool (DlhSample *sample, DlhShape shape);
/** dlh_sample_spd: well-conditioned symmetric positive definite (..., n, n), eigenvalues apart. */
DLH_EXPORT DlhNode *dlh_sample_spd (DlhSample *sample, DlhShape shape);
/** dlh_sample_store, dlh_sample_stream: for ops on variables and for random ops. */
DLH_EXPORT DlhStore *dlh_sample_store (DlhSample *sample);
DLH_EXPORT DlhStream *dlh_sample_stream (DlhSample *sample);

/* For programs that walk the table. One sample serves one use of one op. Values depend on the order
 * of the calls alone, so the modes and element types give the same numbers (exact in f32). */

/* Which sizes and layouts the inputs get. */
typedef enum {
    DLH_SAMPLE_PLAIN = 1,
    DLH_SAMPLE_ONE,        /* every size is 1 */
    DLH_SAMPLE_ZERO,       /* every size is 0 */
    DLH_SAMPLE_TRANSPOSED, /* inputs of rank 2 and more are transposes of what is given */
} DlhSampleMode;

/** dlh_sample_new, dlh_sample_free: for one use of one op. */
DLH_EXPORT DlhSample *dlh_sample_new (DlhSampleMode mode, DlhDType dtype);
DLH_EXPORT void dlh_sample_free (DlhSample *sample);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhSample, dlh_sample_free)
/** dlh_sample_n_inputs: how many inputs the row has asked for. */
DLH_EXPORT guint dlh_sample_n_inputs (DlhSample *sample);
/** dlh_sample_input: the dlh_input() node behind input @i. */
DLH_EXPORT DlhNode *dlh_sample_input (DlhSample *sample, guint i);
/** dlh_sample_tensors: (transfer none): the values to run with, one for each input. */
DLH_EXPORT DlhTensor *const *dlh_sample_tensors (DlhSample *sample);

G_END_DECLS
