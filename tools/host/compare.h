/* SPDX-License-Identifier: MIT */
/* Two safetensors files beside each other. */
#pragma once

#include <dlhost/io.h>

/* What became of a tensor between two files. */
typedef struct {
    const char *name;
    const char *what;  /* "same", "differs", "only in the first", "only in the second", "shape" */
    double max_change; /* largest |b - a|; infinite where one is not finite and the other is */
    double max_value;  /* largest |a| */
    gint64 first;      /* first element that differs, -1: none */
} TensorChange;

/* (transfer full) (element-type TensorChange): by name; the files must outlive it. Values are the
 * same when their bits are, so NaN equals itself. */
GArray *compare_tensors (DlhSafetensors *a, DlhSafetensors *b);
gboolean tensor_changed (const TensorChange *change);
