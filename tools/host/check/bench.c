/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "bench.h"

#define SEED 20

void
bench_clear (Bench *bench)
{
    dlh_trainer_free (bench->trainer);
    dlh_store_unref (bench->store);
    g_clear_pointer (&bench->x, dlh_tensor_unref);
    g_clear_pointer (&bench->y, dlh_tensor_unref);
}

static DlhComponent *
load_other (DlhPluginKind kind)
{
    return kind == DLH_MODEL ? builtin_optimizer () : builtin_model ();
}

gboolean
bench_init (Bench *bench, Check *c, const Problem *problem, DlhDType dtype, GHashTable *settings,
            GError **error)
{
    DlhPluginKind kind = c->info->manifest->kind;
    g_autoptr (DlhComponent) plugin = check_load (c, settings, error);
    g_autoptr (DlhComponent) other = load_other (kind);
    DlhProblem description = problem_describe (problem);
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};

    if (!plugin)
        return FALSE;
    // A model's loss may be a sum over all pixels: whatever its scale, it is given sane steps.
    if (kind == DLH_MODEL)
        training.clip_norm = 1;
    *bench = (Bench){.problem = problem, .dtype = dtype, .store = dlh_store_new (SEED, dtype)};
    bench->trainer =
        dlh_trainer_new (bench->store, kind == DLH_MODEL ? plugin : other,
                         kind == DLH_MODEL ? other : plugin, &description, &training, error);
    return bench->trainer != NULL;
}

gboolean
bench_step (Bench *bench, gint64 batch, GError **error)
{
    g_clear_pointer (&bench->x, dlh_tensor_unref);
    g_clear_pointer (&bench->y, dlh_tensor_unref);
    problem_batch (bench->problem, bench->dtype, batch,
                   100 + (guint64)dlh_trainer_steps (bench->trainer), &bench->x, &bench->y);
    return check_told (dlh_trainer_step (bench->trainer, bench->x, bench->y, error), "build()",
                       error);
}

gboolean
bench_steps (Bench *bench, guint n, gint64 batch, GError **error)
{
    for (guint i = 0; i < n; i++)
        if (!bench_step (bench, batch, error))
            return FALSE;
    return TRUE;
}

static gint64
first_difference (const DlhTensor *a, const DlhTensor *b)
{
    gsize size = dlh_dtype_size (dlh_tensor_get_dtype (a));
    const char *x = dlh_tensor_get_data (a), *y = dlh_tensor_get_data (b);

    for (gint64 i = 0; i < dlh_tensor_count (a); i++)
        if (memcmp (x + (gsize)i * size, y + (gsize)i * size, size) != 0)
            return i;
    return -1;
}

char *
stores_difference (DlhStore *got, DlhStore *want)
{
    for (guint i = 0; i < dlh_store_n_variables (want); i++) {
        DlhVariable *w = dlh_store_get_variable (want, i);
        const char *name = dlh_variable_name (w);
        DlhVariable *g = dlh_store_lookup (got, name);
        gint64 at;

        if (!g)
            return g_strdup_printf ("variable '%s' is missing", name);
        if (!dlh_shape_equal (dlh_variable_shape (g), dlh_variable_shape (w)) ||
            dlh_variable_dtype (g) != dlh_variable_dtype (w))
            return g_strdup_printf ("variable '%s' has another shape or type", name);
        at = first_difference (dlh_variable_tensor (g), dlh_variable_tensor (w));
        if (at >= 0)
            return g_strdup_printf ("variable '%s', element %" G_GINT64_FORMAT ": %.17g and %.17g",
                                    name, at, dlh_tensor_get (dlh_variable_tensor (g), at),
                                    dlh_tensor_get (dlh_variable_tensor (w), at));
    }
    if (dlh_store_n_variables (got) != dlh_store_n_variables (want))
        return g_strdup_printf ("%u and %u variables", dlh_store_n_variables (got),
                                dlh_store_n_variables (want));
    return NULL;
}

char *
store_digest (DlhStore *store)
{
    g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

    for (guint i = 0; i < dlh_store_n_variables (store); i++) {
        DlhVariable *v = dlh_store_get_variable (store, i);
        DlhTensor *t = dlh_variable_tensor (v);

        g_checksum_update (sum, (const guchar *)dlh_variable_name (v), -1);
        g_checksum_update (sum, dlh_tensor_get_data (t), (gssize)dlh_tensor_bytes (t));
    }
    return g_strdup (g_checksum_get_string (sum));
}

double
stores_distance (DlhStore *got, DlhStore *want)
{
    double worst = 0;

    for (guint i = 0; i < dlh_store_n_variables (want); i++) {
        DlhVariable *w = dlh_store_get_variable (want, i);
        DlhVariable *g = dlh_store_lookup (got, dlh_variable_name (w));
        double largest = 0, difference = 0;

        if (!g || !dlh_dtype_is_float (dlh_variable_dtype (w)))
            continue;
        for (gint64 j = 0; j < dlh_tensor_count (dlh_variable_tensor (w)); j++) {
            double a = dlh_tensor_get (dlh_variable_tensor (g), j);
            double b = dlh_tensor_get (dlh_variable_tensor (w), j);

            largest = fmax (largest, fabs (b));
            difference = fmax (difference, isfinite (a - b) ? fabs (a - b) : INFINITY);
        }
        if (difference > 0)
            worst = fmax (worst, difference / fmax (largest, 1e-30));
    }
    return worst;
}

GPtrArray *
store_values (DlhStore *store)
{
    GPtrArray *values = g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);

    for (guint i = 0; i < dlh_store_n_variables (store); i++)
        g_ptr_array_add (
            values,
            dlh_tensor_copy (dlh_variable_tensor (dlh_store_get_variable (store, i)), NULL));
    return values;
}

void
store_restore (DlhStore *store, GPtrArray *values)
{
    for (guint i = 0; i < values->len; i++) {
        const DlhTensor *from = values->pdata[i];

        memcpy (dlh_tensor_get_data (dlh_variable_tensor (dlh_store_get_variable (store, i))),
                dlh_tensor_get_data (from), dlh_tensor_bytes (from));
    }
}

gboolean
store_unchanged (DlhStore *store, GPtrArray *values)
{
    if (dlh_store_n_variables (store) != values->len)
        return FALSE;
    for (guint i = 0; i < values->len; i++) {
        const DlhTensor *now = dlh_variable_tensor (dlh_store_get_variable (store, i));
        const DlhTensor *then = values->pdata[i];

        if (memcmp (dlh_tensor_get_data (now), dlh_tensor_get_data (then),
                    dlh_tensor_bytes (then)) != 0)
            return FALSE;
    }
    return TRUE;
}
