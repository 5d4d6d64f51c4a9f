/* SPDX-License-Identifier: MIT */
/* What the files that perturb a model share. */
#pragma once

#include <dlhost/perturb.h>

/* Where the examples of a batch are in a value. */
typedef struct {
    enum { DLH_CASES_NONE, DLH_CASES_ALONG, DLH_CASES_LOST } state;
    guint axis;           /* along: index i of this axis is of example i / inner % N */
    gint64 inner;         /* (outer, N, inner) are folded into the axis */
    const DlhNode *where; /* lost: at which node */
} DlhCases;

/* (transfer full): for each node id up to the roots', found from @x whose first axis is the
 * examples. */
DlhCases *dlh_cases_follow (DlhNode *const *roots, guint n_roots, DlhNode *x);
/* @v (N) or (N, C) laid out against a value of @shape whose examples are as in @cases, C along axis
 * @channel: of a shape that broadcasts to it. */
DlhNode *dlh_cases_spread (const DlhCases *cases, DlhNode *v, DlhShape shape, guint channel);
/* (.., as @cases) to (outer axes, inner axes, ..): examples along the first axis, the rest of the
 * axes before @last joined as the second: (N, M, rest); and back to @shape. */
DlhNode *dlh_cases_gather (const DlhCases *cases, DlhNode *x, gint64 n, guint last);
DlhNode *dlh_cases_scatter (const DlhCases *cases, DlhNode *x, gint64 n, DlhShape shape,
                            guint last);

/* One graph that is being perturbed. */
typedef struct {
    const DlhBuild *build;
    const DlhPerturbOptions *options;
    const DlhEstimator *estimator;
    gconstpointer estimator_options;
    const DlhNoise *noise;
    gconstpointer noise_options;
    gint64 n; /* examples */
    DlhCases *cases;
    guint n_nodes;
    GPtrArray *weights;   /* DlhWeight */
    GHashTable *products; /* DlhNode -> DlhProduct */
    gboolean quiet;       /* mean weights only */
    /* (nullable): makes draws and signs in the place of noise and streams: "draw", "draws",
     * "signs0" or "signs1". */
    DlhNode *(*make) (DlhWeight *w, const char *what, DlhShape shape, gpointer data);
    gpointer make_data;
    gboolean biases, fresh; /* biases have noise; of their own for each example */
} DlhPerturb;

struct _DlhWeight {
    DlhPerturb *perturb;
    DlhVariable *variable;
    DlhNode *value;
    gboolean is_bias;
    char *obstacle; /* why it is left alone */
    GArray *uses;   /* DlhUse */
    /* Made when first asked for. */
    DlhNode *mean, *std, *draw, *draws;
    DlhNode *signs[2];
    DlhNode *squares, *log_std; /* (nullable): sums that came with the draw */
    gboolean may_round;    /* an estimator has asked for products that may be rounded */
    const char *unrounded; /* why they are not */
};

struct _DlhProduct {
    DlhPerturb *perturb;
    DlhNode *node;
    DlhNode *const *inputs;   /* after rewriting */
    DlhWeight *weight, *bias; /* NULL: left alone */
};

/* The noise "dropconnect" at a rate that is not symmetric. */
extern const DlhNoise dlh_noise_dropconnect_any;

/* weight.c */
void dlh_weight_free (gpointer weight);
DlhStream *dlh_weight_stream (DlhWeight *w, const char *what);
/* product.c */
gboolean dlh_product_is (const DlhNode *node, guint input, gboolean *bias);
DlhNode *dlh_product_replace (DlhProduct *p);
/* find.c: weights, products and obstacles; FALSE when strict finds one. */
gboolean dlh_perturb_find (DlhPerturb *p, DlhNode *const *roots, guint n_roots, GError **error);
void dlh_perturb_describe (DlhPerturb *p);
