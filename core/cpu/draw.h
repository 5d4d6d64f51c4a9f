/* SPDX-License-Identifier: MIT */
/* Random numbers from Philox4x32-10. Draw number `index` of a stream at `counter` reads the blocks
 *
 *     {i / 4, index, counter low, counter high}    i the element, under the stream's key
 *
 * and element i gets word i % 4. Doubles add the words of {i / 4, index + 2^31, ...} below: so f32 and
 * f64 draws are the same numbers at two precisions. */
#pragma once

#include <dlhost/random.h>

#define DLH_DRAW_MAX_INDEX 0x7fffffffu
#define DLH_DRAW_MAX_ELEMENTS (G_GINT64_CONSTANT (4) << 32)

typedef struct {
    guint32 key[2];
    guint32 index;
    guint64 counter;
} DlhDraw;

/* @out: n elements of @dtype, f32 or f64. They run on all threads. */
void dlh_draw_uniform (const DlhDraw *draw, DlhDType dtype, void *out, gsize n);
void dlh_draw_normal (const DlhDraw *draw, DlhDType dtype, void *out, gsize n);
/* 1 where the uniform draw is below @p, else 0. */
void dlh_draw_bernoulli (const DlhDraw *draw, DlhDType dtype, const void *p, void *out, gsize n);
/* -1 or 1, by one bit each: bit i % 32 of word i / 32 % 4 of block i / 128. */
void dlh_draw_rademacher (const DlhDraw *draw, DlhDType dtype, void *out, gsize n);
void dlh_draw_permutation (const DlhDraw *draw, gint64 *out, gsize n);

/* @out: n + 2 elements: n of N (0, s^2), s = softplus (rho), then the sums of mean^2 + s^2 and of
 * log s. @work: dlh_draw_softplus_work (n) bytes. */
gsize dlh_draw_softplus_work (gsize n);
void dlh_draw_softplus_normal (const DlhDraw *draw, DlhDType dtype, const void *mean,
                               const void *rho, void *out, gsize n, void *work);

/* The same by rows: row r of @out gets the @width elements from rows[r] * dlh_draw_row_size (width)
 * on. Blocks are those of a group, so a row costs as much as a whole number of groups. */
gint64 dlh_draw_row_size (gint64 width);
void dlh_draw_uniform_rows (const DlhDraw *draw, DlhDType dtype, const gint64 *rows, gsize n_rows,
                            gsize width, void *out);
void dlh_draw_normal_rows (const DlhDraw *draw, DlhDType dtype, const gint64 *rows, gsize n_rows,
                           gsize width, void *out);
