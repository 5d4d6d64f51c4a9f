/* SPDX-License-Identifier: MIT */
/* Annealed importance sampling: options, the path of densities, what a build works on. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    gint64 temperatures, steps;
    const char *schedule, *tuning, *momentum;
    double radius, step_size, min_step, max_step, target, jitter;
} AisOptions;

/* b_t of the sigmoid or the linear schedule, t = 0 .. T - 1. The ends are exact. */
double ais_temperature (const AisOptions *opt, gint64 t);

/* Arrays have a node a block. */
typedef struct {
    DlhChains *c;
    const AisOptions *opt;
    guint n;
    gint64 n_groups;
    gboolean adaptive; /* inverse temperatures are chosen in the warm-up */
    DlhNode **q, **gs, **gp, **v, **new_q, **new_gs, **new_gp;
    DlhNode **kept;                 /* momenta before the transition's first kick, if they last */
    DlhNode *s, *p, *new_s, *new_p; /* f64 (C) */
    DlhNode *weight;                /* f64 (C): w */
    DlhNode *energy;                /* f64 (C): H at the transition's start */
    DlhNode *eps;                   /* f64 (C): of this transition */
    DlhNode *b;                     /* f64, adaptive (C): its inverse temperature */
    DlhNode *reverse;               /* i64: the way back */
    DlhNode *stride;                /* i64: a path by every so manyth temperature; 0 as 1 */
    DlhNode *fresh, *left;          /* i64: to be started; leapfrog steps before the last */
    DlhNode *table;                 /* f64 (T, groups), tuned: step sizes */
    DlhNode *schedule;              /* f64 (T, groups), tuned: inverse temperatures, if adaptive */
    DlhNode *deviations;            /* f64 (T, groups), tuned: of log density - log start */
    DlhNode *next_eps;              /* f64 (groups), tuned: of the warm-up's next transition */
    DlhNode *mean_accept;           /* f64 (groups), tuned: moving average */
    DlhNode *accept, *accepted;     /* f64 (C): probability, and 0 or 1 */
} Ais;

DlhNode *ais_scalar (Ais *a, double value);
/* bool: whether this is a transition of the warm-up, the first of a round. */
DlhNode *ais_in_warmup (Ais *a);
DlhNode *ais_is_first (Ais *a);
/* f64: t that this transition moves at, and the one before it. */
DlhNode *ais_row (Ais *a);
DlhNode *ais_row_before (Ais *a);
/* A row of a table (T, ..). */
DlhNode *ais_at_row (DlhNode *table, DlhNode *row);
/* f64: b_t of the schedule that is not adapted. */
DlhNode *ais_fixed (Ais *a, DlhNode *row);
/* (groups): step sizes of this transition before jitter. */
DlhNode *ais_step_sizes (Ais *a);
/* (C) to means (groups). */
DlhNode *ais_of_groups (Ais *a, DlhNode *x);

/* The variables that are tuned, and the pass that does it. */
void ais_make_tuned (Ais *a);
void ais_build_tune (Ais *a);
/* After a transition: at the end of the warm-up the tables become those of the adapted schedule. */
gboolean ais_between (DlhChains *c, gconstpointer options, GError **error);
