/* SPDX-License-Identifier: MIT */
/* Examples with what a model makes of them, as pictures: a classified one has a frame, green when
 * the most probable class is the right one and red when not, and bars of the classes' probabilities
 * below; a reconstructed one has its reconstruction below. Shared by the tasks. */
#pragma once

#include <math.h>
#include <dlhost/dlhost.h>

#define PICTURES_BARS 8 /* pixels: their greatest height */

typedef struct {
    const DlhTensor *x, *y, *prediction; /* (n, c, h, w); classes or NULL; or NULL */
    gint64 n, channels, height, width;
    double low, high; /* of @x, shown as black and white */
    DlhTensor *out;   /* (n, 3, out_height, out_width) */
    gint64 out_height, out_width;
} Pictures;

static inline void
pictures_set (Pictures *p, gint64 i, gint64 row, gint64 column, const double rgb[3])
{
    for (gint64 k = 0; k < 3; k++)
        dlh_tensor_set (p->out, ((i * 3 + k) * p->out_height + row) * p->out_width + column,
                        rgb[k]);
}

// Picture @i of @from with its upper left corner at (@top, @left).
static inline void
pictures_copy (Pictures *p, const DlhTensor *from, gint64 i, gint64 top, gint64 left)
{
    for (gint64 row = 0; row < p->height; row++)
        for (gint64 column = 0; column < p->width; column++) {
            double rgb[3];

            for (gint64 k = 0; k < 3; k++) {
                gint64 channel = i * p->channels + MIN (k, p->channels - 1);
                double v = dlh_tensor_get (from, (channel * p->height + row) * p->width + column);

                rgb[k] = (v - p->low) / (p->high - p->low);
            }
            pictures_set (p, i, top + row, left + column, rgb);
        }
}

static inline void
pictures_classified (Pictures *p, gint64 i, gint64 n_classes)
{
    static const double green[] = {0.2, 0.8, 0.3}, red[] = {0.9, 0.2, 0.2},
                        grey[] = {0.7, 0.7, 0.7};
    gint64 right = (gint64)dlh_tensor_get (p->y, i), best = 0, bar = p->out_width / n_classes;

    for (gint64 k = 1; k < n_classes; k++)
        if (dlh_tensor_get (p->prediction, i * n_classes + k) >
            dlh_tensor_get (p->prediction, i * n_classes + best))
            best = k;
    for (gint64 row = 0; row < p->height + 2; row++)
        for (gint64 column = 0; column < p->out_width; column++)
            pictures_set (p, i, row, column, best == right ? green : red);
    for (gint64 k = 0; k < n_classes && bar > 0; k++) {
        double share = dlh_tensor_get (p->prediction, i * n_classes + k);
        gint64 full = (gint64)lround (CLAMP (share, 0, 1) * PICTURES_BARS);

        for (gint64 row = 0; row < full; row++)
            // One column stays dark between bars that are wide enough.
            for (gint64 column = 0; column < MAX (bar - 1, 1); column++)
                pictures_set (p, i, p->out_height - 1 - row, k * bar + column,
                              k == right  ? green
                              : k == best ? red
                                          : grey);
    }
    pictures_copy (p, p->x, i, 1, 1);
}

static inline gboolean
pictures_draw (Pictures *p, gboolean classes, GError **error)
{
    gint64 n_classes = classes ? dlh_tensor_count (p->prediction) / p->n : 0;
    gboolean rebuilt =
        p->prediction && !classes && dlh_tensor_count (p->prediction) == dlh_tensor_count (p->x);

    p->out_width = p->width + (classes ? 2 : 0);
    p->out_height = classes   ? p->height + 3 + PICTURES_BARS
                    : rebuilt ? 2 * p->height + 1
                              : p->height;
    p->out = dlh_tensor_new (DLH_F32, dlh_shape (p->n, 3, p->out_height, p->out_width), error);
    for (gint64 i = 0; i < p->n && p->out; i++) {
        if (classes) {
            pictures_classified (p, i, n_classes);
            continue;
        }
        pictures_copy (p, p->x, i, 0, 0);
        if (rebuilt)
            pictures_copy (p, p->prediction, i, p->height + 1, 0);
    }
    return p->out != NULL;
}

static inline gboolean
pictures_fit (DlhShape shape, DlhDType dtype)
{
    return dlh_dtype_is_float (dtype) && shape.rank == 4 &&
           (shape.dims[1] == 1 || shape.dims[1] == 3) && shape.dims[2] >= 4 &&
           shape.dims[2] <= 512 && shape.dims[3] >= 4 && shape.dims[3] <= 512;
}

/* Logs the first @n examples of @split as "samples", when they look like pictures. */
static inline gboolean
pictures_log (DlhRun *run, DlhTrainer *trainer, DlhData *data, DlhSplit split, gint64 n,
              gint64 step, GError **error)
{
    DlhTensor *targets = dlh_data_targets (data, split);
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;
    Pictures p = {.n = MIN (n, dlh_data_count (data, split)), .low = 0, .high = 1};
    DlhShape shape;
    gboolean classes, ok;

    if (p.n <= 0)
        return TRUE;
    shape = dlh_shape_insert (dlh_data_input_shape (data), 0, p.n);
    if (!pictures_fit (shape, dlh_data_dtype (data, split)))
        return TRUE;
    p.channels = shape.dims[1];
    p.height = shape.dims[2];
    p.width = shape.dims[3];
    p.x = x = dlh_data_rows (data, split, 0, p.n, error);
    if (!x)
        return FALSE;
    p.y = y = targets ? dlh_tensor_rows (targets, 0, p.n) : NULL;
    // Standardised inputs lie elsewhere.
    for (gint64 i = 0; i < dlh_tensor_count (x); i++) {
        p.low = MIN (p.low, dlh_tensor_get (x, i));
        p.high = MAX (p.high, dlh_tensor_get (x, i));
    }
    if (!dlh_trainer_predict (trainer, x, y, &p.prediction, error))
        return FALSE;
    classes = p.prediction && y && dlh_data_target_kind (data) == DLH_TARGET_CLASS &&
              dlh_tensor_count (p.prediction) == p.n * dlh_data_n_classes (data);
    ok = pictures_draw (&p, classes, error) &&
         dlh_run_log_image (run, step, "samples", p.out, error);
    dlh_tensor_unref (p.out);
    return ok;
}
