/* SPDX-License-Identifier: MIT */
/* Shapes and element types. A shape is a value: copy it, compare it, never free it.
 *
 *     DlhShape s = dlh_shape (3, 4);      // three rows of four
 *     DlhShape scalar = dlh_shape ();
 */
#pragma once

#include <dlhost/error.h>

G_BEGIN_DECLS

#define DLH_MAX_RANK 8

typedef enum {
    DLH_F32 = 1,
    DLH_F64,
    DLH_I32,
    DLH_I64,
    DLH_BOOL, /* one byte, 0 or 1 */
} DlhDType;

typedef struct {
    guint rank;
    gint64 dims[DLH_MAX_RANK]; /* unused ones are 0 */
} DlhShape;

/**
 * dlh_shape:
 * Up to eight sizes, outermost first; none gives a scalar.
 */
#define dlh_shape(...)                                                                             \
    dlh_shape_of (DLH_COUNT_ (_, ##__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0, _),                     \
                  DLH_FIRST8_ (_, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, _))
#define DLH_COUNT_(_, a, b, c, d, e, f, g, h, n, ...) n
#define DLH_FIRST8_(_, a, b, c, d, e, f, g, h, ...) a, b, c, d, e, f, g, h

static inline DlhShape
dlh_shape_of (guint rank, gint64 a, gint64 b, gint64 c, gint64 d, gint64 e, gint64 f, gint64 g,
              gint64 h)
{
    DlhShape s = {rank, {a, b, c, d, e, f, g, h}};

    return s;
}

/** dlh_shape_make: @rank sizes from an array; @rank is at most DLH_MAX_RANK. */
DLH_EXPORT DlhShape dlh_shape_make (guint rank, const gint64 *dims);
DLH_EXPORT gboolean dlh_shape_equal (DlhShape a, DlhShape b);
/** dlh_shape_count: Returns: the number of elements, 1 for a scalar. The shape must be valid. */
DLH_EXPORT gint64 dlh_shape_count (DlhShape shape);
/** dlh_shape_valid: Returns: whether no size is negative and the bytes of an f64 array fit gint64. */
DLH_EXPORT gboolean dlh_shape_valid (DlhShape shape);
/** dlh_shape_to_string: Returns: (transfer full): "[3,4]", "[]" for a scalar. */
DLH_EXPORT char *dlh_shape_to_string (DlhShape shape);
/** dlh_shape_with: Returns: @shape with size @n at @axis. */
DLH_EXPORT DlhShape dlh_shape_with (DlhShape shape, guint axis, gint64 n);
/** dlh_shape_insert, dlh_shape_remove: Returns: @shape with one axis more or less. */
DLH_EXPORT DlhShape dlh_shape_insert (DlhShape shape, guint axis, gint64 n);
DLH_EXPORT DlhShape dlh_shape_remove (DlhShape shape, guint axis);

DLH_EXPORT gsize dlh_dtype_size (DlhDType dtype);
DLH_EXPORT const char *dlh_dtype_name (DlhDType dtype); /* "f32", ... */
/** dlh_dtype_from_name: Returns: 0 when @name is none. */
DLH_EXPORT DlhDType dlh_dtype_from_name (const char *name);
DLH_EXPORT gboolean dlh_dtype_is_float (DlhDType dtype);

G_END_DECLS
