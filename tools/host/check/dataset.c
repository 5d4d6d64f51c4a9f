/* SPDX-License-Identifier: MIT */
/* Data sets: loaded twice, in both element types, looked through. */
#include <math.h>
#include <string.h>
#include "check.h"
#include "memory.h"

static const char *const split_names[] = {
    [DLH_SPLIT_TRAIN] = "train", [DLH_SPLIT_VALID] = "valid", [DLH_SPLIT_TEST] = "test"};

#define EXAMPLES 2000 /* looked at where a data set makes them only when asked */

static DlhData *
load (Check *c, DlhDType dtype, GHashTable *settings, GError **error)
{
    g_autoptr (DlhComponent) component = check_load (c, settings, error);
    g_autoptr (DlhData) data = dlh_data_new ();
    const DlhDataset *dataset;

    if (!component)
        return NULL;
    dataset = dlh_component_interface (component);
    if (!check_told (dataset->load (data, dtype, dlh_component_options (component), error),
                     "load()", error))
        return NULL;
    for (guint s = DLH_SPLIT_TRAIN; s <= DLH_SPLIT_TEST; s++)
        if (dlh_data_has_split (data, s) && !dlh_data_in_memory (data, s)) {
            dlh_data_limit (data, EXAMPLES);
            break;
        }
    return g_steal_pointer (&data);
}

gboolean
check_use_dataset (Check *c, GHashTable *settings, GError **error)
{
    g_autoptr (DlhData) data = load (c, DLH_F32, settings, error);

    return data != NULL;
}

static gboolean
is_absent (const GError *error)
{
    return error->domain == DLH_ERROR &&
           (error->code == DLH_ERROR_DATA || error->code == DLH_ERROR_IO ||
            error->code == DLH_ERROR_OPTION);
}

static void
loads (Check *c)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data = NULL;

    if (!check_begin (c, "load", "defaults"))
        return;
    data = load (c, DLH_F32, NULL, &error);
    if (data && dlh_data_has_split (data, DLH_SPLIT_TRAIN))
        check_ok (c, "%" G_GINT64_FORMAT " training examples",
                  dlh_data_count (data, DLH_SPLIT_TRAIN));
    else if (data)
        check_fail (c, "load() succeeded without a training split, must set one or fail");
    else if (is_absent (error))
        check_skip (c, "%s", error->message);
    else
        check_fail (c, "%s: what cannot be read is DLH_ERROR_DATA, _IO or _OPTION", error->message);
}

/* Looking through. */

static gboolean
same_rows (DlhTensor *a, DlhTensor *b)
{
    DlhShape x = dlh_tensor_get_shape (a), y = dlh_tensor_get_shape (b);

    return dlh_tensor_get_dtype (a) == dlh_tensor_get_dtype (b) && x.rank == y.rank &&
           dlh_shape_equal (dlh_shape_with (x, 0, 0), dlh_shape_with (y, 0, 0));
}

static gint64
first_outside (DlhTensor *t, double limit)
{
    for (gint64 i = 0; i < dlh_tensor_count (t); i++) {
        double value = dlh_tensor_get (t, i);

        if (!(value >= 0 && value < limit))
            return i;
    }
    return -1;
}

static gint64
first_not_finite (DlhTensor *t)
{
    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        if (!isfinite (dlh_tensor_get (t, i)))
            return i;
    return -1;
}

static char *
wrong_type (DlhData *data, DlhSplit split, DlhDType dtype)
{
    DlhTensor *x = dlh_data_inputs (data, split), *y = dlh_data_targets (data, split);
    DlhTargetKind kind = dlh_data_target_kind (data);
    DlhDType want_x = dlh_data_vocabulary (data) ? DLH_I64 : dtype;
    DlhDType want_y = kind == DLH_TARGET_REAL ? dtype : DLH_I64;

    if (dlh_tensor_get_dtype (x) != want_x)
        return g_strdup_printf ("inputs are %s, must be %s",
                                dlh_dtype_name (dlh_tensor_get_dtype (x)), dlh_dtype_name (want_x));
    if ((kind == DLH_TARGET_NONE) != (y == NULL))
        return g_strdup_printf ("targets are %s, the kind of target says otherwise",
                                y ? "there" : "missing");
    if (y && dlh_tensor_get_dtype (y) != want_y)
        return g_strdup_printf ("targets are %s, must be %s",
                                dlh_dtype_name (dlh_tensor_get_dtype (y)), dlh_dtype_name (want_y));
    return NULL;
}

static char *
wrong_values (DlhData *data, DlhSplit split)
{
    DlhTensor *x = dlh_data_inputs (data, split), *y = dlh_data_targets (data, split);
    gint64 tokens = dlh_data_vocabulary (data), classes = dlh_data_n_classes (data);
    gint64 at = tokens ? first_outside (x, (double)tokens) : first_not_finite (x);

    if (at >= 0)
        return g_strdup_printf ("input %" G_GINT64_FORMAT " is %g, must be %s", at,
                                dlh_tensor_get (x, at), tokens ? "below the vocabulary" : "finite");
    if (!y)
        return NULL;
    at = dlh_tensor_get_dtype (y) == DLH_I64 ? first_outside (y, (double)classes)
                                             : first_not_finite (y);
    return at < 0 ? NULL
                  : g_strdup_printf ("target %" G_GINT64_FORMAT " is %g, must be %s", at,
                                     dlh_tensor_get (y, at),
                                     classes ? "a class below n_classes" : "finite");
}

static void
consistent (Check *c, DlhDType dtype)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data = load (c, dtype, NULL, &error);
    g_autoptr (GString) counts = g_string_new (NULL);

    for (guint s = DLH_SPLIT_TRAIN; data && s <= DLH_SPLIT_TEST; s++) {
        DlhTensor *x = dlh_data_inputs (data, s);
        g_autofree char *what = NULL;

        if (!dlh_data_has_split (data, s))
            continue;
        if (!same_rows (x, dlh_data_inputs (data, DLH_SPLIT_TRAIN)))
            what =
                g_strdup ("an example has another shape than one for training, must be the same");
        if (!what)
            what = wrong_type (data, s, dtype);
        if (!what)
            what = wrong_values (data, s);
        if (what) {
            check_fail (c, "%s split: %s", split_names[s], what);
            return;
        }
        g_string_append_printf (counts, "%s%s %" G_GINT64_FORMAT, counts->len ? ", " : "",
                                split_names[s], dlh_data_count (data, s));
    }
    if (data)
        check_ok (c, "%s", counts->str);
    else
        check_fail (c, "%s, the first load succeeded", error->message);
}

static char *
digest (DlhData *data)
{
    g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

    for (guint s = DLH_SPLIT_TRAIN; s <= DLH_SPLIT_TEST; s++) {
        DlhTensor *tensors[] = {NULL, NULL};

        if (dlh_data_has_split (data, s)) {
            tensors[0] = dlh_data_inputs (data, s);
            tensors[1] = dlh_data_targets (data, s);
        }
        for (guint i = 0; i < 2; i++)
            if (tensors[i])
                g_checksum_update (sum, dlh_tensor_get_data (tensors[i]),
                                   (gssize)dlh_tensor_bytes (tensors[i]));
    }
    return g_strdup (g_checksum_get_string (sum));
}

static void
same_bytes (Check *c)
{
    g_autoptr (GPtrArray) digests = g_ptr_array_new_with_free_func (g_free);

    for (guint i = 0; i < 2; i++) {
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhData) data = load (c, DLH_F32, NULL, &error);

        if (!data) {
            check_fail (c, "%s, the first load succeeded", error->message);
            return;
        }
        g_ptr_array_add (digests, digest (data));
    }
    check_found (c, "digest/load", "%s", (const char *)digests->pdata[0]);
    if (strcmp (digests->pdata[0], digests->pdata[1]) == 0)
        check_ok (c, "two loads, same bytes");
    else
        check_fail (c, "a second load gives other bytes, must be the same; draw with "
                       "dlh_random_fill_uniform() from a seed that is an option");
}

static void
other_process (Check *c)
{
    const char *want = g_hash_table_lookup (c->found, "digest/load");
    g_autoptr (DlhData) data = NULL;
    g_autofree char *got = NULL;

    if (!want || check_status (c, "determinism", "load") != CHECK_OK ||
        !check_begin (c, "other-process", "load"))
        return;
    data = load (c, DLH_F32, NULL, NULL);
    got = data ? digest (data) : NULL;
    if (g_strcmp0 (got, want) == 0)
        check_ok (c, "same bytes");
    else
        check_fail (c, "another process loads other bytes, must be the same; do not use the time, "
                       "addresses or the order of a directory's files");
}

static gboolean
load_cycle (Check *c, gconstpointer data, GError **error)
{
    (void)data;
    return check_use_dataset (c, NULL, error);
}

static void
loaded (Check *c)
{
    if (check_begin (c, "splits", "f32"))
        consistent (c, DLH_F32);
    if (check_begin (c, "splits", "f64"))
        consistent (c, DLH_F64);
    if (check_begin (c, "determinism", "load"))
        same_bytes (c);
    if (check_begin (c, "leaks", "load"))
        check_cycles (c, load_cycle, NULL);
}

void
check_dataset (Check *c)
{
    check_run (c, loads);
    if (check_status (c, "load", "defaults") != CHECK_OK)
        return;
    check_run (c, loaded);
    check_run (c, other_process);
}
