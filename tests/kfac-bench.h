/* SPDX-License-Identifier: MIT */
/* A model of the test's own, trained by K-FAC, and dense linear algebra to compare it with, which
 * shares nothing with the plugin. */
#pragma once

#include "test.h"

typedef gboolean (*BenchModel) (DlhBuild *b, const DlhProblem *problem, gconstpointer options,
                                DlhNode *x, DlhNode *y, DlhObjective *objective, GError **error);

static const DlhManifest bench_manifest = {
    .size = sizeof (DlhManifest),
    .option_size = sizeof (DlhOption),
    .abi_major = DLH_ABI_MAJOR,
    .abi_minor = DLH_ABI_MINOR,
    .kind = DLH_MODEL,
    .options_bytes = 1,
    .name = "m",
    .version = "1",
    .licence = "MIT",
    .summary = "test model",
};

typedef struct {
    DlhSupervised role; /* these three outlive the component */
    DlhModel interface;
    DlhPlugin plugin;
    DlhRegistry *registry;
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x, *y;
} Bench;

static inline void
bench_clear (Bench *b)
{
    dlh_trainer_free (b->trainer);
    dlh_tensor_unref (b->x);
    dlh_tensor_unref (b->y);
    dlh_store_unref (b->store);
    dlh_registry_free (b->registry);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

/* @settings: "damping=0.1 fisher=exact". @x (B, ...); @y: classes (B), or real (B, n); taken. */
static inline void
bench_open (Bench *b, BenchModel model, const char *optimizer, const char *settings, DlhTensor *x,
            DlhTensor *y)
{
    g_autoptr (GHashTable) table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_auto (GStrv) words = g_strsplit (settings, " ", -1);
    g_autoptr (DlhComponent) c = NULL, m = NULL;
    g_autoptr (GError) error = NULL;
    const gboolean classes = dlh_tensor_get_dtype (y) == DLH_I64;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape_remove (dlh_tensor_get_shape (x), 0),
                          .target_shape = dlh_shape_remove (dlh_tensor_get_shape (y), 0),
                          .target_kind = classes ? DLH_TARGET_CLASS : DLH_TARGET_REAL,
                          .n_classes = classes ? 3 : 0,
                          .target_std = 1};

    for (guint i = 0; words[i] && *words[i]; i++) {
        g_auto (GStrv) pair = g_strsplit (words[i], "=", 2);

        g_hash_table_insert (table, g_strdup (pair[0]), g_strdup (pair[1]));
    }
    b->role = (DlhSupervised){sizeof b->role, model};
    b->interface = (DlhModel){.size = sizeof b->interface, .supervised = &b->role};
    b->plugin = (DlhPlugin){sizeof b->plugin, &bench_manifest, &b->interface};
    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    if (!b->store)
        b->store = dlh_store_new (3, DLH_F64);
    c = dlh_registry_load (b->registry, DLH_OPTIMIZER, optimizer, table, &error);
    g_assert_no_error (error);
    m = dlh_component_new_static (&b->plugin, NULL, &error);
    g_assert_no_error (error);
    b->trainer = dlh_trainer_new (b->store, m, c, &problem, &training, &error);
    g_assert_no_error (error);
    b->x = x;
    b->y = y;
}

static inline void
bench_step (Bench *b)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_step (b->trainer, b->x, b->y, &error);
    g_assert_no_error (error);
}

/* A step that must fail. */
static inline void
bench_refuses (Bench *b, DlhErrorCode code, const char *text)
{
    g_autoptr (GError) error = NULL;

    g_assert_false (dlh_trainer_step (b->trainer, b->x, b->y, &error));
    test_assert_error (&error, code, text);
}

/* A note that is @text, or goes on behind it after a comma. */
static inline gboolean
bench_has_note (Bench *b, const char *text)
{
    const gsize n = strlen (text);
    GPtrArray *notes = dlh_trainer_notes (b->trainer);

    for (guint i = 0; i < notes->len; i++)
        if (strncmp (notes->pdata[i], text, n) == 0 && strchr (",", ((char *)notes->pdata[i])[n]))
            return TRUE;
    for (guint i = 0; i < notes->len; i++)
        g_test_message ("note: %s", (const char *)notes->pdata[i]);
    test_fail ("no note '%s'", text);
    return FALSE;
}

static inline DlhTensor *
bench_tensor (Bench *b, const char *name)
{
    DlhVariable *v = dlh_store_lookup (b->store, name);

    if (!v)
        g_error ("no variable %s", name);
    return dlh_variable_tensor (v);
}

static inline double *bench_value (Bench *b, const char *format, ...) G_GNUC_PRINTF (2, 3);

static inline double *
bench_value (Bench *b, const char *format, ...)
{
    g_autofree char *name = NULL;
    va_list ap;

    va_start (ap, format);
    name = g_strdup_vprintf (format, ap);
    va_end (ap);
    return dlh_tensor_get_data (bench_tensor (b, name));
}

/* A copy of the loss's gradient by @name at the store's values. */
static inline double *
bench_gradient (Bench *b, const char *name)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) gradients = dlh_trainer_gradients (b->trainer, b->x, b->y, &error);

    g_assert_no_error (error);
    for (guint i = 0; i < gradients->len; i++) {
        const DlhGradient *g = &g_array_index (gradients, DlhGradient, i);

        if (strcmp (dlh_variable_name (g->variable), name) == 0)
            return test_values (g->gradient);
    }
    g_error ("no gradient of %s", name);
}

/* Dense matrices, row-major. */

/* r (n x k) <- a^-1 r by elimination with pivoting. */
static inline void
dense_solve (const double *matrix, gsize n, double *r, gsize k)
{
    g_autofree double *a = g_memdup2 (matrix, n * n * sizeof *a);

    for (gsize p = 0; p < n; p++) {
        gsize best = p;

        for (gsize i = p + 1; i < n; i++)
            if (fabs (a[i * n + p]) > fabs (a[best * n + p]))
                best = i;
        for (gsize j = 0; j < n + k; j++) {
            double *x = j < n ? &a[p * n + j] : &r[p * k + j - n];
            double *y = j < n ? &a[best * n + j] : &r[best * k + j - n], t = *x;

            *x = *y;
            *y = t;
        }
        for (gsize i = 0; i < n; i++) {
            const double f = i == p ? 0 : a[i * n + p] / a[p * n + p];

            for (gsize j = 0; f != 0 && j < n; j++)
                a[i * n + j] -= f * a[p * n + j];
            for (gsize j = 0; f != 0 && j < k; j++)
                r[i * k + j] -= f * r[p * k + j];
        }
    }
    for (gsize p = 0; p < n; p++)
        for (gsize j = 0; j < k; j++)
            r[p * k + j] /= a[p * n + p];
}

/* c (n x m) = a (n x l) b (l x m) */
static inline void
dense_multiply (const double *a, const double *b, double *c, gsize n, gsize l, gsize m)
{
    memset (c, 0, n * m * sizeof *c);
    for (gsize i = 0; i < n; i++)
        for (gsize k = 0; k < l; k++)
            for (gsize j = 0; j < m; j++)
                c[i * m + j] += a[i * l + k] * b[k * m + j];
}

static inline double *
dense_transpose (const double *a, gsize n, gsize m)
{
    double *t = g_new (double, n *m);

    for (gsize i = 0; i < n; i++)
        for (gsize j = 0; j < m; j++)
            t[j * n + i] = a[i * m + j];
    return t;
}

/* A (n x n) and G (m x m) with the damping of factors: sqrt (lambda / r) pi and its like. */
static inline void
dense_damp (double *a, gsize n, double *g, gsize m, double lambda, double r)
{
    double ta = 0, tg = 0, pi;

    for (gsize i = 0; i < n; i++)
        ta += a[i * n + i] / (double)n;
    for (gsize i = 0; i < m; i++)
        tg += g[i * m + i] / (double)m;
    pi = sqrt (ta / tg);
    for (gsize i = 0; i < n; i++)
        a[i * n + i] += sqrt (lambda / r) * pi;
    for (gsize i = 0; i < m; i++)
        g[i * m + i] += sqrt (lambda / r) / pi;
}
