/* SPDX-License-Identifier: MIT */
/* Text for people: wrapping, tables, sizes. Widths are in characters of a terminal. */
#pragma once

#include <glib.h>

#define TEXT_WIDTH 80 /* where nothing says how wide the terminal is */

#define TEXT_FIXED_SPACE "\xc2\xa0" /* text_wrap() prints a space, and breaks no line there */

/* Columns of the terminal behind standard output, TEXT_WIDTH when it is none; 40 to 200. */
guint text_width (void);
/* Appends @text, broken at spaces before @width; lines after the first begin with @indent spaces.
 * @column: how far the line is filled already. Ends with a newline. */
void text_wrap (GString *out, const char *text, guint column, guint indent, guint width);
/* Appends @text and spaces up to @width characters; cuts nothing. */
void text_pad (GString *out, const char *text, guint width);
/* Removes the spaces before the end of the line and ends it. */
void text_end_line (GString *out);

/* (transfer full): "1.5 kB", "96 B": decimal units. */
char *text_bytes (double n);
/* (transfer full): "1.5 M", "960": for counts. */
char *text_count (double n);
/* (transfer full): "1.5 ms". */
char *text_seconds (double s);

/* Rows of cells, columns as wide as their widest cell. A column whose cells are all empty (but for
 * the first row, the heading) is left out. */
typedef struct {
    guint n_columns;
    guint right;     /* bit c: column c is aligned to the right */
    GPtrArray *rows; /* char**, n_columns each */
} TextTable;

/* @right: a letter a column: 'l' or 'r'. */
void table_init (TextTable *table, const char *columns);
void table_clear (TextTable *table);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TextTable, table_clear)
/* As many strings as columns; copied. */
void table_row (TextTable *table, ...);
/* Characters of the widest line, with @indent. */
guint table_width (const TextTable *table, guint indent);
/* Appends the rows; the last column is wrapped at @width when it has room for it. */
void table_append (const TextTable *table, GString *out, guint indent, guint width);
