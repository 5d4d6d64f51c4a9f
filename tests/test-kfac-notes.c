/* SPDX-License-Identifier: MIT */
/* Every kind of layer and of shared weight: the note says which block each parameter got, none is
 * passed over, and strict refuses diagonals with the reason. */
#include "kfac-bench.h"

enum { B = 12, T = 4, N = 8 };

typedef DlhNode *(*Layers) (DlhBuild *b, DlhNode *x); /* (B, 8) to (B, 3) */

static const DlhInit start = {DLH_INIT_NORMAL, 0, 0.5};
static Layers current; /* of the model that is built next */

static DlhNode *
head (DlhBuild *b, DlhNode *x)
{
    return dlh_dense (b, "head", dlh_flatten (x, 1), 3, start, TRUE);
}

static DlhNode *
parameter (DlhBuild *b, const char *name, DlhShape shape)
{
    return dlh_parameter (b->graph, b->store, name, shape, start);
}

static DlhNode *
weight_twice (DlhBuild *b, DlhNode *x)
{
    DlhNode *w = parameter (b, "w", dlh_shape (N, N));
    DlhNode *first = parameter (b, "first", dlh_shape (N));
    DlhNode *second = parameter (b, "second", dlh_shape (N));

    x = dlh_tanh (dlh_linear (x, w, first));
    return head (b, dlh_tanh (dlh_linear (x, w, second)));
}

static DlhNode *
kernel_twice (DlhBuild *b, DlhNode *x)
{
    DlhNode *w = parameter (b, "w", dlh_shape (2, 2, 1, 1)), *c = parameter (b, "c", dlh_shape (2));

    x = dlh_reshape (x, dlh_shape (B, 2, 2, 2));
    for (guint i = 0; i < 2; i++)
        x = dlh_tanh (dlh_conv2d (x, w, c, (DlhConv)DLH_CONV_DEFAULT));
    return head (b, x);
}

static DlhNode *
tokens (DlhNode *x)
{
    return dlh_cast (dlh_scale (dlh_sigmoid (dlh_index (x, 1, 0)), 2.99), DLH_I64);
}

static DlhNode *
tied_table (DlhBuild *b, DlhNode *x)
{
    DlhNode *table = parameter (b, "table", dlh_shape (3, 4));

    return dlh_linear (dlh_tanh (dlh_embedding (table, tokens (x))), table, NULL);
}

static DlhNode *
table_twice (DlhBuild *b, DlhNode *x)
{
    DlhNode *table = parameter (b, "table", dlh_shape (3, 4)), *i = tokens (x);
    DlhNode *j = tokens (dlh_neg (x));

    return head (b, dlh_tanh (dlh_mul (dlh_embedding (table, i), dlh_embedding (table, j))));
}

// (T, B, 2)
static DlhNode *
in_time (DlhNode *x)
{
    return dlh_transpose (dlh_reshape (x, dlh_shape (B, T, 2)), (const guint[]){1, 0, 2}, 3);
}

static DlhNode *
lstm (DlhBuild *b, DlhNode *x)
{
    DlhNode *h;

    dlh_lstm (b, "cell", in_time (x), 5, NULL, NULL, &h, NULL);
    return head (b, h);
}

static DlhNode *
gru (DlhBuild *b, DlhNode *x)
{
    DlhNode *h;

    dlh_gru (b, "cell", in_time (x), 5, NULL, &h);
    return head (b, h);
}

static DlhNode *
convolutions (DlhBuild *b, DlhNode *x)
{
    DlhConv dilated = DLH_CONV_DEFAULT, grouped = DLH_CONV_DEFAULT;
    DlhNode *w;

    dilated.dilation[0] = dilated.dilation[1] = 2;
    dilated.padding[0] = dilated.padding[1] = 1;
    grouped.groups = 2;
    x = dlh_reshape (x, dlh_shape (B, 2, 2, 2));
    x = dlh_tanh (dlh_conv_layer (b, "dilated", x, 4, 2, 2, dilated, start, TRUE));
    x = dlh_tanh (dlh_conv_layer (b, "grouped", x, 6, 1, 1, grouped, start, TRUE));
    w = parameter (b, "up", dlh_shape (6, 2, 2, 2));
    x = dlh_conv_transpose2d (x, w, parameter (b, "up_bias", dlh_shape (2)),
                              (DlhConv)DLH_CONV_DEFAULT, dlh_node_dim (x, 2) + 1,
                              dlh_node_dim (x, 3) + 1);
    return head (b, dlh_tanh (x));
}

static DlhNode *
norms (DlhBuild *b, DlhNode *x)
{
    DlhNode *both = parameter (b, "both", dlh_shape (N));

    x = dlh_layer_norm (b, "layer", dlh_batch_norm (b, "batch", x, 1, 0.1, 1e-5), 1e-5);
    x = dlh_add (dlh_tanh (dlh_add (x, dlh_broadcast (both, dlh_shape (B, N)))),
                 dlh_broadcast (both, dlh_shape (B, N)));
    x = dlh_broadcast (dlh_expand (x, 2), dlh_shape (B, N, 150));
    x = dlh_mul (x,
                 dlh_broadcast (parameter (b, "large", dlh_shape (N, 150)), dlh_shape (B, N, 150)));
    return head (b, dlh_tanh (dlh_mean_axis (x, 2)));
}

static const struct {
    const char *name;
    Layers layers;
    const char *notes[8]; /* all of them */
    const char *refused;  /* by strict; NULL: nothing */
} cases[] = {
    {"weight-twice",
     weight_twice,
     {"m/w: linear, Kronecker factors 8 x 8, shared by 2 steps",
      "m/head/weight: linear, Kronecker factors 9 x 3", "m/first: scale or shift, full block of 8",
      "m/second: scale or shift, full block of 8"},
     NULL},
    {"kernel-twice",
     kernel_twice,
     {"m/w: conv2d, Kronecker factors 3 x 2, used 2 times",
      "m/head/weight: linear, Kronecker factors 9 x 3"},
     NULL},
    {"tied-table",
     tied_table,
     {"m/table: diagonal (used both as a weight and otherwise)"},
     "'m/table' would get a diagonal block and strict is set: it is used both as a weight"},
    {"table-twice",
     table_twice,
     {"m/table: embedding, Kronecker factors 3 (diagonal) x 4, used 2 times",
      "m/head/weight: linear, Kronecker factors 5 x 3"},
     NULL},
    {"lstm",
     lstm,
     {"m/cell/input/weight: linear, Kronecker factors 3 x 20, shared by 4 steps",
      "m/cell/hidden/weight: linear, Kronecker factors 5 x 20, shared by 4 steps",
      "m/head/weight: linear, Kronecker factors 6 x 3"},
     NULL},
    {"gru",
     gru,
     {"m/cell/input/weight: linear, Kronecker factors 3 x 15, shared by 4 steps",
      "m/cell/hidden/weight: linear, Kronecker factors 6 x 15, shared by 4 steps",
      "m/head/weight: linear, Kronecker factors 6 x 3"},
     NULL},
    {"convolutions",
     convolutions,
     {"m/dilated/weight: conv2d, Kronecker factors 9 x 4",
      "m/grouped/weight: conv2d, Kronecker factors 3 x 3 in 2 groups",
      "m/up: conv_transpose2d, Kronecker factors 6 x 8",
      "m/up_bias: scale or shift, full block of 2",
      "m/head/weight: linear, Kronecker factors 19 x 3"},
     NULL},
    {"norms",
     norms,
     {"m/batch/scale: scale or shift, full block of 8",
      "m/batch/shift: scale or shift, full block of 8",
      "m/layer/scale: scale or shift, full block of 8",
      "m/layer/shift: scale or shift, full block of 8",
      "m/both: diagonal (a scale or shift that is used more than once)",
      "m/large: diagonal (a scale or shift of more than 1024 numbers)",
      "m/head/weight: linear, Kronecker factors 9 x 3"},
     "would get a diagonal block and strict is set: it is a scale or shift"},
};

static gboolean
net (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
     DlhObjective *objective, GError **error)
{
    (void)problem, (void)options, (void)error;
    dlh_objective_classify (objective, current (b, x), y);
    return TRUE;
}

static void
open_net (Bench *b, const char *settings)
{
    DlhTensor *y = dlh_tensor_new (DLH_I64, dlh_shape (B), NULL);

    for (gint64 i = 0; i < B; i++)
        dlh_tensor_set (y, i, (double)(i * 5 % 7 % 3));
    bench_open (b, net, "kfac", settings, test_tensor_random (DLH_F64, dlh_shape (B, N), 1), y);
}

static void
every_parameter_noted (gconstpointer data)
{
    const guint c = GPOINTER_TO_UINT (data);
    g_auto (Bench) b = {0}, strict = {0};
    guint n = 0;

    current = cases[c].layers;
    open_net (&b, "statistics=1 inverses=1");
    for (guint i = 0; i < 3; i++)
        bench_step (&b);
    for (; n < G_N_ELEMENTS (cases[c].notes) && cases[c].notes[n]; n++)
        bench_has_note (&b, cases[c].notes[n]);
    g_assert_cmpuint (dlh_trainer_notes (b.trainer)->len, ==, n);
    open_net (&strict, "strict=true");
    if (cases[c].refused)
        bench_refuses (&strict, DLH_ERROR_OPTION, cases[c].refused);
    else
        bench_step (&strict);
}

/* Omega with stride, padding, dilation and groups by direct loops over cases, positions and the
 * two patch elements. */

static const DlhConv geometry = {{2, 1}, {1, 2}, {2, 2}, 2};

static DlhNode *
strided (DlhBuild *b, DlhNode *x)
{
    x = dlh_reshape (x, dlh_shape (B, 4, 7, 6));
    return head (b, dlh_conv_layer (b, "conv", x, 4, 3, 2, geometry, start, TRUE));
}

static double
element (const double *x, gint64 n, gint64 channel, gint64 row, gint64 column)
{
    if (row < 0 || row >= 7 || column < 0 || column >= 6)
        return 0;
    return x[((n * 4 + channel) * 7 + row) * 6 + column];
}

static void
omega_any_geometry (void)
{
    enum { IN = 2 * 3 * 2, D = IN + 1, ROWS = 3, COLUMNS = 8, P = ROWS * COLUMNS };
    DlhTensor *y = dlh_tensor_new (DLH_I64, dlh_shape (B), NULL);
    double want[2 * D * D] = {0}, patch[D];
    const double *x;
    g_auto (Bench) b = {0};

    current = strided;
    bench_open (&b, net, "kfac", "", test_tensor_random (DLH_F64, dlh_shape (B, 4 * 7 * 6), 1), y);
    bench_step (&b);
    x = dlh_tensor_get_data (b.x);
    patch[IN] = 1;
    for (gint64 g = 0; g < 2; g++)
        for (gint64 t = 0; t < B * P; t++) {
            const gint64 row = t / COLUMNS % ROWS * 2 - 1, column = t % COLUMNS - 2;

            for (gint64 i = 0; i < IN; i++) // channel, kernel row, kernel column
                patch[i] =
                    element (x, t / P, 2 * g + i / 6, row + i / 2 % 3 * 2, column + i % 2 * 2);
            for (gint64 i = 0; i < D * D; i++)
                want[g * D * D + i] += patch[i / D] * patch[i % D] / (B * P);
        }
    test_assert_close_terms (bench_value (&b, "kfac/m/conv/weight/A"), want, 2 * D * D, 4, B * P);
}

// So large a batch of patches that it is taken in pieces, of both kinds of convolution.
static gboolean adjoint;

static DlhNode *
large (DlhBuild *b, DlhNode *x)
{
    const DlhConv same = {{1, 1}, {1, 1}, {1, 1}, 1};

    x = dlh_reshape (x, dlh_shape (-1, 4, 32, 32));
    if (adjoint)
        x = dlh_conv_transpose2d (x, parameter (b, "w", dlh_shape (4, 4, 3, 3)), NULL, same, 32,
                                  32);
    else
        x = dlh_conv2d (x, parameter (b, "w", dlh_shape (2, 4, 3, 3)), NULL, same);
    return head (b, dlh_mean_axis (dlh_mean_axis (x, 3), 2));
}

/* The patches that the moment is of: of the inputs, or of the gradients at a transposed
 * convolution's output, which for the mean over pixels behind a linear head are a case's own
 * constant g_c / (32 32) within the picture. */
static void
pieces_add_up (void)
{
    enum { CASES = 64, D = 4 * 9, S = 32 };

    for (guint mode = 0; mode < 2; mode++) {
        DlhTensor *y = dlh_tensor_new (DLH_I64, dlh_shape (CASES), NULL);
        g_autofree double *want = g_new0 (double, D *D);
        g_auto (Bench) b = {0};
        const double *x;
        double patch[D];

        adjoint = mode;
        current = large;
        bench_open (&b, net, "kfac", "fisher=empirical",
                    test_tensor_random (DLH_F64, dlh_shape (CASES, 4 * S * S), 1), y);
        bench_step (&b);
        x = dlh_tensor_get_data (b.x);
        for (gint64 t = 0; t < CASES * S * S; t++) {
            const gint64 row = t / S % S - 1, column = t % S - 1, n = t / (S * S);

            for (gint64 i = 0; i < D; i++) {
                const gint64 r = row + i / 3 % 3, c = column + i % 3;
                const gboolean inside = r >= 0 && r < S && c >= 0 && c < S;

                patch[i] = inside ? x[((n * 4 + i / 9) * S + r) * S + c] : 0;
            }
            for (gint64 i = 0; i < D * D; i++)
                want[i] += patch[i / D] * patch[i % D] / (CASES * S * S);
        }
        if (!mode)
            test_assert_close_terms (bench_value (&b, "kfac/m/w/A"), want, D * D, 4, CASES * S * S);
        else // what is inside the picture of every offset, relative to the centre of channel 0
            for (gint64 i = 0; i < 9; i++) {
                const double *g = bench_value (&b, "kfac/m/w/G");
                const double in = (i / 3 == 1 ? 32 : 31) * (i % 3 == 1 ? 32 : 31) / 1024.0;

                test_assert_within (&(double){g[i * D + i] / g[4 * D + 4]}, &in, 1, 1e-12);
            }
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path =
            g_strdup_printf ("/kfac-notes/%s/every-parameter-noted", cases[i].name);

        g_test_add_data_func (path, GUINT_TO_POINTER (i), every_parameter_noted);
    }
    g_test_add_func ("/kfac-notes/omega/any-geometry", omega_any_geometry);
    g_test_add_func ("/kfac-notes/omega/pieces-add-up", pieces_add_up);
    return g_test_run ();
}
