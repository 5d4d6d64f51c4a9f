/* SPDX-License-Identifier: MIT */
/* The header of a safetensors file, parsed and checked. */
#pragma once

#include <dlhost/io.h>
#include "io/element.h"

/* An element type of the format. */
typedef struct {
    char name[5];
    DlhElement element;
} DlhSafetensorsType;

typedef struct {
    char *name;
    const DlhSafetensorsType *type;
    DlhShape shape;
    guint64 begin, end; /* from the first byte after the header */
    DlhTensor *tensor;
} DlhSafetensorsEntry;

/* The format's limit. Reading stops there, so writing must. */
#define DLH_SAFETENSORS_MAX_HEADER ((gsize)100000000)

extern const DlhSafetensorsType dlh_safetensors_types[];

/* Frees an entry, as element of an array. */
void dlh_safetensors_entry_free (gpointer entry);

/*
 * Appends what the @n bytes of @text (then a NUL) describe to @entries (DlhSafetensorsEntry*) and
 * @metadata (utf8 -> utf8, owned), which are empty before. @data_size: bytes after the header,
 * which the tensors must fill exactly. @n_stray: (nullable): where it is not NULL, bytes may follow
 * the last tensor, and it says how many.
 */
gboolean dlh_safetensors_parse_header (const char *text, gsize n, guint64 data_size,
                                       guint64 *n_stray, GPtrArray *entries, GHashTable *metadata,
                                       GError **error);
