/* SPDX-License-Identifier: MIT */
/* What a sampler's build() sees: positions, target, state, passes, arithmetic over chains. */
#include <dlhost/dlhost.h>
#include "sample/private.h"

DlhGraph *
dlh_chains_graph (DlhChains *c)
{
    return c->target->graph;
}

DlhStore *
dlh_chains_store (DlhChains *c)
{
    return c->target->store;
}

gint64
dlh_chains_count (DlhChains *c)
{
    return c->target->n_chains;
}

gint64
dlh_chains_n_warmup (DlhChains *c)
{
    return c->n_warmup;
}

guint
dlh_chains_n_blocks (DlhChains *c)
{
    return c->target->n_blocks;
}

const char *
dlh_chains_block_name (DlhChains *c, guint i)
{
    g_return_val_if_fail (i < c->target->n_blocks, NULL);
    return c->target->blocks[i].name;
}

DlhNode *
dlh_chains_position (DlhChains *c, guint i)
{
    g_return_val_if_fail (i < c->target->n_blocks, NULL);
    return c->reads[i];
}

DlhNode *
dlh_chains_step (DlhChains *c)
{
    return dlh_cast (dlh_read (c->target->graph, c->step), DLH_F64);
}

DlhStream *
dlh_chains_stream (DlhChains *c, const char *name)
{
    g_autofree char *full = g_strdup_printf ("%s/%s", c->prefix, name);

    return dlh_store_stream (c->target->store, full);
}

DlhNode *
dlh_chains_normal (DlhChains *c, DlhStream *stream, guint i)
{
    g_return_val_if_fail (i < c->target->n_blocks, NULL);
    return dlh_normal (c->target->graph, stream, dlh_store_get_dtype (c->target->store),
                       dlh_target_shape (c->target, i));
}

/* The target. */

// One number a chain, in f64; anything else is the target's mistake.
static DlhNode *
per_chain (DlhChains *c, const char *what, DlhNode *x)
{
    DlhShape shape;
    g_autofree char *text = NULL;

    if (dlh_node_failed (x))
        return x;
    shape = dlh_node_shape (x);
    if (shape.rank == 0)
        x = dlh_broadcast (x, dlh_shape (c->target->n_chains));
    else if (shape.rank != 1 || shape.dims[0] != c->target->n_chains) {
        text = dlh_shape_to_string (shape);
        return dlh_graph_fail (c->target->graph, DLH_ERROR_SHAPE,
                               "%s has shape %s, one number for each of %" G_GINT64_FORMAT
                               " chains is needed",
                               what, text, c->target->n_chains);
    }
    return dlh_cast (x, DLH_F64);
}

DlhNode *
dlh_chains_log_density (DlhChains *c, DlhNode *const *positions)
{
    for (guint i = 0; i < c->target->n_blocks; i++)
        if (dlh_node_failed (positions[i]))
            return positions[i];
    return per_chain (c, "the log density", c->target->log_density (c->target, positions));
}

DlhNode *
dlh_chains_gradients (DlhChains *c, DlhNode *const *positions, DlhNode **out)
{
    DlhNode *log_density = dlh_chains_log_density (c, positions);

    dlh_gradients (log_density, positions, c->target->n_blocks, NULL, out);
    return log_density;
}

gboolean
dlh_chains_is_estimate (DlhChains *c)
{
    return c->target->is_estimate;
}

double
dlh_chains_n_examples (DlhChains *c)
{
    return c->target->n_examples;
}

gint64
dlh_chains_n_groups (DlhChains *c)
{
    return c->target->n_groups;
}

gboolean
dlh_chains_has_prior (DlhChains *c)
{
    return c->target->log_prior && c->target->draw_prior;
}

DlhNode *
dlh_chains_log_prior (DlhChains *c, DlhNode *const *positions)
{
    if (!c->target->log_prior)
        return NULL;
    return per_chain (c, "the log prior", c->target->log_prior (c->target, positions));
}

gboolean
dlh_chains_draw_prior (DlhChains *c, DlhStream *stream, DlhNode **out)
{
    if (!c->target->draw_prior)
        return FALSE;
    c->target->draw_prior (c->target, stream, out);
    return TRUE;
}

/* State. */

static DlhNode *
state (DlhChains *c, const char *full, DlhDType dtype, DlhShape shape, DlhInit init)
{
    g_autoptr (GError) error = NULL;
    DlhVariable *v = dlh_store_variable (c->target->store, full, dtype, shape, init, &error);

    return v ? dlh_read (c->target->graph, v)
             : dlh_graph_fail (c->target->graph, error->code, "%s", error->message);
}

DlhNode *
dlh_chains_state (DlhChains *c, const char *name, DlhDType dtype, DlhShape shape, DlhInit init)
{
    g_autofree char *full = g_strdup_printf ("%s/%s", c->prefix, name);

    return state (c, full, dtype, shape, init);
}

DlhNode *
dlh_chains_tuned (DlhChains *c, const char *name, DlhDType dtype, DlhShape shape, DlhInit init)
{
    DlhNode *read = dlh_chains_state (c, name, dtype, shape, init);

    if (!dlh_node_failed (read))
        g_hash_table_add (c->tuned, dlh_node_variable (read));
    return read;
}

DlhNode *
dlh_chains_state_like (DlhChains *c, guint i, const char *name)
{
    g_autofree char *full = NULL;

    g_return_val_if_fail (i < c->target->n_blocks, NULL);
    full = g_strdup_printf ("%s/%s/%s", c->prefix, c->target->blocks[i].name, name);
    return state (c, full, dlh_store_get_dtype (c->target->store), dlh_target_shape (c->target, i),
                  (DlhInit){DLH_INIT_ZEROS, 0, 0});
}

/* Passes. */

DlhPass *
dlh_chains_pass (DlhChains *c, const char *name, guint when)
{
    DlhPass *p = g_new0 (DlhPass, 1);

    if (c->passes->len == DLH_MAX_PASSES)
        dlh_graph_fail (c->target->graph, DLH_ERROR_GRAPH, "pass '%s' is one more than %d", name,
                        DLH_MAX_PASSES);
    p->chains = c;
    p->name = g_strdup (name);
    p->when = when;
    p->assigns = g_ptr_array_new ();
    p->reported = g_ptr_array_new ();
    p->columns = g_array_new (FALSE, FALSE, sizeof (guint));
    g_ptr_array_add (c->passes, p);
    return p;
}

void
dlh_pass_while (DlhPass *p, DlhNode *read, gint64 limit)
{
    DlhVariable *v;

    if (dlh_node_failed (read))
        return;
    v = dlh_node_variable (read);
    g_return_if_fail (v && limit > 0);
    if (dlh_variable_dtype (v) != DLH_I64 || dlh_variable_shape (v).rank)
        dlh_graph_fail (p->chains->target->graph, DLH_ERROR_SHAPE,
                        "pass '%s' goes on while '%s' is above 0: that must be an i64 scalar",
                        p->name, dlh_variable_name (v));
    p->while_above = v;
    p->limit = limit;
}

void
dlh_pass_assign (DlhPass *p, DlhNode *read, DlhNode *value)
{
    const guint warmup =
        DLH_PASS_START | DLH_PASS_WARMUP | DLH_PASS_COLLECT | DLH_PASS_WINDOW | DLH_PASS_FREEZE;
    DlhVariable *v;

    if (dlh_node_failed (read) || dlh_node_failed (value))
        return;
    v = dlh_node_variable (read);
    g_return_if_fail (v);
    if ((p->when & ~warmup) && g_hash_table_contains (p->chains->tuned, v))
        dlh_graph_fail (
            p->chains->target->graph, DLH_ERROR_GRAPH,
            "pass '%s' runs after the warm-up and assigns '%s', which is tuned: what is "
            "tuned must then stay as it is",
            p->name, dlh_variable_name (v));
    else
        g_ptr_array_add (p->assigns, dlh_assign (v, value));
}

void
dlh_pass_report (DlhPass *p, const char *name, DlhNode *value)
{
    DlhChains *c = p->chains;
    guint i = 0;

    value = per_chain (c, name, value);
    if (dlh_node_failed (value))
        return;
    while (i < c->reports->len &&
           !g_str_equal (g_array_index (c->reports, DlhReport, i).name, name))
        i++;
    if (i == c->reports->len) {
        DlhReport r = {g_strdup (name), g_new0 (double, c->target->n_chains)};

        g_array_append_val (c->reports, r);
    }
    g_ptr_array_add (p->reported, value);
    g_array_append_val (p->columns, i);
}

void
dlh_chains_note (DlhChains *c, const char *format, ...)
{
    va_list args;

    va_start (args, format);
    g_ptr_array_add (c->notes, g_strdup_vprintf (format, args));
    va_end (args);
}

/* Arithmetic over chains. */

// (C) as (C, 1, .., 1) of @rank axes.
static DlhNode *
with_rank (DlhChains *c, DlhNode *x, guint rank)
{
    DlhShape shape = {rank, {c->target->n_chains}};

    for (guint k = 1; k < rank; k++)
        shape.dims[k] = 1;
    return dlh_reshape (x, shape);
}

DlhNode *
dlh_chains_spread (DlhChains *c, DlhNode *x, guint i)
{
    g_return_val_if_fail (i < c->target->n_blocks, NULL);
    if (dlh_node_failed (x))
        return x;
    if (dlh_node_rank (x) > 0)
        x = with_rank (c, x, c->target->blocks[i].shape.rank + 1);
    return dlh_cast (x, dlh_store_get_dtype (c->target->store));
}

DlhNode *
dlh_chains_dot (DlhChains *c, DlhNode *const *a, DlhNode *const *b)
{
    DlhNode *sum = NULL;

    for (guint i = 0; i < c->target->n_blocks; i++) {
        gint64 n = dlh_shape_count (c->target->blocks[i].shape);
        DlhNode *product = dlh_cast (dlh_mul (a[i], b[i]), DLH_F64);
        DlhNode *s = dlh_sum_axis (dlh_reshape (product, dlh_shape (c->target->n_chains, n)), 1);

        sum = sum ? dlh_add (sum, s) : s;
    }
    return sum;
}

DlhNode *
dlh_chains_where (DlhChains *c, DlhNode *condition, DlhNode *a, DlhNode *b)
{
    if (dlh_node_failed (condition) || dlh_node_failed (a))
        return dlh_node_failed (condition) ? condition : a;
    if (dlh_node_rank (a) > 1)
        condition = with_rank (c, condition, dlh_node_rank (a));
    return dlh_where (condition, a, b);
}

DlhNode *
dlh_chains_all_finite (DlhChains *c, DlhNode *const *blocks)
{
    DlhNode *bad = NULL;

    for (guint i = 0; i < c->target->n_blocks; i++) {
        gint64 n = dlh_shape_count (c->target->blocks[i].shape);
        DlhNode *flat = dlh_reshape (blocks[i], dlh_shape (c->target->n_chains, n));
        DlhNode *count;

        if (dlh_node_failed (flat))
            return flat;
        count = dlh_sum_axis (
            dlh_where (dlh_is_finite (flat), dlh_full_like (flat, 0), dlh_full_like (flat, 1)), 1);
        bad = bad ? dlh_add (bad, count) : count;
    }
    return dlh_equal (bad, dlh_full_like (bad, 0));
}

DlhNode *
dlh_chains_accept_probability (DlhChains *c, DlhNode *log_ratio)
{
    DlhNode *zero, *p;

    (void)c;
    if (dlh_node_failed (log_ratio))
        return log_ratio;
    zero = dlh_full_like (log_ratio, 0);
    p = dlh_exp (dlh_min (log_ratio, zero));
    return dlh_where (dlh_equal (p, p), p, zero);
}
