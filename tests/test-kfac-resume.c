/* SPDX-License-Identifier: MIT */
/* Runs that are killed after a few steps and go on from a checkpoint: the same bytes in every
 * variable as in a run that was never stopped, whatever the step rule and structure. */
#include "kfac-bench.h"

enum { B = 24, STEPS = 11 };

static DlhNode *
layer (DlhBuild *b, const char *name, DlhNode *x, gint64 n)
{
    return dlh_dense (b, name, x, n, (DlhInit){DLH_INIT_NORMAL, 0, 0.6}, TRUE);
}

// With dropout, whose draws a resumed run has to go on with as well.
static gboolean
net (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
     DlhObjective *objective, GError **error)
{
    (void)problem, (void)options, (void)error;
    x = dlh_tanh (layer (b, "l0", x, 5));
    x = dlh_tanh (layer (b, "l1", dlh_dropout (b, "drop", x, 0.2), 3));
    dlh_objective_classify (objective, layer (b, "l2", x, 3), y);
    return TRUE;
}

static void
open_net (Bench *b, const char *settings)
{
    DlhTensor *y = dlh_tensor_new (DLH_I64, dlh_shape (B), NULL);

    for (gint64 i = 0; i < B; i++)
        dlh_tensor_set (y, i, (double)(i * 5 % 7 % 3));
    bench_open (b, net, "kfac", settings, test_tensor_random (DLH_F64, dlh_shape (B, 4), 1), y);
}

static void
steps (Bench *b, guint n)
{
    for (guint i = 0; i < n; i++)
        bench_step (b);
}

static void
same_bytes (gconstpointer settings)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c.safetensors", NULL);
    g_auto (Bench) whole = {0};

    open_net (&whole, settings);
    steps (&whole, STEPS);
    for (guint k = 1; k < STEPS; k += 3) {
        g_autoptr (GError) error = NULL;
        g_auto (Bench) first = {0}, second = {.store = dlh_store_new (3, DLH_F64)};

        open_net (&first, settings);
        steps (&first, k);
        g_assert_true (dlh_store_save (first.store, path, NULL, &error));
        g_assert_true (dlh_store_load (second.store, path, NULL, &error));
        open_net (&second, settings);
        steps (&second, STEPS - k);
        for (guint i = 0; i < dlh_store_n_variables (whole.store); i++) {
            DlhVariable *v = dlh_store_get_variable (whole.store, i);

            test_assert_tensors_equal (dlh_variable_tensor (v),
                                       bench_tensor (&second, dlh_variable_name (v)));
        }
    }
}

int
main (int argc, char **argv)
{
    static const char *const cases[][2] = {
        {"fixed", "statistics=2 inverses=3 fisher=sampled"},
        {"part", "statistics=2 inverses=3 statistics_fraction=0.3"},
        {"quadratic", "step=quadratic inverses=3 damping_period=2 gamma_period=4"},
        {"quadratic-part", "step=quadratic inverses=2 damping_period=1 gamma_period=3 "
                           "model_fraction=0.5 statistics_fraction=0.25 momentum=0"},
        {"tridiagonal", "structure=tridiagonal statistics=2 inverses=3 fisher=sampled"},
    };

    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *name = g_strdup_printf ("/kfac-resume/%s/same-bytes", cases[i][0]);

        g_test_add_data_func (name, cases[i][1], same_bytes);
    }
    return g_test_run ();
}
