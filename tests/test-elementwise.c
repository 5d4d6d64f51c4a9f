/* SPDX-License-Identifier: MIT */
/* Element-wise ops: values of every instruction set against libm in f64, NaN and infinity,
 * integers, conversions, what makers simplify and what they refuse. */
#include "cpu/loops.h"
#include "test.h"

/* Functions of one operand against libm. */

static double
ref_sigmoid (double x)
{
    return x >= 0 ? 1 / (1 + exp (-x)) : exp (x) / (1 + exp (x));
}

static double
ref_softplus (double x)
{
    return x > 0 ? x + log1p (exp (-x)) : log1p (exp (x));
}

static double
ref_relu (double x)
{
    return isnan (x) ? x : fmax (x, 0);
}

static double
ref_leaky_relu (double x)
{
    return x < 0 ? 0.01 * x : x;
}

static double
ref_elu (double x)
{
    return x < 0 ? 1.5 * expm1 (x) : x;
}

static double
ref_gelu (double x)
{
    return 0.5 * x * erfc (-x * M_SQRT1_2);
}

static double
ref_rsqrt (double x)
{
    return 1 / sqrt (x);
}

static double
ref_reciprocal (double x)
{
    return 1 / x;
}

static double
ref_neg (double x)
{
    return -x;
}

static double
ref_square (double x)
{
    return x * x;
}

static double
ref_sign (double x)
{
    return isnan (x) ? x : (x > 0) - (x < 0);
}

static double
ref_clamp (double x)
{
    return isnan (x) ? x : fmin (fmax (x, -1.5), 2.5);
}

static double
ref_power (double x)
{
    return pow (x, 2.75);
}

static double
ref_lgamma (double x)
{
    int sign;

    return lgamma_r (x, &sign);
}

typedef struct {
    DlhEwId id;
    const char *name;
    double (*ref) (double x);
    double lo, hi; // range of the f64 test; f32 takes what fits
    double ulps;   // libmvec promises 4; compositions add up theirs
    double params[2];
} Function;

static const Function functions[] = {
    {DLH_EW_neg, "neg", ref_neg, -1e30, 1e30, 0, {0}},
    {DLH_EW_abs, "abs", fabs, -1e30, 1e30, 0, {0}},
    {DLH_EW_sign, "sign", ref_sign, -1e30, 1e30, 0, {0}},
    {DLH_EW_square, "square", ref_square, -1e15, 1e15, 0.5, {0}},
    {DLH_EW_sqrt, "sqrt", sqrt, 0, 1e30, 0.5, {0}},
    {DLH_EW_rsqrt, "rsqrt", ref_rsqrt, 1e-30, 1e30, 1.5, {0}},
    {DLH_EW_reciprocal, "reciprocal", ref_reciprocal, -1e30, 1e30, 0.5, {0}},
    {DLH_EW_exp, "exp", exp, -80, 80, 4, {0}},
    {DLH_EW_expm1, "expm1", expm1, -80, 80, 4, {0}},
    {DLH_EW_log, "log", log, 1e-30, 1e30, 4, {0}},
    {DLH_EW_log1p, "log1p", log1p, -0.999, 1e30, 4, {0}},
    {DLH_EW_sin, "sin", sin, -1000, 1000, 4, {0}},
    {DLH_EW_cos, "cos", cos, -1000, 1000, 4, {0}},
    {DLH_EW_erf, "erf", erf, -6, 6, 4, {0}},
    {DLH_EW_lgamma, "lgamma", ref_lgamma, 1e-5, 1e5, 1, {0}},
    {DLH_EW_tanh, "tanh", tanh, -30, 30, 8, {0}},
    {DLH_EW_sigmoid, "sigmoid", ref_sigmoid, -80, 80, 8, {0}},
    {DLH_EW_softplus, "softplus", ref_softplus, -80, 1000, 8, {0}},
    {DLH_EW_relu, "relu", ref_relu, -1e30, 1e30, 0, {0}},
    {DLH_EW_leaky_relu, "leaky_relu", ref_leaky_relu, -1e30, 1e30, 2, {0.01}},
    {DLH_EW_elu, "elu", ref_elu, -80, 1e5, 8, {1.5}},
    {DLH_EW_gelu, "gelu", ref_gelu, -4, 100, 64, {0}},
    {DLH_EW_clamp, "clamp", ref_clamp, -10, 10, 0, {-1.5, 2.5}},
    {DLH_EW_pow_scalar, "pow_scalar", ref_power, 1e-10, 1e10, 4, {2.75}},
};

static guint
find_levels (const DlhLoops *levels[3])
{
    guint n = 0;

    levels[n++] = &dlh_loops_baseline;
#ifdef __x86_64__
    if (dlh_loops () != &dlh_loops_baseline)
        levels[n++] = &dlh_loops_avx2;
    if (dlh_loops () == &dlh_loops_avx512)
        levels[n++] = &dlh_loops_avx512;
#endif
    return n;
}

#define N_POINTS 4001

// Points dense near zero and out to both ends: sign * scale * u^8 and linear ones by turns.
static double
point (const Function *f, guint i)
{
    double u = (double)i / (N_POINTS - 1);

    if (i % 2 == 0)
        return f->lo + (f->hi - f->lo) * u;
    u = 2 * u - 1;
    return CLAMP ((u < 0 ? -f->lo : f->hi) * copysign (pow (fabs (u), 8), u), f->lo, f->hi);
}

static void
check_function (const DlhLoops *loops, const Function *f, gboolean wide)
{
    g_autofree double *x64 = g_new (double, N_POINTS), *y64 = g_new (double, N_POINTS);
    g_autofree float *x32 = g_new (float, N_POINTS), *y32 = g_new (float, N_POINTS);
    double eps = wide ? DBL_EPSILON : FLT_EPSILON, tiny = wide ? DBL_MIN : FLT_MIN;

    for (guint i = 0; i < N_POINTS; i++) {
        x32[i] = (float)point (f, i);
        x64[i] = wide ? point (f, i) : x32[i];
    }
    loops->ew[f->id][wide](wide ? (void *)y64 : y32, wide ? (void *)x64 : x32, NULL, NULL, N_POINTS,
                           f->params);
    for (guint i = 0; i < N_POINTS; i++) {
        double got = wide ? y64[i] : y32[i], want = f->ref (x64[i]);
        // Half an ulp is the rounding of the reference's own last step to the element type.
        double tolerance = (f->ulps + 0.5) * eps * fabs (want) + tiny;

        // Near a zero that is not at 0, only the absolute error is small.
        if (f->id == DLH_EW_sin || f->id == DLH_EW_cos || f->id == DLH_EW_lgamma)
            tolerance += f->ulps * eps;
        if (f->id == DLH_EW_log)
            tolerance += f->ulps * eps * 1e-3;
        if (got != want && !(fabs (got - want) <= tolerance)) {
            test_fail ("%s %s of %s: f(%.17g) = %.17g, want %.17g +- %g", loops->level,
                       wide ? "f64" : "f32", f->name, x64[i], got, want, tolerance);
            return;
        }
    }
}

static void
functions_close (void) // "/elementwise/functions/close-to-libm"
{
    const DlhLoops *levels[3];
    guint n = find_levels (levels);

    for (guint l = 0; l < n; l++)
        for (guint i = 0; i < G_N_ELEMENTS (functions); i++)
            for (guint wide = 0; wide < 2; wide++)
                check_function (levels[l], &functions[i], wide != 0);
}

/* NaN comes through everything; infinities have the limits. */

typedef struct {
    DlhEwId id;
    double at_minus_infinity, at_infinity;
} Limit;

static void
functions_special (void) // "/elementwise/functions/nan-and-infinity"
{
    const Limit limits[] = {
        {DLH_EW_exp, 0, INFINITY},
        {DLH_EW_expm1, -1, INFINITY},
        {DLH_EW_tanh, -1, 1},
        {DLH_EW_sigmoid, 0, 1},
        {DLH_EW_softplus, 0, INFINITY},
        {DLH_EW_relu, 0, INFINITY},
        {DLH_EW_erf, -1, 1},
        {DLH_EW_log, NAN, INFINITY},
        {DLH_EW_log1p, NAN, INFINITY},
        {DLH_EW_sqrt, NAN, INFINITY},
        {DLH_EW_sin, NAN, NAN},
        {DLH_EW_cos, NAN, NAN},
        {DLH_EW_reciprocal, 0, 0},
        {DLH_EW_clamp, -1.5, 2.5},
        {DLH_EW_elu, -1.5, INFINITY},
        {DLH_EW_abs, INFINITY, INFINITY},
        {DLH_EW_sign, -1, 1},
    };
    const DlhLoops *levels[3];
    guint n = find_levels (levels);

    for (guint l = 0; l < n; l++)
        for (guint wide = 0; wide < 2; wide++)
            for (guint i = 0; i < G_N_ELEMENTS (functions); i++) {
                const Function *f = &functions[i];
                double x64[40], y64[40];
                float x32[40], y32[40];

                for (guint k = 0; k < 40; k++)
                    x64[k] = k % 3 == 0 ? NAN : k % 3 == 1 ? -INFINITY : INFINITY;
                for (guint k = 0; k < 40; k++)
                    x32[k] = (float)x64[k];
                levels[l]->ew[f->id][wide](wide ? (void *)y64 : y32, wide ? (void *)x64 : x32, NULL,
                                           NULL, 40, f->params);
                for (guint k = 0; k < 40; k++) {
                    double y = wide ? y64[k] : y32[k];

                    if (k % 3 == 0 && !isnan (y))
                        test_fail ("%s %s (NaN) = %g", levels[l]->level, f->name, y);
                    for (guint j = 0; j < G_N_ELEMENTS (limits); j++) {
                        double want =
                            k % 3 == 1 ? limits[j].at_minus_infinity : limits[j].at_infinity;

                        if (k % 3 && limits[j].id == f->id &&
                            !(isnan (want) ? isnan (y) : y == want))
                            test_fail ("%s %s (%g) = %g, want %g", levels[l]->level, f->name,
                                       x64[k], y, want);
                    }
                }
            }
}

// An element's value does not depend on how many stand before or after it.
static void
functions_position (void) // "/elementwise/functions/independent-of-position"
{
    const DlhLoops *loops = dlh_loops ();

    for (guint i = 0; i < G_N_ELEMENTS (functions); i++)
        for (guint wide = 0; wide < 2; wide++) {
            const Function *f = &functions[i];
            gsize size = wide ? 8 : 4;
            char x[70 * 8], want[70 * 8], got[70 * 8];

            for (guint k = 0; k < 70; k++) {
                double value = point (f, 50 * k + 7);

                if (wide)
                    ((double *)x)[k] = value;
                else
                    ((float *)x)[k] = (float)value;
            }
            loops->ew[f->id][wide](want, x, NULL, NULL, 70, f->params);
            for (guint first = 0; first < 33; first++)
                for (guint n = 1; first + n <= 70; n += 5) {
                    loops->ew[f->id][wide](got, x + first * size, NULL, NULL, n, f->params);
                    if (memcmp (got, want + first * size, n * size)) {
                        test_fail ("%s %s: elements %u .. of %u differ", f->name,
                                   wide ? "f64" : "f32", first, n);
                        return;
                    }
                }
        }
}

/* polygamma: closed forms and the recurrence. */

static double
polygamma (double x, guint order)
{
    double p = order, y;

    dlh_loops ()->ew[DLH_EW_polygamma][1](&y, &x, NULL, NULL, 1, &p);
    return y;
}

#define EULER 0.57721566490153286061
#define ZETA3 1.2020569031595942854

static void
polygamma_closed (void) // "/elementwise/polygamma/closed-forms"
{
    const struct {
        guint order;
        double x, want;
    } cases[] = {
        {0, 1, -EULER},
        {0, 0.5, -EULER - 2 * M_LN2},
        {0, 4, -EULER + 11.0 / 6},
        {0, -0.5, -EULER - 2 * M_LN2 + 2},
        {1, 1, M_PI * M_PI / 6},
        {1, 0.5, M_PI * M_PI / 2},
        {2, 1, -2 * ZETA3},
        {2, 0.5, -14 * ZETA3},
        {3, 1, M_PI * M_PI * M_PI * M_PI / 15},
        {3, 0.5, M_PI * M_PI * M_PI * M_PI},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        double got = polygamma (cases[i].x, cases[i].order);

        test_assert_within (&got, &cases[i].want, 1, 1e-13 * fabs (cases[i].want));
    }
    if (!isnan (polygamma (0, 0)) || !isnan (polygamma (-3, 0)) || !isnan (polygamma (-1, 1)) ||
        !isnan (polygamma (NAN, 0)) || !isnan (polygamma (NAN, 2)))
        test_fail ("poles and NaN must give NaN");
}

// psi_n (x + 1) = psi_n (x) + (-1)^n n! / x^(n + 1)
static void
polygamma_recurrence (void) // "/elementwise/polygamma/recurrence"
{
    double factorial = 1;

    for (guint n = 0; n < 8; factorial *= ++n)
        for (double x = 0.01; x < 300; x *= 1.37) {
            double step = (n % 2 ? -1 : 1) * factorial / pow (x, n + 1);
            double got = polygamma (x + 1, n), here = polygamma (x, n), want = here + step;

            test_assert_within (&got, &want, 1,
                                2e-13 * fabs (got) + 4 * DBL_EPSILON * (fabs (here) + fabs (step)));
        }
}

/* Two and three operands, integers, conversions: through graphs. */

static DlhNode *
constant (DlhGraph *graph, DlhDType dtype, guint n, const double *values)
{
    g_autoptr (DlhTensor) tensor = test_tensor_from (dtype, dlh_shape (n), values, n);

    return dlh_constant (graph, tensor);
}

#define CONSTANT(dtype, ...)                                                                       \
    constant (graph, dtype, sizeof ((double[]){__VA_ARGS__}) / sizeof (double),                    \
              (const double[]){__VA_ARGS__})

static void
expect (const char *what, DlhNode *node, DlhDType dtype, guint n, const double *want)
{
    g_autoptr (DlhTensor) out = test_run (node, NULL, 0);

    if (!out)
        return;
    if (dlh_tensor_get_dtype (out) != dtype)
        test_fail ("%s: element type %s", what, dlh_dtype_name (dlh_tensor_get_dtype (out)));
    for (guint i = 0; i < n; i++) {
        double got = dlh_tensor_get (out, i);

        if (!(isnan (want[i]) ? isnan (got) : got == want[i]))
            test_fail ("%s: element %u is %.17g, want %.17g", what, i, got, want[i]);
    }
}

#define EXPECT(node, dtype, ...)                                                                   \
    expect (#node, node, dtype, sizeof ((double[]){__VA_ARGS__}) / sizeof (double),                \
            (const double[]){__VA_ARGS__})

static void
binary_nan (void) // "/elementwise/two-operands/nan-spreads"
{
    for (DlhDType t = DLH_F32; t <= DLH_F64; t++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *a = CONSTANT (t, NAN, 1, NAN, 2, -3, INFINITY);
        DlhNode *b = CONSTANT (t, 1, NAN, NAN, 3, -4, -INFINITY);

        EXPECT (dlh_min (a, b), t, NAN, NAN, NAN, 2, -4, -INFINITY);
        EXPECT (dlh_max (a, b), t, NAN, NAN, NAN, 3, -3, INFINITY);
        EXPECT (dlh_add (a, b), t, NAN, NAN, NAN, 5, -7, NAN);
        EXPECT (dlh_equal (a, b), DLH_BOOL, 0, 0, 0, 0, 0, 0);
        EXPECT (dlh_not_equal (a, b), DLH_BOOL, 1, 1, 1, 1, 1, 1);
        EXPECT (dlh_less (a, b), DLH_BOOL, 0, 0, 0, 1, 0, 0);
        EXPECT (dlh_greater_equal (a, b), DLH_BOOL, 0, 0, 0, 0, 1, 1);
        EXPECT (dlh_is_finite (a), DLH_BOOL, 0, 1, 0, 1, 1, 0);
        EXPECT (dlh_where (dlh_is_finite (a), a, dlh_full_like (a, 9)), t, 9, 1, 9, 2, -3, 9);
    }
}

static void
integers (void) // "/elementwise/integers/exact"
{
    for (DlhDType t = DLH_I32; t <= DLH_I64; t++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *a = CONSTANT (t, 7, -5, 0, 100000), *b = CONSTANT (t, 2, 3, -4, 20000);

        EXPECT (dlh_add (a, b), t, 9, -2, -4, 120000);
        EXPECT (dlh_sub (a, b), t, 5, -8, 4, 80000);
        EXPECT (dlh_mul (a, CONSTANT (t, 3, 3, 3, 3)), t, 21, -15, 0, 300000);
        EXPECT (dlh_min (a, b), t, 2, -5, -4, 20000);
        EXPECT (dlh_max (a, b), t, 7, 3, 0, 100000);
        EXPECT (dlh_neg (a), t, -7, 5, 0, -100000);
        EXPECT (dlh_abs (a), t, 7, 5, 0, 100000);
        EXPECT (dlh_sign (a), t, 1, -1, 0, 1);
        EXPECT (dlh_offset (a, 1), t, 8, -4, 1, 100001);
        EXPECT (dlh_greater (a, b), DLH_BOOL, 1, 0, 1, 1);
        EXPECT (dlh_clamp (a, -1, 10), t, 7, -1, 0, 10);
    }
}

static void
casts (void) // "/elementwise/cast/rounds-and-stops"
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();

    for (DlhDType t = DLH_F32; t <= DLH_F64; t++) {
        DlhNode *x = CONSTANT (t, 2.75, -2.75, NAN, 0, 1e30, -INFINITY);

        EXPECT (dlh_cast (x, DLH_I32), DLH_I32, 2, -2, 0, 0, 2147483647.0, -2147483648.0);
        EXPECT (dlh_cast (x, DLH_I64), DLH_I64, 2, -2, 0, 0, 9223372036854775807.0,
                -9223372036854775808.0);
        EXPECT (dlh_cast (x, DLH_BOOL), DLH_BOOL, 1, 1, 1, 0, 1, 1);
    }
    EXPECT (dlh_cast (CONSTANT (DLH_BOOL, 0, 1), DLH_F32), DLH_F32, 0, 1);
    EXPECT (dlh_cast (CONSTANT (DLH_I64, -3, 0, 5), DLH_F64), DLH_F64, -3, 0, 5);
    EXPECT (dlh_cast (CONSTANT (DLH_I32, -3, 0, 5), DLH_BOOL), DLH_BOOL, 1, 0, 1);
    EXPECT (dlh_cast (CONSTANT (DLH_F64, 0.1), DLH_F32), DLH_F32, (float)0.1);
}

static void
simplifies (void) // "/elementwise/makers/simplify-what-is-exact"
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (2, 3));
    DlhNode *y = dlh_input (graph, "y", DLH_F32, dlh_shape (2, 3));
    DlhNode *one = dlh_scalar (graph, DLH_F32, 1), *zero = dlh_scalar (graph, DLH_F32, 0);

    g_assert_true (dlh_mul (x, one) == x);
    g_assert_true (dlh_mul (one, x) == x);
    g_assert_true (dlh_add (x, zero) == x);
    g_assert_true (dlh_sub (x, zero) == x);
    g_assert_true (dlh_div (x, one) == x);
    g_assert_true (dlh_cast (x, DLH_F32) == x);
    g_assert_true (dlh_neg (dlh_neg (x)) == x);
    g_assert_true (dlh_scale (dlh_scale (x, 2), 0.5) == x);
    g_assert_true (dlh_pow_scalar (x, 1) == x);
    g_assert_true (dlh_node_is (dlh_pow_scalar (x, 2), "square"));
    g_assert_true (dlh_node_is (dlh_pow_scalar (x, 0.5), "sqrt"));
    g_assert_true (dlh_node_is (dlh_pow_scalar (x, -1), "reciprocal"));
    g_assert_true (dlh_node_is (dlh_mul (x, dlh_scalar (graph, DLH_F32, 3)), "scale"));
    g_assert_true (dlh_node_is (dlh_add (x, dlh_neg (y)), "sub"));
    g_assert_true (dlh_node_is (dlh_sub (x, dlh_neg (y)), "add"));
    // A wider number widens the result; zero times NaN is no zero.
    g_assert_cmpuint (
        dlh_node_rank (dlh_mul (x, dlh_full (graph, DLH_F32, dlh_shape (4, 1, 1), 1))), ==, 3);
    g_assert_false (dlh_node_is (dlh_mul (x, zero), "fill"));
}

static void
refuses (void) // "/elementwise/makers/errors-name-shapes"
{
    const char *const wants[] = {
        "add: [2,3] does not fit [4]",        "mul: element types f32 [2,3] and f64",
        "exp: takes f32 or f64, not i64 [5]", "where: condition f32 [2,3]",
        "clamp: 2 to 1 is not a range",       "activation 'rleu' is unknown"};

    for (guint i = 0; i < G_N_ELEMENTS (wants); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (GError) error = NULL;
        DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (2, 3));

        switch (i) {
        case 0:
            dlh_add (x, dlh_input (graph, "b", DLH_F32, dlh_shape (4)));
            break;
        case 1:
            dlh_mul (x, dlh_input (graph, "b", DLH_F64, dlh_shape (2, 3)));
            break;
        case 2:
            dlh_exp (dlh_input (graph, "b", DLH_I64, dlh_shape (5)));
            break;
        case 3:
            dlh_where (x, x, x);
            break;
        case 4:
            dlh_clamp (x, 2, 1);
            break;
        default:
            dlh_activation (x, "rleu");
        }
        g_assert_false (dlh_graph_check (graph, &error));
        test_assert_error (&error, i < 4 ? DLH_ERROR_SHAPE : DLH_ERROR_OPTION, wants[i]);
    }
}

static void
not_finite (void) // "/elementwise/assert-finite/names-the-element"
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (3));
    DlhNode *y = dlh_scale (dlh_assert_finite (x, "loss"), 2);
    g_autoptr (DlhFunction) f = dlh_graph_compile (graph, &y, 1, &error);
    g_autoptr (DlhTensor) good = test_tensor (DLH_F64, dlh_shape (3), 1, 2, 3);
    g_autoptr (DlhTensor) bad = test_tensor (DLH_F64, dlh_shape (3), 1, NAN, 3);

    g_assert_no_error (error);
    g_assert_true (dlh_function_run (f, &good, 1, &error));
    g_assert_false (dlh_function_run (f, &bad, 1, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "loss is not finite: element 1 of [3]");
}

/* Every level of this processor can be chosen, others not; what was chosen stays then. */
static void
levels_chosen (void)
{
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    const char *before = dlh_cpu_level (), *best;
    const DlhLoops *levels[3];
    g_autoptr (GError) error = NULL;
    guint n;

    g_assert_true (dlh_set_cpu_level (NULL, &error));
    best = dlh_cpu_level ();
    n = find_levels (levels);
    for (guint i = 0; i < 3; i++) {
        DlhMachine machine = {.size = sizeof machine};

        if (i < n) {
            g_assert_true (dlh_set_cpu_level (names[i], &error));
            g_assert_no_error (error);
            g_assert_true (dlh_loops () == levels[i]);
        } else {
            g_assert_false (dlh_set_cpu_level (names[i], &error));
            test_assert_error (&error, DLH_ERROR_OPTION,
                               "this processor does not have it, its best");
        }
        g_assert_cmpstr (dlh_cpu_level (), ==, names[MIN (i, n - 1)]);
        // What the processor has does not depend on what is chosen.
        dlh_machine_describe (&machine);
        g_assert_true (g_str_has_suffix (machine.cpu_levels, best));
        g_assert_cmpstr (machine.cpu_level, ==, dlh_cpu_level ());
    }
    g_assert_false (dlh_set_cpu_level ("avx\n", &error));
    test_assert_error (&error, DLH_ERROR_OPTION,
                       "CPU level 'avx\\n' is not known; the best of this");
    g_assert_true (dlh_set_cpu_level (before, &error));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/elementwise/functions/close-to-libm", functions_close);
    g_test_add_func ("/elementwise/functions/nan-and-infinity", functions_special);
    g_test_add_func ("/elementwise/functions/independent-of-position", functions_position);
    g_test_add_func ("/elementwise/polygamma/closed-forms", polygamma_closed);
    g_test_add_func ("/elementwise/polygamma/recurrence", polygamma_recurrence);
    g_test_add_func ("/elementwise/two-operands/nan-spreads", binary_nan);
    g_test_add_func ("/elementwise/integers/exact", integers);
    g_test_add_func ("/elementwise/cast/rounds-and-stops", casts);
    g_test_add_func ("/elementwise/makers/simplify-what-is-exact", simplifies);
    g_test_add_func ("/elementwise/makers/errors-name-shapes", refuses);
    g_test_add_func ("/elementwise/levels/chosen", levels_chosen);
    g_test_add_func ("/elementwise/assert-finite/names-the-element", not_finite);
    return g_test_run ();
}
