/* SPDX-License-Identifier: MIT */
/* Shapes and element types. A shape is a value: copy it, compare it, never free it.
 *
 *     DlhShape s = dlh_shape (3, 4);      // three rows of four
 *     DlhShape scalar = dlh_shape ();
 */
#pragma once

#include <dlhost/error.h>
#ifdef __cplusplus
#include <initializer_list>
#endif

G_BEGIN_DECLS

/* The most axes that a shape can have. */
#define DLH_MAX_RANK 8

/* Types of elements. */
typedef enum {
    DLH_F32 = 1,
    DLH_F64,
    DLH_I32,
    DLH_I64,
    DLH_BOOL, /* one byte, 0 or 1 */
} DlhDType;

/* Sizes of the axes, outermost first. */
typedef struct {
    guint rank;
    gint64 dims[DLH_MAX_RANK]; /* unused ones are 0 */
} DlhShape;

/**
 * dlh_shape:
 * Up to eight sizes, outermost first; none gives a scalar.
 */
#ifdef __cplusplus
#define dlh_shape(...) dlh_shape_of ({__VA_ARGS__})

static inline DlhShape
dlh_shape_of (std::initializer_list<gint64> sizes)
{
    DlhShape s = {(guint)sizes.size (), {0}};
    guint i = 0;

    for (gint64 size : sizes)
        if (i < DLH_MAX_RANK)
            s.dims[i++] = size;
    return s;
}
#else
/* The zero in front keeps the list from being empty, which C does not allow. */
#define dlh_shape(...)                                                                             \
    dlh_shape_of (sizeof ((gint64[]){0, __VA_ARGS__}) / sizeof (gint64) - 1,                       \
                  (const gint64[]){0, __VA_ARGS__} + 1)

static inline DlhShape
dlh_shape_of (gsize rank, const gint64 *dims)
{
    DlhShape s = {(guint)rank, {0}};

    for (gsize i = 0; i < rank && i < DLH_MAX_RANK; i++)
        s.dims[i] = dims[i];
    return s;
}
#endif

/** dlh_shape_make: @rank sizes from an array; @rank is at most DLH_MAX_RANK. */
DLH_EXPORT DlhShape dlh_shape_make (guint rank, const gint64 *dims);
/** dlh_shape_equal: Returns: whether rank and sizes agree. */
DLH_EXPORT gboolean dlh_shape_equal (DlhShape a, DlhShape b);
/** dlh_shape_count: Returns: the number of elements, 1 for a scalar. The shape must be valid. */
DLH_EXPORT gint64 dlh_shape_count (DlhShape shape);
/** dlh_shape_valid: Returns: whether no size is negative and the bytes of an f64 array fit gint64.
 */
DLH_EXPORT gboolean dlh_shape_valid (DlhShape shape);
/** dlh_shape_to_string: Returns: (transfer full): "[3,4]", "[]" for a scalar. */
DLH_EXPORT char *dlh_shape_to_string (DlhShape shape);
/** dlh_shape_with: Returns: @shape with size @n at @axis. */
DLH_EXPORT DlhShape dlh_shape_with (DlhShape shape, guint axis, gint64 n);
/** dlh_shape_insert, dlh_shape_remove: Returns: @shape with one axis more or less. */
DLH_EXPORT DlhShape dlh_shape_insert (DlhShape shape, guint axis, gint64 n);
DLH_EXPORT DlhShape dlh_shape_remove (DlhShape shape, guint axis);

/** dlh_dtype_size, dlh_dtype_name, dlh_dtype_is_float: bytes an element, "f32" and so on, whether
 * it is f32 or f64. */
DLH_EXPORT gsize dlh_dtype_size (DlhDType dtype);
DLH_EXPORT const char *dlh_dtype_name (DlhDType dtype); /* "f32", ... */
/** dlh_dtype_from_name: Returns: 0 when @name is none. */
DLH_EXPORT DlhDType dlh_dtype_from_name (const char *name);
DLH_EXPORT gboolean dlh_dtype_is_float (DlhDType dtype);

G_END_DECLS
