/* SPDX-License-Identifier: MIT */
/* What a data set holds of each split. Examples lie in memory or are made by rows; with rows,
 * inputs are NULL until somebody asks for all of them. */
#pragma once

#include <dlhost/factors.h>

/* A plugin's rows, shared by the splits that are parts of one another. */
typedef struct {
    int ref_count;
    DlhExamples rows;
} DlhRowsShared;

typedef struct {
    DlhTensor *inputs, *targets;  /* (n, ...) */
    DlhTensor *factors, *weights; /* i64 (n, n_factors), f64 (n); NULL: none */
    DlhRowsShared *rows;          /* NULL: inputs is all there is */
    gint64 first, n;              /* the part of the rows that the split is */
} DlhSplitData;

struct _DlhData {
    int ref_count;
    DlhSplitData splits[DLH_SPLIT_TEST + 1]; /* by DlhSplit */
    DlhTargetKind target_kind;
    gint64 n_classes, vocabulary, lanes;
    double target_mean, target_std;
    DlhFactor *described; /* n_factors, with their own memory */
    guint n_factors;
};

/* "training" */
const char *dlh_split_name (DlhSplit split);
DlhRowsShared *dlh_rows_ref (DlhRowsShared *rows);
void dlh_rows_unref (DlhRowsShared *rows);
void dlh_data_clear_factors (DlhData *data);
/* DLH_ERROR_DATA unless inputs of shape @x (n, ...) go with @targets and with the other splits. */
gboolean dlh_data_check_shapes (DlhData *data, DlhSplit split, DlhShape x, DlhTensor *targets,
                                GError **error);
/* DLH_ERROR_DATA unless all targets are numbers or classes in range; NULL is well. */
gboolean dlh_data_check_targets (DlhData *data, DlhSplit split, DlhTensor *targets, GError **error);
/* What changes with the epoch is that of @epoch. */
void dlh_data_begin_epoch (DlhData *data, DlhSplit split, guint64 epoch);
/* Shape of all inputs (n, ...), whether they are in memory or not; rank 0 without the split. */
DlhShape dlh_data_whole_shape (DlhData *data, DlhSplit split);
