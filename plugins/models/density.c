/* SPDX-License-Identifier: MIT */
/* Densities whose moments are known, to try samplers on. Kinds, d dimensions:
 *
 *   gaussian  independent, variances from 1 to condition, equally spaced in the logarithm
 *   normal2   two dimensions, variances 1, correlation correlation
 *   banana    two dimensions: x1 ~ N(0, 1), x2 | x1 ~ N(bend (x1^2 - 1), 1)
 *   funnel    Neal's: v ~ N(0, 9), x_i | v ~ N(0, e^v), i = 2 .. d
 *   mixture   the mean of `components` unit normals, centres on a circle of radius `radius` in the
 *             first two dimensions */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    const char *kind;
    gint64 dims, components;
    double condition, correlation, bend, radius, start;
} DensityOptions;

static gboolean
is_kind (const DensityOptions *opt, const char *kind)
{
    return strcmp (opt->kind, kind) == 0;
}

static gint64
density_dims (const DensityOptions *opt)
{
    return is_kind (opt, "normal2") || is_kind (opt, "banana") ? 2 : opt->dims;
}

static guint
density_blocks (gconstpointer options, DlhBlock *blocks, GError **error)
{
    const DensityOptions *opt = options;

    if (density_dims (opt) < 2 && (is_kind (opt, "funnel") || is_kind (opt, "mixture"))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "kind=%s needs dims of 2 or more",
                     opt->kind);
        return 0;
    }
    blocks[0] = (DlhBlock){"x", dlh_shape (density_dims (opt)), {DLH_INIT_NORMAL, 0, opt->start}};
    return 1;
}

static double
gaussian_variance (const DensityOptions *opt, gint64 i)
{
    return opt->dims > 1 ? pow (opt->condition, (double)i / (double)(opt->dims - 1)) : 1;
}

/* (C, n) of constant numbers, broadcast from one row. */
static DlhNode *
row_of (DlhNode *like, const double *values, gint64 n)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) t = dlh_tensor_new (dlh_node_dtype (like), dlh_shape (n), &error);

    if (!t)
        return dlh_graph_fail (dlh_node_graph (like), error->code, "%s", error->message);
    for (gint64 i = 0; i < n; i++)
        dlh_tensor_set (t, i, values[i]);
    return dlh_constant (dlh_node_graph (like), t);
}

static DlhNode *
half_square (DlhNode *x)
{
    return dlh_scale (dlh_square (x), 0.5);
}

static DlhNode *
gaussian (const DensityOptions *opt, DlhNode *x)
{
    g_autofree double *precision = g_new (double, opt->dims);

    for (gint64 i = 0; i < opt->dims; i++)
        precision[i] = 1 / gaussian_variance (opt, i);
    return dlh_neg (dlh_sum_axis (dlh_mul (half_square (x), row_of (x, precision, opt->dims)), 1));
}

static DlhNode *
normal2 (const DensityOptions *opt, DlhNode *x)
{
    double r = opt->correlation;
    DlhNode *a = dlh_index (x, 1, 0), *b = dlh_index (x, 1, 1);
    DlhNode *rest = dlh_scale (dlh_sub (b, dlh_scale (a, r)), 1 / sqrt (1 - r * r));

    return dlh_neg (dlh_add (half_square (a), half_square (rest)));
}

static DlhNode *
banana (const DensityOptions *opt, DlhNode *x)
{
    DlhNode *a = dlh_index (x, 1, 0), *b = dlh_index (x, 1, 1);
    DlhNode *ridge = dlh_scale (dlh_offset (dlh_square (a), -1), opt->bend);

    return dlh_neg (dlh_add (half_square (a), half_square (dlh_sub (b, ridge))));
}

static DlhNode *
funnel (const DensityOptions *opt, DlhNode *x)
{
    double n = (double)(opt->dims - 1);
    DlhNode *v = dlh_index (x, 1, 0), *rest = dlh_slice (x, 1, 1, opt->dims, 1);
    DlhNode *sum = dlh_mul (dlh_sum_axis (half_square (rest), 1), dlh_exp (dlh_neg (v)));

    return dlh_neg (
        dlh_add (dlh_scale (dlh_square (v), 1.0 / 18), dlh_add (sum, dlh_scale (v, n / 2))));
}

static void
centre (const DensityOptions *opt, gint64 k, double *out)
{
    double angle = 2 * G_PI * (double)k / (double)opt->components;

    memset (out, 0, (gsize)opt->dims * sizeof *out);
    out[0] = opt->radius * cos (angle);
    out[1] = opt->radius * sin (angle);
}

static DlhNode *
mixture (const DensityOptions *opt, DlhNode *x)
{
    g_autofree DlhNode **terms = g_new (DlhNode *, opt->components);
    g_autofree double *m = g_new (double, opt->dims);

    for (gint64 k = 0; k < opt->components; k++) {
        centre (opt, k, m);
        terms[k] = dlh_neg (dlh_sum_axis (half_square (dlh_sub (x, row_of (x, m, opt->dims))), 1));
    }
    return dlh_logsumexp (dlh_stack (terms, (guint)opt->components, 1), (const int[]){1}, 1, FALSE);
}

static DlhNode *
density_log_density (DlhBuild *build, gconstpointer options, DlhNode *const *positions)
{
    const DensityOptions *opt = options;

    (void)build;
    if (dlh_node_failed (positions[0]))
        return positions[0];
    if (is_kind (opt, "gaussian"))
        return gaussian (opt, positions[0]);
    if (is_kind (opt, "normal2"))
        return normal2 (opt, positions[0]);
    if (is_kind (opt, "banana"))
        return banana (opt, positions[0]);
    return (is_kind (opt, "funnel") ? funnel : mixture) (opt, positions[0]);
}

static void
density_moments (gconstpointer options, guint block, gint64 i, double *mean, double *variance)
{
    const DensityOptions *opt = options;
    double r = opt->radius;

    (void)block;
    *mean = 0;
    *variance = 1;
    if (is_kind (opt, "gaussian"))
        *variance = gaussian_variance (opt, i);
    if (is_kind (opt, "banana") && i == 1)
        *variance = 1 + 2 * opt->bend * opt->bend;
    if (is_kind (opt, "funnel"))
        *variance = i == 0 ? 9 : exp (4.5);
    // cos^2 over equally spaced angles has the mean 1/2, from three of them on.
    if (is_kind (opt, "mixture") && i < 2) {
        if (opt->components > 2)
            *variance = 1 + r * r / 2;
        else {
            *mean = opt->components == 1 && i == 0 ? r : 0;
            *variance = opt->components == 2 && i == 0 ? 1 + r * r : 1;
        }
    }
}

static void
density_draw (DlhBuild *build, gconstpointer options, DlhStream *stream, gint64 n_chains,
              DlhNode **out)
{
    const DensityOptions *opt = options;
    DlhDType dtype = dlh_store_get_dtype (build->store);
    gint64 d = density_dims (opt);
    DlhNode *z = dlh_normal (build->graph, stream, dtype, dlh_shape (n_chains, d));
    DlhNode *a = dlh_slice (z, 1, 0, 1, 1), *b = dlh_slice (z, 1, 1, d, 1);
    DlhNode *parts[2] = {a, NULL};

    if (is_kind (opt, "gaussian")) {
        g_autofree double *sd = g_new (double, d);

        for (gint64 i = 0; i < d; i++)
            sd[i] = sqrt (gaussian_variance (opt, i));
        *out = dlh_mul (z, row_of (z, sd, d));
        return;
    }
    if (is_kind (opt, "mixture")) {
        g_autofree double *centres = g_new (double, opt->components *d);
        DlhNode *u = dlh_uniform (build->graph, stream, DLH_F64, dlh_shape (n_chains));
        DlhNode *k = dlh_cast (dlh_scale (u, (double)opt->components), DLH_I64), *table;

        for (gint64 i = 0; i < opt->components; i++)
            centre (opt, i, centres + i * d);
        table =
            dlh_reshape (row_of (z, centres, opt->components * d), dlh_shape (opt->components, d));
        *out = dlh_add (z, dlh_gather (table, k, 0));
        return;
    }
    if (is_kind (opt, "normal2"))
        parts[1] = dlh_add (dlh_scale (a, opt->correlation),
                            dlh_scale (b, sqrt (1 - opt->correlation * opt->correlation)));
    else if (is_kind (opt, "banana"))
        parts[1] = dlh_add (b, dlh_scale (dlh_offset (dlh_square (a), -1), opt->bend));
    else {
        parts[0] = dlh_scale (a, 3);
        parts[1] = dlh_mul (b, dlh_exp (dlh_scale (parts[0], 0.5)));
    }
    *out = dlh_concat (parts, 2, 1);
}

static const DlhDensity density_role = {.size = sizeof (DlhDensity),
                                        .blocks = density_blocks,
                                        .log_density = density_log_density,
                                        .moments = density_moments,
                                        .draw = density_draw};
static const DlhModel density = {.size = sizeof (DlhModel), .density = &density_role};

DLH_PLUGIN_DEFINE (DLH_MODEL, density, DensityOptions,
                   DLH_OPTIONS (DLH_CHOICE (DensityOptions, kind, "gaussian",
                                            "gaussian|normal2|banana|funnel|mixture",
                                            "Which density"),
                                DLH_INT (DensityOptions, dims, 10, 1, 1e6,
                                         "Dimensions (gaussian, funnel, mixture)"),
                                DLH_INT (DensityOptions, components, 5, 1, 1000, "Of a mixture"),
                                DLH_DOUBLE (DensityOptions, condition, 100, 1e-12, 1e12,
                                            "Largest variance of a gaussian, the smallest is 1"),
                                DLH_DOUBLE (DensityOptions, correlation, 0.9, -1.0, 1.0,
                                            "Of normal2", .flags = DLH_MIN_OPEN | DLH_MAX_OPEN),
                                DLH_DOUBLE (DensityOptions, bend, 1, -1e3, 1e3, "Of the banana"),
                                DLH_DOUBLE (DensityOptions, radius, 2, 0.0, 1e6,
                                            "Of the circle of a mixture's centres"),
                                DLH_DOUBLE (DensityOptions, start, 2, 0.0, 1e6,
                                            "Standard deviation of the chains' first positions")),
                   .name = "density", .version = "1.0",
                   .summary = "Densities with known moments, to try samplers on");
