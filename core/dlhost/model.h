/* SPDX-License-Identifier: MIT */
/* Models. A model states its roles; each is a small function table that it may or may not offer. */
#pragma once

#include <dlhost/dataset.h>
#include <dlhost/distribution.h>
#include <dlhost/layers.h>

G_BEGIN_DECLS

/* What a model is asked to fit, without the data themselves. */
typedef struct {
    gsize size;
    DlhShape input_shape; /* of one example */
    DlhShape target_shape;
    DlhTargetKind target_kind;
    gint64 n_classes;
    gint64 vocabulary;
    double target_std; /* of standardised targets, 1 otherwise */
    gint64 n_examples; /* for training; 0: not known */
} DlhProblem;

/** dlh_problem_describe: fills @problem, up to its size, with what a model must know of @data. */
DLH_EXPORT void dlh_problem_describe (DlhData *data, DlhProblem *problem);

/** dlh_problem_of: the same as a value; compiled into the caller, whose DlhProblem may be smaller
 * than the library's. */
static inline DlhProblem
dlh_problem_of (DlhData *data)
{
    DlhProblem problem;

    problem.size = sizeof problem;
    dlh_problem_describe (data, &problem);
    return problem;
}

/* A named scalar of a batch, averaged over batches by their size. */
typedef struct {
    const char *name; /* "accuracy" */
    DlhNode *value;
} DlhMetric;

/* A parameter with a Gaussian posterior, elements independent, as a perturbation gives it. */
typedef struct {
    gsize size;
    DlhVariable *variable;
    DlhNode *mean, *std;
    DlhNode *draw; /* (nullable): a draw less the mean, of the batch */
    /* (nullable), scalars that came with the draw: the sums of mean^2 + std^2 and of log std. */
    DlhNode *squares, *log_std;
} DlhWeightPosterior;

/* What a supervised model makes of a batch. */
typedef struct {
    gsize size;
    DlhNode *loss;               /* scalar, mean over the batch; minimised */
    DlhDistribution *prediction; /* (nullable): behind the loss: loss = - scale * mean log_prob */
    DlhNode *target;             /* (nullable): what the prediction is scored on */
    double n_cases;              /* cases that the mean is over: batch, or batch times time */
    DlhMetric metrics[16];       /* beyond the loss; ends with name NULL */
    const DlhWeightPosterior *posteriors; /* (array length=n_posteriors): of perturbed parameters */
    guint n_posteriors;
    DlhDistribution *averaged; /* (nullable): the prediction averaged over draws of the weights */
    gboolean calibrated;       /* evaluation says how well classes' probabilities are calibrated */
} DlhObjective;

/* The interface of a plugin of kind objective: what a supervised model is fitted by. */
typedef struct {
    gsize size;
    /* Changes the loss of what the model has made, and adds metrics. @n_batch: examples in it. */
    gboolean (*build) (DlhBuild *build, const DlhProblem *problem, gconstpointer options,
                       gint64 n_batch, DlhObjective *objective, GError **error);
} DlhObjectiveRole;

/* Role: maps a batch of inputs to a loss and the predictive distribution behind it. */
typedef struct {
    gsize size;
    /* @x: (B, input_shape), @y: (nullable): (B, target_shape). Writes @objective; FALSE with
     * DLH_ERROR_SHAPE or DLH_ERROR_OPTION when the model cannot fit the problem. */
    gboolean (*build) (DlhBuild *build, const DlhProblem *problem, gconstpointer options,
                       DlhNode *x, DlhNode *y, DlhObjective *objective, GError **error);
} DlhSupervised;

/* One of the arrays that a position of a density consists of. */
typedef struct {
    const char *name; /* lives as long as the plugin: "x" */
    DlhShape shape;   /* of one chain */
    DlhInit start;    /* of all chains: spread more widely than the density */
} DlhBlock;

#define DLH_MAX_BLOCKS 8 /* of a model's density */

/* Role: a density that samplers draw from. Arrays have an entry a block, (C, shape) each. */
typedef struct {
    gsize size;
    /* Writes at most DLH_MAX_BLOCKS of @blocks. Returns: how many, 0 with an error. */
    guint (*blocks) (gconstpointer options, DlhBlock *blocks, GError **error);
    /* (C), up to a constant. */
    DlhNode *(*log_density) (DlhBuild *build, gconstpointer options, DlhNode *const *positions);
    /* (nullable): the truth about an element of a block, NAN where it is not known. */
    void (*moments) (gconstpointer options, guint block, gint64 element, double *mean,
                     double *variance);
    /* (nullable): independent exact draws into @out. */
    void (*draw) (DlhBuild *build, gconstpointer options, DlhStream *stream, gint64 n_chains,
                  DlhNode **out);
} DlhDensity;

/* Role: observations x explained by latent variables z: z ~ prior, x ~ decode (z). Parameters are
 * made at the first call and shared by all; with build->training unset nothing may be random or
 * depend on the other cases of a batch. What a model cannot do with @problem is a sticky error. */
typedef struct {
    gsize size;
    /* p(z): @n independent draws (n, d), event rank 1. */
    DlhDistribution *(*prior) (DlhBuild *build, const DlhProblem *problem, gconstpointer options,
                               gint64 n);
    /* p(x | z) for z (n, d): draws (n, input_shape), all axes but the first the event. */
    DlhDistribution *(*decode) (DlhBuild *build, const DlhProblem *problem, gconstpointer options,
                                DlhNode *z);
    /* (nullable): q(z | x) for x (n, input_shape): draws (n, d), event rank 1. */
    DlhDistribution *(*encode) (DlhBuild *build, const DlhProblem *problem, gconstpointer options,
                                DlhNode *x);
} DlhLatent;

/* Roles to come: process, policy. New ones go at the end. */
typedef struct {
    gsize size;
    const DlhSupervised *supervised;
    const DlhDensity *density;
    const DlhLatent *latent;
    /* (nullable): FALSE with DLH_ERROR_OPTION when options contradict each other. Called as soon as
     * they are known, before any data are read. */
    gboolean (*check) (gconstpointer options, GError **error);
} DlhModel;

/** dlh_objective_classify: cross-entropy and accuracy of @logits (.., K) for classes @y (..). */
DLH_EXPORT void dlh_objective_classify (DlhObjective *objective, DlhNode *logits, DlhNode *y);
/** dlh_objective_predict: loss = - mean log p(y), the mean over all cases of @prediction. */
DLH_EXPORT void dlh_objective_predict (DlhObjective *objective, DlhDistribution *prediction,
                                       DlhNode *y);
/** dlh_objective_add_metric: at most 16; one more is a sticky error. */
DLH_EXPORT void dlh_objective_add_metric (DlhObjective *objective, const char *name,
                                          DlhNode *value);
/** dlh_objective_rewrite: dlh_graph_rewrite() over all that a model has made: loss, prediction,
 * target, metrics, and @updates (nullable), the assignments of its DlhBuild; all are replaced. */
DLH_EXPORT void dlh_objective_rewrite (DlhObjective *objective, GPtrArray *updates,
                                       DlhRewrite rewrite, gpointer user_data);

G_END_DECLS
