/* SPDX-License-Identifier: MIT */
#include "graph/private.h"

const DlhOp *const dlh_ops_elementwise[] = {NULL};
