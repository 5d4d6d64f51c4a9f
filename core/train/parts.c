/* SPDX-License-Identifier: MIT */
/* What a step consists of, for profiles and pictures. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"
#include "train/trainer.h"

#define COUNTED_STEPS 2520 /* divided by every period up to 10 */

static void
part_clear (gpointer data)
{
    g_free (((DlhTrainerPart *)data)->name);
}

static void
add_part (GArray *parts, const char *name, DlhFunction *function, guint runs)
{
    DlhTrainerPart part = {g_strdup (name), function, (double)runs / COUNTED_STEPS};

    g_array_append_val (parts, part);
}

static guint
phases_due (const Built *b, DlhPhaseWhen when, gint64 step)
{
    guint mask = 0;

    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

        if (phase->when == when && trainer_is_due (phase, step))
            mask |= 1u << p;
    }
    return mask;
}

static char *
part_name (const Built *b, guint mask)
{
    GString *s = g_string_new ("step");

    for (guint p = 0; p < b->update->phases->len; p++)
        if (mask & (1u << p)) {
            g_string_append (s, s->len == strlen ("step") ? " with " : ", ");
            g_string_append (s, g_array_index (b->update->phases, DlhPhase, p).name);
        }
    return g_string_free (s, FALSE);
}

static int
compare_runs (gconstpointer a, gconstpointer b)
{
    double x = ((const DlhTrainerPart *)a)->runs, y = ((const DlhTrainerPart *)b)->runs;

    return (x < y) - (x > y);
}

static DlhFunction *
late_function (DlhTrainer *t, Built *b, guint phase, GError **error)
{
    DlhBeside *beside;

    if (!g_array_index (b->update->phases, DlhPhase, phase).delay)
        return trainer_compile_after (t, b, phase, error);
    beside = trainer_beside (t, b, phase, error);
    return beside ? dlh_beside_function (beside) : NULL;
}

// Counted over many steps after the first ones, as periods of phases need not divide each other.
static gboolean
count_parts (DlhTrainer *t, Built *b, GArray *parts, GError **error)
{
    guint with[32] = {0}, after[32] = {0}, masks[32], n_masks = 0;
    gint64 first = dlh_trainer_steps (t);

    for (guint p = 0; p < b->update->phases->len; p++)
        first = MAX (first, g_array_index (b->update->phases, DlhPhase, p).first);
    for (gint64 step = first; step < first + COUNTED_STEPS; step++) {
        guint mask = phases_due (b, DLH_PHASE_WITH, step), i = 0;
        guint late = phases_due (b, DLH_PHASE_AFTER, step);

        while (i < n_masks && masks[i] != mask)
            i++;
        if (i == n_masks && n_masks < G_N_ELEMENTS (masks))
            masks[n_masks++] = mask;
        if (i < n_masks)
            with[i]++;
        for (guint p = 0; p < 32; p++)
            after[p] += (late >> p) & 1;
    }
    for (guint i = 0; i < n_masks; i++) {
        g_autofree char *name = part_name (b, masks[i]);
        DlhFunction *f = trainer_compile (t, b, masks[i], error);

        if (!f)
            return FALSE;
        add_part (parts, name, f, with[i]);
    }
    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);
        g_autofree char *name =
            g_strconcat (phase->delay ? "beside: " : "after: ", phase->name, NULL);
        DlhFunction *f = after[p] ? late_function (t, b, p, error) : NULL;

        if (after[p] && !f)
            return FALSE;
        if (after[p])
            add_part (parts, name, f, after[p]);
    }
    return TRUE;
}

GArray *
dlh_trainer_parts (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    g_autoptr (GArray) parts = g_array_new (FALSE, TRUE, sizeof (DlhTrainerPart));
    Built *b;

    g_return_val_if_fail (trainer->optimizer, NULL);
    g_array_set_clear_func (parts, part_clear);
    if (!(b = trainer_built (trainer, x, y, TRUE, error)) ||
        !count_parts (trainer, b, parts, error))
        return NULL;
    g_array_sort (parts, compare_runs);
    return g_steal_pointer (&parts);
}
