/* SPDX-License-Identifier: MIT */
/* Losses of several players: parameters that move at a pace of their own under any optimizer, and
 * nodes that are frozen for one player. The objective is x0 a^4 / 4 + a + x1 b^4 / 4 + b with the
 * batch x; a moves with factor 0.5 at every third step. */
#include "trainer-bench.h"

#define STEPS 11

static const double h[2] = {0.7, 2};
static const DlhPace slow = {0.5, 3};

typedef struct {
    gint64 period;
} Options;

static gboolean
pair_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    static const char *const names[] = {"a", "b"};
    const Options *opt = options;
    DlhNode *loss = NULL;

    (void)problem, (void)y, (void)error;
    for (guint i = 0; i < 2; i++) {
        DlhNode *p, *term;

        dlh_graph_push_scope (b->graph, names[i]);
        p = dlh_parameter (b->graph, b->store, "p", dlh_shape (),
                           (DlhInit){DLH_INIT_CONSTANT, 0.5, 0});
        dlh_graph_pop_scope (b->graph);
        term = dlh_scale (dlh_square (dlh_square (p)), 0.25);
        term = dlh_add (dlh_mul (dlh_index (dlh_index (x, 1, i), 0, 0), term), p);
        loss = loss ? dlh_add (loss, term) : term;
    }
    dlh_pace (b, "a", (DlhPace){slow.factor, opt->period});
    objective->loss = loss;
    objective->n_cases = 1;
    return TRUE;
}

static const DlhSupervised role = {.size = sizeof role, .build = pair_build};
static const DlhModel model = {.size = sizeof model, .supervised = &role};

DLH_PLUGIN_DEFINE (DLH_MODEL, model, Options,
                   DLH_OPTIONS (DLH_INT (Options, period, 3, 1, 100, "Of a")), .name = "pair",
                   .version = "1", .summary = "Two players");

static void
bench_init (Bench *b, const char *optimizer, const char *const *settings,
            const DlhTraining *training)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (2)};
    g_autoptr (GError) error = NULL;

    bench_open (b, 1);
    b->model = dlh_component_new_static (&dlhost_plugin, NULL, &error);
    g_assert_no_error (error);
    bench_train (b, optimizer, settings, &problem, training);
    b->x = test_tensor_from (DLH_F64, dlh_shape (1, 2), h, 2);
}

static double
value (Bench *b, const char *name)
{
    DlhVariable *v = dlh_store_lookup (b->store, name);

    return v ? dlh_tensor_get (dlh_variable_tensor (v), 0) : NAN;
}

/* References, a scalar at a time: what the optimizer would add at its t-th step, t from 1. */

typedef struct {
    double theta, s[2];
    guint t;
} Scalar;

typedef double (*Move) (Scalar *x, double g);

static double
sgd_move (Scalar *x, double g)
{
    x->s[0] = 0.9 * x->s[0] + g;
    return -0.05 * x->s[0];
}

static double
adam_move (Scalar *x, double g)
{
    x->s[0] = 0.9 * x->s[0] + 0.1 * g;
    x->s[1] = 0.999 * x->s[1] + 0.001 * g * g;
    return -0.05 * (x->s[0] / (1 - pow (0.9, x->t))) /
           (sqrt (x->s[1] / (1 - pow (0.999, x->t))) + 1e-8);
}

// Two velocities of damping 0 and 0.9, step size 0.05.
static double
aggmo_move (Scalar *x, double g)
{
    x->s[0] = 0.9 * x->s[0] + g;
    return -0.05 / 2 * (x->s[0] + g);
}

static void
check (const char *optimizer, const char *const *settings, Move move, const char *state,
       double decay)
{
    const DlhTraining training = {.size = sizeof training,
                                  .schedule.kind = DLH_SCHEDULE_CONSTANT,
                                  .decoupled_weight_decay = decay};
    g_autofree char *a_state = g_strdup_printf ("%s/pair/a/p/%s", optimizer, state);
    g_autofree char *b_state = g_strdup_printf ("%s/pair/b/p/%s", optimizer, state);
    Scalar x[2] = {{.theta = 0.5}, {.theta = 0.5}};
    g_auto (Bench) b = {0};

    bench_init (&b, optimizer, settings, &training);
    for (guint k = 0; k < STEPS; k++) {
        bench_step (&b);
        for (guint i = 0; i < 2; i++) {
            const double factor = i ? 1 : slow.factor, p = x[i].theta;

            if (i == 0 && k % 3 != 2)
                continue;
            x[i].t++;
            x[i].theta += factor * (move (&x[i], h[i] * p * p * p + 1) - decay * p);
        }
        // 1e-13: rounding of some ten steps of some ten operations.
        test_assert_within ((double[]){value (&b, "pair/a/p")}, &x[0].theta, 1, 1e-13);
        test_assert_within ((double[]){value (&b, "pair/b/p")}, &x[1].theta, 1, 1e-13);
        test_assert_within ((double[]){value (&b, a_state)}, &x[0].s[0], 1, 1e-12);
        test_assert_within ((double[]){value (&b, b_state)}, &x[1].s[0], 1, 1e-12);
    }
    g_assert_cmpuint (x[0].t, ==, 3);
}

static void
pace_sgd (void)
{
    check ("sgd", (const char *[]){"lr", "0.05", NULL}, sgd_move, "velocity", 0);
}

static void
pace_adam (void)
{
    check ("adam", (const char *[]){"lr", "0.05", NULL}, adam_move, "m", 0);
}

static void
pace_aggmo (void)
{
    check ("aggmo", (const char *[]){"lr", "0.05", "betas", "[0,0.9]", NULL}, aggmo_move, "v2", 0);
}

static void
pace_decay (void)
{
    check ("sgd", (const char *[]){"lr", "0.05", NULL}, sgd_move, "velocity", 0.02);
}

static void
pace_kfac (void)
{
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};

    bench_init (&b, "kfac", NULL, NULL);
    g_assert_false (dlh_trainer_step (b.trainer, b.x, NULL, &error));
    test_assert_error (
        &error, DLH_ERROR_OPTION,
        "the model moves 'pair/a/p' at a pace of its own (factor 0.5, every 3 steps)");
}

// What only the slow player needs is not computed in the other steps.
static void
pace_parts (void)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) parts = NULL;
    g_auto (Bench) b = {0};
    DlhTrainerPart *often, *seldom;

    bench_init (&b, "adam", NULL, NULL);
    parts = dlh_trainer_parts (b.trainer, b.x, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (parts->len, ==, 2);
    often = &g_array_index (parts, DlhTrainerPart, 0);
    seldom = &g_array_index (parts, DlhTrainerPart, 1);
    g_assert_cmpstr (often->name, ==, "step");
    g_assert_cmpstr (seldom->name, ==, "step with turn 3");
    test_assert_close ((double[]){seldom->runs}, (double[]){1 / 3.0}, 1, 1);
    g_assert_cmpuint (dlh_function_n_steps (often->function), <,
                      dlh_function_n_steps (seldom->function));
}

// A run that goes on from a checkpoint between two turns has the same bits.
static void
pace_resumed (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c.safetensors", NULL);
    g_autoptr (GError) error = NULL;
    g_auto (Bench) whole = {0}, half = {0};

    bench_init (&whole, "adam", NULL, NULL);
    bench_init (&half, "adam", NULL, NULL);
    for (guint k = 0; k < STEPS; k++) {
        bench_step (&whole);
        if (k == 3) {
            dlh_store_save (whole.store, path, NULL, &error);
            g_assert_no_error (error);
        }
    }
    dlh_store_load (half.store, path, NULL, &error);
    g_assert_no_error (error);
    for (guint k = 4; k < STEPS; k++)
        bench_step (&half);
    test_assert_close ((double[]){value (&half, "pair/a/p")},
                       (double[]){value (&whole, "pair/a/p")}, 1, 0);
    test_assert_close ((double[]){value (&half, "adam/pair/a/p/v")},
                       (double[]){value (&whole, "adam/pair/a/p/v")}, 1, 0);
}

/* y = w2 tanh (w1 z), and the same with w1 and w2 frozen. */
static void
freeze_gradients (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    DlhBuild b = {.size = sizeof b, .graph = g, .store = store};
    const DlhInit init = {DLH_INIT_NORMAL, 0, 1};
    DlhNode *z, *y, *frozen, *w1, *w2, *live[3], *stopped[3];

    dlh_graph_push_scope (g, "net");
    z = dlh_parameter (g, store, "code", dlh_shape (3, 4), init);
    y = dlh_dense (&b, "d/one", z, 5, init, FALSE);
    y = dlh_sum_all (dlh_dense (&b, "d/two", dlh_tanh (y), 1, init, FALSE));
    frozen = dlh_freeze (&b, "d", y);
    dlh_graph_pop_scope (g);
    w1 = dlh_read (g, dlh_store_lookup (store, "net/d/one/weight"));
    w2 = dlh_read (g, dlh_store_lookup (store, "net/d/two/weight"));
    dlh_gradients (y, (DlhNode *[]){z, w1, w2}, 3, NULL, live);
    dlh_gradients (frozen, (DlhNode *[]){z, w1, w2}, 3, NULL, stopped);
    test_assert_close ((double[]){test_value (frozen)}, (double[]){test_value (y)}, 1, 0);
    for (guint i = 0; i < 3; i++) {
        double first = test_value (dlh_norm2 (live[i])),
               second = test_value (dlh_norm2 (stopped[i]));

        g_assert_cmpfloat (first, >, 0);
        g_assert_cmpfloat (second, ==, i ? 0 : first);
    }
}

// The frozen twin sees the same dropped units and the same noise.
static void
freeze_keeps_draws (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    DlhBuild b = {.size = sizeof b, .graph = g, .store = store, .training = TRUE};
    DlhNode *z = dlh_normal (g, dlh_store_stream (store, "z"), DLH_F64, dlh_shape (6, 4)), *y;

    y = dlh_dense (&b, "d/one", z, 50, (DlhInit){DLH_INIT_NORMAL, 0, 1}, FALSE);
    y = dlh_dropout (&b, "d/drop", y, 0.5);
    g_assert_cmpfloat (test_value (dlh_norm2 (y)), >, 0);
    g_assert_cmpfloat (test_value (dlh_norm2 (dlh_sub (y, dlh_freeze (&b, "d", y)))), ==, 0);
}

static void
freeze_names (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    DlhBuild b = {.size = sizeof b, .graph = g, .store = store};
    const DlhInit init = {DLH_INIT_CONSTANT, 2, 0};
    DlhNode *one, *other, *y, *g1[2];

    one = dlh_parameter (g, store, "d/w", dlh_shape (), init);
    other = dlh_parameter (g, store, "dd/w", dlh_shape (), init);
    y = dlh_mul (one, other);
    // Only what is below "d", not what begins with the letter; "" is everything in this scope.
    dlh_gradients (dlh_freeze (&b, "d", y), (DlhNode *[]){one, other}, 2, NULL, g1);
    g_assert_cmpfloat (test_value (g1[0]), ==, 0);
    g_assert_cmpfloat (test_value (g1[1]), ==, 2);
    dlh_gradients (dlh_freeze (&b, "", y), (DlhNode *[]){one, other}, 2, NULL, g1);
    g_assert_cmpfloat (test_value (g1[0]), ==, 0);
    g_assert_cmpfloat (test_value (g1[1]), ==, 0);
    dlh_pace (&b, "d", slow);
    g_assert_cmpint (dlh_variable_get_pace (dlh_store_lookup (store, "d/w")).period, ==, 3);
    g_assert_cmpint (dlh_variable_get_pace (dlh_store_lookup (store, "dd/w")).period, ==, 1);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/players/pace/sgd", pace_sgd);
    g_test_add_func ("/players/pace/adam", pace_adam);
    g_test_add_func ("/players/pace/aggmo", pace_aggmo);
    g_test_add_func ("/players/pace/decoupled-decay", pace_decay);
    g_test_add_func ("/players/pace/kfac-refuses", pace_kfac);
    g_test_add_func ("/players/pace/parts-of-a-step", pace_parts);
    g_test_add_func ("/players/pace/resumed", pace_resumed);
    g_test_add_func ("/players/freeze/gradients", freeze_gradients);
    g_test_add_func ("/players/freeze/keeps-draws", freeze_keeps_draws);
    g_test_add_func ("/players/freeze/names", freeze_names);
    return g_test_run ();
}
