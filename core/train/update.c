/* SPDX-License-Identifier: MIT */
/* What an optimizer sees: gradients with the run's clipping and weight decay, state by name,
 * phases. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "train/population.h"

static void
phase_clear (gpointer data)
{
    g_free (((DlhPhase *)data)->name);
}

// Scales all gradients so that their common norm is at most clip_norm; clamps elements.
static void
clip (DlhUpdate *u)
{
    double norm = u->training->clip_norm, bound = u->training->clip_value;
    guint n = u->variables->len;
    DlhNode *sum = NULL;

    for (guint i = 0; i < n && norm > 0; i++) {
        DlhNode *s = dlh_norm2 (u->gradients[i]);

        sum = sum ? dlh_add (sum, s) : s;
    }
    if (sum) {
        DlhNode *length = dlh_sqrt (sum);
        DlhNode *limit = dlh_full_like (length, norm);
        DlhNode *factor = dlh_div (limit, dlh_max (length, limit));

        dlh_update_log (u, "gradient_norm", length);
        for (guint i = 0; i < n; i++)
            u->gradients[i] = dlh_mul (u->gradients[i], factor);
    }
    for (guint i = 0; i < n && bound > 0; i++)
        u->gradients[i] = dlh_clamp (u->gradients[i], -bound, bound);
}

// What the loss is made of, or what is predicted where there is none.
static GPtrArray *
variables_of (const DlhObjective *o)
{
    g_autoptr (GPtrArray) roots = g_ptr_array_new ();

    if (o->loss)
        g_ptr_array_add (roots, o->loss);
    for (guint i = 0; !o->loss && i < dlh_distribution_n_parameters (o->prediction); i++)
        g_ptr_array_add (roots, dlh_distribution_parameter (o->prediction, i));
    return dlh_graph_variables ((DlhNode **)roots->pdata, roots->len);
}

DlhUpdate *
dlh_update_new (DlhGraph *graph, DlhStore *store, const char *prefix, const DlhObjective *objective,
                const DlhTraining *training, DlhVariable *step)
{
    g_autoptr (GPtrArray) all = variables_of (objective);
    DlhUpdate *u = g_new0 (DlhUpdate, 1);

    u->graph = graph;
    u->store = store;
    u->prefix = prefix;
    u->objective = objective;
    u->training = training;
    u->variables = g_ptr_array_new ();
    u->phases = g_array_new (FALSE, TRUE, sizeof (DlhPhase));
    g_array_set_clear_func (u->phases, phase_clear);
    u->assigns = g_array_new (FALSE, TRUE, sizeof (DlhPhaseAssign));
    u->logs = g_array_new (FALSE, TRUE, sizeof (DlhMetric));
    u->notes = g_ptr_array_new_with_free_func (g_free);
    u->owners = g_hash_table_new (NULL, NULL);
    for (guint i = 0; i < all->len; i++)
        if (dlh_variable_is_trainable (all->pdata[i]))
            g_ptr_array_add (u->variables, all->pdata[i]);
    u->values = g_new0 (DlhNode *, u->variables->len + 1);
    u->gradients = g_new0 (DlhNode *, u->variables->len + 1);
    u->moved = g_new0 (gboolean, u->variables->len + 1);
    u->after = g_new0 (DlhNode *, u->variables->len + 1);
    for (guint i = 0; i < u->variables->len; i++)
        u->values[i] = u->after[i] = dlh_read (graph, u->variables->pdata[i]);
    u->step = dlh_cast (dlh_read (graph, step), DLH_F64);
    u->schedule =
        dlh_cast (dlh_schedule_node (&training->schedule, u->step), dlh_store_get_dtype (store));
    u->draws = g_array_new (FALSE, FALSE, sizeof (DlhCandidateDraw));
    return u;
}

// The run's clipping and coupled weight decay.
static void
finish_gradients (DlhUpdate *u)
{
    u->differentiated = TRUE;
    clip (u);
    for (guint i = 0; i < u->variables->len && u->training->weight_decay > 0; i++)
        u->gradients[i] =
            dlh_add (u->gradients[i], dlh_scale (u->values[i], u->training->weight_decay));
}

void
dlh_update_set_gradients (DlhUpdate *u, DlhNode *const *gradients)
{
    g_return_if_fail (!u->differentiated);
    memcpy (u->gradients, gradients, u->variables->len * sizeof *gradients);
    finish_gradients (u);
}

// Not before they are asked for: an optimizer without gradients is spared a loss that has none.
DlhNode *const *
dlh_update_gradients (DlhUpdate *u)
{
    if (u->differentiated)
        return u->gradients;
    if (!u->objective->loss)
        for (guint i = 0; i < u->variables->len; i++)
            u->gradients[i] = dlh_graph_fail (
                u->graph, DLH_ERROR_OPTION,
                "the optimizer wants gradients of a loss, and there are only rewards");
    else
        dlh_gradients (u->objective->loss, u->values, u->variables->len, NULL, u->gradients);
    finish_gradients (u);
    return u->gradients;
}

void
dlh_update_free (DlhUpdate *u)
{
    if (!u)
        return;
    dlh_population_free (u->population);
    g_array_unref (u->draws);
    g_ptr_array_unref (u->variables);
    g_array_unref (u->phases);
    g_array_unref (u->assigns);
    g_array_unref (u->logs);
    g_ptr_array_unref (u->notes);
    g_hash_table_unref (u->owners);
    g_free (u->values);
    g_free (u->gradients);
    g_free (u->moved);
    g_free (u->after);
    g_free (u);
}

DlhGraph *
dlh_update_graph (DlhUpdate *u)
{
    return u->graph;
}

DlhStore *
dlh_update_store (DlhUpdate *u)
{
    return u->store;
}

const DlhObjective *
dlh_update_objective (DlhUpdate *u)
{
    return u->objective;
}

const DlhObjective *
dlh_update_part (DlhUpdate *u, gint64 n, GError **error)
{
    g_return_val_if_fail (n > 0 && n <= u->n_examples, NULL);
    if (n == u->n_examples)
        return u->objective;
    return u->build_rows (u->build_data, dlh_slice (u->x, 0, 0, n, 1),
                          u->y ? dlh_slice (u->y, 0, 0, n, 1) : NULL, error);
}

gint64
dlh_update_n_examples (DlhUpdate *u)
{
    return u->n_examples;
}

guint
dlh_update_n_params (DlhUpdate *u)
{
    return u->variables->len;
}

DlhVariable *
dlh_update_variable (DlhUpdate *u, guint i)
{
    g_return_val_if_fail (i < u->variables->len, NULL);
    return u->variables->pdata[i];
}

DlhNode *
dlh_update_value (DlhUpdate *u, guint i)
{
    g_return_val_if_fail (i < u->variables->len, NULL);
    return u->values[i];
}

DlhNode *
dlh_update_gradient (DlhUpdate *u, guint i)
{
    g_return_val_if_fail (i < u->variables->len, NULL);
    return dlh_update_gradients (u)[i];
}

double
dlh_update_weight_decay (DlhUpdate *u)
{
    return u->training->weight_decay;
}

DlhNode *
dlh_update_step (DlhUpdate *u)
{
    return u->step;
}

DlhNode *
dlh_update_step_of (DlhUpdate *u, guint i)
{
    const gint64 period = dlh_variable_get_pace (dlh_update_variable (u, i)).period;
    DlhNode *turns;

    if (period == 1)
        return u->step;
    turns = dlh_cast (dlh_scale (dlh_offset (u->step, 0.5), 1 / (double)period), DLH_I64);
    return dlh_cast (turns, DLH_F64);
}

DlhNode *
dlh_update_rate (DlhUpdate *u, double base)
{
    return dlh_scale (u->schedule, base);
}

DlhStream *
dlh_update_stream (DlhUpdate *u, const char *name)
{
    g_autofree char *full = g_strdup_printf ("%s/%s", u->prefix, name);

    return dlh_store_stream (u->store, full);
}

static DlhNode *
state (DlhUpdate *u, const char *full, DlhDType dtype, DlhShape shape, DlhInit init)
{
    g_autoptr (GError) error = NULL;
    DlhVariable *v = dlh_store_variable (u->store, full, dtype, shape, init, &error);

    return v ? dlh_read (u->graph, v)
             : dlh_graph_fail (u->graph, error->code, "%s", error->message);
}

DlhNode *
dlh_update_state (DlhUpdate *u, guint i, const char *name)
{
    DlhVariable *p = dlh_update_variable (u, i);
    g_autofree char *full = g_strdup_printf ("%s/%s/%s", u->prefix, dlh_variable_name (p), name);
    DlhNode *read = state (u, full, dlh_variable_dtype (p), dlh_variable_shape (p),
                           (DlhInit){.kind = DLH_INIT_ZEROS});

    if (!dlh_node_failed (read))
        g_hash_table_insert (u->owners, dlh_node_variable (read), p);
    return read;
}

DlhNode *
dlh_update_state_full (DlhUpdate *u, const char *name, DlhDType dtype, DlhShape shape, DlhInit init)
{
    g_autofree char *full = g_strdup_printf ("%s/%s", u->prefix, name);

    return state (u, full, dtype, shape, init);
}

static void
assign_in (DlhUpdate *u, DlhNode *read, DlhNode *value, int phase)
{
    DlhPhaseAssign a = {NULL, phase};

    if (dlh_node_failed (read) || dlh_node_failed (value))
        return;
    g_return_if_fail (dlh_node_variable (read));
    a.assign = dlh_assign (dlh_node_variable (read), value);
    g_array_append_val (u->assigns, a);
}

// The phase in which @parameter and its state change: those of one period share one, which runs
// with the steps. What only they need is not computed in other steps.
static int
turn_of (DlhUpdate *u, const DlhVariable *parameter)
{
    const gint64 period = dlh_variable_get_pace (parameter).period;
    g_autofree char *name = NULL;

    if (period == 1)
        return DLH_ALWAYS;
    name = g_strdup_printf ("turn %" G_GINT64_FORMAT, period);
    for (guint i = 0; i < u->phases->len; i++)
        if (g_str_equal (g_array_index (u->phases, DlhPhase, i).name, name))
            return (int)i;
    if (u->phases->len == DLH_MAX_PHASES) {
        dlh_graph_fail (u->graph, DLH_ERROR_OPTION,
                        "'%s' has a period of %" G_GINT64_FORMAT
                        ": too many different ones, phases of the optimizer included",
                        dlh_variable_name (parameter), period);
        return DLH_ALWAYS;
    }
    g_array_append_val (
        u->phases, ((DlhPhase){g_steal_pointer (&name), DLH_PHASE_WITH, period, period - 1, 0}));
    return (int)u->phases->len - 1;
}

void
dlh_update_assign (DlhUpdate *u, DlhNode *read, DlhNode *value)
{
    const DlhVariable *owner =
        dlh_node_failed (read) ? NULL : g_hash_table_lookup (u->owners, dlh_node_variable (read));

    assign_in (u, read, value, owner ? turn_of (u, owner) : DLH_ALWAYS);
}

void
dlh_update_assign_plain (DlhUpdate *u, DlhNode *read, DlhNode *value)
{
    assign_in (u, read, value, DLH_ALWAYS);
}

void
dlh_update_move (DlhUpdate *u, guint i, DlhNode *delta)
{
    double decay = u->training->decoupled_weight_decay;
    DlhVariable *variable = dlh_update_variable (u, i);
    const double factor = dlh_variable_get_pace (variable).factor;
    DlhNode *p = dlh_update_value (u, i);

    g_return_if_fail (!u->moved[i]);
    u->moved[i] = TRUE;
    if (decay > 0)
        delta = dlh_sub (delta, dlh_mul (p, dlh_scale (u->schedule, decay)));
    if (factor != 1)
        delta = dlh_scale (delta, factor);
    p = dlh_add (p, delta);
    if (turn_of (u, variable) == DLH_ALWAYS)
        u->after[i] = p;
    assign_in (u, dlh_update_value (u, i), p, turn_of (u, variable));
}

void
dlh_update_log (DlhUpdate *u, const char *name, DlhNode *value)
{
    DlhMetric m = {g_intern_string (name), value};

    g_array_append_val (u->logs, m);
}

void
dlh_update_note (DlhUpdate *u, const char *format, ...)
{
    va_list args;

    va_start (args, format);
    g_ptr_array_add (u->notes, g_strdup_vprintf (format, args));
    va_end (args);
}

void
dlh_update_phase (DlhUpdate *u, const char *name, DlhPhaseWhen when, gint64 period, gint64 first)
{
    DlhPhase p = {g_strdup (name), when, period, first, 0};

    g_return_if_fail (period > 0 && first >= 0 && u->phases->len < DLH_MAX_PHASES);
    g_array_append_val (u->phases, p);
}

void
dlh_update_phase_delay (DlhUpdate *u, const char *name, gint64 delay)
{
    for (guint i = 0; i < u->phases->len; i++) {
        DlhPhase *p = &g_array_index (u->phases, DlhPhase, i);

        if (!g_str_equal (p->name, name))
            continue;
        g_return_if_fail (p->when == DLH_PHASE_AFTER && delay >= 0 && delay < p->period);
        p->delay = delay;
        return;
    }
    g_return_if_reached ();
}

void
dlh_update_phase_assign (DlhUpdate *u, const char *name, DlhNode *read, DlhNode *value)
{
    for (guint i = 0; i < u->phases->len; i++)
        if (g_str_equal (g_array_index (u->phases, DlhPhase, i).name, name)) {
            assign_in (u, read, value, (int)i);
            return;
        }
    g_return_if_reached ();
}
