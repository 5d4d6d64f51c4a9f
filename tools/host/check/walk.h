/* SPDX-License-Identifier: MIT */
/* Chains in small: a sampler on a target, or a random walk over a model's density. */
#pragma once

#include "problems.h"

typedef enum {
    PLACE_DENSITY = 1, /* known, of three blocks */
    PLACE_POSTERIOR,   /* of the built-in model */
    PLACE_MINIBATCH,   /* the same, estimated from batches */
    PLACE_OWN,         /* the model's own */
} PlaceKind;

typedef struct {
    const char *name;
    PlaceKind kind;
} Place;

/* Where the plugin is tried, by its kind; ends with name NULL. */
const Place *places (const Check *c);

typedef struct {
    DlhStore *store;
    DlhTarget *target;
    DlhChains *chains;
    gboolean spoiled; /* set before walk_init(): the known density is NaN */
} Walk;

void walk_clear (Walk *walk);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Walk, walk_clear)

/* @walk stays where it is: the target keeps its address. @settings: (nullable): of the plugin,
 * beside the command line's. */
gboolean walk_init (Walk *walk, Check *c, const Place *place, gint64 n_chains, gint64 n_warmup,
                    GHashTable *settings, GError **error);
gboolean walk_on (Walk *walk, guint n, GError **error);

/* What PLACE_DENSITY is made of: independent numbers, of which the distribution is known. */
guint known_n_blocks (void);
const char *known_name (guint block);
gint64 known_size (guint block);
/* The number below which a share @u of (0, 1) lies, and the share below @x. */
double known_quantile (guint block, gint64 element, double u);
double known_share (guint block, gint64 element, double x);

/* The known density is left as it was found: the outcome of the current item. */
void check_invariance (Check *c, const Place *place);
