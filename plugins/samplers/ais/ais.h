/* SPDX-License-Identifier: MIT */
/* Annealed importance sampling: options, the path of densities, what a build works on. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    gint64 temperatures, steps;
    const char *schedule, *tuning, *momentum;
    double radius, step_size, min_step, max_step, target, jitter;
} AisOptions;

/* What the k-th transition of a path does, k = 1 .. T - 1, in either direction; entry T stands for
 * all after it. Entries of the way back follow those of the way there. */
typedef enum {
    AIS_B = 1,  /* inverse temperature that it moves at */
    AIS_CHANGE, /* of the inverse temperature before it moves */
    AIS_ROW,    /* t: of the tables of step sizes and of inverse temperatures */
    AIS_FROM,   /* t before it moves */
} AisEntry;

double ais_entry (const AisOptions *opt, AisEntry what, gboolean reverse, gint64 k);

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
    DlhNode *reverse;               /* i64 */
    DlhNode *fresh, *left;          /* i64: to be started; leapfrog steps to go */
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
/* f64: an entry of this transition. */
DlhNode *ais_look_up (Ais *a, AisEntry what);
/* (groups): step sizes of this transition before jitter. */
DlhNode *ais_step_sizes (Ais *a);
/* (C) to means (groups). */
DlhNode *ais_of_groups (Ais *a, DlhNode *x);

/* The variables that are tuned, and the pass that does it. */
void ais_make_tuned (Ais *a);
void ais_build_tune (Ais *a);
/* After a transition: at the end of the warm-up the tables become those of the adapted schedule. */
gboolean ais_between (DlhChains *c, gconstpointer options, GError **error);
