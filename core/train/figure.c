/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "figure.h"

#define MAX_NAME 100 /* bytes; suffixes are added for its files */
#define MAX_CURVES 256
#define MAX_POINTS 1000000 /* in all */
#define MAX_TEXT 10000     /* bytes of a title, label or caption */
#define NAME_SET G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_."

static gboolean
check_name (const char *name, GError **error)
{
    g_autofree char *shown = NULL;

    if (name && g_ascii_isalnum (*name) && strspn (name, NAME_SET) == strlen (name) &&
        strlen (name) <= MAX_NAME)
        return TRUE;
    shown = g_utf8_make_valid (name ? name : "", name ? (gssize)MIN (strlen (name), 200) : 0);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "figure '%s': a name is 1 to %d letters, digits, '-', '_' and '.', the first a "
                 "letter or digit",
                 shown, MAX_NAME);
    return FALSE;
}

static gboolean
check_text (const DlhFigure *f, const char *what, const char *text, gboolean needed, GError **error)
{
    const char *problem = NULL;

    if (needed && (!text || !*text))
        problem = "is missing, an axis or figure without words says nothing";
    else if (text && !g_utf8_validate (text, -1, NULL))
        problem = "is not UTF-8";
    else if (text && strlen (text) > MAX_TEXT)
        problem = "is longer than 10000 bytes";
    if (!problem)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "figure '%s': %s %s", f->name, what, problem);
    return FALSE;
}

static gboolean
check_curve (const DlhFigure *f, guint i, GError **error)
{
    const DlhCurve *c = &f->curves[i];
    g_autofree char *what = g_strdup_printf ("the label of curve %u", i);

    if (!check_text (f, what, c->label, FALSE, error))
        return FALSE;
    if (c->style != 0 && c->style != DLH_CURVE_LINE && c->style != DLH_CURVE_POINTS) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "figure '%s': curve %u has style %d, must be DLH_CURVE_LINE or "
                     "DLH_CURVE_POINTS",
                     f->name, i, (int)c->style);
        return FALSE;
    }
    if ((c->n && (!c->x || !c->y)) || !c->low != !c->high) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "figure '%s': curve %u of %" G_GSIZE_FORMAT
                     " points needs x and y, and low and high together or neither",
                     f->name, i, c->n);
        return FALSE;
    }
    for (gsize k = 0; c->low && k < c->n; k++)
        if (c->low[k] > c->high[k]) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "figure '%s': curve %u goes from low %g to high %g at point "
                         "%" G_GSIZE_FORMAT ", must rise",
                         f->name, i, c->low[k], c->high[k], k);
            return FALSE;
        }
    return TRUE;
}

static gboolean
check_counts (const DlhFigure *f, GError **error)
{
    gsize total = 0;

    if (f->kind != 0 && f->kind != DLH_FIGURE_CURVES) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "figure '%s': kind %d is not known, must be DLH_FIGURE_CURVES", f->name,
                     (int)f->kind);
        return FALSE;
    }
    if (!f->n_curves || f->n_curves > MAX_CURVES || !f->curves) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "figure '%s': %u curves, must be 1 to %d",
                     f->name, f->curves ? f->n_curves : 0, MAX_CURVES);
        return FALSE;
    }
    for (guint i = 0; i < f->n_curves; i++)
        total += MIN (f->curves[i].n, MAX_POINTS + 1);
    if (total <= MAX_POINTS)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "figure '%s': more than %d points, must be at most that: leave out what nobody "
                 "can see",
                 f->name, MAX_POINTS);
    return FALSE;
}

gboolean
figure_check (const DlhFigure *f, GError **error)
{
    if (!check_name (f->name, error) || !check_text (f, "the title", f->title, TRUE, error) ||
        !check_text (f, "the caption", f->caption, FALSE, error) ||
        !check_text (f, "x_label", f->x_label, TRUE, error) ||
        !check_text (f, "y_label", f->y_label, TRUE, error) || !check_counts (f, error))
        return FALSE;
    for (guint i = 0; i < f->n_curves; i++)
        if (!check_curve (f, i, error))
            return FALSE;
    return TRUE;
}
