/* SPDX-License-Identifier: MIT */
/* Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011) with Stan's adaptation: dual averaging of
 * the step size (Hoffman and Gelman 2014) and a mass matrix from windows of the warm-up.
 *
 *   p ~ N(0, M);  p += eps/2 g;  L times { q += eps M^-1 p;  p += eps g(q), the last time eps/2 }
 *   accept with probability min(1, exp(-dH)), H = -log density + p' M^-1 p / 2
 *
 * Letters: q positions, g gradient of the log density, p momenta, W M^-1 or its diagonal. The log
 * density and gradient of the present position are kept: L gradients a transition. A transition is
 * the passes begin, leap (L times), finish; L is drawn in begin, the same for all chains. */
#include <math.h>
#include "hmc.h"

#define MAX_DIVERGENCE 1000.0

static void
hmc_clear (Hmc *h)
{
    g_free (h->q);
    g_free (h->g);
    g_free (h->p);
    g_free (h->W);
    g_free (h->root);
    g_free (h->new_q);
    g_free (h->new_g);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Hmc, hmc_clear)

DlhNode *
hmc_tuned (Hmc *h, const char *name, double value)
{
    return dlh_chains_tuned (h->c, name, DLH_F64, dlh_shape (),
                             (DlhInit){DLH_INIT_CONSTANT, value, 0});
}

static DlhNode *
per_chain (Hmc *h, const char *name)
{
    return dlh_chains_state (h->c, name, DLH_F64, dlh_shape (dlh_chains_count (h->c)),
                             (DlhInit){DLH_INIT_ZEROS, 0, 0});
}

DlhNode *
hmc_constant (Hmc *h, double value)
{
    return dlh_scalar (dlh_chains_graph (h->c), DLH_F64, value);
}

static void
make_state (Hmc *h)
{
    const DlhInit zero = {DLH_INIT_ZEROS, 0, 0};

    for (guint i = 0; i < h->n; i++) {
        h->q[i] = dlh_chains_position (h->c, i);
        h->g[i] = dlh_chains_state_like (h->c, i, "gradient");
        h->p[i] = dlh_chains_state_like (h->c, i, "momentum");
        h->new_q[i] = dlh_chains_state_like (h->c, i, "proposal");
        h->new_g[i] = dlh_chains_state_like (h->c, i, "proposal_gradient");
    }
    h->log_density = per_chain (h, "log_density");
    h->new_log_density = per_chain (h, "proposal_log_density");
    h->eps = per_chain (h, "eps");
    h->energy = per_chain (h, "energy");
    h->accept = per_chain (h, "accept");
    h->step_size = hmc_tuned (h, "step_size", h->opt->step_size);
    h->left = dlh_chains_state (h->c, "left", DLH_I64, dlh_shape (), zero);
    h->steps = dlh_chains_state (h->c, "steps", DLH_F64, dlh_shape (), zero);
    hmc_make_mass (h);
    h->t = hmc_tuned (h, "tune/t", 0);
    h->h_bar = hmc_tuned (h, "tune/h_bar", 0);
    h->log_eps_bar = hmc_tuned (h, "tune/log_eps_bar", log (h->opt->step_size));
    h->mu = hmc_tuned (h, "tune/mu", log (10 * h->opt->step_size));
    h->searching = dlh_chains_tuned (h->c, "tune/searching", DLH_I64, dlh_shape (), zero);
    h->direction = hmc_tuned (h, "tune/direction", 0);
}

/* The dynamics. */

// p + factor eps g, factor eps being f64, (C) or a scalar.
DlhNode *
hmc_kick (Hmc *h, guint i, DlhNode *p, DlhNode *eps, DlhNode *g)
{
    return dlh_add (p, dlh_mul (g, dlh_chains_spread (h->c, eps, i)));
}

DlhNode *
hmc_drift (Hmc *h, guint i, DlhNode *q, DlhNode *eps, DlhNode *p)
{
    return dlh_add (q,
                    dlh_mul (hmc_times_inverse_mass (h, i, p), dlh_chains_spread (h->c, eps, i)));
}

// p' M^-1 p / 2
DlhNode *
hmc_kinetic (Hmc *h, DlhNode *const *p)
{
    g_autofree DlhNode **v = g_new (DlhNode *, h->n);

    for (guint i = 0; i < h->n; i++)
        v[i] = hmc_times_inverse_mass (h, i, p[i]);
    return dlh_scale (dlh_chains_dot (h->c, p, v), 0.5);
}

// What is not finite has infinite energy.
DlhNode *
hmc_energy_change (Hmc *h, DlhNode *before, DlhNode *log_density, DlhNode *const *q,
                   DlhNode *const *p, DlhNode *const *g)
{
    DlhNode *change = dlh_sub (dlh_sub (hmc_kinetic (h, p), log_density), before);
    DlhNode *infinite = dlh_full_like (change, INFINITY);

    change = dlh_where (dlh_chains_all_finite (h->c, q), change, infinite);
    change = dlh_where (dlh_chains_all_finite (h->c, p), change, infinite);
    change = dlh_where (dlh_chains_all_finite (h->c, g), change, infinite);
    return dlh_where (dlh_is_finite (log_density), change, infinite);
}

/* Log density and gradient where the chains start. */
static void
build_first (Hmc *h)
{
    DlhPass *first = dlh_chains_pass (h->c, "first", DLH_PASS_START);
    g_autofree DlhNode **g = g_new (DlhNode *, h->n);
    DlhNode *log_density = dlh_chains_gradients (h->c, h->q, g);

    dlh_pass_assign (first, h->log_density,
                     dlh_assert_finite (log_density, "log density at the chains' start"));
    for (guint i = 0; i < h->n; i++)
        dlh_pass_assign (first, h->g[i], dlh_assert_finite (g[i], "gradient at the chains' start"));
}

static DlhNode *
uniform (Hmc *h, const char *stream, DlhShape shape)
{
    return dlh_uniform (dlh_chains_graph (h->c), dlh_chains_stream (h->c, stream), DLH_F64, shape);
}

// Scaled by 1 + jitter * (uniform in [-1, 1)).
static DlhNode *
jittered (Hmc *h, const char *stream, DlhNode *x, double jitter, DlhShape shape)
{
    DlhNode *u = uniform (h, stream, shape);

    return dlh_mul (x, dlh_offset (dlh_scale (u, 2 * jitter), 1 - jitter));
}

// L, f64: of a path of a given length, or a given number; jittered, so as not to come back to where
// it began for ever, and whatever the positions are.
static DlhNode *
draw_steps (Hmc *h)
{
    const HmcOptions *opt = h->opt;
    DlhNode *path = opt->steps ? hmc_constant (h, (double)opt->steps)
                               : dlh_div (hmc_constant (h, opt->length), h->step_size);
    DlhNode *L = jittered (h, "length", path, opt->length_jitter, dlh_shape ());
    DlhNode *whole;

    if (opt->steps && opt->length_jitter == 0)
        return path;
    // Rounded up: what follows is at least one.
    L = dlh_clamp (L, 1e-9, (double)opt->max_steps);
    whole = dlh_cast (dlh_cast (L, DLH_I64), DLH_F64);
    return dlh_add (whole, dlh_cast (dlh_less (whole, L), DLH_F64));
}

static void
build_begin (Hmc *h)
{
    DlhPass *begin = dlh_chains_pass (h->c, "begin", DLH_PASS_EVERY);
    g_autofree DlhNode **p = g_new (DlhNode *, h->n);
    DlhNode *eps =
        jittered (h, "eps", h->step_size, h->opt->step_jitter, dlh_shape (dlh_chains_count (h->c)));
    DlhNode *L = draw_steps (h);

    hmc_draw_momenta (h, "momentum", p);
    dlh_pass_assign (begin, h->eps, eps);
    dlh_pass_assign (begin, h->steps, L);
    dlh_pass_assign (begin, h->left, dlh_cast (L, DLH_I64));
    dlh_pass_assign (begin, h->energy, dlh_sub (hmc_kinetic (h, p), h->log_density));
    dlh_pass_assign (begin, h->new_log_density, h->log_density);
    for (guint i = 0; i < h->n; i++) {
        dlh_pass_assign (begin, h->p[i], hmc_kick (h, i, p[i], dlh_scale (eps, 0.5), h->g[i]));
        dlh_pass_assign (begin, h->new_q[i], h->q[i]);
        dlh_pass_assign (begin, h->new_g[i], h->g[i]);
    }
}

static void
build_leap (Hmc *h)
{
    DlhPass *leap = dlh_chains_pass (h->c, "leap", DLH_PASS_EVERY);
    g_autofree DlhNode **q = g_new (DlhNode *, h->n);
    g_autofree DlhNode **g = g_new (DlhNode *, h->n);
    DlhNode *left = dlh_cast (h->left, DLH_F64), *log_density, *factor;

    for (guint i = 0; i < h->n; i++)
        q[i] = hmc_drift (h, i, h->new_q[i], h->eps, h->p[i]);
    log_density = dlh_chains_gradients (h->c, q, g);
    factor = dlh_where (dlh_less (hmc_constant (h, 1.5), left), hmc_constant (h, 1),
                        hmc_constant (h, 0.5));
    for (guint i = 0; i < h->n; i++) {
        dlh_pass_assign (leap, h->new_q[i], q[i]);
        dlh_pass_assign (leap, h->p[i], hmc_kick (h, i, h->p[i], dlh_mul (h->eps, factor), g[i]));
        dlh_pass_assign (leap, h->new_g[i], g[i]);
    }
    dlh_pass_assign (leap, h->new_log_density, log_density);
    dlh_pass_assign (leap, h->left, dlh_cast (dlh_offset (left, -1), DLH_I64));
    dlh_pass_while (leap, h->left, G_MAXINT32);
}

static void
build_finish (Hmc *h)
{
    DlhPass *finish = dlh_chains_pass (h->c, "finish", DLH_PASS_EVERY);
    DlhNode *change =
        hmc_energy_change (h, h->energy, h->new_log_density, h->new_q, h->p, h->new_g);
    DlhNode *probability = dlh_chains_accept_probability (h->c, dlh_neg (change));
    DlhNode *u = uniform (h, "accept", dlh_node_shape (change));
    DlhNode *accepted = dlh_less (u, probability);
    DlhNode *log_density = dlh_where (accepted, h->new_log_density, h->log_density);

    for (guint i = 0; i < h->n; i++) {
        dlh_pass_assign (finish, h->q[i], dlh_chains_where (h->c, accepted, h->new_q[i], h->q[i]));
        dlh_pass_assign (finish, h->g[i], dlh_chains_where (h->c, accepted, h->new_g[i], h->g[i]));
    }
    dlh_pass_assign (finish, h->log_density, log_density);
    dlh_pass_assign (finish, h->accept, probability);
    dlh_pass_report (finish, "log_density", log_density);
    dlh_pass_report (finish, "accept", probability);
    dlh_pass_report (finish, "divergent",
                     dlh_cast (dlh_less (dlh_full_like (change, MAX_DIVERGENCE), change), DLH_F64));
    dlh_pass_report (finish, "energy", h->energy);
    dlh_pass_report (finish, "energy_change", change);
    dlh_pass_report (finish, "steps", h->steps);
    dlh_pass_report (finish, "step_size", h->eps);
}

static gboolean
hmc_build (DlhChains *c, gconstpointer options, GError **error)
{
    const HmcOptions *opt = options;
    guint n = dlh_chains_n_blocks (c);
    g_auto (Hmc) h = {.c = c,
                      .opt = opt,
                      .n = n,
                      .q = g_new (DlhNode *, n),
                      .g = g_new (DlhNode *, n),
                      .p = g_new (DlhNode *, n),
                      .W = g_new (DlhNode *, n),
                      .root = g_new (DlhNode *, n),
                      .new_q = g_new (DlhNode *, n),
                      .new_g = g_new (DlhNode *, n)};
    gboolean tune = opt->target > 0 && dlh_chains_n_warmup (c) > 0;

    if (dlh_chains_is_estimate (c)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "the log density is an estimate from a batch, by which nothing can be "
                     "accepted: give batch=0, or --sampler=sgld");
        return FALSE;
    }
    if (opt->steps > opt->max_steps) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'steps' is %" G_GINT64_FORMAT ", more than 'max_steps', %" G_GINT64_FORMAT
                     ": give a greater max_steps, which bounds jittered paths too",
                     opt->steps, opt->max_steps);
        return FALSE;
    }
    make_state (&h);
    if (!dlh_graph_check (dlh_chains_graph (c), error))
        return FALSE;
    build_first (&h);
    if (tune)
        hmc_build_search (&h, DLH_PASS_START);
    build_begin (&h);
    build_leap (&h);
    build_finish (&h);
    if (tune)
        hmc_build_dual_averaging (&h);
    if (tune && opt->tune_mass)
        hmc_build_mass (&h);
    if (tune)
        hmc_build_search (&h, DLH_PASS_WINDOW);
    return dlh_graph_check (dlh_chains_graph (c), error);
}

static const DlhTransition hmc_transition = {.size = sizeof (DlhTransition), .build = hmc_build};
static const DlhSampler hmc = {.size = sizeof (DlhSampler), .transition = &hmc_transition};

DLH_PLUGIN_DEFINE (
    DLH_SAMPLER, hmc, HmcOptions,
    DLH_OPTIONS (DLH_DOUBLE (HmcOptions, step_size, 0.1, 1e-12, 1e6,
                             "Leapfrog step size; where it is tuned, the first one tried"),
                 DLH_DOUBLE (HmcOptions, target, 0.8, 0.0, 1.0,
                             "Acceptance probability that the warm-up tunes for; 0: no tuning",
                             .flags = DLH_MAX_OPEN),
                 DLH_DOUBLE (HmcOptions, length, 1.5707963, 0.0, 1e6,
                             "Path length in units of the mass matrix: steps times step size",
                             .flags = DLH_MIN_OPEN),
                 DLH_INT (HmcOptions, steps, 0, 0, 1000000,
                          "Leapfrog steps of a path; 0: length decides", .unit = "steps"),
                 DLH_DOUBLE (HmcOptions, length_jitter, 0.5, 0.0, 1.0,
                             "Each path's length or steps times 1 +- this", .flags = DLH_MAX_OPEN),
                 DLH_DOUBLE (HmcOptions, step_jitter, 0.1, 0.0, 1.0,
                             "Each chain's step size times 1 +- this, anew for each path",
                             .flags = DLH_MAX_OPEN),
                 DLH_INT (HmcOptions, max_steps, 1000, 1, 1000000,
                          "At most this many steps of a path", .unit = "steps"),
                 DLH_BOOL_OPTION (HmcOptions, tune_mass, true,
                                  "Estimate the mass matrix in the warm-up"),
                 DLH_CHOICE (HmcOptions, mass, "diagonal", "diagonal|dense",
                             "Mass matrix; dense: of each block of the position")),
    .name = "hmc", .version = "1.0", .paper = "1701.02434",
    .summary = "Hamiltonian Monte Carlo, step size and mass tuned in the warm-up");
