/* SPDX-License-Identifier: MIT */
/* What the files of random ops share. Input 0 of such an op is the stream's counter. */
#pragma once

#include "cpu/draw.h"
#include "graph/private.h"

typedef struct {
    gint64 key[2];
    gint64 index;
    gint64 dtype;
    gint64 rank;
    gint64 dims[DLH_MAX_RANK];
} DlhDrawAttrs;

DlhDraw dlh_draw_of (const DlhCall *call);
/* That input 0 is a counter, and @dtype and @shape can be drawn. */
gboolean dlh_draw_check (const DlhNode *node, DlhDType dtype, DlhShape shape, GError **error);
/* Inputs from the second on are in @inputs; the first is put there. */
DlhNode *dlh_draw_node (const DlhOp *op, DlhGraph *graph, DlhStream *stream, DlhNode **inputs,
                        DlhDType dtype, DlhShape shape);
/* What a draw of @shape would be made by, between dlh_graph_push_rows() and its end; else NULL. */
DlhNode *dlh_draw_rows (DlhGraph *graph, DlhShape shape);

extern const DlhOp dlh_op_softplus_normal;
