/* SPDX-License-Identifier: MIT */
/* Data sets: whole splits as tensors in memory. A dataset plugin fills a DlhData. */
#pragma once

#include <dlhost/plugin.h>
#include <dlhost/tensor.h>

G_BEGIN_DECLS

typedef struct _DlhData DlhData; /* the splits of a data set */

/* A part of the data. */
typedef enum {
    DLH_SPLIT_TRAIN = 1,
    DLH_SPLIT_VALID,
    DLH_SPLIT_TEST,
} DlhSplit;

/* What belongs to an input. */
typedef enum {
    DLH_TARGET_NONE = 1, /* inputs only */
    DLH_TARGET_CLASS,    /* i64 (n): 0 .. n_classes - 1 */
    DLH_TARGET_REAL,     /* float (n, d) */
    DLH_TARGET_SEQUENCE, /* i64 (n, T): a class for each step of an input (n, T) */
} DlhTargetKind;

/* The interface of a dataset plugin. */
typedef struct {
    gsize size;
    /* Loads the splits into @data with dlh_data_set_split() and describes them. @dtype is that of
     * float inputs and targets. */
    gboolean (*load) (DlhData *data, DlhDType dtype, gconstpointer options, GError **error);
    /* (nullable): FALSE with DLH_ERROR_OPTION when options contradict each other. Called as soon as
     * they are known, before any data are read. */
    gboolean (*check) (gconstpointer options, GError **error);
} DlhDataset;

/** dlh_data_new, dlh_data_ref, dlh_data_unref: (transfer full): an empty data set; hosts make it,
 * and a dataset plugin is given one to fill. Unreferencing NULL does nothing. */
DLH_EXPORT DlhData *dlh_data_new (void);
DLH_EXPORT DlhData *dlh_data_ref (DlhData *data);
DLH_EXPORT void dlh_data_unref (DlhData *data);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhData, dlh_data_unref)

/** dlh_data_set_split: @inputs (n, ...); @targets (nullable) (n, ...); takes a reference of each.
 * FALSE with DLH_ERROR_DATA when the counts differ, a class is out of range or a value is not
 * finite. Describe the targets, vocabulary and stream first. */
DLH_EXPORT gboolean dlh_data_set_split (DlhData *data, DlhSplit split, DlhTensor *inputs,
                                        DlhTensor *targets, GError **error);
/** dlh_data_set_targets: call before dlh_data_set_split(); @n_classes is 0 unless classes. */
DLH_EXPORT void dlh_data_set_targets (DlhData *data, DlhTargetKind kind, gint64 n_classes);
/** dlh_data_set_vocabulary: inputs are i64 tokens below @n. */
DLH_EXPORT void dlh_data_set_vocabulary (DlhData *data, gint64 n);
/** dlh_data_set_stream: the rows are pieces of a running text read in @lanes places at once: row
 * i * lanes + b goes on where row (i - 1) * lanes + b ended. So batches are @lanes rows each,
 * follow each other and are not shuffled, and a model may carry state from one to the next. 0: no
 * stream. */
DLH_EXPORT void dlh_data_set_stream (DlhData *data, gint64 lanes);
/** dlh_data_set_target_scale: targets were standardised: y = (raw - @mean) / @std. */
DLH_EXPORT void dlh_data_set_target_scale (DlhData *data, double mean, double std);

/* For plugins, after the splits are set. */

/** dlh_data_hold_out: the last @n training examples become the validation split. */
DLH_EXPORT gboolean dlh_data_hold_out (DlhData *data, gint64 n, GError **error);
/** dlh_data_limit: keeps the first @n examples of each split. */
DLH_EXPORT void dlh_data_limit (DlhData *data, gint64 n);
/** dlh_data_standardize: in place: from each channel (axis 1) of float inputs the training split's
 * mean is taken, and it is divided by its standard deviation (population form, 0 counts as 1). */
DLH_EXPORT void dlh_data_standardize (DlhData *data);

/* What there is, for models, tasks and hosts. */

/** dlh_data_has_split, dlh_data_count: whether @split was set, and its number of examples (0 if
 * not). */
DLH_EXPORT gboolean dlh_data_has_split (DlhData *data, DlhSplit split);
/** dlh_data_inputs, dlh_data_targets: (transfer none) (nullable): (n, ...), NULL where there are
 * none. */
DLH_EXPORT DlhTensor *dlh_data_inputs (DlhData *data, DlhSplit split);
DLH_EXPORT DlhTensor *dlh_data_targets (DlhData *data, DlhSplit split);
DLH_EXPORT gint64 dlh_data_count (DlhData *data, DlhSplit split);
/** dlh_data_target_kind, dlh_data_n_classes, dlh_data_vocabulary, dlh_data_is_stream,
 * dlh_data_lanes, dlh_data_target_mean, dlh_data_target_std: as set; without a call: none, 0, 0,
 * FALSE, 0, 0 and 1. */
DLH_EXPORT DlhTargetKind dlh_data_target_kind (DlhData *data);
DLH_EXPORT gint64 dlh_data_n_classes (DlhData *data);
DLH_EXPORT gint64 dlh_data_vocabulary (DlhData *data);
DLH_EXPORT gboolean dlh_data_is_stream (DlhData *data);
DLH_EXPORT gint64 dlh_data_lanes (DlhData *data);
DLH_EXPORT double dlh_data_target_mean (DlhData *data);
DLH_EXPORT double dlh_data_target_std (DlhData *data);
/** dlh_data_input_shape, dlh_data_target_shape: of one example: without the leading axis. */
DLH_EXPORT DlhShape dlh_data_input_shape (DlhData *data);
DLH_EXPORT DlhShape dlh_data_target_shape (DlhData *data);

G_END_DECLS
