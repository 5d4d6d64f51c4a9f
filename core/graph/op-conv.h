/* SPDX-License-Identifier: MIT */
/* What the ops of a convolution's geometry share: checks, and shapes to test them with. */
#pragma once

#include <dlhost/dlhost.h>
#include "cpu/conv.h"

typedef struct {
    gint64 B, C, O, h, w, kh, kw;
    DlhConv conv;
} DlhConvCase;

/* Sets *@s from shapes x (B, C, H, W) and w (O, C / g, kh, kw). FALSE when they or @c do not fit,
 * with an error that says what. */
gboolean dlh_conv_sizes (const char *op, const DlhConv *c, DlhShape x, DlhShape w, DlhConvSize *s,
                         GError **error);
gboolean dlh_conv_check_dtypes (const char *op, const DlhNode *node, GError **error);
const DlhConvCase *dlh_conv_case (DlhSample *s, guint which, DlhShape *x, DlhShape *w);
DlhShape dlh_conv_case_output (const DlhConvCase *c, DlhShape x, DlhShape w);
DlhNode *dlh_conv_sample_input (DlhSample *s, DlhShape shape);
