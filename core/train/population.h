/* SPDX-License-Identifier: MIT */
/* What the files of populations share. */
#pragma once

#include <dlhost/population.h>
#include "graph/private.h"
#include "perturb/private.h"
#include "train/private.h"

/* What is drawn for a parameter: of its shape; (members, ...), or signs (members, size of an axis).
 */
typedef enum { PART_DRAW, PART_DRAWS, PART_SIGNS0, PART_SIGNS1, N_PARTS } Part;

typedef struct {
    DlhNode *parts[N_PARTS]; /* of the members, without their mirror images; NULL: not needed */
} Drawn;

struct _DlhPopulation {
    DlhPopulationOptions options;
    char *weights;
    DlhUpdate *update;
    DlhBuild build;
    DlhPerturbOptions perturb_options;
    DlhPerturb perturb;
    gboolean *depends;    /* by node: on the rows */
    gint64 each;          /* candidates of a group, mirror images included */
    DlhNode *base, *rows; /* the batch (NULL: each has its own), and its rows for each candidate */
    DlhNode *spread;      /* (nullable): (each, the batch): what rows are a reshape of */
    GPtrArray *groups;    /* DlhVariable -> Drawn */
    GHashTable *group;    /* the one that is being made */
    gint64 group_number;
    gboolean stored; /* draws are variables, so that several functions see them */
    DlhNode *scores;
};

DlhPopulation *dlh_population_new (DlhUpdate *u, const DlhPopulationOptions *options,
                                   const DlhBuild *build);
void dlh_population_free (DlhPopulation *p);
/* (B, ...) @n times: (n B, ...), the whole batch after the whole batch. */
DlhNode *dlh_population_repeat (DlhNode *x, gint64 n);
/* Looks for weights in what @roots are made of; rows is set. */
gboolean dlh_population_find (DlhPopulation *p, DlhNode *const *roots, guint n_roots,
                              GError **error);
/* @roots as the candidates of @group see them. */
void dlh_population_group (DlhPopulation *p, gint64 group, DlhNode *const *roots, guint n,
                           DlhNode **out);

/* score.c: scores of the update's batch. */
gboolean dlh_population_score (DlhPopulation *p, GError **error);
/* rewarded.c: scores that are given; and a draw that is a variable. */
gboolean dlh_population_reward (DlhPopulation *p, GError **error);
DlhNode *dlh_population_stored (DlhPopulation *p, DlhVariable *v, const char *part, DlhShape shape);
