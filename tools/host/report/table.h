/* SPDX-License-Identifier: MIT */
/* Tables, for the terminal and for a page. */
#pragma once

#include <glib.h>

typedef enum {
    CELL_TEXT = 0,
    CELL_NUMBER = 1 << 0, /* to the right */
    CELL_BEST = 1 << 1,
    CELL_MARKED = 1 << 2, /* differs from the other rows */
    CELL_HEAD = 1 << 3,   /* names its row */
} CellFlags;

typedef struct {
    char *title, *note; /* note: (nullable) */
    GPtrArray *header;  /* char* */
    GPtrArray *rows;    /* GArray of Cell */
    GArray *styles;     /* gint a row: the colour of its curve, -1: none */
} Table;

Table *table_new (const char *title);
void table_free (Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Table, table_free)
void table_add_column (Table *table, const char *name);
/* Begins a row. */
void table_add_row (Table *table, int style);
/* Takes @text. */
void table_add_cell (Table *table, char *text, CellFlags flags);

/* Columns of text for a terminal; the best cells have a star. */
char *table_to_text (const Table *table);
void table_append_markdown (const Table *table, GString *out);
void table_append_html (const Table *table, GString *out);
/* As text of HTML. */
void append_escaped (GString *out, const char *text);
/* "0.0412", "1.2e-05", "-": four digits. */
char *table_number (double value);
/* "0.0412 ± 0.0003" */
char *table_mean (double mean, double error);
/* "1:02:03", "12.3 s" */
char *table_duration (double seconds);
