/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "compare.h"

static int
by_name (gconstpointer a, gconstpointer b)
{
    return strcmp (((const TensorChange *)a)->name, ((const TensorChange *)b)->name);
}

static TensorChange
compare_two (const char *name, DlhTensor *x, DlhTensor *y)
{
    TensorChange change = {name, "same", 0, 0, -1};
    DlhDType dtype = dlh_tensor_get_dtype (x);
    gsize size = dlh_dtype_size (dtype);

    if (dtype != dlh_tensor_get_dtype (y) ||
        !dlh_shape_equal (dlh_tensor_get_shape (x), dlh_tensor_get_shape (y))) {
        change.what = "shape or type differs";
        return change;
    }
    for (gint64 i = 0; i < dlh_tensor_count (x); i++) {
        const char *p = (const char *)dlh_tensor_get_data (x) + (gsize)i * size;
        const char *q = (const char *)dlh_tensor_get_data (y) + (gsize)i * size;
        double a = dlh_tensor_get (x, i), b = dlh_tensor_get (y, i), d = fabs (b - a);

        change.max_value = MAX (change.max_value, fabs (a));
        if (memcmp (p, q, size) == 0)
            continue;
        if (change.first < 0)
            change.first = i;
        change.what = "differs";
        // MAX passes NaN over.
        change.max_change = isnan (d) ? INFINITY : MAX (change.max_change, d);
    }
    return change;
}

GArray *
compare_tensors (DlhSafetensors *a, DlhSafetensors *b)
{
    GArray *changes = g_array_new (FALSE, TRUE, sizeof (TensorChange));
    GPtrArray *names = dlh_safetensors_names (a);

    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        DlhTensor *y = dlh_safetensors_get (b, name);
        TensorChange change = {name, "only in the first", 0, 0, -1};

        if (y)
            change = compare_two (name, dlh_safetensors_get (a, name), y);
        g_array_append_val (changes, change);
    }
    names = dlh_safetensors_names (b);
    for (guint i = 0; i < names->len; i++) {
        TensorChange change = {names->pdata[i], "only in the second", 0, 0, -1};

        if (!dlh_safetensors_get (a, names->pdata[i]))
            g_array_append_val (changes, change);
    }
    g_array_sort (changes, by_name);
    return changes;
}

gboolean
tensor_changed (const TensorChange *change)
{
    return strcmp (change->what, "same") != 0;
}
