/* SPDX-License-Identifier: MIT */
/* Chains of a sampler on the latent variables of a model; and the linear Gaussian model of the AIS
 * paper's sheet, x = W z + b + noise, for which everything is known. */
#pragma once

#include "test.h"

#define MOST 32 /* of D and d */

/* The model with its exact answers. */
typedef struct {
    gint64 D, d;
    double variance;
    double W[MOST][MOST], b[MOST];
} Linear;

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhTarget *target;
    DlhChains *chains;
    DlhProblem problem;
    gint64 path, n_examples, n_chains; /* transitions of a path */
} Bench;

static inline void
bench_clear (Bench *b)
{
    dlh_chains_free (b->chains);
    dlh_target_free (b->target);
    dlh_store_unref (b->store);
    dlh_registry_free (b->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

static inline void
near (double got, double want, double tolerance)
{
    test_assert_within (&got, &want, 1, tolerance);
}

static inline double
next_uniform (guint32 *s)
{
    *s = 1664525u * *s + 1013904223u;
    return ((double)*s + 0.5) / 4294967296.0;
}

// The sheet's for D = 20, d = 5, variance 0.1.
static inline Linear
linear (gint64 D, gint64 d, double variance)
{
    Linear m = {.D = D, .d = d, .variance = variance};
    guint32 s = 7;

    for (gint64 i = 0; i < D; i++)
        for (gint64 j = 0; j < d; j++)
            m.W[i][j] = 2 * next_uniform (&s) - 1;
    for (gint64 i = 0; i < D; i++)
        m.b[i] = next_uniform (&s) - 0.5;
    return m;
}

// Inverse of a positive definite matrix by Gauss and Jordan; returns the log determinant.
static inline double
invert (double (*a)[MOST], gint64 n, double (*out)[MOST])
{
    double log_det = 0;

    for (gint64 i = 0; i < n; i++)
        for (gint64 j = 0; j < n; j++)
            out[i][j] = i == j;
    for (gint64 k = 0; k < n; k++) {
        double pivot = a[k][k];

        log_det += log (pivot);
        for (gint64 j = 0; j < n; j++) {
            a[k][j] /= pivot;
            out[k][j] /= pivot;
        }
        for (gint64 i = 0; i < n; i++) {
            double factor = a[i][k];

            for (gint64 j = 0; i != k && j < n; j++) {
                a[i][j] -= factor * a[k][j];
                out[i][j] -= factor * out[k][j];
            }
        }
    }
    return log_det;
}

// log N (x; b, W W' + variance I)
static inline double
evidence (const Linear *m, const double *x)
{
    double S[MOST][MOST], inverse[MOST][MOST], log_det, square = 0;

    for (gint64 i = 0; i < m->D; i++)
        for (gint64 j = 0; j < m->D; j++) {
            S[i][j] = i == j ? m->variance : 0;
            for (gint64 k = 0; k < m->d; k++)
                S[i][j] += m->W[i][k] * m->W[j][k];
        }
    log_det = invert (S, m->D, inverse);
    for (gint64 i = 0; i < m->D; i++)
        for (gint64 j = 0; j < m->D; j++)
            square += (x[i] - m->b[i]) * inverse[i][j] * (x[j] - m->b[j]);
    return -0.5 * (square + log_det + (double)m->D * log (2 * G_PI));
}

// log p (x | z)
static inline double
log_likelihood (const Linear *m, const double *x, const double *z)
{
    double square = 0;

    for (gint64 i = 0; i < m->D; i++) {
        double r = x[i] - m->b[i];

        for (gint64 j = 0; j < m->d; j++)
            r -= m->W[i][j] * z[j];
        square += r * r;
    }
    return -square / (2 * m->variance) - 0.5 * (double)m->D * log (2 * G_PI * m->variance);
}

// E log p (x | z) for z ~ N (0, I) N (x; W z + b, variance)^temperature.
static inline double
expected_log_likelihood (const Linear *m, const double *x, double temperature)
{
    double A[MOST][MOST], V[MOST][MOST], mean[MOST] = {0}, trace = 0;

    for (gint64 j = 0; j < m->d; j++)
        for (gint64 k = 0; k < m->d; k++) {
            A[j][k] = j == k;
            for (gint64 i = 0; i < m->D; i++)
                A[j][k] += temperature * m->W[i][j] * m->W[i][k] / m->variance;
        }
    invert (A, m->d, V);
    for (gint64 j = 0; j < m->d; j++)
        for (gint64 k = 0; k < m->d; k++)
            for (gint64 i = 0; i < m->D; i++) {
                mean[j] += V[j][k] * temperature * m->W[i][k] * (x[i] - m->b[i]) / m->variance;
                trace += m->W[i][j] * V[j][k] * m->W[i][k];
            }
    return log_likelihood (m, x, mean) - trace / (2 * m->variance);
}

/* Chains. */

static inline DlhComponent *
load (Bench *b, DlhPluginKind kind, const char *name, const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    for (guint i = 0; settings && settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    c = dlh_registry_load (b->registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

static inline DlhTensor *
variable (Bench *b, const char *name)
{
    return dlh_variable_tensor (dlh_store_lookup (b->store, name));
}

// Of @model (transfer full). @warmup: rounds of a sampler that has paths, transitions of another.
static inline void
bench_init_model (Bench *b, DlhComponent *model, gint64 D, gint64 n_examples, gint64 n_chains,
                  gboolean encoder, const char *sampler, const char *const *settings, gint64 warmup)
{
    const DlhLatentPosterior posterior = {sizeof posterior, n_examples, n_chains, encoder};
    g_autoptr (DlhComponent) s = load (b, DLH_SAMPLER, sampler, settings), owned = model;
    g_autoptr (GError) error = NULL;

    b->store = dlh_store_new (3, DLH_F64);
    b->problem = (DlhProblem){.size = sizeof b->problem, .input_shape = dlh_shape (D)};
    b->n_examples = n_examples;
    b->n_chains = n_chains;
    b->path = dlh_sampler_path (s);
    b->target = dlh_target_new_latent (b->store, owned, &b->problem, &posterior, &error);
    g_assert_no_error (error);
    b->chains = dlh_chains_new (b->target, s, warmup * MAX (b->path, 1), &error);
    g_assert_no_error (error);
}

static inline void
bench_init_sampler (Bench *b, const Linear *m, gint64 n_examples, gint64 n_chains, gboolean encoder,
                    const char *sampler, const char *const *settings, gint64 warmup)
{
    g_autofree char *d = g_strdup_printf ("%d", (int)m->d);
    g_autofree char *v = g_strdup_printf ("%.17g", m->variance);
    const char *const model[] = {"latents",    d,          "encoder",  "[]", "decoder", "[]",
                                 "likelihood", "gaussian", "variance", v,    NULL};

    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    bench_init_model (b, load (b, DLH_MODEL, "vae", model), m->D, n_examples, n_chains, encoder,
                      sampler, settings, warmup);
    for (gint64 i = 0; i < m->D; i++) {
        dlh_tensor_set (variable (b, "vae/output/bias"), i, m->b[i]);
        for (gint64 j = 0; j < m->d; j++)
            dlh_tensor_set (variable (b, "vae/output/weight"), i * m->d + j, m->W[i][j]);
    }
}

static inline void
bench_init (Bench *b, const Linear *m, gint64 n_examples, gint64 n_chains, gboolean encoder,
            const char *const *ais, gint64 rounds)
{
    bench_init_sampler (b, m, n_examples, n_chains, encoder, "ais", ais, rounds);
}

static inline void
set_examples (Bench *b, const double *x, gint64 first)
{
    gint64 D = b->problem.input_shape.dims[0];
    g_autoptr (DlhTensor) t =
        test_tensor_from (DLH_F64, dlh_shape (b->n_examples, D), x, (gsize)(b->n_examples * D));
    g_autoptr (GError) error = NULL;

    dlh_target_set_examples (b->target, t, first, &error);
    g_assert_no_error (error);
}

static inline void
transitions (Bench *b, gint64 n)
{
    g_autoptr (GError) error = NULL;

    for (gint64 i = 0; i < n; i++) {
        dlh_chains_transition (b->chains, &error);
        g_assert_no_error (error);
    }
}

static inline const double *
column (Bench *b, const char *name)
{
    return dlh_chains_find_report (b->chains, name);
}

// Log p (x) of each example by the weights' means.
static inline void
estimates (Bench *b, double *out)
{
    for (gint64 e = 0; e < b->n_examples; e++)
        out[e] = dlh_log_mean_exp (column (b, "log_weight") + e * b->n_chains, (gsize)b->n_chains);
}

// Back from @z (examples, d): all chains of an example start at its draw.
static inline void
go_back (Bench *b, const double *z, gint64 d)
{
    for (gint64 r = 0; r < b->n_examples * b->n_chains; r++)
        for (gint64 j = 0; j < d; j++)
            dlh_tensor_set (variable (b, "chains/z"), r * d + j, z[r / b->n_chains * d + j]);
    dlh_tensor_set (variable (b, "ais/reverse"), 0, 1);
    dlh_tensor_set (variable (b, "chains/step"), 0, (double)dlh_chains_n_warmup (b->chains));
    transitions (b, b->path);
}

// Draws z and x of @n examples from the model.
static inline void
simulate (const Linear *m, gint64 n, double *z, double *x)
{
    g_autofree double *noise = g_new (double, n * m->D);

    test_random (11, z, (gsize)(n * m->d));
    test_random (12, noise, (gsize)(n * m->D));
    for (gint64 e = 0; e < n; e++)
        for (gint64 i = 0; i < m->D; i++) {
            double *to = &x[e * m->D + i];

            *to = m->b[i] + sqrt (m->variance) * noise[e * m->D + i];
            for (gint64 j = 0; j < m->d; j++)
                *to += m->W[i][j] * z[e * m->d + j];
        }
}

static inline void
mean_and_error (const double *x, gint64 n, double *mean, double *error)
{
    double square = 0;

    *mean = 0;
    for (gint64 i = 0; i < n; i++)
        *mean += x[i] / (double)n;
    for (gint64 i = 0; i < n; i++)
        square += (x[i] - *mean) * (x[i] - *mean) / (double)(n - 1);
    *error = sqrt (square / (double)n);
}

// x_i = sin i, i = 1 .. D: the sheet's point.
static inline void
sheet_point (double *x, gint64 D)
{
    for (gint64 i = 0; i < D; i++)
        x[i] = sin ((double)(i + 1));
}
