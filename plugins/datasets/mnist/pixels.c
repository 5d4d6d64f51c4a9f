/* SPDX-License-Identifier: MIT */
/* Random pixels, 32 bits each. Uria et al. (arXiv 1306.0186) spread the 256 values of a pixel over
 * [0, 1), so that densities mean something; binary pictures are drawn with the values as
 * probabilities (Salakhutdinov and Murray 2008). */
#include <string.h>
#include "mnist.h"

#define BLOCK 4 /* numbers that the generator gives at once */

Chance
pixels_chance (gint64 seed, DlhSplit split)
{
    Chance chance = {.split = split};

    dlh_philox_key ((guint64)seed, "mnist/pixels", chance.key);
    return chance;
}

// Numbers of the pixels first .. first + 3 of example @row.
static void
draw (const Chance *chance, gint64 row, gsize first, guint32 out[BLOCK])
{
    // Sets in this format have less than 2^24 pixels an example and 2^32 examples.
    const guint32 counter[4] = {(guint32)(first / BLOCK) | chance->split << 24, (guint32)row,
                                (guint32)chance->epoch, (guint32)(chance->epoch >> 32)};

    dlh_philox (counter, chance->key, out);
}

// 1 with probability p / 255: never for 0, always for 255.
static guint
is_set (guint8 p, guint32 u)
{
    return (guint64)u * 255 < (guint64)p << 32;
}

// Of a float it stays below 1.
static double
spread (double p, guint32 u)
{
    return MIN ((p + (u + 0.5) / 4294967296.0) / 256, 1 - 1.0 / (1 << 24));
}

/* In place. */

typedef struct {
    DlhTensor *x;
    const Chance *chance;
    gboolean binary;
} Change;

static double
changed (const Change *c, double p, guint32 u)
{
    return c->binary ? is_set ((guint8)p, u) : spread (p, u);
}

static void
change_rows (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Change *c = user_data;
    const gsize size = (gsize)(dlh_tensor_count (c->x) / dlh_tensor_get_shape (c->x).dims[0]);
    float *f = dlh_tensor_get_data (c->x);
    double *d = dlh_tensor_get_data (c->x);
    const gboolean single = dlh_tensor_get_dtype (c->x) == DLH_F32;
    guint32 u[BLOCK];

    (void)thread;
    for (gsize row = begin; row < end; row++)
        for (gsize i = 0; i < size; i++) {
            const gsize at = row * size + i;

            if (i % BLOCK == 0)
                draw (c->chance, (gint64)row, i, u);
            if (single)
                f[at] = (float)changed (c, f[at], u[i % BLOCK]);
            else
                d[at] = changed (c, d[at], u[i % BLOCK]);
        }
}

static void
change (DlhTensor *x, const Chance *chance, gboolean binary)
{
    Change c = {x, chance, binary};

    if (dlh_tensor_count (x) > 0)
        dlh_parallel_for ((gsize)dlh_tensor_get_shape (x).dims[0], 16, change_rows, &c);
}

void
pixels_dequantize (DlhTensor *x, const Chance *chance)
{
    change (x, chance, FALSE);
}

void
pixels_binarize (DlhTensor *x, const Chance *chance)
{
    change (x, chance, TRUE);
}

void
pixels_halve (DlhTensor *x)
{
    for (gint64 i = 0; i < dlh_tensor_count (x); i++)
        dlh_tensor_set (x, i, dlh_tensor_get (x, i) >= 128);
}

/* Anew each epoch. */

typedef struct {
    guint8 *pixels; /* (n, size) */
    gsize size;
    gint64 n_redrawn; /* the first ones; the rest is as in epoch 0 */
    gboolean single;  /* f32 */
    Chance chance;
} Redrawn;

static void
redrawn_free (gpointer source)
{
    g_free (((Redrawn *)source)->pixels);
    g_free (source);
}

static void
redrawn_begin_epoch (gpointer source, guint64 epoch)
{
    ((Redrawn *)source)->chance.epoch = epoch;
}

static void
redrawn_fill (gpointer source, const gint64 *rows, gsize n, gpointer out)
{
    const Redrawn *r = source;
    Chance chance = r->chance;
    float *f = out;
    double *d = out;
    guint32 u[BLOCK];

    for (gsize k = 0; k < n; k++) {
        const guint8 *p = r->pixels + (gsize)rows[k] * r->size;

        chance.epoch = rows[k] < r->n_redrawn ? r->chance.epoch : 0;
        for (gsize i = 0; i < r->size; i++) {
            if (i % BLOCK == 0)
                draw (&chance, rows[k], i, u);
            if (r->single)
                f[k * r->size + i] = (float)is_set (p[i], u[i % BLOCK]);
            else
                d[k * r->size + i] = is_set (p[i], u[i % BLOCK]);
        }
    }
}

gboolean
pixels_set_redrawn (DlhData *data, DlhSplit split, const DlhTensor *x, DlhTensor *targets,
                    const Chance *chance, gint64 n_fixed, GError **error)
{
    const DlhShape shape = dlh_tensor_get_shape (x);
    Redrawn *r = g_new0 (Redrawn, 1);
    const DlhExamples examples = {.size = sizeof examples,
                                  .n = shape.dims[0],
                                  .dtype = dlh_tensor_get_dtype (x),
                                  .shape = dlh_shape_remove (shape, 0),
                                  .fill = redrawn_fill,
                                  .source = r,
                                  .free_source = redrawn_free,
                                  .begin_epoch = redrawn_begin_epoch};

    r->size = (gsize)dlh_shape_count (examples.shape);
    r->pixels = g_new (guint8, (gsize)examples.n * r->size + 1);
    for (gint64 i = 0; i < dlh_tensor_count (x); i++)
        r->pixels[i] = (guint8)dlh_tensor_get (x, i);
    r->n_redrawn = examples.n - n_fixed;
    r->single = examples.dtype == DLH_F32;
    r->chance = *chance;
    return dlh_data_set_examples (data, split, &examples, targets, error);
}
