/* SPDX-License-Identifier: MIT */
/* What is said of the weights: means with their errors over examples and over chains, files, the
 * figure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <dlhost/figure.h>
#include "likelihood.h"

#define MAX_VALUES 32
/* Above this gap the chains have not met: the paper's own threshold. */
#define WIDE_GAP 1.0

typedef struct {
    double mean, over_examples, over_chains;
} Estimate;

typedef struct {
    Likelihood *l;
    double *log_p, *ess; /* n + m */
    double *upper;       /* m */
    double *errors;      /* n + m: of reconstructions */
    GPtrArray *names;    /* of the final record */
    double values[MAX_VALUES];
} Report;

static void
report_clear (Report *r)
{
    g_free (r->log_p);
    g_free (r->ess);
    g_free (r->upper);
    g_free (r->errors);
    g_clear_pointer (&r->names, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Report, report_clear)

static double
mean_of (const double *x, gint64 n)
{
    double sum = 0;

    for (gint64 i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

// 0 for one number.
static double
sd_of (const double *x, gint64 n)
{
    double mean = mean_of (x, n), sum = 0;

    for (gint64 i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt (sum / (double)(n - 1)) : 0;
}

/* The error that a finite number of chains leaves in the mean over examples: chains of each example
 * drawn again with replacement. */
static double
bootstrap (Likelihood *l, const char *name, const double *weights, gint64 n)
{
    gint64 C = l->opt->chains, B = l->opt->bootstrap;
    g_autofree double *u = g_new (double, n *C);
    g_autofree double *again = g_new (double, C);
    g_autofree double *means = g_new0 (double, B);
    g_autofree char *stream = g_strdup_printf ("likelihood/bootstrap/%s", name);
    guint64 seed = dlh_store_get_seed (dlh_run_store (l->run));

    for (gint64 k = 0; k < B; k++) {
        dlh_random_fill_uniform (seed, stream, (guint64)k, u, (gsize)(n * C));
        for (gint64 e = 0; e < n; e++) {
            for (gint64 c = 0; c < C; c++)
                again[c] = weights[e * C + (gint64)(u[e * C + c] * (double)C)];
            means[k] += dlh_log_mean_exp (again, (gsize)C) / (double)n;
        }
    }
    return sd_of (means, B);
}

static void
add (Report *r, const char *name, double value)
{
    r->values[r->names->len] = value;
    g_ptr_array_add (r->names, g_strdup_printf ("likelihood/%s", name));
}

static void
add_estimate (Report *r, const char *name, const Estimate *e)
{
    g_autofree char *se = g_strdup_printf ("%s_se", name);
    g_autofree char *chains = g_strdup_printf ("%s_se_chains", name);

    add (r, name, e->mean);
    add (r, se, e->over_examples);
    if (e->over_chains >= 0)
        add (r, chains, e->over_chains);
}

static Estimate
estimate (Report *r, const char *name, const double *x, const double *weights, gint64 n)
{
    Estimate e = {mean_of (x, n), sd_of (x, n) / sqrt ((double)n), -1};

    if (weights)
        e.over_chains = bootstrap (r->l, name, weights, n);
    add_estimate (r, name, &e);
    return e;
}

// Log means of the weights, or an error that names an example for which there is none.
static gboolean
reduce (Report *r, GError **error)
{
    Likelihood *l = r->l;
    gint64 C = l->opt->chains;
    const double *w = dlh_tensor_get_data (l->forward[0]);

    r->log_p = g_new (double, l->n + l->m);
    r->ess = g_new (double, l->n + l->m);
    r->upper = g_new (double, l->m);
    for (gint64 e = 0; e < l->n + l->m; e++) {
        r->log_p[e] = dlh_log_mean_exp (w + e * C, (gsize)C);
        r->ess[e] = dlh_ess_weights (w + e * C, (gsize)C);
        if (e >= l->n)
            r->upper[e - l->n] = -dlh_log_mean_exp (
                (const double *)dlh_tensor_get_data (l->reverse[0]) + (e - l->n) * C, (gsize)C);
        if (isfinite (r->log_p[e]) && (e < l->n || isfinite (r->upper[e - l->n])))
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                     "likelihood: log p of %s example %" G_GINT64_FORMAT
                     " is %g: no chain has a weight; give more temperatures or float64",
                     e < l->n ? "data" : "simulated", e < l->n ? e : e - l->n, r->log_p[e]);
        return FALSE;
    }
    return TRUE;
}

static double
smallest (const double *x, gint64 n)
{
    double least = INFINITY;

    for (gint64 i = 0; i < n; i++)
        least = fmin (least, x[i]);
    return least;
}

static void
tell_data (Report *r)
{
    Likelihood *l = r->l;
    Estimate e = estimate (r, "log_p", r->log_p, dlh_tensor_get_data (l->forward[0]), l->n);

    add (r, "ess", mean_of (r->ess, l->n));
    add (r, "accept", mean_of (dlh_tensor_get_data (l->accept), l->n));
    dlh_run_message (l->run,
                     "log p(x) of %" G_GINT64_FORMAT
                     " %s examples: %.4f +- %.4f over examples, +- %.4f over chains; ESS of the "
                     "weights %.1f of %" G_GINT64_FORMAT " (least %.1f), acceptance %.2f",
                     l->n, l->opt->split, e.mean, e.over_examples, e.over_chains,
                     mean_of (r->ess, l->n), l->opt->chains, smallest (r->ess, l->n),
                     mean_of (dlh_tensor_get_data (l->accept), l->n));
}

static void
tell_simulated (Report *r)
{
    Likelihood *l = r->l;
    gint64 m = l->m, C = l->opt->chains;
    const double *w = dlh_tensor_get_data (l->forward[0]);
    g_autofree double *gaps = g_new (double, m);
    Estimate low = estimate (r, "lower", r->log_p + l->n, w + l->n * C, m);
    Estimate high = estimate (r, "upper", r->upper, dlh_tensor_get_data (l->reverse[0]), m), gap;

    for (gint64 e = 0; e < m; e++)
        gaps[e] = r->upper[e] - r->log_p[l->n + e];
    gap = estimate (r, "gap", gaps, NULL, m);
    dlh_run_message (l->run,
                     "%" G_GINT64_FORMAT
                     " simulated examples: lower bound %.4f +- %.4f, upper bound %.4f +- %.4f over "
                     "examples; gap %.4f +- %.4f",
                     m, low.mean, low.over_examples, high.mean, high.over_examples, gap.mean,
                     gap.over_examples);
    if (gap.mean > WIDE_GAP)
        dlh_run_message (l->run,
                         "the bounds are %.1f nats apart: give more temperatures before "
                         "the numbers are believed",
                         gap.mean);
}

static void
tell_marginal (Report *r, const char *name, const char *what, gint64 draws, DlhTensor *values)
{
    Likelihood *l = r->l;
    Estimate e = estimate (r, name, dlh_tensor_get_data (values), NULL, l->n);

    dlh_run_message (l->run, "by %" G_GINT64_FORMAT " draws of %s: %.4f +- %.4f", draws, what,
                     e.mean, e.over_examples);
}

/* Whether the model has what the data have: by the squared error of a pixel of reconstructions,
 * beside that of examples that it made itself. */
static void
tell_reconstructions (Report *r)
{
    Likelihood *l = r->l;
    Estimate data = {0}, made = {0};
    g_autofree char *beside = NULL;

    if (l->m) {
        made = estimate (r, "reconstruction_simulated", r->errors + l->n, NULL, l->m);
        beside =
            g_strdup_printf ("; of simulated examples %.5f +- %.5f", made.mean, made.over_examples);
    }
    if (!l->n)
        return;
    data = estimate (r, "reconstruction", r->errors, NULL, l->n);
    dlh_run_message (l->run,
                     "squared error of an element, by draws of the posterior: %.5f +- %.5f%s",
                     data.mean, data.over_examples, beside ? beside : "");
}

/* Files. */

static gboolean
tell_classes (Report *r, GError **error)
{
    Likelihood *l = r->l;
    gint64 missed, rare;

    if (!l->n || l->problem.target_kind != DLH_TARGET_CLASS)
        return TRUE;
    if (!likelihood_classes (l, r->log_p, r->errors, &missed, &rare, error))
        return FALSE;
    if (missed >= 0)
        add (r, "classes_missed", (double)missed);
    if (rare >= 0 && l->opt->draws)
        add (r, "classes_rare", (double)rare);
    return TRUE;
}

static gboolean
save_table (Report *r, const char *folder, GError **error)
{
    Likelihood *l = r->l;
    g_autoptr (GString) text =
        g_string_new ("kind,example,log_p,upper,ess,accept,kde,importance,reconstruction\n");
    g_autofree char *path = g_build_filename (folder, "likelihood.csv", NULL);
    char b[7][G_ASCII_DTOSTR_BUF_SIZE];

    for (gint64 e = 0; e < l->n + l->m; e++) {
        gboolean real = e < l->n;
        double values[] = {r->log_p[e],
                           real ? NAN : r->upper[e - l->n],
                           r->ess[e],
                           dlh_tensor_get (l->accept, e),
                           real && l->kde ? dlh_tensor_get (l->kde, e) : NAN,
                           real && l->importance ? dlh_tensor_get (l->importance, e) : NAN,
                           r->errors[e]};

        for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
            b[i][0] = '\0';
            if (!isnan (values[i]))
                g_ascii_formatd (b[i], sizeof b[i], "%.10g", values[i]);
        }
        g_string_append_printf (text, "%s,%" G_GINT64_FORMAT ",%s,%s,%s,%s,%s,%s,%s\n",
                                real ? "data" : "simulated", real ? e : e - l->n, b[0], b[1], b[2],
                                b[3], b[4], b[5], b[6]);
    }
    return dlh_file_write (path, text->str, text->len, error);
}

static gboolean
save_weights (Report *r, const char *folder, GError **error)
{
    Likelihood *l = r->l;
    g_autofree char *path = g_build_filename (folder, "likelihood.npz", NULL);
    const char *names[] = {"log_weights", "reverse_log_weights", "simulated", "latents"};
    DlhTensor *tensors[] = {l->forward[0], l->reverse[0], l->simulated_x, l->simulated_z};

    return dlh_npz_write (path, names, tensors, l->m ? 4 : 1, TRUE, error);
}

gboolean
likelihood_conclude (Likelihood *l, GError **error)
{
    g_auto (Report) r = {.l = l, .names = g_ptr_array_new_with_free_func (g_free)};
    const char *folder = dlh_run_folder (l->run);
    gint64 done = likelihood_transitions (l) + likelihood_blocks (l);

    r.errors = g_new (double, l->n + l->m);
    if (!reduce (&r, error) || !likelihood_reconstruct (l, r.errors, error))
        return FALSE;
    if (l->n)
        tell_data (&r);
    if (l->m)
        tell_simulated (&r);
    if (l->kde)
        tell_marginal (&r, "kde", "the prior", likelihood_marginal_draws (l, TRUE), l->kde);
    if (l->importance)
        tell_marginal (&r, "importance", "the encoder", likelihood_marginal_draws (l, FALSE),
                       l->importance);
    tell_reconstructions (&r);
    if (!tell_classes (&r, error))
        return FALSE;
    if (folder && (!save_table (&r, folder, error) || !save_weights (&r, folder, error)))
        return FALSE;
    return likelihood_draw_curve (l, error) &&
           (!l->m || likelihood_draw_gaps (l, r.log_p + l->n, r.upper, error)) &&
           dlh_run_log (l->run, "final", done, (const char *const *)r.names->pdata, r.values,
                        r.names->len, error);
}
