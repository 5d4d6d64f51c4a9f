/* SPDX-License-Identifier: MIT */
#include <dlhost/shape.h>

static const struct {
    const char *name;
    gsize size;
} dtypes[] = {
    [DLH_F32] = {"f32", 4}, [DLH_F64] = {"f64", 8},   [DLH_I32] = {"i32", 4},
    [DLH_I64] = {"i64", 8}, [DLH_BOOL] = {"bool", 1},
};

GQuark
dlh_error_quark (void)
{
    return g_quark_from_static_string ("dlh-error");
}

gsize
dlh_dtype_size (DlhDType dtype)
{
    g_return_val_if_fail (dtype >= DLH_F32 && dtype <= DLH_BOOL, 0);
    return dtypes[dtype].size;
}

const char *
dlh_dtype_name (DlhDType dtype)
{
    g_return_val_if_fail (dtype >= DLH_F32 && dtype <= DLH_BOOL, "none");
    return dtypes[dtype].name;
}

DlhDType
dlh_dtype_from_name (const char *name)
{
    for (guint i = DLH_F32; i <= DLH_BOOL; i++)
        if (g_strcmp0 (dtypes[i].name, name) == 0)
            return i;
    return 0;
}

gboolean
dlh_dtype_is_float (DlhDType dtype)
{
    return dtype == DLH_F32 || dtype == DLH_F64;
}

DlhShape
dlh_shape_make (guint rank, const gint64 *dims)
{
    DlhShape s = {rank, {0}};

    g_return_val_if_fail (rank <= DLH_MAX_RANK, dlh_shape ());
    for (guint i = 0; i < rank; i++)
        s.dims[i] = dims[i];
    return s;
}

gboolean
dlh_shape_equal (DlhShape a, DlhShape b)
{
    if (a.rank != b.rank)
        return FALSE;
    for (guint i = 0; i < a.rank; i++)
        if (a.dims[i] != b.dims[i])
            return FALSE;
    return TRUE;
}

gint64
dlh_shape_count (DlhShape shape)
{
    gint64 n = 1;

    for (guint i = 0; i < shape.rank; i++)
        n *= shape.dims[i];
    return n;
}

gboolean
dlh_shape_valid (DlhShape shape)
{
    gint64 n = sizeof (double);

    if (shape.rank > DLH_MAX_RANK)
        return FALSE;
    // Sizes beside a zero are multiplied as well: they are used alone when axes are removed.
    for (guint i = 0; i < shape.rank; i++)
        if (shape.dims[i] < 0 ||
            __builtin_mul_overflow (n, MAX (shape.dims[i], 1), &n))
            return FALSE;
    return TRUE;
}

char *
dlh_shape_to_string (DlhShape shape)
{
    GString *s = g_string_new ("[");

    for (guint i = 0; i < MIN (shape.rank, DLH_MAX_RANK); i++)
        g_string_append_printf (s, "%s%" G_GINT64_FORMAT, i ? "," : "", shape.dims[i]);
    return g_string_free (g_string_append_c (s, ']'), FALSE);
}

DlhShape
dlh_shape_with (DlhShape shape, guint axis, gint64 n)
{
    g_return_val_if_fail (axis < shape.rank, shape);
    shape.dims[axis] = n;
    return shape;
}

DlhShape
dlh_shape_insert (DlhShape shape, guint axis, gint64 n)
{
    g_return_val_if_fail (axis <= shape.rank && shape.rank < DLH_MAX_RANK, shape);
    for (guint i = shape.rank; i > axis; i--)
        shape.dims[i] = shape.dims[i - 1];
    shape.dims[axis] = n;
    shape.rank++;
    return shape;
}

DlhShape
dlh_shape_remove (DlhShape shape, guint axis)
{
    g_return_val_if_fail (axis < shape.rank, shape);
    for (guint i = axis; i + 1 < shape.rank; i++)
        shape.dims[i] = shape.dims[i + 1];
    shape.dims[--shape.rank] = 0;
    return shape;
}
