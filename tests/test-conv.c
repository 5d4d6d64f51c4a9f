/* SPDX-License-Identifier: MIT */
/* Convolutions against loops from the definition, in doubles. */
#include "test.h"

typedef struct {
    gint64 B, C, O, h, w, kh, kw;
    DlhConv conv;
} Case;

static const Case cases[] = {
    {2, 3, 4, 7, 6, 3, 2, DLH_CONV_DEFAULT},
    {1, 1, 1, 1, 1, 1, 1, DLH_CONV_DEFAULT},
    {1, 1, 20, 28, 28, 5, 5, DLH_CONV_DEFAULT},
    {5, 4, 13, 12, 12, 5, 5, DLH_CONV_DEFAULT},
    {3, 6, 16, 14, 14, 5, 5, DLH_CONV_DEFAULT},
    {5, 7, 9, 8, 8, 3, 3, {{1, 1}, {1, 1}, {1, 1}, 1}},
    {2, 5, 7, 9, 33, 3, 3, {{1, 1}, {1, 1}, {1, 1}, 1}},
    {17, 3, 5, 4, 4, 3, 3, {{1, 1}, {2, 2}, {1, 1}, 1}},
    {2, 6, 4, 10, 9, 3, 5, {{2, 3}, {1, 4}, {1, 1}, 2}},
    {3, 6, 9, 11, 8, 2, 3, {{1, 2}, {0, 2}, {3, 2}, 3}},
    {2, 4, 4, 13, 7, 3, 3, {{3, 1}, {2, 0}, {2, 1}, 4}},
    {4, 8, 12, 6, 6, 1, 1, DLH_CONV_DEFAULT},
    {4, 8, 12, 7, 5, 1, 1, {{2, 2}, {1, 0}, {1, 1}, 4}},
    {1, 3, 40, 9, 19, 4, 4, {{4, 4}, {0, 0}, {1, 1}, 1}},
    {2, 2, 3, 3, 3, 2, 2, {{1, 1}, {4, 4}, {1, 1}, 1}},
    {3, 5, 6, 5, 4, 5, 4, DLH_CONV_DEFAULT},
    // Whole blocks of channels, which another library may do.
    {2, 16, 32, 8, 8, 3, 3, {{1, 1}, {1, 1}, {1, 1}, 1}},
    {3, 32, 16, 14, 9, 5, 3, {{1, 1}, {2, 0}, {1, 1}, 1}},
    {1, 16, 16, 4, 4, 2, 2, {{1, 1}, {3, 3}, {1, 1}, 1}},
};

typedef struct {
    const Case *c;
    gint64 Cg, Og, oh, ow;
    gsize nx, nw, ny;
    double *x, *w, *y, *bx, *by; /* values; biases of C and of O */
} Data;

static void
data_clear (Data *d)
{
    g_free (d->x);
    g_free (d->w);
    g_free (d->y);
    g_free (d->bx);
    g_free (d->by);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Data, data_clear)

static DlhShape
shape_x (const Data *d)
{
    return dlh_shape (d->c->B, d->c->C, d->c->h, d->c->w);
}

static DlhShape
shape_w (const Data *d)
{
    return dlh_shape (d->c->O, d->Cg, d->c->kh, d->c->kw);
}

static DlhShape
shape_y (const Data *d)
{
    return dlh_shape (d->c->B, d->c->O, d->oh, d->ow);
}

static double *
values (gsize n, guint64 seed)
{
    double *v = g_new (double, n + 1);

    test_random (seed, v, n);
    for (gsize i = 0; i < n; i++)
        v[i] = (float) v[i]; // the same for both element types
    return v;
}

static void
data_init (Data *d, const Case *c)
{
    const gint64 eh = c->conv.dilation[0] * (c->kh - 1) + 1;
    const gint64 ew = c->conv.dilation[1] * (c->kw - 1) + 1;

    d->c = c;
    d->Cg = c->C / c->conv.groups;
    d->Og = c->O / c->conv.groups;
    d->oh = (c->h + 2 * c->conv.padding[0] - eh) / c->conv.stride[0] + 1;
    d->ow = (c->w + 2 * c->conv.padding[1] - ew) / c->conv.stride[1] + 1;
    d->nx = (gsize) dlh_shape_count (shape_x (d));
    d->nw = (gsize) dlh_shape_count (shape_w (d));
    d->ny = (gsize) dlh_shape_count (shape_y (d));
    d->x = values (d->nx, 1);
    d->w = values (d->nw, 2);
    d->y = values (d->ny, 3);
    d->bx = values ((gsize) c->C, 4);
    d->by = values ((gsize) c->O, 5);
}

// Calls visit for every product x w that adds to y.
static void
each_term (const Data *d, void (*visit) (const Data *d, gsize x, gsize w, gsize y, double *out),
           double *out)
{
    const Case *c = d->c;

    for (gint64 b = 0; b < c->B; b++)
        for (gint64 o = 0; o < c->O; o++)
            for (gint64 p = 0; p < d->oh * d->ow; p++)
                for (gint64 k = 0; k < d->Cg * c->kh * c->kw; k++) {
                    const gint64 u = k / c->kw % c->kh, v = k % c->kw, ch = k / (c->kh * c->kw);
                    const gint64 i = p / d->ow * c->conv.stride[0] + u * c->conv.dilation[0] -
                                     c->conv.padding[0];
                    const gint64 j = p % d->ow * c->conv.stride[1] + v * c->conv.dilation[1] -
                                     c->conv.padding[1];
                    const gint64 channel = o / d->Og * d->Cg + ch;

                    if (i < 0 || i >= c->h || j < 0 || j >= c->w)
                        continue;
                    visit (d, (gsize) (((b * c->C + channel) * c->h + i) * c->w + j),
                           (gsize) (o * d->Cg * c->kh * c->kw + k),
                           (gsize) ((b * c->O + o) * d->oh * d->ow + p), out);
                }
}

static void
add_y (const Data *d, gsize x, gsize w, gsize y, double *out)
{
    out[y] += d->x[x] * d->w[w];
}

static void
add_x (const Data *d, gsize x, gsize w, gsize y, double *out)
{
    out[x] += d->y[y] * d->w[w];
}

static void
add_w (const Data *d, gsize x, gsize w, gsize y, double *out)
{
    out[w] += d->x[x] * d->y[y];
}

static DlhNode *
constant (DlhGraph *graph, DlhDType dtype, DlhShape shape, const double *v)
{
    g_autoptr (DlhTensor) t = test_tensor_from (dtype, shape, v, (gsize) dlh_shape_count (shape));
    DlhNode *x = dlh_constant (graph, t);

    return x;
}

static DlhNode *
vector (DlhGraph *graph, DlhDType dtype, gint64 n, const double *v)
{
    return constant (graph, dtype, dlh_shape (n), v);
}

// The value without folding it at compile time, which would run it on another path.
static DlhTensor *
value_of (DlhNode *node)
{
    return test_run_full (node, NULL, 0, DLH_COMPILE_NO_FOLDING);
}

// k terms of about unit size each: absolute values add up to k at most a few times over.
static void
check (const DlhTensor *got, const double *want, gsize n, gsize k, DlhDType dtype, guint number)
{
    const double tolerance = test_sum_factor (k) * test_eps (dtype) * 4 * (double) (k + 1);

    if (!test_assert_tensor_within (got, want, n, tolerance))
        g_test_message ("in case %u, %s", number, dlh_dtype_name (dtype));
}

static void
add_bias (double *out, const double *bias, gint64 B, gint64 C, gint64 n)
{
    for (gint64 i = 0; i < B * C * n; i++)
        out[i] += bias[i / n % C];
}

static void
definition_forward (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const DlhDType dtype = i % 2 ? DLH_F64 : DLH_F32;
        g_auto (Data) d = {0};
        g_autofree double *want = NULL;
        g_autoptr (DlhTensor) got = NULL;
        DlhNode *x, *w, *b;

        data_init (&d, &cases[i / 2]);
        want = g_new0 (double, d.ny);
        each_term (&d, add_y, want);
        add_bias (want, d.by, d.c->B, d.c->O, d.oh * d.ow);
        x = constant (graph, dtype, shape_x (&d), d.x);
        w = constant (graph, dtype, shape_w (&d), d.w);
        b = vector (graph, dtype, d.c->O, d.by);
        got = value_of (dlh_conv2d (x, w, b, d.c->conv));
        check (got, want, d.ny, (gsize) (d.Cg * d.c->kh * d.c->kw), dtype, i / 2);
    }
}

static void
definition_transpose (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const DlhDType dtype = i % 2 ? DLH_F64 : DLH_F32;
        g_auto (Data) d = {0};
        g_autofree double *want = NULL;
        g_autoptr (DlhTensor) got = NULL;
        DlhNode *y, *w, *b;

        data_init (&d, &cases[i / 2]);
        want = g_new0 (double, d.nx);
        each_term (&d, add_x, want);
        add_bias (want, d.bx, d.c->B, d.c->C, d.c->h * d.c->w);
        y = constant (graph, dtype, shape_y (&d), d.y);
        w = constant (graph, dtype, shape_w (&d), d.w);
        b = vector (graph, dtype, d.c->C, d.bx);
        got = value_of (dlh_conv_transpose2d (y, w, b, d.c->conv, d.c->h, d.c->w));
        check (got, want, d.nx, (gsize) (d.Og * d.c->kh * d.c->kw), dtype, i / 2);
    }
}

static void
definition_weight (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const DlhDType dtype = i % 2 ? DLH_F64 : DLH_F32;
        g_auto (Data) d = {0};
        g_autofree double *want = NULL;
        g_autoptr (DlhTensor) got = NULL;
        DlhNode *x, *y;

        data_init (&d, &cases[i / 2]);
        want = g_new0 (double, d.nw);
        each_term (&d, add_w, want);
        x = constant (graph, dtype, shape_x (&d), d.x);
        y = constant (graph, dtype, shape_y (&d), d.y);
        got = value_of (dlh_conv2d_weight (x, y, d.c->conv, d.c->kh, d.c->kw));
        check (got, want, d.nw, (gsize) (d.c->B * d.oh * d.ow), dtype, i / 2);
    }
}

// y (b, o, p) = sum over k of patches (b, p, k) w (o, k), with one group
static void
patches_product (void)
{
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_auto (Data) d = {0};
        g_autofree double *want = NULL, *p = NULL;
        g_autoptr (DlhTensor) y = NULL, patches = NULL;
        const Case *c = &cases[i];
        const gint64 K = c->C * c->kh * c->kw;
        DlhNode *x;

        if (c->conv.groups > 1)
            continue;
        data_init (&d, c);
        want = g_new0 (double, d.ny);
        x = constant (graph, DLH_F64, shape_x (&d), d.x);
        patches = value_of (dlh_patches (x, c->kh, c->kw, c->conv));
        p = test_values (patches);
        for (gint64 n = 0; n < (gint64) d.ny; n++) {
            const gint64 at = n % (d.oh * d.ow), o = n / (d.oh * d.ow) % c->O;
            const gint64 b = n / (d.oh * d.ow * c->O);

            for (gint64 k = 0; k < K; k++)
                want[n] += p[(b * d.oh * d.ow + at) * K + k] * d.w[o * K + k];
        }
        y = value_of (dlh_conv2d (x, constant (graph, DLH_F64, shape_w (&d), d.w), NULL, c->conv));
        check (y, want, d.ny, (gsize) K, DLH_F64, i);
    }
}

static double
inner (const DlhTensor *a, const double *b)
{
    double sum = 0;

    for (gint64 i = 0; i < dlh_tensor_count (a); i++)
        sum += dlh_tensor_get (a, i) * b[i];
    return sum;
}

// <conv (x, w), y> = <x, transpose (y, w)> = <w, weight (x, y)>
static void
adjoint_three (void)
{
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_auto (Data) d = {0};
        g_autoptr (DlhTensor) y = NULL, x = NULL, w = NULL;
        const Case *c = &cases[i];
        DlhNode *nx, *nw, *ny;
        double a, b[2], tolerance;

        data_init (&d, c);
        nx = constant (graph, DLH_F64, shape_x (&d), d.x);
        nw = constant (graph, DLH_F64, shape_w (&d), d.w);
        ny = constant (graph, DLH_F64, shape_y (&d), d.y);
        y = value_of (dlh_conv2d (nx, nw, NULL, c->conv));
        x = value_of (dlh_conv_transpose2d (ny, nw, NULL, c->conv, c->h, c->w));
        w = value_of (dlh_conv2d_weight (nx, ny, c->conv, c->kh, c->kw));
        a = inner (y, d.y);
        b[0] = inner (x, d.x);
        b[1] = inner (w, d.w);
        tolerance = 1e-12 * (double) d.ny * sqrt ((double) (d.Cg * c->kh * c->kw));
        test_assert_within (b, ((double[]){a, a}), 2, tolerance);
    }
}

static void
adjoint_patches (void)
{
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_auto (Data) d = {0};
        g_autoptr (DlhTensor) p = NULL, x = NULL;
        g_autofree double *r = NULL;
        const Case *c = &cases[i];
        DlhNode *patches;
        double a, b;

        data_init (&d, c);
        patches = dlh_patches (constant (graph, DLH_F64, shape_x (&d), d.x), c->kh, c->kw, c->conv);
        p = value_of (patches);
        r = values ((gsize) dlh_tensor_count (p), 9);
        x = value_of (dlh_patches_adjoint (
            constant (graph, DLH_F64, dlh_node_shape (patches), r), c->kh, c->kw, c->conv, c->C,
            c->h, c->w));
        a = inner (p, r);
        b = inner (x, d.x);
        test_assert_within (&b, &a, 1, 1e-12 * (double) dlh_tensor_count (p));
    }
}

static void
gradient_orders (void)
{
    for (guint i = 0; i < 2; i++) {
        const Case *c = &(const Case[]){
            {2, 2, 3, 4, 5, 3, 2, {{1, 2}, {1, 0}, {1, 1}, 1}},
            {1, 4, 2, 4, 3, 2, 2, {{1, 1}, {0, 1}, {2, 1}, 2}},
        }[i];
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (DlhTensor) x = NULL, w = NULL, b = NULL;
        g_auto (Data) d = {0};
        DlhNode *in[3];

        data_init (&d, c);
        in[0] = dlh_input (graph, "x", DLH_F64, shape_x (&d));
        in[1] = dlh_input (graph, "w", DLH_F64, shape_w (&d));
        in[2] = dlh_input (graph, "b", DLH_F64, dlh_shape (c->O));
        x = test_tensor_from (DLH_F64, shape_x (&d), d.x, d.nx);
        w = test_tensor_from (DLH_F64, shape_w (&d), d.w, d.nw);
        b = test_tensor_from (DLH_F64, dlh_shape (c->O), d.by, (gsize) c->O);
        test_gradient_check (G_STRLOC, dlh_square (dlh_conv2d (in[0], in[1], in[2], c->conv)), in,
                             (guint[]){0, 1, 2}, 3, (DlhTensor *[]){x, w, b}, 3, 2);
    }
}

static DlhTensor *
with_threads (DlhNode *node, guint n)
{
    const guint before = dlh_get_threads ();
    DlhTensor *t;

    dlh_set_threads (n);
    t = value_of (node);
    dlh_set_threads (before);
    return t;
}

// Whether another library may do the weights' gradient, whose sums it splits among threads.
static gboolean
is_split (const Case *c, DlhDType dtype)
{
    return dtype == DLH_F32 && c->C % 16 == 0 && c->O % 16 == 0;
}

// @a and @b are the same sums of at most @terms products of x and y in another order.
static void
assert_same_sums (DlhTensor *a, DlhTensor *b, const Data *d, gsize terms)
{
    g_autofree double *want = g_new (double, (gsize) dlh_tensor_count (b) + 1);
    double x = 0, y = 0;

    for (gsize i = 0; i < d->nx; i++)
        x = MAX (x, fabs (d->x[i]));
    for (gsize i = 0; i < d->ny; i++)
        y = MAX (y, fabs (d->y[i]));
    for (gint64 i = 0; i < dlh_tensor_count (b); i++)
        want[i] = dlh_tensor_get (b, i);
    test_assert_tensor_within (a, want, (gsize) dlh_tensor_count (b),
                               test_sum_factor (terms) * FLT_EPSILON * (double) terms * x * y);
}

// No sum is split by threads.
static void
threads_bitwise (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        const DlhDType dtype = i % 2 ? DLH_F64 : DLH_F32;
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_auto (Data) d = {0};
        const Case *c = &cases[i / 2];
        DlhNode *x, *w, *y, *all[3];

        data_init (&d, c);
        x = constant (graph, dtype, shape_x (&d), d.x);
        w = constant (graph, dtype, shape_w (&d), d.w);
        y = constant (graph, dtype, shape_y (&d), d.y);
        all[0] = dlh_conv2d (x, w, NULL, c->conv);
        all[1] = dlh_conv_transpose2d (y, w, NULL, c->conv, c->h, c->w);
        all[2] = dlh_conv2d_weight (x, y, c->conv, c->kh, c->kw);
        for (guint k = 0; k < 3; k++) {
            g_autoptr (DlhTensor) one = with_threads (all[k], 1);
            g_autoptr (DlhTensor) two = with_threads (all[k], 2);
            g_autoptr (DlhTensor) five = with_threads (all[k], 5);

            if (k == 2 && is_split (c, dtype)) {
                assert_same_sums (two, one, &d, (gsize) (c->B * d.oh * d.ow));
                assert_same_sums (five, one, &d, (gsize) (c->B * d.oh * d.ow));
                continue;
            }
            test_assert_tensors_equal (one, two);
            test_assert_tensors_equal (one, five);
        }
    }
}

// A function compiled for one number of threads may run with another.
static void
threads_changed (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhFunction) function = NULL;
    g_autoptr (DlhTensor) want = NULL;
    g_autoptr (GError) error = NULL;
    const guint before = dlh_get_threads ();
    g_auto (Data) d = {0};
    DlhNode *y;

    data_init (&d, &cases[5]);
    y = dlh_conv2d (constant (graph, DLH_F32, shape_x (&d), d.x),
                    constant (graph, DLH_F32, shape_w (&d), d.w), NULL, d.c->conv);
    want = value_of (y);
    dlh_set_threads (1);
    function = dlh_graph_compile_full (graph, &y, 1, DLH_COMPILE_NO_FOLDING, &error);
    g_assert_no_error (error);
    dlh_set_threads (4);
    g_assert_true (dlh_function_run (function, NULL, 0, &error));
    test_assert_tensors_equal (dlh_function_output (function, 0), want);
    dlh_set_threads (before);
}

// Without channels the bias is all there is.
static void
empty_channels (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    const DlhConv conv = DLH_CONV_DEFAULT;
    DlhNode *x = dlh_full (graph, DLH_F64, dlh_shape (1, 0, 2, 3), 1);
    DlhNode *w = dlh_full (graph, DLH_F64, dlh_shape (2, 0, 2, 2), 1);
    g_autoptr (DlhTensor) y =
        value_of (dlh_conv2d (x, w, vector (graph, DLH_F64, 2, (double[]){3, 4}), conv));

    test_assert_tensor_within (y, ((double[]){3, 3, 4, 4}), 4, 0);
}

static void
empty_batch (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    const DlhConv conv = DLH_CONV_DEFAULT;
    DlhNode *x = dlh_full (graph, DLH_F32, dlh_shape (0, 1, 3, 3), 1);
    DlhNode *y = dlh_full (graph, DLH_F32, dlh_shape (0, 2, 2, 2), 1);
    g_autoptr (DlhTensor) dw = value_of (dlh_conv2d_weight (x, y, conv, 2, 2));

    test_assert_tensor_within (dw, ((double[8]){0}), 8, 0);
}

// A window may lie in the padding altogether.
static void
padding_alone (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    const DlhConv conv = {{1, 1}, {2, 0}, {1, 1}, 1};
    DlhNode *x = dlh_full (graph, DLH_F32, dlh_shape (1, 1, 1, 2), 5);
    DlhNode *w = dlh_full (graph, DLH_F32, dlh_shape (1, 1, 1, 1), 2);
    g_autoptr (DlhTensor) y = value_of (dlh_conv2d (x, w, NULL, conv));

    test_assert_tensor_within (y, ((double[]){0, 0, 0, 0, 10, 10, 0, 0, 0, 0}), 10, 0);
}

static void
errors_name_shapes (void)
{
    static const struct {
        gint64 w[4];
        DlhConv conv;
        const char *text;
    } bad[] = {
        {{16, 8, 5, 5}, DLH_CONV_DEFAULT,
         "conv2d: weight [16,8,5,5] does not fit input [128,3,28,28]: 8 * groups 1 != 3 channels"},
        {{16, 3, 5, 29}, DLH_CONV_DEFAULT,
         "conv2d: kernel of weight [16,3,5,29] with dilation 1,1 does not fit into input "
         "[128,3,28,28] with padding 0,0"},
        {{16, 1, 5, 5}, {{1, 1}, {0, 0}, {1, 1}, 3}, "16 filters are not a multiple of groups 3"},
        {{16, 3, 5, 5}, {{0, 1}, {0, 0}, {1, 1}, 1}, "stride is 0, must be from 1 to 2147483647"},
        {{16, 3, 5, 5}, {{1, 1}, {0, -2}, {1, 1}, 1}, "padding is -2, must be from 0"},
        {{16, 3, 5, 5}, {{1, 1}, {0, 0}, {G_MAXINT64, 1}, 1}, "dilation is 9223372036854775807"},
        {{16, 3, 5, 5}, {{1, 1}, {0, 0}, {1, 1}, 0}, "groups is 0, must be from 1"},
        {{16, 3, 0, 5}, DLH_CONV_DEFAULT, "kernel of weight [16,3,0,5]"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (GError) error = NULL;
        DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (128, 3, 28, 28));
        DlhNode *w = dlh_input (graph, "w", DLH_F32, dlh_shape_make (4, bad[i].w));
        DlhNode *y = dlh_conv2d (x, w, NULL, bad[i].conv);

        g_assert_true (dlh_node_failed (y));
        dlh_graph_check (graph, &error);
        test_assert_error (&error, DLH_ERROR_SHAPE, bad[i].text);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/conv2d/shapes/definition", definition_forward);
    g_test_add_func ("/conv-transpose2d/shapes/definition", definition_transpose);
    g_test_add_func ("/conv2d-weight/shapes/definition", definition_weight);
    g_test_add_func ("/patches/product/is-conv2d", patches_product);
    g_test_add_func ("/conv2d/adjoint/inner-products", adjoint_three);
    g_test_add_func ("/patches/adjoint/inner-products", adjoint_patches);
    g_test_add_func ("/conv2d/gradient/two-orders", gradient_orders);
    g_test_add_func ("/conv2d/threads/bitwise", threads_bitwise);
    g_test_add_func ("/conv2d/threads/changed-after-compile", threads_changed);
    g_test_add_func ("/conv2d/empty/no-channels", empty_channels);
    g_test_add_func ("/conv2d-weight/empty/no-pictures", empty_batch);
    g_test_add_func ("/conv2d/padding/whole-window", padding_alone);
    g_test_add_func ("/conv2d/errors/name-shapes", errors_name_shapes);
    return g_test_run ();
}
