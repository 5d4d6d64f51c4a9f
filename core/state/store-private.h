/* SPDX-License-Identifier: MIT */
/* The inside of a store, shared by store.c, which makes variables, and checkpoint.c, which saves and
 * loads them. */
#pragma once

#include "graph/private.h"

struct _DlhStore {
    GPtrArray *variables; /* (element-type DlhVariable*): owns them, in the order of creation */
    GHashTable *by_name;  /* DlhVariable.name -> DlhVariable, not owned */
    GHashTable *pending;  /* char* -> DlhTensor*, both owned: loaded before the variable was made */
    GHashTable *streams;  /* char* or DlhStream.name -> DlhStream*, owned */
    gboolean loaded;      /* from a checkpoint: parameters must come from it */
    guint64 seed;
    DlhDType dtype;
    int ref_count; /* atomic */
};
