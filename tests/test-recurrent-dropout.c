/* SPDX-License-Identifier: MIT */
/* Dropout of recurrences. The masks are not looked at: for each example loops from the definitions
 * try both fates of each unit, one of which must give the layer's states, and the shares are those
 * asked for. */
#include "layers-bench.h"

#define T 6
#define B 60
#define I 2
#define H 3
#define RATE 0.4
#define NEAR 1e-12

typedef struct {
    double h[H], c[H];
} State;

typedef struct {
    gboolean gru;
    const double *x, *w, *u, *bw, *bu; /* inputs; weights and biases of inputs and states */
    double *out, *last;                /* states (T, B, H), the last cells (B, H) */
} Run;

static double
sigmoid (double x)
{
    return 1 / (1 + exp (-x));
}

// W x + b + U (v h) of gate @g, without and with the state's part.
static void
products (const Run *r, const double *in, const State *s, double v[H], guint g, double *ours,
          double *states)
{
    *ours = r->bw[g];
    *states = r->bu ? r->bu[g] : 0;
    for (guint i = 0; i < I; i++)
        *ours += r->w[I * g + i] * in[i];
    for (guint i = 0; i < H; i++)
        *states += r->u[H * g + i] * v[i] * s->h[i];
}

// A step with @v on the state in the product and @update on what is new.
static State
step (const Run *r, guint t, guint b, const State *s, double v[H], double update)
{
    State next = *s;

    for (guint k = 0; k < H; k++) {
        double in[4] = {0}, of[4] = {0};

        for (guint g = 0; g < (r->gru ? 3 : 4); g++)
            products (r, r->x + (t * B + b) * I, s, v, g * H + k, &in[g], &of[g]);
        if (r->gru) {
            double z = sigmoid (in[1] + of[1]), reset = sigmoid (in[0] + of[0]);

            next.h[k] = (1 - z) * update * tanh (in[2] + reset * of[2]) + z * s->h[k];
        } else {
            next.c[k] = sigmoid (in[1] + of[1]) * s->c[k] +
                        sigmoid (in[0] + of[0]) * update * tanh (in[2] + of[2]);
            next.h[k] = sigmoid (in[3] + of[3]) * tanh (next.c[k]);
        }
    }
    return next;
}

static void
run_clear (Run *r)
{
    g_free (r->out);
    g_free (r->last);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static const double *
parameter (Fixture *f, const char *name)
{
    DlhVariable *v = dlh_store_lookup (f->store, name);

    return v ? dlh_tensor_get_data (dlh_variable_tensor (v)) : NULL;
}

static void
run_init (Run *r, Fixture *f, gboolean gru, gboolean training, DlhRecurrentDropout drop,
          DlhTensor *x)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) function = NULL;
    DlhNode *in, *out[2], *h;

    drop.size = sizeof drop;
    fixture_init (f, training);
    in = dlh_input (f->graph, "x", DLH_F64, dlh_shape (T, B, I));
    if (gru)
        out[0] = out[1] = dlh_gru_dropped (&f->b, "cell", in, H, &drop, NULL, NULL);
    else
        out[0] = dlh_lstm_dropped (&f->b, "cell", in, H, &drop, NULL, NULL, &h, &out[1]);
    *r = (Run){.gru = gru,
               .x = dlh_tensor_get_data (x),
               .w = parameter (f, "cell/input/weight"),
               .u = parameter (f, "cell/hidden/weight"),
               .bw = parameter (f, "cell/input/bias"),
               .bu = parameter (f, "cell/hidden/bias")};
    function = dlh_graph_compile (f->graph, out, 2, &error);
    if (!function || !dlh_function_run (function, &x, 1, &error))
        g_error ("%s", error->message);
    r->out = test_values (dlh_function_output (function, 0));
    r->last = test_values (dlh_function_output (function, 1));
}

static const double *
seen (const Run *r, guint t, guint b)
{
    return r->out + (t * B + b) * H;
}

// Which of two values @got is; neither fails the test.
static gboolean
is_second (double got, double first, double second)
{
    gboolean either = fabs (got - first) < NEAR || fabs (got - second) < NEAR;

    if (!either)
        test_fail ("%.17g is neither %.17g nor %.17g", got, first, second);
    return fabs (got - second) < NEAR;
}

static void
check_share (guint n, guint total)
{
    test_assert_mean ((double)n / total, RATE, sqrt (RATE * (1 - RATE) / total));
}

// One mask of the state for all steps.
static void
variational (gconstpointer gru)
{
    g_auto (Fixture) f = {0};
    g_auto (Run) r = {0};
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (T, B, I), 1);
    guint dropped = 0;

    run_init (&r, &f, GPOINTER_TO_INT (gru), TRUE, (DlhRecurrentDropout){.variational = RATE}, x);
    for (guint b = 0; b < B; b++) {
        guint n_fit = 0;

        for (guint mask = 0; mask < 1 << H; mask++) {
            State s = {0};
            double v[H], off = 0;

            for (guint k = 0; k < H; k++)
                v[k] = mask >> k & 1 ? 0 : 1 / (1 - RATE);
            for (guint t = 0; t < T; t++) {
                s = step (&r, t, b, &s, v, 1);
                for (guint k = 0; k < H; k++)
                    off = MAX (off, fabs (s.h[k] - seen (&r, t, b)[k]));
            }
            if (off < NEAR) {
                n_fit++;
                dropped += (mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1);
            }
        }
        g_assert_cmpuint (n_fit, ==, 1);
    }
    check_share (dropped, B * H);
}

static void
update (gconstpointer gru)
{
    g_auto (Fixture) f = {0};
    g_auto (Run) r = {0};
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (T, B, I), 2);
    double all[H] = {1, 1, 1};
    guint dropped = 0;

    run_init (&r, &f, GPOINTER_TO_INT (gru), TRUE, (DlhRecurrentDropout){.update = RATE}, x);
    for (guint b = 0; b < B; b++) {
        State s = {0};

        for (guint t = 0; t < T; t++) {
            State kept = step (&r, t, b, &s, all, 1 / (1 - RATE));
            State cut = step (&r, t, b, &s, all, 0);

            for (guint k = 0; k < H; k++) {
                gboolean is_cut = is_second (seen (&r, t, b)[k], kept.h[k], cut.h[k]);

                s.h[k] = is_cut ? cut.h[k] : kept.h[k];
                s.c[k] = is_cut ? cut.c[k] : kept.c[k];
                dropped += is_cut;
            }
        }
    }
    check_share (dropped, T * B * H);
}

static void
zoneout_hidden (gconstpointer gru)
{
    g_auto (Fixture) f = {0};
    g_auto (Run) r = {0};
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (T, B, I), 3);
    double all[H] = {1, 1, 1};
    guint stayed = 0;

    run_init (&r, &f, GPOINTER_TO_INT (gru), TRUE, (DlhRecurrentDropout){.zoneout_hidden = RATE},
              x);
    for (guint b = 0; b < B; b++) {
        State s = {0};

        for (guint t = 0; t < T; t++) {
            State next = step (&r, t, b, &s, all, 1);

            for (guint k = 0; k < H; k++) {
                stayed += is_second (seen (&r, t, b)[k], next.h[k], s.h[k]);
                next.h[k] = seen (&r, t, b)[k];
            }
            s = next;
        }
    }
    check_share (stayed, T * B * H);
}

// A cell's fate shows one step later, the last one's in the last cells.
static void
zoneout_cell (void)
{
    g_auto (Fixture) f = {0};
    g_auto (Run) r = {0};
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (T, B, I), 4);
    double all[H] = {1, 1, 1};
    guint stayed = 0;

    run_init (&r, &f, FALSE, TRUE, (DlhRecurrentDropout){.zoneout_cell = RATE}, x);
    for (guint b = 0; b < B; b++) {
        State s = {0}, next = step (&r, 0, b, &s, all, 1);

        test_assert_within (seen (&r, 0, b), next.h, H, NEAR);
        for (guint t = 1; t <= T; t++) {
            State moved = next, still = next, if_moved, if_still;

            memcpy (still.c, s.c, sizeof s.c);
            s = next;
            if (t < T) {
                if_moved = step (&r, t, b, &moved, all, 1);
                if_still = step (&r, t, b, &still, all, 1);
                next = if_moved;
            }
            for (guint k = 0; k < H; k++) {
                gboolean stays = t < T
                                     ? is_second (seen (&r, t, b)[k], if_moved.h[k], if_still.h[k])
                                     : is_second (r.last[b * H + k], moved.c[k], still.c[k]);

                s.c[k] = stays ? still.c[k] : moved.c[k];
                if (t < T) {
                    next.c[k] = stays ? if_still.c[k] : if_moved.c[k];
                    next.h[k] = seen (&r, t, b)[k];
                }
                stayed += stays;
            }
        }
    }
    check_share (stayed, T * B * H);
}

// Zoneout mixes by its shares, the others leave the layer as it is.
static void
evaluation (gconstpointer gru)
{
    g_auto (Fixture) f = {0};
    g_auto (Run) r = {0};
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (T, B, I), 5);
    const DlhRecurrentDropout drop = {.variational = 0.3,
                                      .update = 0.3,
                                      .zoneout_cell = GPOINTER_TO_INT (gru) ? 0 : 0.5,
                                      .zoneout_hidden = 0.1};
    double all[H] = {1, 1, 1};

    run_init (&r, &f, GPOINTER_TO_INT (gru), FALSE, drop, x);
    for (guint b = 0; b < B; b++) {
        State s = {0};

        for (guint t = 0; t < T; t++) {
            State next = step (&r, t, b, &s, all, 1);

            for (guint k = 0; k < H; k++) {
                s.c[k] = drop.zoneout_cell * s.c[k] + (1 - drop.zoneout_cell) * next.c[k];
                s.h[k] = 0.1 * s.h[k] + 0.9 * next.h[k];
            }
            test_assert_within (seen (&r, t, b), s.h, H, NEAR);
        }
    }
}

static void
refusals (void)
{
    static const struct {
        gboolean gru;
        DlhRecurrentDropout drop;
        const char *message;
    } rows[] = {
        {FALSE,
         {sizeof (DlhRecurrentDropout), .variational = 1},
         "variational dropout: rate 1, must be in [0, 1)"},
        {FALSE, {sizeof (DlhRecurrentDropout), .update = -0.5}, "recurrent dropout: rate -0.5"},
        {FALSE,
         {sizeof (DlhRecurrentDropout), .zoneout_hidden = NAN},
         "zoneout of hidden states: rate nan"},
        {FALSE, {sizeof (DlhRecurrentDropout), .zoneout_cell = 2}, "zoneout of cells: rate 2"},
        {TRUE,
         {sizeof (DlhRecurrentDropout), .zoneout_cell = 0.5},
         "GRU: zoneout of cells 0.5, must be 0"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        g_auto (Fixture) f = {0};
        g_autoptr (GError) error = NULL;
        DlhNode *x;

        fixture_init (&f, TRUE);
        x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (T, B, I));
        if (rows[i].gru)
            dlh_gru_dropped (&f.b, "cell", x, H, &rows[i].drop, NULL, NULL);
        else
            dlh_lstm_dropped (&f.b, "cell", x, H, &rows[i].drop, NULL, NULL, NULL, NULL);
        g_assert_false (dlh_graph_check (f.graph, &error));
        test_assert_error (&error, DLH_ERROR_OPTION, rows[i].message);
    }
}

static void
locked (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) y = NULL;
    DlhNode *x;
    guint dropped = 0;

    fixture_init (&f, TRUE);
    x = dlh_full (f.graph, DLH_F64, dlh_shape (T, B, I), 1);
    y = test_run (dlh_dropout_locked (&f.b, "locked", x, RATE, 0), NULL, 0);
    for (guint i = 0; i < B * I; i++) {
        dropped += dlh_tensor_get (y, i) == 0;
        for (guint t = 0; t < T; t++)
            g_assert_cmpfloat (dlh_tensor_get (y, t * B * I + i), ==, dlh_tensor_get (y, i));
        g_assert_true (dlh_tensor_get (y, i) == 0 || dlh_tensor_get (y, i) == 1 / (1 - RATE));
    }
    check_share (dropped, B * I);
    dlh_dropout_locked (&f.b, "locked", x, RATE, 3);
    g_assert_false (dlh_graph_check (f.graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "has no axis 3");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (int gru = 0; gru < 2; gru++) {
        const struct {
            const char *name;
            void (*run) (gconstpointer gru);
        } rows[] = {{"variational", variational},
                    {"update", update},
                    {"zoneout-hidden", zoneout_hidden},
                    {"evaluation", evaluation}};

        for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
            g_autofree char *path =
                g_strdup_printf ("/recurrent-dropout/%s/%s", gru ? "gru" : "lstm", rows[i].name);

            g_test_add_data_func (path, GINT_TO_POINTER (gru), rows[i].run);
        }
    }
    g_test_add_func ("/recurrent-dropout/lstm/zoneout-cell", zoneout_cell);
    g_test_add_func ("/recurrent-dropout/refusals", refusals);
    g_test_add_func ("/recurrent-dropout/locked", locked);
    return g_test_run ();
}
