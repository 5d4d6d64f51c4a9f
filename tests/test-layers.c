/* SPDX-License-Identifier: MIT */
/* Layers against double loops from their definitions, and gradients through whole layers by
 * differences, by inputs and by every parameter. */
#include "layers-bench.h"

static double *
parameter (Fixture *f, const char *name)
{
    DlhVariable *v = dlh_store_lookup (f->store, name);

    if (v)
        return dlh_tensor_get_data (dlh_variable_tensor (v));
    test_fail ("no variable '%s'", name);
    exit (1);
}

// Values of no structure: zeros and ones hide errors.
static void
disturb (Fixture *f)
{
    for (guint i = 0; i < dlh_store_n_variables (f->store); i++) {
        DlhTensor *t = dlh_variable_tensor (dlh_store_get_variable (f->store, i));

        if (dlh_tensor_get_dtype (t) == DLH_F64) {
            g_autofree double *noise = g_new (double, (gsize) dlh_tensor_count (t));

            test_random (50 + i, noise, (gsize) dlh_tensor_count (t));
            for (gint64 k = 0; k < dlh_tensor_count (t); k++)
                dlh_tensor_set (t, k, dlh_tensor_get (t, k) + 0.3 * noise[k]);
        }
    }
}

// Gradients of @y by its inputs and, as inputs too, by every trainable variable.
static void
check_gradients (Fixture *f, DlhNode *y, DlhNode *const *xs, DlhTensor *const *values, guint n)
{
    g_autoptr (GPtrArray) variables = dlh_graph_variables (&y, 1), in = g_ptr_array_new ();
    g_autoptr (GPtrArray) tensors = g_ptr_array_new (), from = g_ptr_array_new ();
    g_autoptr (GArray) positions = g_array_new (FALSE, FALSE, sizeof (guint));
    guint n_free = 0;

    for (guint i = 0; i < n; i++) {
        g_ptr_array_add (in, xs[i]);
        g_ptr_array_add (tensors, values[i]);
    }
    for (guint i = 0; i < variables->len; i++) {
        DlhVariable *v = variables->pdata[i];

        if (!dlh_variable_is_trainable (v))
            continue;
        g_ptr_array_add (from, dlh_read (f->graph, v));
        g_ptr_array_add (in, dlh_input (f->graph, "p", DLH_F64, dlh_variable_shape (v)));
        g_ptr_array_add (tensors, dlh_variable_tensor (v));
        n_free++;
    }
    for (guint i = 0; i < in->len; i++)
        g_array_append_val (positions, i);
    g_assert_cmpuint (n_free, >, 0);
    dlh_graph_substitute (&y, 1, (DlhNode **) from->pdata, (DlhNode **) in->pdata + n, n_free, &y);
    test_gradient_check (dlh_node_scope (y), y, (DlhNode **) in->pdata, (guint *) positions->data,
                         in->len, (DlhTensor **) tensors->pdata, tensors->len, 1);
}

static double
sigmoid (double x)
{
    return 1 / (1 + exp (-x));
}

/* Dense and convolution. */

static void
dense_product (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (2, 5, 3), 1), out = NULL;
    const DlhInit init = {DLH_INIT_HE, 1, 0};
    DlhNode *x, *y;
    double want[40], *w, *c;

    fixture_init (&f, TRUE);
    x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (2, 5, 3));
    dlh_graph_push_scope (f.graph, "net");
    y = dlh_dense (&f.b, "fc", x, 4, init, TRUE);
    dlh_graph_pop_scope (f.graph);
    disturb (&f);
    w = parameter (&f, "net/fc/weight");
    c = parameter (&f, "net/fc/bias");
    for (guint r = 0; r < 10; r++)
        for (guint o = 0; o < 4; o++) {
            want[4 * r + o] = c[o];
            for (guint i = 0; i < 3; i++)
                want[4 * r + o] += w[3 * o + i] * dlh_tensor_get (in, 3 * r + i);
        }
    out = test_run (y, &in, 1);
    test_assert_tensor (out, want, 40, 10);
    check_gradients (&f, y, &x, &in, 1);
}

static void
dense_without_bias (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (GError) error = NULL;
    DlhNode *x;

    fixture_init (&f, TRUE);
    x = dlh_full (f.graph, DLH_F64, dlh_shape (2, 3), 1);
    dlh_dense (&f.b, "fc", x, 4, (DlhInit){DLH_INIT_HE, 1, 0}, FALSE);
    g_assert_null (dlh_store_lookup (f.store, "fc/bias"));
    dlh_dense (&f.b, "bad", dlh_scalar (f.graph, DLH_F64, 1), 4, (DlhInit){DLH_INIT_HE, 1, 0}, TRUE);
    g_assert_false (dlh_graph_check (f.graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "bad: dense: input [], must be [..,n]");
}

static void
conv_layer (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (2, 4, 5, 6), 1);
    DlhConv conv = {{1, 2}, {1, 0}, {1, 1}, 2};
    g_autoptr (GError) error = NULL;
    DlhNode *x, *y;

    fixture_init (&f, TRUE);
    x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (2, 4, 5, 6));
    y = dlh_conv_layer (&f.b, "conv", x, 6, 3, 2, conv, (DlhInit){DLH_INIT_HE, 1, 0}, TRUE);
    g_assert_true (dlh_shape_equal (
        dlh_variable_shape (dlh_store_lookup (f.store, "conv/weight")), dlh_shape (6, 2, 3, 2)));
    g_assert_true (dlh_shape_equal (dlh_node_shape (y), dlh_shape (2, 6, 5, 3)));
    disturb (&f);
    check_gradients (&f, y, &x, &in, 1);
    conv.groups = 3;
    dlh_conv_layer (&f.b, "odd", x, 6, 3, 2, conv, (DlhInit){DLH_INIT_HE, 1, 0}, TRUE);
    g_assert_false (dlh_graph_check (f.graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "odd: convolution: 4 channels to 6 in 3 groups");
}

/* Normalisation. */

#define N 7
#define C 3

// Rows of (N, C) normalised down the columns.
static void
batch_norm_reference (const double *x, const double *scale, const double *shift, double *y,
                      double *mean, double *variance)
{
    for (guint c = 0; c < C; c++) {
        mean[c] = variance[c] = 0;
        for (guint i = 0; i < N; i++)
            mean[c] += x[C * i + c] / N;
        for (guint i = 0; i < N; i++)
            variance[c] += pow (x[C * i + c] - mean[c], 2) / N;
        for (guint i = 0; i < N; i++)
            y[C * i + c] =
                (x[C * i + c] - mean[c]) / sqrt (variance[c] + 1e-3) * scale[c] + shift[c];
    }
}

static void
batch_norm_training (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (N, C), 1);
    g_autoptr (DlhFunction) function = NULL;
    DlhNode *x, *outputs[3];
    double want[N * C], mean[C], variance[C], running[2][C];

    fixture_init (&f, TRUE);
    x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (N, C));
    outputs[0] = dlh_batch_norm (&f.b, "norm", x, -1, 0.1, 1e-3);
    g_assert_cmpuint (f.updates->len, ==, 2);
    outputs[1] = f.updates->pdata[0];
    outputs[2] = f.updates->pdata[1];
    for (guint c = 0; c < C; c++) {
        g_assert_cmpfloat (parameter (&f, "norm/mean")[c], ==, 0);
        g_assert_cmpfloat (parameter (&f, "norm/variance")[c], ==, 1);
        g_assert_cmpfloat (parameter (&f, "norm/scale")[c], ==, 1);
    }
    disturb (&f);
    batch_norm_reference (dlh_tensor_get_data (in), parameter (&f, "norm/scale"),
                          parameter (&f, "norm/shift"), want, mean, variance);
    for (guint c = 0; c < C; c++) {
        running[0][c] = 0.9 * parameter (&f, "norm/mean")[c] + 0.1 * mean[c];
        running[1][c] =
            0.9 * parameter (&f, "norm/variance")[c] + 0.1 * variance[c] * N / (N - 1.0);
    }
    function = dlh_graph_compile (f.graph, outputs, 3, NULL);
    g_assert_true (dlh_function_run (function, &in, 1, NULL));
    test_assert_tensor (dlh_function_output (function, 0), want, N * C, 10);
    test_assert_close (parameter (&f, "norm/mean"), running[0], C, 2);
    test_assert_close (parameter (&f, "norm/variance"), running[1], C, 2);
    g_assert_false (dlh_variable_is_trainable (dlh_store_lookup (f.store, "norm/mean")));
    check_gradients (&f, outputs[0], &x, &in, 1);
}

static void
batch_norm_evaluation (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (N, C), 1), out = NULL;
    const double mean[C] = {0.5, -1, 2}, variance[C] = {1, 4, 0.25};
    DlhNode *x, *y;
    double want[N * C];

    fixture_init (&f, FALSE);
    x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (N, C));
    y = dlh_batch_norm (&f.b, "norm", x, 1, 0.1, 1e-3);
    g_assert_cmpuint (f.updates->len, ==, 0);
    memcpy (parameter (&f, "norm/mean"), mean, sizeof mean);
    memcpy (parameter (&f, "norm/variance"), variance, sizeof variance);
    for (guint i = 0; i < N * C; i++)
        want[i] = (dlh_tensor_get (in, i) - mean[i % C]) / sqrt (variance[i % C] + 1e-3);
    out = test_run (y, &in, 1);
    test_assert_tensor (out, want, N * C, 10);
}

// Channels of pictures: the same as rows of pixels.
static void
batch_norm_channels (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (2, 3, 4, 5), 1);
    DlhNode *x, *y, *z, *rows;
    g_autoptr (DlhFunction) function = NULL;
    const guint to_rows[] = {0, 2, 3, 1};
    double difference;

    fixture_init (&f, TRUE);
    f.b.updates = NULL;
    x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (2, 3, 4, 5));
    y = dlh_batch_norm (&f.b, "norm", x, 1, 0.1, 1e-5);
    rows = dlh_reshape (dlh_transpose (x, to_rows, 4), dlh_shape (40, 3));
    z = dlh_batch_norm (&f.b, "norm", rows, 1, 0.1, 1e-5);
    y = dlh_reshape (dlh_transpose (y, to_rows, 4), dlh_shape (40, 3));
    z = dlh_norm2 (dlh_sub (y, z));
    disturb (&f);
    function = dlh_graph_compile (f.graph, &z, 1, NULL);
    g_assert_true (dlh_function_run (function, &in, 1, NULL));
    difference = dlh_function_scalar (function, 0);
    g_assert_cmpfloat (difference, <, 1e-26);
}

static void
batch_norm_edges (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (GError) error = NULL;
    DlhNode *one, *none, *y;

    fixture_init (&f, TRUE);
    one = dlh_full (f.graph, DLH_F64, dlh_shape (1, 2), 3);
    y = dlh_batch_norm (&f.b, "one", one, 1, 0.1, 1e-5);
    g_assert_cmpfloat (test_value (dlh_sum_all (y)), ==, 0);

    g_assert_cmpfloat (test_value (dlh_sum_all (dlh_node_input (f.updates->pdata[1], 0))), ==, 1.8);
    none = dlh_full (f.graph, DLH_F64, dlh_shape (0, 2), 3);
    y = dlh_batch_norm (&f.b, "none", none, 1, 0.1, 1e-5);
    g_assert_cmpuint (f.updates->len, ==, 2);
    g_assert_cmpfloat (test_value (dlh_sum_all (y)), ==, 0);
    dlh_batch_norm (&f.b, "axis", one, 2, 0.1, 1e-5);
    g_assert_false (dlh_graph_check (f.graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "axis: batch norm: axis 2 of an input of rank 2");
}

static void
layer_norm_rows (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (2, 2, 5), 1), out = NULL;
    DlhNode *x, *y;
    double want[20], *scale, *shift;

    fixture_init (&f, TRUE);
    x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (2, 2, 5));
    y = dlh_layer_norm (&f.b, "norm", x, 1e-3);
    disturb (&f);
    scale = parameter (&f, "norm/scale");
    shift = parameter (&f, "norm/shift");
    for (guint r = 0; r < 4; r++) {
        double mean = 0, variance = 0;

        for (guint i = 0; i < 5; i++)
            mean += dlh_tensor_get (in, 5 * r + i) / 5;
        for (guint i = 0; i < 5; i++)
            variance += pow (dlh_tensor_get (in, 5 * r + i) - mean, 2) / 5;
        for (guint i = 0; i < 5; i++)
            want[5 * r + i] =
                (dlh_tensor_get (in, 5 * r + i) - mean) / sqrt (variance + 1e-3) * scale[i] +
                shift[i];
    }
    out = test_run (y, &in, 1);
    test_assert_tensor (out, want, 20, 10);
    check_gradients (&f, y, &x, &in, 1);
}

/* Dropout. */

static void
dropout_training (void)
{
    const guint n = 50000;
    const double rate = 0.3;
    g_auto (Fixture) f = {0};
    DlhNode *x, *y, *both[2];
    g_autoptr (DlhFunction) function = NULL;
    double kept = 0;

    fixture_init (&f, TRUE);
    // A constant would be folded into the mask.
    x = dlh_parameter (f.graph, f.store, "x", dlh_shape (n), (DlhInit){DLH_INIT_CONSTANT, 2});
    y = dlh_dropout (&f.b, "drop", x, rate);
    both[0] = y;
    both[1] = dlh_gradient (y, x);
    function = dlh_graph_compile (f.graph, both, 2, NULL);
    g_assert_true (dlh_function_run (function, NULL, 0, NULL));
    for (guint i = 0; i < n; i++) {
        double v = dlh_tensor_get (dlh_function_output (function, 0), i);

        g_assert_true (v == 0 || fabs (v - 2 / (1 - rate)) < 1e-14);
        g_assert_cmpfloat_with_epsilon (dlh_tensor_get (dlh_function_output (function, 1), i) * 2, v,
                                        1e-14);
        kept += v != 0;
    }
    test_assert_mean (kept / n, 1 - rate, sqrt (rate * (1 - rate) / n));
    g_assert_nonnull (dlh_store_lookup (f.store, "random/dropout/drop"));
}

static void
dropout_identity (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (GError) error = NULL;
    DlhNode *x;

    fixture_init (&f, FALSE);
    x = dlh_full (f.graph, DLH_F64, dlh_shape (3), 2);
    g_assert_true (dlh_dropout (&f.b, "drop", x, 0.3) == x);
    f.b.training = TRUE;
    g_assert_true (dlh_dropout (&f.b, "drop", x, 0) == x);
    g_assert_true (dlh_dropout (&f.b, "drop", x, 0.3) != x);
    dlh_dropout (&f.b, "drop", x, 1);
    g_assert_false (dlh_graph_check (f.graph, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "dropout 'drop': rate 1, must be in [0, 1)");
}

/* Recurrent layers: T steps, B sequences, I inputs, H units. */

#define T 4
#define B 3
#define I 2
#define H 3

typedef struct {
    double *w, *u, *bw, *bu; /* input and hidden weights and biases */
} Weights;

// W x + b + U h for gate-row @g.
static double
preactivation (const Weights *p, const double *x, guint g)
{
    double z = p->bw[g];

    for (guint i = 0; i < I; i++)
        z += p->w[I * g + i] * x[i];
    return z;
}

static double
recurrent (const Weights *p, const double *h, guint g)
{
    double z = p->bu ? p->bu[g] : 0;

    for (guint i = 0; i < H; i++)
        z += p->u[H * g + i] * h[i];
    return z;
}

static void
lstm_reference (const Weights *p, const double *x, double h[B][H], double c[B][H], double *out)
{
    for (guint t = 0; t < T; t++)
        for (guint b = 0; b < B; b++) {
            const double *in = x + (t * B + b) * I;
            double next[H];

            for (guint k = 0; k < H; k++) {
                double i = sigmoid (preactivation (p, in, k) + recurrent (p, h[b], k));
                double f = sigmoid (preactivation (p, in, H + k) + recurrent (p, h[b], H + k));
                double g = tanh (preactivation (p, in, 2 * H + k) + recurrent (p, h[b], 2 * H + k));
                double o =
                    sigmoid (preactivation (p, in, 3 * H + k) + recurrent (p, h[b], 3 * H + k));

                c[b][k] = f * c[b][k] + i * g;
                next[k] = o * tanh (c[b][k]);
            }
            memcpy (h[b], next, sizeof next);
            memcpy (out + (t * B + b) * H, next, sizeof next);
        }
}

static void
gru_reference (const Weights *p, const double *x, double h[B][H], double *out)
{
    for (guint t = 0; t < T; t++)
        for (guint b = 0; b < B; b++) {
            const double *in = x + (t * B + b) * I;
            double next[H];

            for (guint k = 0; k < H; k++) {
                double r = sigmoid (preactivation (p, in, k) + recurrent (p, h[b], k));
                double z = sigmoid (preactivation (p, in, H + k) + recurrent (p, h[b], H + k));
                double n = tanh (preactivation (p, in, 2 * H + k) +
                                 r * recurrent (p, h[b], 2 * H + k));

                next[k] = (1 - z) * n + z * h[b][k];
            }
            memcpy (h[b], next, sizeof next);
            memcpy (out + (t * B + b) * H, next, sizeof next);
        }
}

static void
rnn_reference (const Weights *p, const double *x, double h[B][H], double *out)
{
    for (guint t = 0; t < T; t++)
        for (guint b = 0; b < B; b++) {
            double next[H];

            for (guint k = 0; k < H; k++)
                next[k] =
                    tanh (preactivation (p, x + (t * B + b) * I, k) + recurrent (p, h[b], k));
            memcpy (h[b], next, sizeof next);
            memcpy (out + (t * B + b) * H, next, sizeof next);
        }
}

static Weights
weights (Fixture *f, gboolean hidden_bias)
{
    return (Weights){parameter (f, "cell/input/weight"), parameter (f, "cell/hidden/weight"),
                     parameter (f, "cell/input/bias"),
                     hidden_bias ? parameter (f, "cell/hidden/bias") : NULL};
}

static void
run_and_compare (DlhNode **nodes, guint n, DlhTensor **in, guint n_in, const double *const *want,
                 const gsize *counts)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) function =
        dlh_graph_compile (dlh_node_graph (nodes[0]), nodes, n, &error);

    if (!function || !dlh_function_run (function, in, n_in, &error)) {
        test_fail ("%s", error->message);
        return;
    }
    for (guint i = 0; i < n; i++)
        test_assert_tensor (dlh_function_output (function, i), want[i], counts[i], 10);
}

static void
lstm_loops (gconstpointer data)
{
    gboolean with_state = GPOINTER_TO_INT (data);
    g_auto (Fixture) f = {0};
    DlhNode *in[3], *out[3];
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (T, B, I), 1);
    g_autoptr (DlhTensor) h0 = test_tensor_random (DLH_F64, dlh_shape (B, H), 2);
    g_autoptr (DlhTensor) c0 = test_tensor_random (DLH_F64, dlh_shape (B, H), 3);
    DlhTensor *values[3] = {x, h0, c0};
    double h[B][H] = {{0}}, c[B][H] = {{0}}, want[T * B * H];
    guint n = with_state ? 3 : 1;
    Weights p;

    fixture_init (&f, TRUE);
    in[0] = dlh_input (f.graph, "x", DLH_F64, dlh_shape (T, B, I));
    in[1] = with_state ? dlh_input (f.graph, "h", DLH_F64, dlh_shape (B, H)) : NULL;
    in[2] = with_state ? dlh_input (f.graph, "c", DLH_F64, dlh_shape (B, H)) : NULL;
    out[0] = dlh_lstm (&f.b, "cell", in[0], H, in[1], in[2], &out[1], &out[2]);
    for (guint k = 0; k < 4 * H; k++)
        g_assert_cmpfloat (parameter (&f, "cell/input/bias")[k], ==, k / H == 1);
    disturb (&f);
    p = weights (&f, FALSE);
    if (with_state) {
        memcpy (h, dlh_tensor_get_data (h0), sizeof h);
        memcpy (c, dlh_tensor_get_data (c0), sizeof c);
    }
    lstm_reference (&p, dlh_tensor_get_data (x), h, c, want);
    run_and_compare (out, 3, values, n, (const double *const[]){want, h[0], c[0]},
                     (const gsize[]){T * B * H, B * H, B * H});
    check_gradients (&f, dlh_add (dlh_sum_axis (out[0], 0), out[2]), in, values, n);
}

// A GRU, or a plain recurrence.
static void
check_loops (gboolean with_state, gboolean is_gru)
{
    g_auto (Fixture) f = {0};
    DlhNode *in[2], *out[2];
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (T, B, I), 1);
    g_autoptr (DlhTensor) h0 = test_tensor_random (DLH_F64, dlh_shape (B, H), 2);
    DlhTensor *values[2] = {x, h0};
    double h[B][H] = {{0}}, want[T * B * H];
    guint n = with_state ? 2 : 1;
    Weights p;

    fixture_init (&f, TRUE);
    in[0] = dlh_input (f.graph, "x", DLH_F64, dlh_shape (T, B, I));
    in[1] = with_state ? dlh_input (f.graph, "h", DLH_F64, dlh_shape (B, H)) : NULL;
    out[0] = is_gru ? dlh_gru (&f.b, "cell", in[0], H, in[1], &out[1])
                    : dlh_rnn (&f.b, "cell", in[0], H, "tanh", in[1], &out[1]);
    disturb (&f);
    p = weights (&f, TRUE);
    if (with_state)
        memcpy (h, dlh_tensor_get_data (h0), sizeof h);
    (is_gru ? gru_reference : rnn_reference) (&p, dlh_tensor_get_data (x), h, want);
    run_and_compare (out, 2, values, n, (const double *const[]){want, h[0]},
                     (const gsize[]){T * B * H, B * H});
    check_gradients (&f, out[0], in, values, n);
}

static void
gru_loops (gconstpointer data)
{
    check_loops (GPOINTER_TO_INT (data), TRUE);
}

static void
rnn_loops (gconstpointer data)
{
    check_loops (GPOINTER_TO_INT (data), FALSE);
}

// Methods must find every product with a weight: one for all inputs, one a step for the state.
static void
lstm_uses (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (GArray) input = NULL, hidden = NULL;
    DlhNode *x, *y;

    fixture_init (&f, TRUE);
    x = dlh_input (f.graph, "x", DLH_F64, dlh_shape (T, B, I));
    y = dlh_lstm (&f.b, "cell", x, H, NULL, NULL, NULL, NULL);
    input = dlh_graph_uses (&y, 1, dlh_store_lookup (f.store, "cell/input/weight"));
    hidden = dlh_graph_uses (&y, 1, dlh_store_lookup (f.store, "cell/hidden/weight"));
    g_assert_cmpuint (input->len, ==, 1);
    g_assert_cmpuint (hidden->len, ==, T);
    for (guint i = 0; i < hidden->len; i++)
        g_assert_true (dlh_node_is (g_array_index (hidden, DlhUse, i).node, "linear"));
    g_assert_true (dlh_node_is (g_array_index (input, DlhUse, 0).node, "linear"));
}

static void
recurrent_edges (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (GError) error = NULL;
    DlhNode *x, *y, *h;

    fixture_init (&f, TRUE);
    x = dlh_full (f.graph, DLH_F64, dlh_shape (0, B, I), 0);
    y = dlh_gru (&f.b, "cell", x, H, NULL, &h);
    g_assert_true (dlh_shape_equal (dlh_node_shape (y), dlh_shape (0, B, H)));
    g_assert_true (dlh_shape_equal (dlh_node_shape (h), dlh_shape (B, H)));
    y = dlh_lstm (&f.b, "state", x, H, dlh_full (f.graph, DLH_F64, dlh_shape (H, B + 1), 0), NULL,
                  NULL, &h);
    g_assert_true (dlh_node_failed (y) || !dlh_graph_check (f.graph, NULL));
    g_assert_false (dlh_graph_check (f.graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "state: LSTM: first state [3,4], must be [3,3]");
}

static void
recurrent_rank (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (GError) error = NULL;
    DlhNode *x, *h = NULL;

    fixture_init (&f, TRUE);
    x = dlh_full (f.graph, DLH_F64, dlh_shape (B, I), 0);
    g_assert_true (dlh_node_failed (dlh_lstm (&f.b, "cell", x, H, NULL, NULL, &h, NULL)));
    g_assert_true (dlh_node_failed (h));
    g_assert_false (dlh_graph_check (f.graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE,
                       "cell: LSTM: input [3,2] and 3 units, must be [time,batch,n]");
}

/* Objectives. */

static void
objective_classify (void)
{
    const double z[6] = {1, 2, 0, -1, 3, 3.5};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) logits = test_tensor_from (DLH_F64, dlh_shape (2, 3), z, 6);
    g_autoptr (DlhTensor) classes = test_tensor (DLH_I32, dlh_shape (2), 1, 1);
    DlhObjective objective = {.size = sizeof objective};
    double want = 0;

    dlh_objective_classify (&objective, dlh_constant (graph, logits), dlh_constant (graph, classes));
    for (guint i = 0; i < 2; i++)
        want -= (z[3 * i + 1] -
                 log (exp (z[3 * i]) + exp (z[3 * i + 1]) + exp (z[3 * i + 2]))) / 2;
    g_assert_cmpfloat_with_epsilon (test_value (objective.loss), want, 1e-15);
    g_assert_cmpstr (objective.metrics[0].name, ==, "accuracy");
    g_assert_null (objective.metrics[1].name);
    g_assert_cmpfloat (test_value (objective.metrics[0].value), ==, 0.5);
    g_assert_cmpfloat (objective.n_cases, ==, 2);
    g_assert_cmpstr (dlh_distribution_name (objective.prediction), ==, "categorical");
}

static void
objective_without_target (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhObjective objective = {.size = sizeof objective};

    dlh_objective_classify (&objective, dlh_full (graph, DLH_F64, dlh_shape (2, 3), 0), NULL);
    g_assert_nonnull (objective.prediction);
    g_assert_null (objective.loss);
    g_assert_null (objective.metrics[0].name);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/layers/dense/product-and-gradient", dense_product);
    g_test_add_func ("/layers/dense/no-bias-no-variable", dense_without_bias);
    g_test_add_func ("/layers/conv/shapes-and-gradient", conv_layer);
    g_test_add_func ("/layers/batch-norm/training", batch_norm_training);
    g_test_add_func ("/layers/batch-norm/evaluation", batch_norm_evaluation);
    g_test_add_func ("/layers/batch-norm/channels-equal-rows", batch_norm_channels);
    g_test_add_func ("/layers/batch-norm/one-and-none", batch_norm_edges);
    g_test_add_func ("/layers/layer-norm/rows-and-gradient", layer_norm_rows);
    g_test_add_func ("/layers/dropout/rate-and-scale", dropout_training);
    g_test_add_func ("/layers/dropout/identity-and-refusal", dropout_identity);
    g_test_add_data_func ("/layers/lstm/equals-loops", GINT_TO_POINTER (FALSE), lstm_loops);
    g_test_add_data_func ("/layers/lstm/equals-loops-from-a-state", GINT_TO_POINTER (TRUE),
                          lstm_loops);
    g_test_add_data_func ("/layers/rnn/equals-loops", GINT_TO_POINTER (FALSE), rnn_loops);
    g_test_add_data_func ("/layers/rnn/equals-loops-from-a-state", GINT_TO_POINTER (TRUE),
                          rnn_loops);
    g_test_add_func ("/layers/lstm/weight-uses-are-linear", lstm_uses);
    g_test_add_data_func ("/layers/gru/equals-loops", GINT_TO_POINTER (FALSE), gru_loops);
    g_test_add_data_func ("/layers/gru/equals-loops-from-a-state", GINT_TO_POINTER (TRUE),
                          gru_loops);
    g_test_add_func ("/layers/recurrent/no-steps-wrong-state", recurrent_edges);
    g_test_add_func ("/layers/recurrent/wrong-rank", recurrent_rank);
    g_test_add_func ("/layers/objective/cross-entropy-accuracy", objective_classify);
    g_test_add_func ("/layers/objective/no-target-no-loss", objective_without_target);
    return g_test_run ();
}
