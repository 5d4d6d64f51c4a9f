/* SPDX-License-Identifier: MIT */
/* From nodes to something that runs.
 *
 *     simplify   drop what runs to nothing, fold constants               (fold.c)
 *     fuse       gather element-wise nodes and sums into groups          (fuse.c)
 *     plan       steps in order, assignments in place, memory by lifetime (plan.c, plan-memory.c),
 *                which steps go by rows together                          (plan-rows.c)
 *     bind       resolve every address                                   (compile.c)
 *     run        walk the steps                                          (function.c)
 */
#pragma once

#include "cpu/ew.h"
#include "graph/private.h"
#include "graph/rows.h"

#define DLH_NO_GROUP (-1)

/* A set of element-wise nodes of one shape, and sums over that shape, that run as one program. */
typedef struct {
    GPtrArray *members; /* DlhNode*, ids falling while it grows */
    DlhShape domain;
} DlhGroup;

/* Where a node's value lies. */
typedef enum {
    DLH_AT_NOWHERE,
    DLH_AT_INPUT,    /* given at each run */
    DLH_AT_CONSTANT, /* in a tensor of the graph or the function */
    DLH_AT_VARIABLE, /* in the variable's own memory */
    DLH_AT_BUFFER,   /* in the function's arena */
    DLH_AT_OUTPUT,   /* in a tensor of its own, kept until the next run */
} DlhPlace;

/* The memory of a node; views share their input's, at an offset. */
typedef struct {
    DlhPlace place;
    DlhNode *root;  /* the node whose step fills the memory */
    gsize offset;   /* bytes from the root's */
} DlhValue;

typedef struct {
    gsize bytes;
    guint first, last; /* steps in which it is alive, or those that run beside them are */
    guint born, dies;  /* the first and the last step that need it */
    guint storage;     /* buffers that take over each other's memory have the same */
    gsize at;          /* offset in the arena */
} DlhBuffer;

typedef enum { DLH_STEP_KERNEL = 1, DLH_STEP_FUSED, DLH_STEP_COPY } DlhStepKind;

typedef struct {
    DlhStepKind kind;
    DlhNode *node;     /* kernel: what it computes; copy: whose value is copied */
    DlhGroup *group;   /* fused */
    int target;        /* copy: output number, or -1 - assignment number */
    guint key;         /* order of preference: the largest id in it */
    gboolean writes;   /* a variable, in place */
    GArray *after;     /* guint: steps that must come later */
    guint n_before;
    guint position;    /* in the schedule */
    guint begin, end;  /* positions of the steps that run beside it, itself among them */
    gint64 n_rows;     /* that go through those steps apart from each other; 0: the steps do not go by rows */
    double flops;
} DlhStep;

typedef struct {
    DlhNode *node; /* the assign */
    gboolean in_place;
    gboolean staged; /* a copy step saves the old value of another variable first */
} DlhAssignment;

typedef struct {
    DlhGraph *graph;
    DlhCompileFlags flags;
    DlhNode **outputs; /* simplified */
    guint n_outputs;
    guint n; /* nodes of the graph */
    gboolean *live;
    guint *use_start; /* consumers of node i are uses[use_start[i]] .. */
    DlhNode **uses;
    int *group; /* of a node, or DLH_NO_GROUP */
    GPtrArray *groups;
    gboolean *in_memory; /* the value must exist outside its group */
    DlhValue *values;
    GArray *assignments; /* DlhAssignment */
    GPtrArray *steps;    /* DlhStep* by index; order[] holds the schedule */
    int *producer;       /* node id -> step index, -1 */
    guint *order;
    GArray *buffers;     /* DlhBuffer */
    int *buffer;         /* root node id -> index in buffers, -1 */
    int *work;           /* step index -> index in buffers, -1 */
    int *stage;          /* assignment -> index in buffers, -1 */
    gsize arena_size;
} DlhCompiler;

/* fold.c */
void dlh_simplify (DlhGraph *graph, DlhNode *const *outputs, guint n, DlhCompileFlags flags,
                   DlhNode **simplified);
/* fuse.c */
gboolean dlh_is_elementwise (const DlhNode *node);
gboolean dlh_is_lazy (const DlhNode *node);
void dlh_fuse (DlhCompiler *c);
/* The program of a group; slots[i] is the node whose value (or whose broadcast operand) slot i is. */
DlhEwProgram *dlh_fuse_program (DlhCompiler *c, DlhGroup *group, gint64 n_rows, GPtrArray *slots);
/* plan.c */
/* Whether the value is input 0's memory, from *offset bytes on (when @offset is not NULL). */
gboolean dlh_is_view (const DlhNode *node);
gsize dlh_view_offset (const DlhNode *node);
void dlh_plan (DlhCompiler *c);
/* Its last part: the arena for the steps in their order. */
void dlh_plan_memory (DlhCompiler *c);
gsize dlh_plan_bytes_of (const DlhNode *node);
/* Calls @visit for the node of each value that @step reads from memory. */
void dlh_plan_for_operands (DlhCompiler *c, guint step,
                            void (*visit) (DlhCompiler *, guint, DlhNode *, gpointer),
                            gpointer data);

/* plan-rows.c */
double dlh_plan_flops (const DlhStep *step);
/* Marks runs of steps that go by rows, once they are in order. */
void dlh_plan_rows (DlhCompiler *c);
/* Whether step @s, of a run by rows, reads row r of its operand @x alone for its row r, and finds it where
 * the row r of the whole memory is. */
gboolean dlh_plan_reads_by_row (DlhCompiler *c, const DlhStep *s, DlhNode *x);

/* What runs. */
typedef struct {
    DlhStepKind kind;
    DlhEwProgram *program;
    void **slots;
    DlhCall call;
    void **in; /* what call.in points to */
    void *copy_to;
    void *copy_from;
    gsize copy_bytes;
    DlhNode *node;
    char *name;
    double flops, bytes;
    guint n_beside; /* how many run side by side from here on, 1 for itself; 0: not the first of them */
    const DlhOpRows *rows; /* kernel, in steps by rows */
    gint64 n_rows;  /* side by side: 0 for steps, each as a whole; else for rows, each through all steps */
} DlhInstruction;

typedef struct {
    void **where;
    guint input;
    gsize offset;
} DlhPatch;

typedef struct {
    void *to;
    void *from;
    gsize bytes;
} DlhCommit;

/* Where an instruction's operand comes from: for pictures. */
typedef struct {
    int from;       /* the instruction that computes it; -1: a leaf */
    guint to;
    DlhNode *value; /* the node whose memory it is */
} DlhLink;

struct _DlhFunction {
    gint ref_count;
    DlhGraph *graph;
    DlhNode **nodes; /* the outputs as asked for */
    guint n_outputs;
    DlhTensor **outputs;
    DlhNode **inputs;
    guint n_inputs;
    gboolean *input_used;
    DlhInstruction *instructions;
    guint n_instructions;
    guint *side;       /* room for the numbers of those that run side by side, */
    GError **failures; /* and for what went wrong in each */
    guint most_threads; /* that steps by rows have room for */
    GArray *patches;
    GArray *links; /* DlhLink */
    GArray *commits;
    GPtrArray *counters;  /* DlhVariable*: of the streams drawn from */
    GPtrArray *constants; /* DlhTensor* */
    void *arena;
    gsize arena_size;
    guint n_before_writes; /* instructions, from the first on, that change no variable */
    gboolean (*stop) (gpointer data); /* (nullable) */
    gpointer stop_data;
    DlhFunction *diagnosis;
};
