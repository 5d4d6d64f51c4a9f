/* SPDX-License-Identifier: MIT */
/* What the parts of the reader of recipes share. */
#pragma once

#include "members.h"
#include "recipe.h"

typedef struct {
    const char *path;
    char *data;         /* what {data} stands for */
    const char *out;    /* (nullable): what {out} stands for */
    const char *scale;  /* NULL: full */
    GPtrArray *scales;  /* char*: those that some experiment has */
    gint64 values;      /* at most so many of each axis; 0: all */
    gboolean uses_data; /* {data} stood in the experiment that is read */
    GPtrArray *scaled;  /* ScaledEvaluation: of the experiment that is read */
} Reader;

/* What a scale changes of an evaluation. */
typedef struct {
    RecipeEvaluation *evaluation;
    char *where;   /* of the scale */
    gboolean used; /* the scale is the chosen one */
} ScaledEvaluation;

void scaled_evaluation_free (gpointer scaled);

/* Options of runs into @out. */
gboolean reader_options (Reader *r, Members *m, const char *name, GHashTable *out, GError **error);

/* Reads an item of a list; takes @where. */
typedef gboolean (*ReadItem) (Reader *r, gpointer into, char *where, JsonNode *node,
                              GError **error);
gboolean reader_list (Reader *r, Members *m, const char *name, gboolean needed, gpointer into,
                      ReadItem read, GError **error);

/* Member "then": of an experiment or an arm into @out, of a scale into r->scaled. */
gboolean reader_then (Reader *r, Members *m, GPtrArray *out, GError **error);
gboolean reader_scaled_then (Reader *r, Members *m, gboolean used, GError **error);
/* Gives each arm all its evaluations: the experiment's, its own, as the scale has them. */
gboolean reader_resolve_then (Reader *r, RecipeExperiment *experiment, GError **error);
