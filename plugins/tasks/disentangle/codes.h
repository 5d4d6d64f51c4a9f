/* SPDX-License-Identifier: MIT */
/* What every score is made from: for each example the Gaussian q(z|n) = prod_j N (mean_j, exp (2
 * log_std_j)), one draw z of it, its ground truth factors, and how probable it is. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    const char *name;
    gint64 n_values;
    const double *values; /* (nullable): numbers that they stand for; NULL: categories */
    gboolean scored;      /* not a nuisance, and more than one value occurs */
    gint32 *value;        /* (n) */
    double *mass;         /* (n_values): probability of each value; they add up to 1 */
    double entropy;       /* of the factor, nats */
    gint64 *order,
        *start; /* examples by value: those of v are order[start[v] .. start[v + 1] - 1] */
} CodesFactor;

typedef struct {
    gint64 n;
    guint d, k;                 /* latents, factors */
    double *mean, *log_std, *z; /* (d, n) */
    double *p;                  /* (n): probabilities, adding up to 1 */
    CodesFactor *factors;       /* (k) */
} Codes;

/* How far a piece of work is; the step may end it with an error. */
typedef struct {
    gboolean (*step) (gpointer data, double share, GError **error);
    gpointer data;
} Pace;

static inline gboolean
pace_step (const Pace *pace, double share, GError **error)
{
    return !pace || pace->step (pace->data, share, error);
}

/* Room for @n examples and @d latents, all equally probable. DLH_ERROR_MEMORY. */
gboolean codes_init (Codes *codes, gint64 n, guint d, GError **error);
void codes_clear (Codes *codes);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Codes, codes_clear)
/* Any positive numbers; call before codes_add_factor(). NULL: equal. */
void codes_set_weights (Codes *codes, const double *weights);
/* @value: (n), with @stride from one example's to the next. */
void codes_add_factor (Codes *codes, const DlhFactor *factor, const gint64 *value, gint64 stride);

/* The first of @n rising sums above @x. */
gint64 codes_find (const double *sums, gint64 n, double x);
/* Means and variances over examples, by probability: (d) each. */
void codes_moments (const Codes *codes, double *mean, double *variance);
