/* SPDX-License-Identifier: MIT */
/* Building a sampler's passes and running them, transition after transition. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "sample/private.h"

static void
pass_free (gpointer data)
{
    DlhPass *p = data;

    dlh_function_unref (p->function);
    g_ptr_array_unref (p->assigns);
    g_ptr_array_unref (p->reported);
    g_array_unref (p->columns);
    g_free (p->name);
    g_free (p);
}

static void
report_clear (gpointer data)
{
    DlhReport *r = data;

    g_free (r->name);
    g_free (r->values);
}

void
dlh_chains_free (DlhChains *chains)
{
    if (!chains)
        return;
    dlh_component_unref (chains->sampler);
    g_ptr_array_unref (chains->passes);
    g_array_unref (chains->reports);
    g_ptr_array_unref (chains->notes);
    g_hash_table_unref (chains->tuned);
    g_free (chains->positions);
    g_free (chains->reads);
    g_free (chains);
}

/* Windows of the warm-up, as in Stan: the first and the last tune step sizes; those between double
 * in length, the last of them stretched to the end. */
guint
dlh_warmup_windows (gint64 n_warmup, gint64 *ends)
{
    gint64 start = 75, end = 50, size = 25, at;
    guint n = 0;

    if (n_warmup < 1)
        return 0;
    if (n_warmup < 20) {
        ends[0] = n_warmup;
        return 1;
    }
    if (n_warmup < start + end + size) {
        start = n_warmup * 15 / 100;
        end = n_warmup / 10;
        size = n_warmup - start - end;
    }
    ends[n++] = at = start;
    while (at < n_warmup - end) {
        if (3 * size > n_warmup - end - at)
            size = n_warmup - end - at;
        ends[n++] = at += size;
        size *= 2;
    }
    ends[n++] = n_warmup;
    return n;
}

/* Building. */

static gboolean
make_positions (DlhChains *c, GError **error)
{
    DlhTarget *t = c->target;

    c->positions = g_new0 (DlhVariable *, t->n_blocks);
    c->reads = g_new0 (DlhNode *, t->n_blocks);
    for (guint i = 0; i < t->n_blocks; i++) {
        g_autofree char *name = g_strdup_printf ("chains/%s", t->blocks[i].name);

        c->positions[i] = dlh_store_variable (t->store, name, dlh_store_get_dtype (t->store),
                                              dlh_target_shape (t, i), t->blocks[i].start, error);
        if (!c->positions[i])
            return FALSE;
        if (t->start && !dlh_chains_done (c))
            t->start (t, i, dlh_variable_tensor (c->positions[i]));
        c->reads[i] = dlh_read (t->graph, c->positions[i]);
    }
    return TRUE;
}

static gboolean
build (DlhChains *c, GError **error)
{
    DlhGraph *graph = c->target->graph;

    dlh_graph_push_scope (graph, c->prefix);
    if (c->target->rows)
        dlh_graph_push_rows (graph, c->target->rows);
    if (!c->transition->build (c, dlh_component_options (c->sampler), error)) {
        g_prefix_error (error, "%s: ", c->prefix);
        return FALSE;
    }
    if (c->target->rows)
        dlh_graph_pop_rows (graph);
    dlh_graph_pop_scope (graph);
    return dlh_graph_check (graph, error);
}

static gboolean
compile (DlhPass *p, GError **error)
{
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();

    g_ptr_array_extend (outputs, p->reported, NULL, NULL);
    g_ptr_array_extend (outputs, p->assigns, NULL, NULL);
    p->function = dlh_graph_compile (p->chains->target->graph, (DlhNode **)outputs->pdata,
                                     outputs->len, error);
    if (!p->function)
        g_prefix_error (error, "%s: pass '%s': ", p->chains->prefix, p->name);
    return p->function != NULL;
}

DlhChains *
dlh_chains_new (DlhTarget *target, DlhComponent *sampler, gint64 n_warmup, GError **error)
{
    const DlhSampler *s = dlh_component_interface (sampler);
    g_autoptr (DlhChains) c = g_new0 (DlhChains, 1);

    c->target = target;
    c->sampler = dlh_component_ref (sampler);
    c->prefix = dlh_component_name (sampler);
    c->n_warmup = MAX (n_warmup, 0);
    c->n_windows = dlh_warmup_windows (n_warmup, c->windows);
    c->tuned = g_hash_table_new (NULL, NULL);
    c->passes = g_ptr_array_new_with_free_func (pass_free);
    c->reports = g_array_new (FALSE, FALSE, sizeof (DlhReport));
    g_array_set_clear_func (c->reports, report_clear);
    c->notes = g_ptr_array_new_with_free_func (g_free);
    if (!s->transition) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "sampler '%s' does not offer transitions of chains", c->prefix);
        return NULL;
    }
    c->transition = s->transition;
    c->step = dlh_store_variable (target->store, "chains/step", DLH_I64, dlh_shape (),
                                  (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);
    if (!c->step || !make_positions (c, error) || !build (c, error))
        return NULL;
    for (guint i = 0; i < c->passes->len; i++)
        if (!compile (c->passes->pdata[i], error))
            return NULL;
    return g_steal_pointer (&c);
}

gint64
dlh_sampler_path (DlhComponent *sampler)
{
    const DlhTransition *t = ((const DlhSampler *)dlh_component_interface (sampler))->transition;
    const gsize end = G_STRUCT_OFFSET (DlhTransition, path) + sizeof (t->path);

    return t && t->size >= end && t->path ? t->path (dlh_component_options (sampler)) : 0;
}

/* Running. */

static gint64 *
step_of (DlhChains *c)
{
    return dlh_tensor_get_data (dlh_variable_tensor (c->step));
}

// What is due at transition @t.
static guint
due (const DlhChains *c, gint64 t)
{
    guint what = DLH_PASS_EVERY | (t == 0 ? DLH_PASS_START : 0), w = 0;

    if (t >= c->n_warmup)
        return what;
    what |= DLH_PASS_WARMUP | (t + 1 == c->n_warmup ? DLH_PASS_FREEZE : 0);
    while (t >= c->windows[w])
        w++;
    if (w > 0 && w + 1 < c->n_windows)
        what |= DLH_PASS_COLLECT | (t + 1 == c->windows[w] ? DLH_PASS_WINDOW : 0);
    return what;
}

static gboolean
run_once (DlhPass *p, GError **error)
{
    DlhChains *c = p->chains;

    if (!dlh_function_run (p->function, c->target->inputs, c->target->n_inputs, error)) {
        g_prefix_error (error, "transition %" G_GINT64_FORMAT ", pass '%s': ", *step_of (c),
                        p->name);
        return FALSE;
    }
    p->runs++;
    for (guint i = 0; i < p->columns->len; i++) {
        const DlhTensor *out = dlh_function_output (p->function, i);
        guint column = g_array_index (p->columns, guint, i);

        memcpy (g_array_index (c->reports, DlhReport, column).values, dlh_tensor_get_data (out),
                dlh_tensor_bytes (out));
    }
    return TRUE;
}

static gboolean
run_pass (DlhPass *p, GError **error)
{
    const gint64 *going;

    if (!p->while_above)
        return run_once (p, error);
    going = dlh_tensor_get_data (dlh_variable_tensor (p->while_above));
    for (gint64 i = 0; *going > 0; i++) {
        if (i == p->limit) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "%s: transition %" G_GINT64_FORMAT
                         ": pass '%s' has not ended after %" G_GINT64_FORMAT " runs",
                         p->chains->prefix, *step_of (p->chains), p->name, p->limit);
            return FALSE;
        }
        if (!run_once (p, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
dlh_chains_transition (DlhChains *chains, GError **error)
{
    guint what = due (chains, *step_of (chains));

    for (guint i = 0; i < chains->passes->len; i++) {
        DlhPass *p = chains->passes->pdata[i];

        if ((p->when & what) && !run_pass (p, error))
            return FALSE;
    }
    if (chains->transition->between &&
        !chains->transition->between (chains, dlh_component_options (chains->sampler), error)) {
        g_prefix_error (error, "%s: ", chains->prefix);
        return FALSE;
    }
    ++*step_of (chains);
    return TRUE;
}

void
dlh_chains_restart (DlhChains *chains)
{
    DlhStore *store = chains->target->store;
    g_autofree char *prefix = g_strdup_printf ("random/%s/", chains->prefix);

    *step_of (chains) = 0;
    for (guint i = 0; i < dlh_store_n_variables (store); i++) {
        DlhVariable *v = dlh_store_get_variable (store, i);

        if (g_str_has_prefix (dlh_variable_name (v), prefix))
            dlh_tensor_set (dlh_variable_tensor (v), 0, 0);
    }
}

/* What there is to see. */

gint64
dlh_chains_done (DlhChains *chains)
{
    return *step_of (chains);
}

const DlhTensor *
dlh_chains_value (DlhChains *chains, guint i)
{
    g_return_val_if_fail (i < chains->target->n_blocks, NULL);
    return dlh_variable_tensor (chains->positions[i]);
}

guint
dlh_chains_n_reports (DlhChains *chains)
{
    return chains->reports->len;
}

const char *
dlh_chains_report_name (DlhChains *chains, guint i)
{
    g_return_val_if_fail (i < chains->reports->len, NULL);
    return g_array_index (chains->reports, DlhReport, i).name;
}

const double *
dlh_chains_report (DlhChains *chains, guint i)
{
    g_return_val_if_fail (i < chains->reports->len, NULL);
    return g_array_index (chains->reports, DlhReport, i).values;
}

const double *
dlh_chains_find_report (DlhChains *chains, const char *name)
{
    for (guint i = 0; i < chains->reports->len; i++)
        if (g_str_equal (dlh_chains_report_name (chains, i), name))
            return dlh_chains_report (chains, i);
    return NULL;
}

GPtrArray *
dlh_chains_notes (DlhChains *chains)
{
    return chains->notes;
}

gint64
dlh_chains_pass_runs (DlhChains *chains, const char *name)
{
    for (guint i = 0; i < chains->passes->len; i++) {
        const DlhPass *p = chains->passes->pdata[i];

        if (g_str_equal (p->name, name))
            return p->runs;
    }
    return 0;
}
