/* SPDX-License-Identifier: MIT */
#pragma once

#include <dlhost/sampling.h>

struct _DlhTarget {
    DlhStore *store;
    DlhGraph *graph;
    gint64 n_chains;
    guint n_blocks;
    DlhBlock *blocks;
    GPtrArray *names; /* char*: owned names of the blocks */
    gboolean is_estimate;
    double n_examples;  /* 1 when it is not of data */
    gint64 n_groups;    /* of chains with a density of their own */
    DlhNode *rows;      /* (nullable): numbers of the chains, by which their chance is keyed */
    DlhTensor **inputs; /* one for each input of the graph, NULL for those that nothing reads */
    guint n_inputs;
    gpointer self; /* of whoever made the target */
    GDestroyNotify free_self;
    DlhNode *(*log_density) (DlhTarget *t, DlhNode *const *positions);
    /* The rest may be NULL. */
    DlhNode *(*log_prior) (DlhTarget *t, DlhNode *const *positions);
    void (*draw_prior) (DlhTarget *t, DlhStream *stream, DlhNode **out);
    DlhNode *(*monitor) (DlhTarget *t, DlhNode *const *positions); /* (C, m) */
    /* First positions, where the blocks' start does not say all. */
    void (*start) (DlhTarget *t, guint block, DlhTensor *positions);
    gboolean (*set_examples) (DlhTarget *t, DlhTensor *x, gint64 first, GError **error);
};

/* Appends an input of the graph with its value, of which a reference is taken. */
DlhNode *dlh_target_add_input (DlhTarget *t, const char *name, DlhDType dtype, DlhShape shape,
                               DlhTensor *value);
DlhTarget *dlh_target_alloc (DlhStore *store, gint64 n_chains);
/* Copies name and shape; sets the graph's error when they are unfit. */
gboolean dlh_target_add_block (DlhTarget *t, const DlhBlock *block, GError **error);
/* The shape of block @i of all chains. */
DlhShape dlh_target_shape (DlhTarget *t, guint i);

#define DLH_MAX_PASSES 16
#define DLH_MAX_WINDOWS 64

typedef struct {
    char *name;
    double *values; /* C */
} DlhReport;

struct _DlhPass {
    DlhChains *chains;
    char *name;
    guint when;
    DlhVariable *while_above; /* (nullable) */
    gint64 limit;
    GPtrArray *assigns;  /* DlhNode* */
    GPtrArray *reported; /* DlhNode*: f64 (C) */
    GArray *columns;     /* guint: report that each of them fills */
    DlhFunction *function;
    gint64 runs;
};

struct _DlhChains {
    DlhTarget *target;
    DlhComponent *sampler;
    const DlhTransition *transition;
    const char *prefix; /* the sampler's name */
    gint64 n_warmup;
    gint64 windows[DLH_MAX_WINDOWS]; /* ends */
    guint n_windows;
    DlhVariable *step;
    DlhVariable **positions;
    DlhNode **reads;
    GHashTable *tuned; /* DlhVariable*: frozen after the warm-up */
    GPtrArray *passes; /* DlhPass* */
    GArray *reports;   /* DlhReport */
    GPtrArray *notes;  /* char* */
};
