/* SPDX-License-Identifier: MIT */
// The toy studies of Aggregated Momentum (arXiv 1804.00325, figures 1 and 3): classical momentum,
// Nesterov's and AggMo on quadratics, as their update matrices predict and as the plugins do.
// Paths, rates of convergence against the condition number, stability, eigenvalues. Needs no data
// and no model, and always computes in f64.
#include <math.h>
#include "quadratics.h"

#define MAX_METHODS 24

static void
method_free (gpointer data)
{
    Method *m = data;

    g_free (m->label);
    g_hash_table_unref (m->settings);
    g_free (m);
}

static void
set (Method *m, const char *name, char *value)
{
    g_hash_table_insert (m->settings, g_strdup (name), value);
}

static Method *
method_new (const char *plugin, char *label, double top)
{
    Method *m = g_new0 (Method, 1);

    m->plugin = plugin;
    m->label = label;
    m->top = top;
    m->settings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    return m;
}

static Method *
classical (const QuadraticsOptions *opt, double beta, gboolean nesterov)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE], exact[G_ASCII_DTOSTR_BUF_SIZE];
    Method *m;

    g_ascii_formatd (text, sizeof text, "%.6g", beta);
    m = method_new (opt->sgd, g_strconcat (nesterov ? "Nesterov " : "momentum ", text, NULL), beta);
    set (m, "momentum", g_strdup (g_ascii_dtostr (exact, sizeof exact, beta)));
    set (m, "nesterov", g_strdup (nesterov ? "true" : "false"));
    m->n = nesterov ? 2 : 1;
    m->betas[m->n - 1] = beta;
    m->shares[0] = nesterov ? 2 : 1;
    if (nesterov)
        m->shares[1] = 2 * beta;
    return m;
}

static Method *
aggregated (const QuadraticsOptions *opt, gint64 k)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    Method *m = method_new (opt->aggmo, g_strdup_printf ("AggMo K=%" G_GINT64_FORMAT, k),
                            1 - pow (opt->a, (double)(k - 1)));

    set (m, "k", g_strdup_printf ("%" G_GINT64_FORMAT, k));
    set (m, "a", g_strdup (g_ascii_dtostr (text, sizeof text, opt->a)));
    m->n = (guint)k;
    for (guint i = 0; i < m->n; i++) {
        m->betas[i] = 1 - pow (opt->a, i);
        m->shares[i] = 1;
    }
    return m;
}

GPtrArray *
methods_new (const QuadraticsOptions *opt, GError **error)
{
    GPtrArray *methods;
    const gsize n = opt->momentum.n + opt->nesterov.n + opt->velocities.n;

    if (n == 0 || n > MAX_METHODS) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "momentum, nesterov and velocities name %" G_GSIZE_FORMAT
                     " methods together, must be 1 to %d",
                     n, MAX_METHODS);
        return NULL;
    }
    if (!*opt->sgd || !*opt->aggmo) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "sgd '%s', aggmo '%s': must be names of optimizers", opt->sgd, opt->aggmo);
        return NULL;
    }
    methods = g_ptr_array_new_with_free_func (method_free);
    for (gsize i = 0; i < opt->momentum.n; i++)
        g_ptr_array_add (methods, classical (opt, opt->momentum.values[i], FALSE));
    for (gsize i = 0; i < opt->nesterov.n; i++)
        g_ptr_array_add (methods, classical (opt, opt->nesterov.values[i], TRUE));
    for (gsize i = 0; i < opt->velocities.n; i++)
        g_ptr_array_add (methods, aggregated (opt, opt->velocities.values[i]));
    return methods;
}

static gboolean
quadratics_run (DlhRun *run, gconstpointer options, GError **error)
{
    const QuadraticsOptions *opt = options;
    g_autoptr (GPtrArray) methods = methods_new (opt, error);
    Study s = {.run = run, .opt = opt, .methods = methods};

    if (!methods)
        return FALSE;
    s.total = (opt->steps + opt->shown + GROWING_STEPS) * methods->len; // at most
    return paths_draw (&s, error) && rates_draw (&s, error) &&
           dlh_run_log (run, "final", s.done, (const char *const[]){"methods"},
                        (double[]){methods->len}, 1, error);
}

static const DlhTask quadratics = {.size = sizeof (DlhTask), .run = quadratics_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, quadratics, QuadraticsOptions,
    DLH_OPTIONS (
        DLH_INT (QuadraticsOptions, steps, 40000, 20, 1000000, "Of a run that measures a rate",
                 .unit = "steps"),
        DLH_DOUBLES (QuadraticsOptions, momentum, "[0.9,0.99,0.999]", 0.0, 1.0,
                     "Classical momentum with each of these betas",
                     .flags = DLH_MIN_OPEN | DLH_MAX_OPEN | DLH_ALLOW_EMPTY),
        DLH_DOUBLES (QuadraticsOptions, nesterov, "[0.99,0.999]", 0.0, 1.0,
                     "Nesterov's momentum with each of these betas",
                     .flags = DLH_MIN_OPEN | DLH_MAX_OPEN | DLH_ALLOW_EMPTY),
        DLH_INTS (QuadraticsOptions, velocities, "[3,4]", 1, 16,
                  "AggMo with each of these numbers of velocities", .flags = DLH_ALLOW_EMPTY),
        DLH_DOUBLE (QuadraticsOptions, a, 0.1, 0.0, 1.0, "AggMo's betas are 1 - a^(i-1)",
                    .flags = DLH_MIN_OPEN | DLH_MAX_OPEN),
        DLH_DOUBLE (QuadraticsOptions, rate, 1, 1e-3, 4.0,
                    "Step size times largest curvature where rates are compared"),
        DLH_DOUBLE (QuadraticsOptions, beta, 0.999, 0.0, 1.0,
                    "Paths and stability show the methods with this largest beta, and the first"),
        DLH_DOUBLE (QuadraticsOptions, lr, 0.33, 0.0, 4.0, "Step size of the paths",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (QuadraticsOptions, condition, 10000, 1.0, 1e12,
                    "Of the quadratic of the paths, with largest curvature 1"),
        DLH_INT (QuadraticsOptions, shown, 1000, 1, 100000, "Of a path", .unit = "steps"),
        DLH_STRING (QuadraticsOptions, sgd, "sgd", "The plugin for momentum and Nesterov"),
        DLH_STRING (QuadraticsOptions, aggmo, "aggmo", "The plugin for AggMo")),
    .name = "quadratics", .version = "1.0", .paper = "1804.00325",
    .summary = "Momentum, Nesterov and AggMo on quadratics, by matrix and by running");
