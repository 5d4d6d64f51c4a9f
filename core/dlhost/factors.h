/* SPDX-License-Identifier: MIT */
/* Data sets of other kinds than tensors in memory: examples that are made when they are asked for,
 * examples whose ground truth factors are known, examples that are not equally probable.
 *
 *     const DlhFactor factors[] = {{.name = "scale", .n_values = 6}, {.name = "angle", .n_values =
 * 40}};
 *
 *     dlh_data_set_factors (data, factors, 2);
 *     return dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, NULL, error) &&
 *            dlh_data_set_factor_values (data, DLH_SPLIT_TRAIN, values, error);
 */
#pragma once

#include <dlhost/dataset.h>

G_BEGIN_DECLS

/* Makes examples. */
typedef struct {
    gsize size;
    gint64 n;       /* how many there are */
    DlhDType dtype; /* that of load() */
    DlhShape shape; /* of one */
    /* Finite inputs of the examples @rows into @out (n, shape). Several threads may be in it. */
    void (*fill) (gpointer source, const gint64 *rows, gsize n, gpointer out);
    gpointer source;
    GDestroyNotify free_source; /* (nullable): when the last split goes */
    /* (nullable): from now on examples are those of @epoch (0 first), which may have chance of its
     * own. No fill() is running. */
    void (*begin_epoch) (gpointer source, guint64 epoch);
} DlhExamples;

/** dlh_data_set_examples: a split like that of dlh_data_set_split() whose inputs are made by @rows,
 * which is copied. FALSE with DLH_ERROR_DATA as there; @rows->source is then freed. */
DLH_EXPORT gboolean dlh_data_set_examples (DlhData *data, DlhSplit split, const DlhExamples *rows,
                                           DlhTensor *targets, GError **error);

/* For tasks. These work for every data set; dlh_data_inputs() makes all examples of such a split at
 * once, and is NULL where they would take more than half of the machine's memory. */

/** dlh_data_in_memory: whether dlh_data_inputs() costs nothing. */
DLH_EXPORT gboolean dlh_data_in_memory (DlhData *data, DlhSplit split);
/** dlh_data_dtype: of inputs. */
DLH_EXPORT DlhDType dlh_data_dtype (DlhData *data, DlhSplit split);
/** dlh_data_gather: inputs of the examples @rows into @x (n, input_shape), on all threads. */
DLH_EXPORT void dlh_data_gather (DlhData *data, DlhSplit split, const gint64 *rows, DlhTensor *x);
/** dlh_data_rows: (transfer full): inputs of examples @first .. @first + @n - 1; those in memory
 * are shared, not copied. NULL with DLH_ERROR_MEMORY. */
DLH_EXPORT DlhTensor *dlh_data_rows (DlhData *data, DlhSplit split, gint64 first, gint64 n,
                                     GError **error);

/* What an example was made from: a number of values each. */
typedef struct {
    const char *name;
    gint64 n_values;
    const double *values; /* (nullable): n_values numbers that the values stand for */
    gboolean nuisance;    /* known, but not one that a code is asked to find */
} DlhFactor;

/** dlh_data_set_factors: describes @n factors, at most 32; they are copied. */
DLH_EXPORT void dlh_data_set_factors (DlhData *data, const DlhFactor *factors, guint n);
/** dlh_data_set_factor_values: @values: i64 (n, n_factors), each below its n_values; takes a
 * reference. Set the split first. DLH_ERROR_DATA. */
DLH_EXPORT gboolean dlh_data_set_factor_values (DlhData *data, DlhSplit split, DlhTensor *values,
                                                GError **error);
/** dlh_data_n_factors, dlh_data_factor, dlh_data_factor_values: (transfer none): as set, 0 and NULL
 * without. */
DLH_EXPORT guint dlh_data_n_factors (DlhData *data);
DLH_EXPORT const DlhFactor *dlh_data_factor (DlhData *data, guint i);
DLH_EXPORT DlhTensor *dlh_data_factor_values (DlhData *data, DlhSplit split);

/** dlh_data_set_weights: @weights: f64 (n): how probable each example is, up to a common factor: a
 * task draws training examples with these probabilities instead of taking each once an epoch. Takes
 * a reference. Set the split first. DLH_ERROR_DATA when one is negative or none is positive. */
DLH_EXPORT gboolean dlh_data_set_weights (DlhData *data, DlhSplit split, DlhTensor *weights,
                                          GError **error);
/** dlh_data_weights: (transfer none) (nullable): f64 (n), NULL: all are equally probable. */
DLH_EXPORT DlhTensor *dlh_data_weights (DlhData *data, DlhSplit split);
/** dlh_data_epoch: @out gets n examples for epoch number @epoch of a run with @seed: each once in
 * random order; or, with weights, n independent draws. @name is that of the random stream. A
 * split's DlhExamples.begin_epoch() is told; of such a split dlh_data_inputs() are made anew. */
DLH_EXPORT void dlh_data_epoch (DlhData *data, DlhSplit split, guint64 seed, const char *name,
                                guint64 epoch, gint64 *out);

G_END_DECLS
