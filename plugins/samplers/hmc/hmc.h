/* SPDX-License-Identifier: MIT */
/* Hamiltonian Monte Carlo: options, what a build works on, the parts of its dynamics. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    double step_size, target, length, length_jitter, step_jitter;
    gint64 steps, max_steps;
    gboolean tune_mass;
    const char *mass;
} HmcOptions;

/* One node a block, or one for all chains. */
typedef struct {
    DlhChains *c;
    const HmcOptions *opt;
    guint n;
    /* W: M^-1, its diagonal or of a dense one the matrix (d, d); root: R^-1 of the latter, M^-1 = R
     * R'. */
    DlhNode **q, **g, **p, **W, **root, **new_q, **new_g;
    DlhNode *log_density, *new_log_density; /* f64 (C), of q and new_q */
    DlhNode *step_size;                     /* f64, tuned */
    DlhNode *eps;                           /* f64 (C): of this transition */
    DlhNode *energy;                        /* f64 (C): H at its start */
    DlhNode *accept;                        /* f64 (C): probability at its end */
    DlhNode *left;                          /* i64: leapfrog steps to go */
    DlhNode *steps;                         /* f64: L */
    /* Dual averaging, tuned f64 scalars; and the search for a first step size. */
    DlhNode *t, *h_bar, *log_eps_bar, *mu, *searching, *direction;
} Hmc;

/* f64 scalars: a constant, a tuned state. */
DlhNode *hmc_constant (Hmc *h, double value);
DlhNode *hmc_tuned (Hmc *h, const char *name, double value);

/* The dynamics. Factors and step sizes are f64, (C) or scalars. */

/* p + eps g, and q + eps M^-1 p. */
DlhNode *hmc_kick (Hmc *h, guint i, DlhNode *p, DlhNode *eps, DlhNode *g);
DlhNode *hmc_drift (Hmc *h, guint i, DlhNode *q, DlhNode *eps, DlhNode *p);
/* p' M^-1 p / 2 */
DlhNode *hmc_kinetic (Hmc *h, DlhNode *const *p);
/* Of the energy since @before; what is not finite has infinite energy. */
DlhNode *hmc_energy_change (Hmc *h, DlhNode *before, DlhNode *log_density, DlhNode *const *q,
                            DlhNode *const *p, DlhNode *const *g);

/* The mass. */

void hmc_make_mass (Hmc *h);
/* M^-1 v. */
DlhNode *hmc_times_inverse_mass (Hmc *h, guint i, DlhNode *v);
/* p ~ N(0, M) of all blocks. */
void hmc_draw_momenta (Hmc *h, const char *stream, DlhNode **p);
void hmc_build_mass (Hmc *h);

/* The step size. */

void hmc_build_dual_averaging (Hmc *h);
void hmc_build_search (Hmc *h, DlhPassWhen when);
