/* SPDX-License-Identifier: MIT */
/* The step size: a first one by doubling or halving, then dual averaging. */
#include <math.h>
#include "hmc.h"

/* Dual averaging: Stan's gamma, t0, kappa. */
#define GAMMA 0.05
#define T0 10.0
#define KAPPA 0.75

void
hmc_build_dual_averaging (Hmc *h)
{
    DlhPass *tune = dlh_chains_pass (h->c, "tune", DLH_PASS_WARMUP);
    DlhPass *freeze;
    DlhNode *t = dlh_offset (h->t, 1), *weight = dlh_reciprocal (dlh_offset (t, T0));
    DlhNode *miss = dlh_offset (dlh_neg (dlh_mean_all (h->accept)), h->opt->target);
    DlhNode *h_bar = dlh_add (h->h_bar, dlh_mul (weight, dlh_sub (miss, h->h_bar)));
    DlhNode *log_eps = dlh_sub (h->mu, dlh_scale (dlh_mul (dlh_sqrt (t), h_bar), 1 / GAMMA));
    DlhNode *share = dlh_pow_scalar (t, -KAPPA);
    DlhNode *bar = dlh_add (h->log_eps_bar, dlh_mul (share, dlh_sub (log_eps, h->log_eps_bar)));

    dlh_pass_assign (tune, h->t, t);
    dlh_pass_assign (tune, h->h_bar, h_bar);
    dlh_pass_assign (tune, h->log_eps_bar, bar);
    dlh_pass_assign (tune, h->step_size, dlh_exp (log_eps));
    freeze = dlh_chains_pass (h->c, "freeze", DLH_PASS_FREEZE | DLH_PASS_WINDOW);
    dlh_pass_assign (freeze, h->step_size, dlh_exp (h->log_eps_bar));
}

/* A first step size: doubled or halved until the acceptance of one leapfrog step, over the chains,
 * crosses 0.8. */
void
hmc_build_search (Hmc *h, DlhPassWhen when)
{
    DlhPass *open = dlh_chains_pass (h->c, "open", when);
    DlhPass *search = dlh_chains_pass (h->c, "search", when), *close;
    g_autofree DlhNode **p = g_new (DlhNode *, h->n);
    g_autofree DlhNode **q = g_new (DlhNode *, h->n);
    g_autofree DlhNode **g = g_new (DlhNode *, h->n);
    DlhNode *eps = h->step_size, *half = dlh_scale (eps, 0.5), *zero = hmc_constant (h, 0);
    DlhNode *before, *now, *change, *mean, *way, *go_on, *next;

    dlh_pass_assign (open, h->searching, dlh_cast (hmc_constant (h, 1), DLH_I64));
    dlh_pass_assign (open, h->direction, zero);
    hmc_draw_momenta (h, "search", p);
    before = dlh_sub (hmc_kinetic (h, p), h->log_density);
    for (guint i = 0; i < h->n; i++) {
        p[i] = hmc_kick (h, i, p[i], half, h->g[i]);
        q[i] = hmc_drift (h, i, h->q[i], eps, p[i]);
    }
    now = dlh_chains_gradients (h->c, q, g);
    for (guint i = 0; i < h->n; i++)
        p[i] = hmc_kick (h, i, p[i], half, g[i]);
    change = hmc_energy_change (h, before, now, q, p, g);
    mean = dlh_mean_all (dlh_chains_accept_probability (h->c, dlh_neg (change)));
    way = dlh_where (dlh_less (hmc_constant (h, 0.8), mean), hmc_constant (h, 1),
                     hmc_constant (h, -1));
    // Not once it has turned, nor beyond all reason: a flat density has no step size.
    go_on = dlh_less (zero, dlh_offset (dlh_mul (way, h->direction), 0.5));
    next = dlh_where (
        go_on,
        dlh_mul (eps, dlh_where (dlh_less (zero, way), hmc_constant (h, 2), hmc_constant (h, 0.5))),
        eps);
    go_on = dlh_where (dlh_less (dlh_abs (dlh_log (next)), hmc_constant (h, log (1e10))), go_on,
                       dlh_less (hmc_constant (h, 1), zero));
    dlh_pass_assign (search, h->step_size, next);
    dlh_pass_assign (search, h->direction, way);
    dlh_pass_assign (search, h->searching, dlh_cast (go_on, DLH_I64));
    dlh_pass_while (search, h->searching, 100);
    close = dlh_chains_pass (h->c, "restart", when);
    dlh_pass_assign (close, h->mu, dlh_log (dlh_scale (eps, 10)));
    dlh_pass_assign (close, h->log_eps_bar, dlh_log (eps));
    dlh_pass_assign (close, h->h_bar, zero);
    dlh_pass_assign (close, h->t, zero);
}
