/* SPDX-License-Identifier: MIT */
/* The warm-up: step sizes by temperature, and where the temperatures of an adaptive schedule are.
 *
 * With E the mean of log density - log start under f_b and V its variance, dE/db = V, and the
 * bounds of ideal transitions are sum_t (b_t - b_{t-1}) (E_t - E_{t-1}) apart. For a given T that
 * is least where sqrt (V) (b_t - b_{t-1}) is the same for all t. The first round measures V at the
 * sigmoid schedule's temperatures; at its end each group's are placed anew. */
#include <math.h>
#include <string.h>
#include "ais.h"

/* The shared rule of the paper's code, and the gain of ours: log eps += GAIN (acceptance - target),
 * pooled over a group's chains. */
#define OFFICIAL_GROW 1.02
#define OFFICIAL_SHRINK 0.98
#define OFFICIAL_MEMORY 0.9
#define GAIN 0.2
/* Of the temperatures, that the sigmoid schedule places: none of its intervals is left bare, where
 * the first round's chains have seen too little. */
#define KEPT_SHARE 0.2

static DlhNode *
tuned (Ais *a, const char *name, DlhShape shape, double value)
{
    return dlh_chains_tuned (a->c, name, DLH_F64, shape, (DlhInit){DLH_INIT_CONSTANT, value, 0});
}

void
ais_make_tuned (Ais *a)
{
    const DlhShape groups = dlh_shape (a->n_groups);
    const DlhShape all = dlh_shape (a->opt->temperatures, a->n_groups);

    a->table = tuned (a, "step_sizes", all, a->opt->step_size);
    a->next_eps = tuned (a, "tune/eps", groups, a->opt->step_size);
    a->mean_accept = tuned (a, "tune/accept", groups, a->opt->target);
    if (!a->adaptive)
        return;
    a->schedule = tuned (a, "temperatures", all, 0);
    a->deviations = tuned (a, "tune/deviations", all, 0);
}

// Factors of the step sizes, (groups).
static DlhNode *
growth (Ais *a, DlhPass *tune)
{
    const AisOptions *opt = a->opt;
    DlhNode *first = dlh_broadcast (ais_is_first (a), dlh_shape (a->n_groups)), *mean, *high;

    if (strcmp (opt->tuning, "official") != 0)
        return dlh_exp (dlh_scale (dlh_offset (ais_of_groups (a, a->accept), -opt->target), GAIN));
    // One number for all, in each group's place.
    mean = dlh_where (first, dlh_full_like (a->mean_accept, opt->target), a->mean_accept);
    high = dlh_less (dlh_full_like (mean, opt->target), mean);
    dlh_pass_assign (
        tune, a->mean_accept,
        dlh_add (dlh_scale (mean, OFFICIAL_MEMORY),
                 dlh_scale (dlh_broadcast (dlh_mean_all (a->accepted), dlh_shape (a->n_groups)),
                            1 - OFFICIAL_MEMORY)));
    return dlh_where (high, dlh_full_like (mean, OFFICIAL_GROW),
                      dlh_full_like (mean, OFFICIAL_SHRINK));
}

// (T, groups): whether this is row @at.
static DlhNode *
is_row (Ais *a, DlhNode *at)
{
    gint64 T = a->opt->temperatures;
    DlhNode *rows = dlh_arange (dlh_chains_graph (a->c), DLH_F64, T);
    DlhNode *here = dlh_equal (rows, dlh_broadcast (at, dlh_shape (T)));

    return dlh_broadcast (dlh_reshape (here, dlh_shape (T, 1)), dlh_shape (T, a->n_groups));
}

static DlhNode *
with_row (DlhNode *table, DlhNode *here, DlhNode *row)
{
    return dlh_where (here, dlh_broadcast (row, dlh_node_shape (table)), table);
}

// Of x (C), over each group's chains.
static DlhNode *
deviation (Ais *a, DlhNode *x)
{
    gint64 each = dlh_chains_count (a->c) / a->n_groups;
    DlhNode *y = dlh_reshape (x, dlh_shape (a->n_groups, each));
    DlhNode *mean = dlh_reshape (dlh_mean_axis (y, 1), dlh_shape (a->n_groups, 1));

    return dlh_sqrt (
        dlh_scale (dlh_sum_axis (dlh_square (dlh_sub (y, mean)), 1), 1 / ((double)each - 1)));
}

/* At the temperature that the chains have just moved at; and at the start of a path, where all that
 * has been weighed is the first change: w = b_1 (p - s). */
static void
measure (Ais *a, DlhPass *tune)
{
    DlhNode *start = dlh_div (deviation (a, a->weight),
                              dlh_broadcast (ais_fixed (a, ais_row (a)), dlh_shape (a->n_groups)));
    DlhNode *first =
        dlh_broadcast (ais_is_first (a), dlh_shape (a->opt->temperatures, a->n_groups));
    DlhNode *at_start = with_row (a->deviations, is_row (a, ais_scalar (a, 0)), start);
    DlhNode *table = dlh_where (first, at_start, a->deviations);

    dlh_pass_assign (
        tune, a->deviations,
        with_row (table, is_row (a, ais_row (a)), deviation (a, dlh_sub (a->p, a->s))));
}

void
ais_build_tune (Ais *a)
{
    const AisOptions *opt = a->opt;
    DlhPass *tune = dlh_chains_pass (a->c, "tune", DLH_PASS_WARMUP);
    DlhNode *eps = ais_step_sizes (a);

    dlh_pass_assign (tune, a->table, with_row (a->table, is_row (a, ais_row (a)), eps));
    dlh_pass_assign (tune, a->next_eps,
                     dlh_clamp (dlh_mul (eps, growth (a, tune)), opt->min_step, opt->max_step));
    if (a->adaptive)
        measure (a, tune);
}

/* The adapted schedule of one group; tables have a stride of @n_groups. */

// Shares of the temperatures up to each of the old ones, into @below; FALSE where nothing varies.
static gboolean
add_up (const AisOptions *opt, const double *deviations, gint64 n_groups, double *below)
{
    gint64 T = opt->temperatures;
    double sum = 0;

    for (gint64 t = 1; t < T; t++) {
        double change = ais_temperature (opt, t) - ais_temperature (opt, t - 1);

        below[t] = 0.5 * change * (deviations[(t - 1) * n_groups] + deviations[t * n_groups]);
        sum += below[t];
    }
    if (!(sum > 0 && isfinite (sum)))
        return FALSE;
    below[0] = 0;
    for (gint64 t = 1; t < T; t++)
        below[t] = below[t - 1] + (1 - KEPT_SHARE) * below[t] / sum + KEPT_SHARE / (double)(T - 1);
    return TRUE;
}

static void
place (const AisOptions *opt, const double *deviations, gint64 n_groups, double *b, double *eps)
{
    gint64 T = opt->temperatures, old = 1;
    g_autofree double *below = g_new (double, T);
    g_autofree double *log_eps = g_new (double, T);
    gboolean varies = add_up (opt, deviations, n_groups, below);

    for (gint64 t = 0; t < T; t++)
        log_eps[t] = log (eps[t * n_groups]);
    for (gint64 k = 0; k < T; k++) {
        double share = (double)k / (double)(T - 1), part, low, high;

        while (varies && old < T - 1 && below[old] < share)
            old++;
        if (!varies)
            old = MAX (k, 1);
        low = ais_temperature (opt, old - 1);
        high = ais_temperature (opt, old);
        part = varies ? (share - below[old - 1]) / (below[old] - below[old - 1]) : k > 0;
        part = CLAMP (part, 0, 1);
        b[k * n_groups] = k == 0 ? 0 : k == T - 1 ? 1 : low + part * (high - low);
        // The first row is not measured: the chains have not moved there.
        if (k > 0)
            eps[k * n_groups] = exp (
                old > 1 ? log_eps[old - 1] + part * (log_eps[old] - log_eps[old - 1]) : log_eps[1]);
    }
}

static double *
numbers (DlhChains *c, const char *name)
{
    return dlh_tensor_get_data (
        dlh_variable_tensor (dlh_store_lookup (dlh_chains_store (c), name)));
}

static gint64
transitions_done (DlhChains *c)
{
    return *(const gint64 *)dlh_tensor_get_data (
        dlh_variable_tensor (dlh_store_lookup (dlh_chains_store (c), "chains/step")));
}

gboolean
ais_between (DlhChains *c, gconstpointer options, GError **error)
{
    const AisOptions *opt = options;
    gint64 n_groups = dlh_chains_n_groups (c);

    (void)error;
    if (!dlh_store_lookup (dlh_chains_store (c), "ais/temperatures") ||
        transitions_done (c) + 1 != dlh_chains_n_warmup (c))
        return TRUE;
    for (gint64 g = 0; g < n_groups; g++)
        place (opt, numbers (c, "ais/tune/deviations") + g, n_groups,
               numbers (c, "ais/temperatures") + g, numbers (c, "ais/step_sizes") + g);
    return TRUE;
}
