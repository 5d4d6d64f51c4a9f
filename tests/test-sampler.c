/* SPDX-License-Identifier: MIT */
/* The sampler kind: passes, state and columns as the header promises, through samplers written here
 * as a third party would. */
#include "test.h"

#define C 64

/* A random walk, the header's example, with a part of its own for what a test wants to see. */

static const double walk_scale = 2.4;

static gboolean
walk_build (DlhChains *c, gconstpointer options, GError **error)
{
    DlhNode *q = dlh_chains_position (c, 0), *now = dlh_chains_log_density (c, &q);
    DlhNode *step = dlh_chains_normal (c, dlh_chains_stream (c, "walk"), 0);
    DlhNode *to = dlh_add (q, dlh_scale (step, walk_scale));
    DlhNode *ratio = dlh_sub (dlh_chains_log_density (c, &to), now);
    DlhNode *u = dlh_uniform (dlh_chains_graph (c), dlh_chains_stream (c, "accept"), DLH_F64,
                              dlh_node_shape (ratio));
    DlhPass *move = dlh_chains_pass (c, "move", DLH_PASS_EVERY);

    (void)options, (void)error;
    dlh_pass_assign (move, q, dlh_chains_where (c, dlh_less (dlh_log (u), ratio), to, q));
    dlh_pass_report (move, "accept", dlh_chains_accept_probability (c, ratio));
    return TRUE;
}

/* Counts in every kind of pass; "twice" goes on while its state is above 0. */

static const char *const ticks_names[] = {"start",   "every",  "warmup",
                                          "collect", "window", "freeze"};

static gboolean
ticks_build (DlhChains *c, gconstpointer options, GError **error)
{
    const DlhInit zero = {DLH_INIT_ZEROS, 0, 0};
    DlhNode *left = dlh_chains_state (c, "left", DLH_I64, dlh_shape (), zero);
    DlhNode *runs = dlh_chains_state (c, "runs", DLH_F64, dlh_shape (), zero);
    DlhPass *set, *twice;

    (void)options, (void)error;
    for (guint i = 0; i < G_N_ELEMENTS (ticks_names); i++) {
        DlhPass *p = dlh_chains_pass (c, ticks_names[i], 1u << i);
        DlhNode *n = dlh_chains_state (c, ticks_names[i], DLH_F64, dlh_shape (), zero);

        dlh_pass_assign (p, n, dlh_offset (n, 1));
        dlh_pass_report (p, ticks_names[i], dlh_offset (n, 1));
    }
    set = dlh_chains_pass (c, "set", DLH_PASS_EVERY);
    dlh_pass_assign (set, left, dlh_cast (dlh_scalar (dlh_chains_graph (c), DLH_F64, 2), DLH_I64));
    twice = dlh_chains_pass (c, "twice", DLH_PASS_EVERY);
    dlh_pass_assign (twice, runs, dlh_offset (runs, 1));
    dlh_pass_assign (twice, left, dlh_cast (dlh_offset (dlh_cast (left, DLH_F64), -1), DLH_I64));
    dlh_pass_while (twice, left, 100);
    return TRUE;
}

static gboolean
ticks_between (DlhChains *c, gconstpointer options, GError **error)
{
    DlhVariable *v = dlh_store_variable (dlh_chains_store (c), "ticks/between", DLH_F64,
                                         dlh_shape (), (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);

    (void)options;
    if (!v)
        return FALSE;
    dlh_tensor_set (dlh_variable_tensor (v), 0, dlh_tensor_get (dlh_variable_tensor (v), 0) + 1);
    return TRUE;
}

/* Mistakes. */

static gboolean
thaw_build (DlhChains *c, gconstpointer options, GError **error)
{
    DlhNode *eps =
        dlh_chains_tuned (c, "eps", DLH_F64, dlh_shape (), (DlhInit){DLH_INIT_CONSTANT, 1, 0});

    (void)options, (void)error;
    dlh_pass_assign (dlh_chains_pass (c, "late", DLH_PASS_EVERY), eps, dlh_scale (eps, 2));
    return TRUE;
}

static gboolean
endless_build (DlhChains *c, gconstpointer options, GError **error)
{
    DlhNode *left =
        dlh_chains_state (c, "left", DLH_I64, dlh_shape (), (DlhInit){DLH_INIT_CONSTANT, 1, 0});
    DlhPass *p = dlh_chains_pass (c, "spin", DLH_PASS_EVERY);

    (void)options, (void)error;
    dlh_pass_assign (p, left, left);
    dlh_pass_while (p, left, 7);
    return TRUE;
}

#define FIXTURE(id, between_function)                                                              \
    static const DlhTransition id##_transition = {sizeof (DlhTransition), id##_build,              \
                                                  between_function};                               \
    static const DlhSampler id##_sampler = {sizeof (DlhSampler), &id##_transition};                \
    static const DlhManifest id##_manifest = {.size = sizeof (DlhManifest),                        \
                                              .option_size = sizeof (DlhOption),                   \
                                              .abi_major = DLH_ABI_MAJOR,                          \
                                              .abi_minor = DLH_ABI_MINOR,                          \
                                              .kind = DLH_SAMPLER,                                 \
                                              .options_bytes = 1,                                  \
                                              .name = #id,                                         \
                                              .version = "1",                                      \
                                              .licence = "MIT"};                                   \
    static const DlhPlugin id = {sizeof (DlhPlugin), &id##_manifest, &id##_sampler}

FIXTURE (walk, NULL);
FIXTURE (ticks, ticks_between);
FIXTURE (thaw, NULL);
FIXTURE (endless, NULL);

static DlhNode *
standard_normal (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    (void)b, (void)user_data;
    return dlh_scale (dlh_sum_axis (dlh_square (q[0]), 1), -0.5);
}

static const DlhBlock two = {"x", {1, {2}}, {DLH_INIT_NORMAL, 0, 1}};

static DlhChains *
chains_of (DlhTarget *target, const DlhPlugin *plugin, gint64 n_warmup, GError **error)
{
    g_autoptr (DlhComponent) sampler = dlh_component_new_static (plugin, NULL, NULL);

    g_assert_nonnull (sampler);
    return dlh_chains_new (target, sampler, n_warmup, error);
}

static void
walk_normal_moments (void)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhTarget) target =
        dlh_target_new (store, C, &two, 1, standard_normal, NULL, &error);
    g_autoptr (DlhChains) chains = chains_of (target, &walk, 0, &error);
    g_autoptr (DlhDraws) draws = dlh_draws_new (chains, 500, &error);
    g_autofree double *x = g_new (double, 500 * C);
    double sum = 0;

    g_assert_no_error (error);
    while (dlh_draws_count (draws) < 500)
        if (!dlh_chains_transition (chains, &error) || !dlh_draws_append (draws, &error))
            break;
    g_assert_no_error (error);
    // First positions are exact draws, so every draw is; false alarms by test_assert_mean().
    for (gint64 k = 0; k < 2; k++) {
        dlh_draws_column (draws, 0, k, x);
        test_assert_mean (dlh_quantile (x, 500 * C, 0.5), 0, dlh_mcse_quantile (x, 500, C, 0.5));
        for (guint i = 0; i < 500 * C; i++)
            x[i] *= x[i];
        for (guint i = 0; i < 500 * C; i++)
            sum += x[i] / (500 * C);
        test_assert_mean (sum, 1, dlh_mcse_mean (x, 500, C));
        sum = 0;
    }
    g_assert_false (dlh_draws_append (draws, &error));
    test_assert_error (&error, DLH_ERROR_STATE, "room for 500 draws");
}

static void
passes_run_when_due (void)
{
    const double want[] = {1, 110, 100, 75, 1, 1};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhTarget) target =
        dlh_target_new (store, C, &two, 1, standard_normal, NULL, &error);
    g_autoptr (DlhChains) chains = chains_of (target, &ticks, 100, &error);

    g_assert_no_error (error);
    for (guint i = 0; i < 110; i++)
        g_assert_true (dlh_chains_transition (chains, &error));
    g_assert_cmpint (dlh_chains_done (chains), ==, 110);
    for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
        const double *column = dlh_chains_find_report (chains, ticks_names[i]);

        g_assert_cmpfloat (column[0], ==, want[i]);
        g_assert_cmpfloat (column[C - 1], ==, want[i]);
    }
    g_assert_cmpfloat (
        dlh_tensor_get (dlh_variable_tensor (dlh_store_lookup (store, "ticks/runs")), 0), ==, 220);
    g_assert_cmpint (dlh_chains_pass_runs (chains, "twice"), ==, 220);
    g_assert_cmpfloat (
        dlh_tensor_get (dlh_variable_tensor (dlh_store_lookup (store, "ticks/between")), 0), ==,
        110);
    g_assert_null (dlh_chains_find_report (chains, "nothing"));
}

static void
tuned_later_is_refused (void)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhTarget) target =
        dlh_target_new (store, C, &two, 1, standard_normal, NULL, &error);

    g_assert_null (chains_of (target, &thaw, 0, &error));
    test_assert_error (&error, DLH_ERROR_GRAPH, "assigns 'thaw/eps', which is tuned");
}

static void
while_endless_is_stopped (void)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhTarget) target =
        dlh_target_new (store, C, &two, 1, standard_normal, NULL, &error);
    g_autoptr (DlhChains) chains = chains_of (target, &endless, 0, &error);

    g_assert_no_error (error);
    g_assert_false (dlh_chains_transition (chains, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC,
                       "endless: transition 0: pass 'spin' has not ended after 7 runs");
}

static DlhNode *
one_number (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    (void)b, (void)user_data;
    return dlh_square (q[0]);
}

static void
target_unfit_is_refused (void)
{
    const DlhBlock negative = {"x", {1, {-2}}, {DLH_INIT_ZEROS, 0, 0}};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhTarget) target = dlh_target_new (store, C, &two, 1, one_number, NULL, &error);

    g_assert_null (chains_of (target, &walk, 0, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "one number for each of 64 chains is needed");
    g_assert_null (dlh_target_new (store, 0, &two, 1, one_number, NULL, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "0 chains are asked for");
    g_assert_null (dlh_target_new (store, 2, &negative, 1, one_number, NULL, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "block 'x' has shape [-2]");
}

// After 5 transitions a checkpoint; the rest in a new store must give the same bits.
static void
resume_same_bits (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c.safetensors", NULL);
    DlhTensor *ends[2] = {NULL, NULL};

    for (guint which = 0; which < 2; which++) {
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
        g_autoptr (DlhTarget) target =
            dlh_target_new (store, C, &two, 1, standard_normal, NULL, &error);
        g_autoptr (DlhChains) chains = NULL;

        if (which)
            g_assert_true (dlh_store_load (store, path, NULL, &error));
        chains = chains_of (target, &walk, 0, &error);
        g_assert_no_error (error);
        while (dlh_chains_done (chains) < 12) {
            g_assert_true (dlh_chains_transition (chains, &error));
            if (!which && dlh_chains_done (chains) == 5)
                g_assert_true (dlh_store_save (store, path, NULL, &error));
        }
        ends[which] = dlh_tensor_copy (dlh_chains_value (chains, 0), NULL);
    }
    test_assert_tensors_equal (ends[0], ends[1]);
    dlh_tensor_unref (ends[0]);
    dlh_tensor_unref (ends[1]);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/sampler/walk/normal-moments", walk_normal_moments);
    g_test_add_func ("/sampler/passes/run-when-due", passes_run_when_due);
    g_test_add_func ("/sampler/tuned/later-is-refused", tuned_later_is_refused);
    g_test_add_func ("/sampler/while/endless-is-stopped", while_endless_is_stopped);
    g_test_add_func ("/sampler/target/unfit-is-refused", target_unfit_is_refused);
    g_test_add_func ("/sampler/resume/same-bits", resume_same_bits);
    return g_test_run ();
}
