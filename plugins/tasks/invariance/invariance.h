/* SPDX-License-Identifier: MIT */
/* Which optimizers do not depend on the coordinates of a network's layers (Luk and Grosse, arXiv
 * 1808.10340): a model and its reparameterised twin compute the same function, are trained on the
 * same batches with the same draws, and are compared as functions after every step.
 *
 *   layers.c   the affine layers of a model, found in its graph
 *   maps.c     the affine maps of each layer's inputs and outputs, drawn at random
 *   presets.c  maps with a meaning: another activation, centred inputs, fixed normalisation
 *   twin.c     a component that builds the model and rewrites its graph; the twin's first weights
 *   probe.c    what both compute on a batch kept for comparison
 *   theory.c   what is known of an optimizer
 *   compare.c  how far apart they are, as numbers, a figure and a verdict
 *   invariance.c  the task: data, both trainers, the steps
 *
 * Letters are the sheet's. A layer s = W x, x with a trailing 1 for the bias, becomes
 *
 *     x' = Om x + om,   s' = W' x',   s = Ph s' + tau,   W' = Ph^-1 (W Ombar^-1 - [0 | tau])
 *
 * with Ombar = [Om om; 0 1]. What lies between one layer's outputs and the inputs of the next is
 * phi, whatever it is; the twin's is phi' (s') = Om phi (Ph s' + tau) + om. Maps of convolutions
 * act on channels, the same at every position; those of a recurrent weight at every time step. */
#pragma once

#include <dlhost/dlhost.h>

#define MAX_MATRIX 4096 /* inputs or outputs of a layer that a full matrix maps */

typedef struct {
    const char *maps, *preset, *padding, *expect;
    gint64 steps, batch, probe;
    double spread, shift, tolerance;
} InvarianceOptions;

/* y = M x + v on the last axis, or on channels. Members that are NULL stand for the identity and
 * for 0; a diagonal M is kept as such. */
typedef struct {
    gint64 groups, n;            /* M has groups blocks n x n */
    DlhTensor *matrix, *inverse; /* (groups, n, n) */
    DlhTensor *scale;            /* (groups n): the diagonal */
    DlhTensor *shift;            /* (groups n) */
} Map;

/* An affine layer: all uses of one weight. */
typedef struct {
    char *weight, *bias;        /* variables; bias NULL where no use has one of its own */
    char *label;                /* as it is shown: the weight without "/weight" */
    gboolean conv;              /* conv2d or conv_transpose2d: channels are axis 1 */
    gboolean transposed;        /* conv_transpose2d: the weight is stored (in, out, ..) */
    gboolean first, last;       /* fed by no other layer; feeds no other layer */
    gboolean padded;            /* zeros are put around its inputs */
    gint64 groups, n_in, n_out; /* of a group */
    gint64 taps;                /* positions of a kernel */
    double rows;                /* at its inputs, a case: output positions, time steps */
    Map in, out;                /* Om, om and Ph, tau */
} Layer;

typedef GPtrArray Layers; /* Layer* */

/* layers.c */
Layers *layers_find (const DlhObjective *objective);
/* The layer of a node with rewritten inputs, NULL for other nodes. */
Layer *layers_lookup (Layers *layers, const DlhNode *node);
gboolean layer_takes_shift (const Layer *layer);
/* Whether a step of @batch cases has fewer rows than numbers at the layer's inputs, the bias's 1
 * included: then their second moment is singular. */
gboolean layer_is_short (const Layer *layer, gint64 batch);

/* maps.c */
gboolean maps_draw (Layers *layers, const InvarianceOptions *opt, guint64 seed, GError **error);
void map_clear (Map *map);
gboolean map_is_identity (const Map *map);
/* M x + v, or M^-1 (x - v). @axis is that of the n groups; tensors become constants. */
DlhNode *map_apply (const Map *map, DlhNode *x, gboolean channels);
/* The value of @node, which depends on no input. */
DlhTensor *evaluate (DlhNode *node, GError **error);

/* twin.c */

/* A layer where it is used once. */
typedef struct {
    guint layer;             /* in Layers */
    DlhNode *input, *output; /* x as the model made it, and s; those of the twin mapped back */
} Note;

/* One of the two copies of the model. */
typedef struct {
    DlhComponent *model; /* the original */
    Layers *layers;      /* NULL until they have been found */
    gboolean mapped;     /* whether it is the twin */
    gboolean zeros;      /* keep zeros around pictures, also where activations are shifted */
    const char *swap;    /* (nullable): "tanh" or "sigmoid", written by the other in the twin */
    GArray *notes;       /* (nullable): Note, which a build adds to */
} Copy;

DlhComponent *copy_component (Copy *copy, GError **error);
/* Sets the twin's weights from the original's. */
gboolean twin_start (Layers *layers, DlhStore *original, DlhStore *twin, GError **error);

/* probe.c */

/* A copy built on a batch in evaluation mode. */
typedef struct {
    DlhGraph *graph;
    DlhObjective objective;
    GArray *notes; /* Note */
} Trace;

gboolean trace_build (Trace *trace, Copy *copy, DlhComponent *component, DlhStore *store,
                      const DlhProblem *problem, DlhTensor *x, DlhTensor *y, GError **error);
void trace_clear (Trace *trace);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Trace, trace_clear)

/* A copy's function on a batch: its outputs and those of its layers. */
typedef struct {
    DlhFunction *function;
    DlhTensor *x, *y;
    guint n;       /* function outputs: the model's outputs, then the layers' */
    GArray *notes; /* Note, of those from the second on; their nodes are gone */
} Probe;

gboolean probe_open (Probe *probe, Trace *trace, DlhTensor *x, DlhTensor *y, GError **error);
void probe_clear (Probe *probe);
gboolean probe_run (Probe *probe, GError **error);

/* presets.c */
/* Sets the maps from what the original does on the batch of @probe. @swap: (out): as Copy's. */
gboolean presets_set (Layers *layers, const InvarianceOptions *opt, Trace *trace, DlhTensor *x,
                      DlhTensor *y, const char **swap, GError **error);

/* theory.c */
typedef enum {
    THEORY_NONE = 1, /* nothing is known */
    THEORY_INVARIANT,
    THEORY_DIFFERENT,
} Verdict;

/* @why: (out): one sentence, static. */
Verdict theory_of (DlhComponent *optimizer, const InvarianceOptions *opt, Layers *layers,
                   gint64 batch, const char **why);

/* A copy in training. */
typedef struct {
    Copy copy;
    DlhComponent *component;
    DlhStore *store;
    DlhTrainer *trainer;
    Probe probe;
} Side;

typedef struct {
    DlhRun *run;
    const InvarianceOptions *opt;
    DlhData *data;
    DlhProblem problem;
    Layers *layers;
    Side sides[2]; /* the original and the twin */
    gint64 batch, *order, order_of;
    DlhTensor *x, *y; /* of the step */
    /* compare.c's: */
    DlhTensor *first;   /* the original's outputs before training */
    const char **names; /* what is recorded at a step: outputs, moved, each layer */
    guint n_values;
    GArray *history; /* double, n_values a step, that before the first included */
    double start, worst, moved;
} Invariance;

/* compare.c */
void compare_open (Invariance *v);
void compare_clear (Invariance *v);
/* Records how far apart the two are after @step steps. */
gboolean compare (Invariance *v, gint64 step, GError **error);
/* The figure, the summary and the verdict. */
gboolean conclude (Invariance *v, GError **error);
