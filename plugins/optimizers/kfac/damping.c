/* SPDX-License-Identifier: MIT */
/* Two numbers damp: lambda, of the quadratic model, and gamma, whose square the inverses get.
 *
 *   lambda  fixed; times a schedule; or adapted to how well the model predicts the loss
 *           (Levenberg-Marquardt; 1503.05671, section 6.5): every T1 steps
 *           rho = (h (theta + delta) - h (theta)) / (M (delta) - M (0)),
 *           lambda <- w1 lambda if rho > 3/4, lambda / w1 if rho < 1/4, w1 = (19/20)^T1
 *   gamma   sqrt (lambda + eta); or searched (6.6): every T2 steps that one of gamma, w2 gamma,
 *           gamma / w2 whose step has the least M, w2 = (19/20)^(T2 / 2)
 */
#include <math.h>
#include <string.h>
#include "kfac.h"

gboolean
kfac_is_quadratic (const Kfac *k)
{
    return strcmp (k->opt->step, "quadratic") == 0;
}

static gint64
adapt_period (const Kfac *k)
{
    return k->opt->damping_period >= 0 ? k->opt->damping_period : kfac_is_quadratic (k) ? 5 : 0;
}

static gint64
search_period (const Kfac *k)
{
    return k->opt->gamma_period >= 0 ? k->opt->gamma_period : kfac_is_quadratic (k) ? 20 : 0;
}

gboolean
kfac_adapts (const Kfac *k)
{
    return adapt_period (k) > 0;
}

static double
start (const Kfac *k)
{
    return k->opt->damping >= 0 ? k->opt->damping : kfac_is_quadratic (k) ? 1 : 0.1;
}

static DlhScheduleKind
schedule_kind (const Kfac *k)
{
    static const char *const names[] = {"constant", "step", "exponential", "cosine",
                                        "inverse-time"};

    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        if (strcmp (k->opt->damping_schedule, names[i]) == 0)
            return (DlhScheduleKind)(DLH_SCHEDULE_CONSTANT + i);
    g_return_val_if_reached (DLH_SCHEDULE_CONSTANT);
}

static gboolean
is_constant (const Kfac *k)
{
    return schedule_kind (k) == DLH_SCHEDULE_CONSTANT;
}

DlhNode *
kfac_number (Kfac *k, const char *name, double value)
{
    return dlh_update_state_full (k->update, name, DLH_F64, dlh_shape (),
                                  (DlhInit){.kind = DLH_INIT_CONSTANT, .a = value});
}

DlhNode *
kfac_within_limits (const Kfac *k, DlhNode *damping)
{
    return dlh_clamp (damping, k->opt->damping_min, k->opt->damping_max);
}

// The run's weight decay counts as damping, too.
static gboolean
check_damped (const Kfac *k, GError **error)
{
    if (k->damped || strcmp (k->opt->inverse, "cholesky") != 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "damping is 0 and inverse is cholesky: give a damping above 0, or "
                 "inverse=eigen, which then takes the pseudo-inverse");
    return FALSE;
}

gboolean
kfac_check_damping (const KfacOptions *opt, GError **error)
{
    const Kfac only_options = {.opt = opt}, *k = &only_options;

    if (kfac_adapts (k) && opt->damping_min > opt->damping_max) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "damping_min is %g and damping_max %g: the first may not be larger",
                     opt->damping_min, opt->damping_max);
        return FALSE;
    }
    if (search_period (k) > 0 && !kfac_is_quadratic (k)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "gamma_period is %" G_GINT64_FORMAT
                     " and step is fixed: the candidates are compared by the quadratic model, "
                     "give step=quadratic",
                     opt->gamma_period);
        return FALSE;
    }
    if (kfac_is_quadratic (k) && opt->kl_clip > 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "kl_clip is %g and step is quadratic: the model already says how far to go; "
                     "give kl_clip=0 or step=fixed",
                     opt->kl_clip);
        return FALSE;
    }
    if (kfac_adapts (k) && !is_constant (k)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "damping_schedule is %s and damping_period %" G_GINT64_FORMAT
                     ": lambda follows a schedule or the model's fit; give "
                     "damping_schedule=constant or damping_period=0",
                     opt->damping_schedule, adapt_period (k));
        return FALSE;
    }
    return TRUE;
}

// lambda where nothing adapts it: times its schedule, and what recoveries made of it.
static DlhNode *
scheduled (Kfac *k)
{
    const KfacOptions *opt = k->opt;
    DlhSchedule s = {.kind = schedule_kind (k),
                     .factor = opt->damping_factor,
                     .period = opt->damping_steps,
                     .total = opt->damping_total,
                     .floor = opt->damping_floor,
                     .warmup = 0,
                     .milestones = opt->damping_milestones};
    DlhNode *lambda = dlh_scalar (dlh_update_graph (k->update), DLH_F64, start (k));

    if (start (k) == 0)
        return lambda;
    if (!is_constant (k))
        lambda = dlh_mul (lambda, dlh_schedule_node (&s, dlh_update_step (k->update)));
    k->boost = kfac_number (k, "boost", 1);
    return dlh_mul (lambda, k->boost);
}

gboolean
kfac_begin_damping (Kfac *k, GError **error)
{
    k->eta = k->opt->weight_decay + dlh_update_weight_decay (k->update);
    k->damped = start (k) + k->eta > 0;
    if (!check_damped (k, error))
        return FALSE;
    k->lambda = kfac_adapts (k) ? kfac_number (k, "lambda", start (k)) : scheduled (k);
    if (search_period (k) > 0)
        k->gamma = kfac_number (k, "gamma", sqrt (start (k) + k->eta));
    k->damping = k->gamma ? dlh_square (k->gamma) : dlh_offset (k->lambda, k->eta);
    if (kfac_adapts (k) || !is_constant (k))
        dlh_update_log (k->update, "kfac_lambda", k->lambda);
    if (kfac_adapts (k))
        dlh_update_phase (k->update, "damping", DLH_PHASE_WITH, adapt_period (k), k->opt->burn_in);
    if (k->gamma) {
        dlh_update_log (k->update, "kfac_gamma", k->gamma);
        dlh_update_phase (k->update, "gamma", DLH_PHASE_WITH, search_period (k), k->opt->burn_in);
    }
    return TRUE;
}

/* Levenberg-Marquardt. */

// h (theta + delta) - h (theta), on the same batch and the same draws.
static DlhNode *
loss_change (Kfac *k, DlhNode *const *delta)
{
    const guint n = dlh_update_n_params (k->update);
    g_autofree DlhNode **from = g_new (DlhNode *, n + 1);
    g_autofree DlhNode **to = g_new (DlhNode *, n + 1);
    DlhNode *loss = dlh_update_objective (k->update)->loss, *moved, *change;

    for (guint i = 0; i < n; i++) {
        from[i] = dlh_update_value (k->update, i);
        to[i] = dlh_add (from[i], delta[i]);
    }
    dlh_graph_substitute (&loss, 1, from, to, n, &moved);
    change = dlh_sub (dlh_cast (moved, DLH_F64), dlh_cast (loss, DLH_F64));
    if (k->eta > 0) {
        DlhNode *cross = kfac_inner (k, from, delta), *square = kfac_inner (k, delta, delta);

        change = dlh_add (change, dlh_scale (dlh_add (cross, dlh_scale (square, 0.5)), k->eta));
    }
    return change;
}

void
kfac_adapt_damping (Kfac *k, DlhNode *const *delta, DlhNode *change)
{
    DlhNode *rho, *good, *bad, *one, *factor, *shown;
    double w;

    if (!kfac_adapts (k))
        return;
    w = pow (0.95, (double)adapt_period (k));
    if (!k->opt->damping_in_model) // what the damping added to the prediction
        change =
            dlh_sub (change, dlh_scale (dlh_mul (k->lambda, kfac_inner (k, delta, delta)), 0.5));
    rho = dlh_div (loss_change (k, delta), change);
    // A loss that is not a number fails both comparisons: the damping rises.
    good = dlh_greater (rho, dlh_full_like (rho, 0.75));
    bad = dlh_greater_equal (rho, dlh_full_like (rho, 0.25));
    one = dlh_full_like (rho, 1);
    factor = dlh_where (good, dlh_scale (one, w), dlh_where (bad, one, dlh_scale (one, 1 / w)));
    dlh_update_phase_assign (k->update, "damping", k->lambda,
                             kfac_within_limits (k, dlh_mul (k->lambda, factor)));
    shown = kfac_number (k, "rho", 1);
    dlh_update_phase_assign (k->update, "damping", shown, rho);
    dlh_update_log (k->update, "kfac_rho", shown);
}

/* gamma. */

// The proposal of inverses made now, of the statistics so far, with damping @damping.
static DlhNode **
candidate (Kfac *k, DlhNode *damping)
{
    const guint n = dlh_update_n_params (k->update), m = k->held->len;
    g_autofree DlhNode **from = g_new (DlhNode *, m + 1);
    g_autofree DlhNode **to = g_new (DlhNode *, m + 1);
    DlhNode **v = g_new (DlhNode *, n + 1);

    dlh_graph_substitute ((DlhNode **)k->fresh->pdata, m, &k->damping, &damping, 1, to);
    for (guint i = 0; i < m; i++)
        from[i] = k->held->pdata[i];
    from[m] = k->damping;
    to[m] = damping;
    dlh_graph_substitute (k->u, n, from, to, m + 1, v);
    for (guint i = 0; i < n; i++)
        v[i] = dlh_neg (v[i]);
    return v;
}

void
kfac_search_gamma (Kfac *k, const KfacDirection *previous)
{
    const double w = pow (0.95, (double)search_period (k) / 2), factors[] = {1, w, 1 / w};
    DlhNode *best = NULL, *least = NULL;

    if (!k->gamma)
        return;
    for (guint i = 0; i < G_N_ELEMENTS (factors); i++) {
        DlhNode *damping = kfac_within_limits (k, dlh_square (dlh_scale (k->gamma, factors[i])));
        g_autofree DlhNode **v = candidate (k, damping);
        KfacDirection d = kfac_direction (k, v);
        KfacModel m = kfac_model (k, &d, previous);
        DlhNode *change = kfac_model_change (&m, m.alpha, m.mu), *better;

        better = best ? dlh_less (change, least) : NULL;
        best = best ? dlh_where (better, dlh_sqrt (damping), best) : k->gamma;
        least = least ? dlh_where (better, change, least) : change;
    }
    dlh_update_phase_assign (k->update, "gamma", k->gamma, best);
}
