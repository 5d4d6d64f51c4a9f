/* SPDX-License-Identifier: MIT */
/* A decoder's layers from a file of foreign names. */
#pragma once

#include <dlhost/dlhost.h>

/* One dense layer: y = weight x + bias. */
typedef struct {
    char *name;        /* "layer1", "output" */
    DlhTensor *weight; /* (n_out, n_in) */
    DlhTensor *bias;   /* (nullable): (n_out) */
} Layer;

/** layers_read: (transfer full) (element-type Layer): the layers from the first to the output,
 * their shapes checked against each other, in @dtype. @model: what parameters' names begin with.
 * NULL with DLH_ERROR_DATA or DLH_ERROR_IO. */
GArray *layers_read (const char *file, const char *map, const char *model, DlhDType dtype,
                     GError **error);
