/* SPDX-License-Identifier: MIT */
/* Scores that tell which factor was held: FactorVAE's by votes, BetaVAE's by a linear classifier.
 */
#include <math.h>
#include <string.h>
#include "scores.h"

#define STEPS 1000 /* of the classifier's descent */
#define DECAY 1e-4

/* Factor-vote. */

typedef struct {
    const Drawer *drawer;
    const ScoreOptions *options;
    const guint *factors;
    guint n_factors;
    double *u; /* of one case */
} Cases;

// Fresh chance for case @number: two numbers, then those of the draws.
static void
case_chance (const Cases *cases, const char *name, gint64 number, gsize n)
{
    dlh_random_fill_uniform (cases->options->seed, name, (guint64)number, cases->u, n + 2);
}

static guint
case_factor (const Cases *cases)
{
    return MIN ((guint)(cases->u[0] * cases->n_factors), cases->n_factors - 1);
}

// The latent of least relative variance among those in use.
static guint
vote_of (const Cases *cases, gint64 number, const double *variance, guint *factor)
{
    const Codes *c = cases->drawer->codes;
    gint64 L = cases->options->group, value;
    guint best = 0;
    double least = INFINITY;
    g_autofree gint64 *rows = g_new (gint64, L);

    case_chance (cases, "disentangle/factor-vae", number, (gsize)L);
    *factor = case_factor (cases);
    value = drawer_value (cases->drawer, cases->factors[*factor], cases->u[1]);
    for (gint64 i = 0; i < L; i++)
        rows[i] = drawer_with (cases->drawer, cases->factors[*factor], value, cases->u[2 + i]);
    for (guint j = 0; j < c->d; j++) {
        const double *m = c->mean + j * (gsize)c->n;
        double mean = 0, squares = 0;

        if (!(variance[j] > SCORES_ACTIVE))
            continue;
        for (gint64 i = 0; i < L; i++)
            mean += m[rows[i]] / (double)L;
        for (gint64 i = 0; i < L; i++)
            squares += (m[rows[i]] - mean) * (m[rows[i]] - mean);
        if (squares / variance[j] < least) {
            least = squares / variance[j];
            best = j;
        }
    }
    return best;
}

double
score_factor_vae (const Codes *c, const ScoreOptions *options)
{
    guint n_factors, factor, n_active = 0;
    g_autofree guint *factors = scored_factors (c, &n_factors);
    g_autofree double *variance = g_new (double, c->d), *u = g_new (double, options->group + 2);
    g_autofree gint64 *votes = g_new0 (gint64, (gsize)c->d * MAX (n_factors, 1));
    g_autofree guint *choice = g_new0 (guint, c->d);
    g_auto (Drawer) drawer = {0};
    gint64 right = 0;
    const Cases cases = {&drawer, options, factors, n_factors, u};

    if (n_factors < 2)
        return NAN;
    drawer_init (&drawer, c);
    codes_moments (c, NULL, variance);
    for (guint j = 0; j < c->d; j++)
        n_active += variance[j] > SCORES_ACTIVE;
    if (n_active == 0)
        return 0;
    for (gint64 i = 0; i < options->n_train; i++) {
        guint j = vote_of (&cases, i, variance, &factor);

        votes[j * n_factors + factor]++;
    }
    for (guint j = 0; j < c->d; j++)
        for (guint k = 1; k < n_factors; k++)
            if (votes[j * n_factors + k] > votes[j * n_factors + choice[j]])
                choice[j] = k;
    for (gint64 i = 0; i < options->n_test; i++) {
        guint j = vote_of (&cases, options->n_train + i, variance, &factor);

        right += choice[j] == factor;
    }
    return (double)right / (double)options->n_test;
}

/* Linear classifier. */

static void
difference (const Cases *cases, gint64 number, double *x, guint *factor)
{
    const Codes *c = cases->drawer->codes;
    gint64 L = cases->options->group;

    case_chance (cases, "disentangle/beta-vae", number, (gsize)(3 * L));
    *factor = case_factor (cases);
    memset (x, 0, c->d * sizeof *x);
    for (gint64 i = 0; i < L; i++) {
        const double *u = cases->u + 2 + 3 * i;
        guint k = cases->factors[*factor];
        gint64 value = drawer_value (cases->drawer, k, u[0]);
        gint64 a = drawer_with (cases->drawer, k, value, u[1]);
        gint64 b = drawer_with (cases->drawer, k, value, u[2]);

        for (guint j = 0; j < c->d; j++) {
            const double *m = c->mean + j * (gsize)c->n;

            x[j] += fabs (m[a] - m[b]) / (double)L;
        }
    }
}

/* Multinomial logistic regression, (d + 1, k) weights with the bias last, by accelerated descent.
 */
typedef struct {
    gint64 n;
    guint d, k;
    double *x; /* (n, d), standardised */
    guint *y;  /* (n) */
    double *w; /* (d + 1, k) */
} Logistic;

static void
scores_of (const Logistic *l, const double *w, const double *x, double *out)
{
    for (guint k = 0; k < l->k; k++) {
        out[k] = w[l->d * l->k + k];
        for (guint j = 0; j < l->d; j++)
            out[k] += x[j] * w[j * l->k + k];
    }
}

static void
gradient (const Logistic *l, const double *w, double *g)
{
    g_autofree double *s = g_new (double, l->k);

    for (guint i = 0; i < (l->d + 1) * l->k; i++)
        g[i] = DECAY * w[i];
    for (gint64 i = 0; i < l->n; i++) {
        const double *x = l->x + i * l->d;
        double most = -INFINITY, sum = 0;

        scores_of (l, w, x, s);
        for (guint k = 0; k < l->k; k++)
            most = fmax (most, s[k]);
        for (guint k = 0; k < l->k; k++)
            sum += s[k] = exp (s[k] - most);
        for (guint k = 0; k < l->k; k++) {
            double r = (s[k] / sum - (k == l->y[i])) / (double)l->n;

            for (guint j = 0; j < l->d; j++)
                g[j * l->k + k] += r * x[j];
            g[l->d * l->k + k] += r;
        }
    }
}

static void
logistic_fit (Logistic *l)
{
    guint n = (l->d + 1) * l->k;
    g_autofree double *g = g_new (double, n), *ahead = g_new0 (double, n);
    // Standardised inputs: half of their squared length bounds the curvature.
    double rate = 2.0 / (l->d + 1), t = 1;

    l->w = g_new0 (double, n);
    for (guint s = 0; s < STEPS; s++) {
        double next = (1 + sqrt (1 + 4 * t * t)) / 2;

        gradient (l, ahead, g);
        for (guint i = 0; i < n; i++) {
            double w = ahead[i] - rate * g[i];

            ahead[i] = w + (t - 1) / next * (w - l->w[i]);
            l->w[i] = w;
        }
        t = next;
    }
}

static void
standardise (double *x, gint64 n_train, gint64 n, guint d)
{
    for (guint j = 0; j < d; j++) {
        double mean = 0, squares = 0, s;

        for (gint64 i = 0; i < n_train; i++)
            mean += x[i * d + j] / (double)n_train;
        for (gint64 i = 0; i < n_train; i++)
            squares += (x[i * d + j] - mean) * (x[i * d + j] - mean) / (double)n_train;
        s = squares > 0 ? sqrt (squares) : 1;
        for (gint64 i = 0; i < n; i++)
            x[i * d + j] = (x[i * d + j] - mean) / s;
    }
}

double
score_beta_vae (const Codes *c, const ScoreOptions *options)
{
    guint n_factors;
    gint64 n = options->n_train + options->n_test, right = 0;
    g_autofree guint *factors = scored_factors (c, &n_factors), *y = g_new (guint, n);
    g_autofree double *x = g_new (double, (gsize)n * c->d),
                      *u = g_new (double, 3 * options->group + 2);
    g_autofree double *w = NULL, *s = g_new (double, MAX (n_factors, 1));
    g_auto (Drawer) drawer = {0};
    const Cases cases = {&drawer, options, factors, n_factors, u};
    Logistic l = {options->n_train, c->d, n_factors, x, y, NULL};

    if (n_factors < 2)
        return NAN;
    drawer_init (&drawer, c);
    for (gint64 i = 0; i < n; i++)
        difference (&cases, i, x + i * c->d, &y[i]);
    standardise (x, options->n_train, n, c->d);
    logistic_fit (&l);
    w = l.w;
    for (gint64 i = options->n_train; i < n; i++) {
        guint best = 0;

        scores_of (&l, w, x + i * c->d, s);
        for (guint k = 1; k < n_factors; k++)
            if (s[k] > s[best])
                best = k;
        right += best == y[i];
    }
    return (double)right / (double)options->n_test;
}
