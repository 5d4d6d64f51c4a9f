/* SPDX-License-Identifier: MIT */
/* Variables and the store that keeps them. All state of a run is variables: parameters, optimiser
 * buffers, step counters, positions of random streams; so a checkpoint is the store. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

typedef struct _DlhStore DlhStore; /* all variables of a run */
typedef struct _DlhStream DlhStream; /* a named source of random numbers */

/* How a variable gets its first value. Draws come from the random stream "init/<name>", so they do
 * not depend on the order of creation. Fans: shape (out, in, receptive field...). */
typedef enum {
    DLH_INIT_ZEROS = 1,
    DLH_INIT_CONSTANT, /* a */
    DLH_INIT_NORMAL,   /* mean a, standard deviation b */
    DLH_INIT_UNIFORM,  /* in [a, b) */
    DLH_INIT_GLOROT,   /* uniform, gain a: +- a sqrt (6 / (fan_in + fan_out)) */
    DLH_INIT_HE,       /* normal, gain a: std a sqrt (2 / fan_in) */
    DLH_INIT_LECUN,    /* normal, gain a: std a sqrt (1 / fan_in) */
    DLH_INIT_FAN_IN,   /* uniform, gain a: +- a / sqrt (fan_in) */
    DLH_INIT_ORTHOGONAL, /* gain a; rows or columns orthonormal */
    DLH_INIT_SPARSE,   /* Martens 2010: a non-zeros an output, N(0, b^2) */
    DLH_INIT_IDENTITY, /* (n, n) */
    DLH_INIT_FORGET_BIAS, /* (4 h): a in the second quarter, an LSTM's forget gate; else zeros */
} DlhInitKind;

/* A way to make first values, with its numbers. */
typedef struct {
    DlhInitKind kind;
    double a, b;
} DlhInit;

/** dlh_init_named: he, glorot, lecun, fan_in, orthogonal with gain 1, sparse with 15 standard
 * normal links; an unknown name gives kind 0, which every store refuses. */
DLH_EXPORT DlhInit dlh_init_named (const char *name);

/** dlh_store_new, dlh_store_ref, dlh_store_unref: (transfer full): an empty store; @seed is that of
 * all its streams and first values. Unreferencing NULL does nothing. */
DLH_EXPORT DlhStore *dlh_store_new (guint64 seed, DlhDType float_dtype);
DLH_EXPORT DlhStore *dlh_store_ref (DlhStore *store);
DLH_EXPORT void dlh_store_unref (DlhStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhStore, dlh_store_unref)

/** dlh_store_get_dtype: the element type that models use for their parameters: f32 or f64. */
DLH_EXPORT DlhDType dlh_store_get_dtype (DlhStore *store);
/** dlh_store_get_seed: as given to dlh_store_new(). */
DLH_EXPORT guint64 dlh_store_get_seed (DlhStore *store);

/**
 * dlh_store_variable:
 * Gets the variable @name, making it at the first call.
 * Returns: (transfer none): it, or NULL with DLH_ERROR_STATE when it exists with another shape or
 * dtype.
 */
DLH_EXPORT DlhVariable *dlh_store_variable (DlhStore *store, const char *name, DlhDType dtype,
                                            DlhShape shape, DlhInit init, GError **error);
/** dlh_store_lookup: Returns: (nullable): the variable, NULL when there is none. */
DLH_EXPORT DlhVariable *dlh_store_lookup (DlhStore *store, const char *name);
/** dlh_store_n_variables: how many there are by now. */
DLH_EXPORT guint dlh_store_n_variables (DlhStore *store);
/** dlh_store_get_variable: (transfer none): variable @i in the order of creation. */
DLH_EXPORT DlhVariable *dlh_store_get_variable (DlhStore *store, guint i);

/** dlh_variable_name, dlh_variable_dtype, dlh_variable_shape: (transfer none): never change. */
DLH_EXPORT const char *dlh_variable_name (const DlhVariable *variable);
/** dlh_variable_tensor: (transfer none): its storage. Writing to it changes the variable. */
DLH_EXPORT DlhTensor *dlh_variable_tensor (const DlhVariable *variable);
DLH_EXPORT DlhDType dlh_variable_dtype (const DlhVariable *variable);
DLH_EXPORT DlhShape dlh_variable_shape (const DlhVariable *variable);
/** dlh_variable_set_trainable, dlh_variable_is_trainable: models' parameters are; optimiser state
 * is not (the default). */
DLH_EXPORT void dlh_variable_set_trainable (DlhVariable *variable, gboolean trainable);
DLH_EXPORT gboolean dlh_variable_is_trainable (const DlhVariable *variable);

/* How a parameter is trained, whatever the optimizer: for losses in which several players have
 * parameters of their own. */
typedef struct {
    double factor; /* of what an optimizer adds to it, decoupled weight decay included */
    gint64 period; /* it moves at steps period - 1, 2 period - 1, .. (0 first); in between neither it
                      nor the state that an optimizer keeps of it changes */
} DlhPace;

/** dlh_variable_set_pace, dlh_variable_get_pace: a model sets it when it is built; without a call
 * {1, 1}. The factor is at least 0, the period at least 1. */
DLH_EXPORT void dlh_variable_set_pace (DlhVariable *variable, DlhPace pace);
DLH_EXPORT DlhPace dlh_variable_get_pace (const DlhVariable *variable);

/**
 * dlh_parameter:
 * A trainable variable of the store's dtype named by the graph's scope and @name, read in @graph.
 * Returns: (transfer none): the read node.
 */
DLH_EXPORT DlhNode *dlh_parameter (DlhGraph *graph, DlhStore *store, const char *name,
                                   DlhShape shape, DlhInit init);
/**
 * dlh_assign:
 * Returns: (transfer none): a node that, listed among a function's outputs, stores @value in
 * @variable after the run. Reads in the same function see the value from before.
 */
DLH_EXPORT DlhNode *dlh_assign (DlhVariable *variable, DlhNode *value);

/**
 * dlh_store_save:
 * Writes every variable as safetensors: temporary sibling, fsync, rename, fsync of the directory.
 * @metadata: (nullable) (element-type utf8 utf8): strings for the file's __metadata__
 */
DLH_EXPORT gboolean dlh_store_save (DlhStore *store, const char *path, GHashTable *metadata,
                                    GError **error);
/**
 * dlh_store_load:
 * Reads a file of dlh_store_save() (checked in full before anything changes). Variables that exist
 * get its values and must agree in shape and dtype; others wait in the store until they are made, and
 * then start from the file's value.
 * @metadata: (out) (optional) (transfer full): the strings
 */
DLH_EXPORT gboolean dlh_store_load (DlhStore *store, const char *path, GHashTable **metadata,
                                    GError **error);

G_END_DECLS
