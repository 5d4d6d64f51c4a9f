/* SPDX-License-Identifier: MIT */
/* K-FAC that preconditions the rows of the batch against the form that preconditions the gradient
 * (which test-kfac.c holds against dense solves): the same steps but for rounding, whatever the
 * layer; and the gradient's form where the gradient is not the batch's own. Then either form with
 * products that are rounded. */
#include "test.h"

#define STEPS 6

typedef struct {
    const char *name, *model;
    const char *settings[9];
    DlhProblem problem;
    gint64 batch;
} Case;

#define CLASSES .target_kind = DLH_TARGET_CLASS, .n_classes = 3, .target_std = 1

static const Case cases[] = {
    // More rows than one block of the trust region's sum.
    {"mlp", "mlp", {"hidden", "[6,5]", NULL}, {.size = sizeof (DlhProblem), CLASSES}, 300},
    {"one-block", "mlp", {"hidden", "[6]", NULL}, {.size = sizeof (DlhProblem), CLASSES}, 9},
    {"convnet",
     "convnet",
     {"channels", "[4,3]", "kernel", "3", "pool", "1", "hidden", "[4]", NULL},
     {.size = sizeof (DlhProblem), CLASSES},
     12},
    {"rnn", "rnn", {"hidden", "5", NULL}, {.size = sizeof (DlhProblem), CLASSES}, 10},
};

static DlhShape
input_shape (const Case *c)
{
    if (g_str_equal (c->name, "wide") || g_str_equal (c->name, "common"))
        return dlh_shape (150);
    if (g_str_equal (c->model, "convnet"))
        return dlh_shape (2, 6, 6);
    return g_str_equal (c->model, "rnn") ? dlh_shape (1, 4, 3) : dlh_shape (7);
}

// Numbers around 0; with a common part where the case is named so.
static DlhTensor *
inputs (const Case *c, DlhDType dtype)
{
    DlhTensor *x = test_tensor_random (dtype, dlh_shape_insert (input_shape (c), 0, c->batch), 1);

    for (gint64 i = 0; g_str_equal (c->name, "common") && i < dlh_tensor_count (x); i++)
        dlh_tensor_set (x, i, dlh_tensor_get (x, i) + 200);
    return x;
}

static DlhComponent *
load (DlhRegistry *registry, DlhPluginKind kind, const char *name, const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    for (guint i = 0; settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    c = dlh_registry_load (registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

// Runs @n steps. Returns: (transfer full): the notes; the parameters are in @store.
static char *
train_for (guint n, const Case *c, const DlhTraining *training, const char *const *settings,
           DlhStore *store)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhComponent) model = load (registry, DLH_MODEL, c->model, c->settings);
    g_autoptr (DlhComponent) kfac = load (registry, DLH_OPTIMIZER, "kfac", settings);
    DlhShape shape = input_shape (c);
    g_autoptr (DlhTensor) x = inputs (c, dlh_store_get_dtype (store));
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_I64, dlh_shape (c->batch), NULL);
    g_autoptr (DlhTrainer) trainer = NULL;
    g_autoptr (GString) notes = g_string_new (NULL);
    g_autoptr (GError) error = NULL;
    DlhProblem problem = c->problem;

    problem.input_shape = shape;
    for (gint64 i = 0; i < c->batch; i++)
        dlh_tensor_set (y, i, (double)(i % 3));
    trainer = dlh_trainer_new (store, model, kfac, &problem, training, &error);
    g_assert_no_error (error);
    for (guint i = 0; i < n; i++) {
        dlh_trainer_step (trainer, x, y, &error);
        g_assert_no_error (error);
    }
    for (guint i = 0; i < dlh_trainer_notes (trainer)->len; i++)
        g_string_append_printf (notes, "%s\n", (char *)dlh_trainer_notes (trainer)->pdata[i]);
    return g_string_free (g_steal_pointer (&notes), FALSE);
}

static char *
train (const Case *c, const DlhTraining *training, const char *const *settings, DlhStore *store)
{
    return train_for (STEPS, c, training, settings, store);
}

// Parameters of @a within @tolerance of those of @b, and moved.
static void
assert_same (DlhStore *a, DlhStore *b, double tolerance)
{
    for (guint i = 0; i < dlh_store_n_variables (a); i++) {
        DlhVariable *v = dlh_store_get_variable (a, i);
        DlhVariable *w = dlh_store_lookup (b, dlh_variable_name (v));

        if (dlh_variable_is_trainable (v))
            test_assert_tensor_within (
                dlh_variable_tensor (v), dlh_tensor_get_data (dlh_variable_tensor (w)),
                (gsize)dlh_tensor_count (dlh_variable_tensor (w)), tolerance);
    }
}

static const DlhTraining plain = {.size = sizeof plain, .schedule.kind = DLH_SCHEDULE_CONSTANT};

// A tight trust region, so that the step's length depends on <U, V>; and none.
static void
same_steps (gconstpointer data)
{
    const Case *c = data;
    static const char *const clips[] = {"1e-5", "0"};

    for (guint i = 0; i < G_N_ELEMENTS (clips); i++) {
        const char *const settings[] = {"precondition", "rows", "kl_clip",  clips[i], "lr", "0.1",
                                        "statistics",   "2",    "inverses", "3",      NULL};
        g_autoptr (DlhStore) a = dlh_store_new (1, DLH_F64);
        g_autoptr (DlhStore) b = dlh_store_new (1, DLH_F64);
        const char *gradient[G_N_ELEMENTS (settings)];
        g_autofree char *rows_notes = NULL, *notes = NULL;

        memcpy (gradient, settings, sizeof settings);
        gradient[1] = "gradient";
        rows_notes = train (c, &plain, settings, a);
        notes = train (c, &plain, gradient, b);
        g_assert_nonnull (strstr (rows_notes, ", by rows"));
        g_assert_null (strstr (notes, ", by rows"));
        // Inverses of norm up to 1 / sqrt (0.3) and sums of at most 300 terms of order 1.
        assert_same (a, b, 1e-11);
    }
}

// Where the gradient is clipped or decays, or the model needs it, both say and do the same.
static void
falls_back (const DlhTraining *training, const char *option, const char *value)
{
    const char *const settings[] = {"precondition", "rows", option, value, NULL};
    const char *const gradient[] = {"precondition", "gradient", option, value, NULL};
    g_autoptr (DlhStore) a = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhStore) b = dlh_store_new (1, DLH_F64);
    g_autofree char *notes = train (&cases[0], training, settings, a), *other = NULL;

    g_assert_null (strstr (notes, ", by rows"));
    other = train (&cases[0], training, gradient, b);
    assert_same (a, b, 0);
}

static void
gradient_where_it_is_changed (void)
{
    DlhTraining clipped = plain, clamped = plain, decayed = plain;

    clipped.clip_norm = 1e-3;
    clamped.clip_value = 1e-3;
    decayed.weight_decay = 0.1;
    falls_back (&clipped, "lr", "0.1");
    falls_back (&clamped, "lr", "0.1");
    falls_back (&decayed, "lr", "0.1");
    falls_back (&plain, "weight_decay", "0.1");
    falls_back (&plain, "step", "quadratic");
    falls_back (&plain, "inverse", "eigen");
}

// 12 rows are fewer operations than 108 x 4 columns, but 192 positions than 19 x 4 are not.
static void
cheaper_one_is_chosen (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    Case c = {"choice",
              "convnet",
              {"channels", "[12]", "kernel", "3", "pool", "1", "hidden", "[40]", NULL},
              {.size = sizeof (DlhProblem), CLASSES},
              12};
    g_autofree char *notes =
        train (&c, &plain, (const char *[]){"precondition", "cheapest", NULL}, store);

    g_assert_nonnull (strstr (notes, "conv2d, Kronecker factors 19 x 12\n"));
    g_assert_nonnull (strstr (notes, "linear, Kronecker factors 193 x 40, by rows\n"));
}

/* Rounded products. */

// Wide enough that they are rounded.
static const Case wide = {
    "wide", "mlp", {"hidden", "[128]", NULL}, {.size = sizeof (DlhProblem), CLASSES}, 128};

// The norm of the difference of the parameters.
static double
distance (DlhStore *a, DlhStore *b)
{
    double sum = 0;

    for (guint i = 0; i < dlh_store_n_variables (a); i++) {
        DlhVariable *v = dlh_store_get_variable (a, i);
        DlhVariable *w = dlh_store_lookup (b, dlh_variable_name (v));
        g_autofree double *x = test_values (dlh_variable_tensor (v));
        g_autofree double *y = test_values (dlh_variable_tensor (w));

        for (gint64 j = 0;
             dlh_variable_is_trainable (v) && j < dlh_tensor_count (dlh_variable_tensor (v)); j++)
            sum += (x[j] - y[j]) * (x[j] - y[j]);
    }
    return sqrt (sum);
}

static char *
train_wide (guint n, DlhDType dtype, const char *precision, const char *option, const char *value,
            DlhStore **store)
{
    const char *const settings[] = {"precondition_precision", precision, option, value, NULL};

    *store = dlh_store_new (1, dtype);
    return train_for (n, &wide, &plain, settings, *store);
}

// A rounded product is 2^-8 of the sum of its terms off at most; the inverses are well-conditioned
// here, so that little of them cancels: 1 % of the way bounds what two or three of them leave.
static void
rounded_steps_near (gconstpointer data)
{
    const char *const *option = data;
    g_autoptr (DlhStore) begin = NULL, full = NULL, rounded = NULL, again = NULL;
    g_autofree char *notes = train_wide (STEPS, DLH_F32, "full", option[0], option[1], &full);
    g_autofree char *bf16 = train_wide (STEPS, DLH_F32, "bf16", option[0], option[1], &rounded);
    double way, off;

    // The first step only collects.
    g_free (train_wide (1, DLH_F32, "full", option[0], option[1], &begin));
    g_free (train_wide (STEPS, DLH_F32, "bf16", option[0], option[1], &again));
    way = distance (begin, full);
    off = distance (rounded, full);
    g_test_message ("off %g of a way of %g: %g", off, way, off / way);
    g_assert_nonnull (strstr (bf16, ", bf16 where faster\n"));
    g_assert_null (strstr (notes, ", bf16"));
    g_assert_cmpfloat (off, <, 0.01 * way);
    g_assert_cmpint (off > 0, ==, test_rounds_to_bf16 ());
    g_assert_cmpfloat (distance (rounded, again), ==, 0);
}

static double
measured_change (const Case *c, const char *form, const char *precision)
{
    const char *const settings[] = {
        "precondition", form, "precondition_precision", precision, "kl_period", "2", NULL};
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);

    // The second step is the first that measures.
    g_free (train_for (2, c, &plain, settings, store));
    return dlh_tensor_get (dlh_variable_tensor (dlh_store_lookup (store, "kfac/kl")), 0);
}

// Inputs that are one direction but for little: of <U, V> rounding leaves more than there is, and
// it must not come out as no change of the predictions, whatever its sign.
static void
rounded_change_not_lost (gconstpointer form)
{
    Case c = wide;

    c.name = "common";
    for (guint i = 0; i < 8; i++) {
        double full, rounded;

        c.batch = 128 + 8 * i;
        full = measured_change (&c, form, "full");
        rounded = measured_change (&c, form, "bf16");
        g_test_message ("full %g, bf16 %g", full, rounded);
        g_assert_cmpfloat (full, >, 0);
        g_assert_cmpfloat (rounded, >, 0.3 * full);
    }
}

// f64 is never rounded, and nobody says that it is.
static void
f64_steps_same (void)
{
    g_autoptr (DlhStore) full = NULL, rounded = NULL;
    g_autofree char *notes = train_wide (STEPS, DLH_F64, "full", "precondition", "rows", &full);
    g_autofree char *bf16 = train_wide (STEPS, DLH_F64, "bf16", "precondition", "rows", &rounded);

    g_assert_cmpstr (notes, ==, bf16);
    g_assert_cmpfloat (distance (rounded, full), ==, 0);
}

int
main (int argc, char **argv)
{
    static const char *const forms[][2] = {{"precondition", "rows"},
                                           {"precondition", "gradient"},
                                           {"inverse", "eigen"},
                                           {"inverse", "ekfac"}};

    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (forms); i++) {
        g_autofree char *path = g_strdup_printf ("/kfac-rows/bf16/%s-near", forms[i][1]);

        g_test_add_data_func (path, forms[i], rounded_steps_near);
    }
    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = g_strdup_printf ("/kfac-rows/bf16/%s-limited", forms[i][1]);

        g_test_add_data_func (path, forms[i][1], rounded_change_not_lost);
    }
    g_test_add_func ("/kfac-rows/bf16/f64-same", f64_steps_same);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path = g_strdup_printf ("/kfac-rows/%s/same-steps", cases[i].name);

        g_test_add_data_func (path, &cases[i], same_steps);
    }
    g_test_add_func ("/kfac-rows/changed-gradient/other-form", gradient_where_it_is_changed);
    g_test_add_func ("/kfac-rows/cheapest/by-operations", cheaper_one_is_chosen);
    return g_test_run ();
}
