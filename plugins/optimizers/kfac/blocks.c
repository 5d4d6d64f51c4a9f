/* SPDX-License-Identifier: MIT */
/* Every parameter gets a block, and a line in the run's log says which. */
#include <string.h>
#include "kfac.h"

#define MAX_DENSE 1024 /* a block of more parameters keeps its diagonal only */

static int
find_parameter (DlhUpdate *u, const DlhVariable *variable)
{
    for (guint i = 0; variable && i < dlh_update_n_params (u); i++)
        if (dlh_update_variable (u, i) == variable)
            return (int)i;
    return -1;
}

static GArray *
uses_of (Kfac *k, const DlhObjective *objective, guint i)
{
    return dlh_graph_uses (&objective->loss, 1, dlh_update_variable (k->update, i));
}

static gboolean
is_product (const DlhNode *node)
{
    return dlh_node_is (node, "linear") || dlh_node_is (node, "conv2d") ||
           dlh_node_is (node, "conv_transpose2d");
}

static gint64
groups_of (const DlhNode *node)
{
    // The attributes of both convolutions begin with a DlhConv.
    return dlh_node_is (node, "linear") ? 1 : ((const DlhConv *)dlh_node_attrs (node))->groups;
}

// Whether all uses are products of one kind and geometry, with the parameter as their weight.
static gboolean
all_products (const GArray *uses)
{
    const DlhNode *first = g_array_index (uses, DlhUse, 0).node;

    for (guint i = 0; i < uses->len; i++) {
        const DlhUse *use = &g_array_index (uses, DlhUse, i);

        if (use->input != 1 || !is_product (use->node) ||
            dlh_node_op (use->node) != dlh_node_op (first) ||
            groups_of (use->node) != groups_of (first) ||
            dlh_node_n_inputs (use->node) != dlh_node_n_inputs (first))
            return FALSE;
    }
    return TRUE;
}

static gboolean
all_tables (const GArray *uses)
{
    for (guint i = 0; i < uses->len; i++) {
        const DlhUse *use = &g_array_index (uses, DlhUse, i);
        const DlhNode *table = dlh_node_input (use->node, 0);

        // Rows of the parameter itself, picked along its first axis.
        if (use->input != 0 || !dlh_node_is (use->node, "gather") || dlh_node_rank (table) != 2 ||
            !dlh_node_variable (table) || dlh_node_dim (use->node, -1) != dlh_node_dim (table, 1) ||
            dlh_node_rank (use->node) != dlh_node_rank (dlh_node_input (use->node, 1)) + 1)
            return FALSE;
    }
    return TRUE;
}

// y = x * scale or x + shift with the parameter broadcast over the cases, axis 0.
static gboolean
is_pointwise (const DlhUse *use)
{
    const DlhNode *broadcast;

    if (!dlh_node_is (use->node, "mul") && !dlh_node_is (use->node, "add"))
        return FALSE;
    broadcast = dlh_node_input (use->node, use->input);
    if (!dlh_node_is (broadcast, "broadcast") || dlh_node_rank (use->node) < 2)
        return FALSE;
    return dlh_node_rank (dlh_node_input (broadcast, 0)) < dlh_node_rank (use->node) ||
           dlh_node_dim (dlh_node_input (broadcast, 0), 0) == 1;
}

static void
add_uses (GArray *to, const GArray *uses)
{
    for (guint i = 0; i < uses->len; i++) {
        const DlhUse *from = &g_array_index (uses, DlhUse, i);
        Use use = {from->node, from->input, g_ptr_array_new ()};

        g_array_append_val (to, use);
    }
}

// The bias of the same nodes and of no other, or -1. That of a transposed convolution is added
// where the weight's outputs have been summed: it is no trailing 1 of the input.
static int
bias_of (Kfac *k, const GArray *uses)
{
    const DlhNode *first = g_array_index (uses, DlhUse, 0).node;
    g_autoptr (GArray) others = NULL;
    int bias;

    if (dlh_node_n_inputs (first) != 3 || dlh_node_is (first, "conv_transpose2d"))
        return -1;
    bias = find_parameter (k->update, dlh_node_variable (dlh_node_input (first, 2)));
    if (bias < 0)
        return -1;
    others = uses_of (k, k->measured, (guint)bias);
    if (others->len != uses->len)
        return -1;
    for (guint i = 0; i < uses->len; i++)
        if (g_array_index (others, DlhUse, i).node != g_array_index (uses, DlhUse, i).node ||
            g_array_index (others, DlhUse, i).input != 2)
            return -1;
    return bias;
}

// Time steps that share the weight: as many uses, or the first axis of a product over sequences.
static gint64
time_steps (const GArray *uses)
{
    const DlhNode *node = g_array_index (uses, DlhUse, 0).node;

    if (!dlh_node_is (node, "linear"))
        return 1;
    if (uses->len > 1)
        return uses->len;
    return dlh_node_rank (node) == 3 ? dlh_node_dim (node, 0) : 1;
}

static void
fill_product (Kfac *k, Block *b, const GArray *uses)
{
    DlhShape w = dlh_variable_shape (dlh_update_variable (k->update, (guint)b->weight));
    const DlhNode *node = g_array_index (uses, DlhUse, 0).node;

    b->kind = BLOCK_PRODUCT;
    b->bias = bias_of (k, uses);
    b->groups = groups_of (node);
    b->swapped = dlh_node_is (node, "conv_transpose2d");
    b->n_out = w.dims[0] / b->groups;
    b->n_in = dlh_shape_count (dlh_shape_remove (w, 0));
    if (b->swapped) {
        gint64 n = b->n_out;

        b->n_out = b->n_in;
        b->n_in = n;
    }
    b->steps = time_steps (uses);
    if (b->steps > 1 && strcmp (k->opt->recurrent, "option1") == 0)
        b->inverse = &kfac_option1;
    else if (b->steps > 1 && strcmp (k->opt->recurrent, "option2") == 0)
        b->inverse = &kfac_option2;
    else
        b->inverse = strcmp (k->opt->inverse, "eigen") == 0   ? &kfac_eigen
                     : strcmp (k->opt->inverse, "ekfac") == 0 ? &kfac_ekfac
                                                              : &kfac_cholesky;
    add_uses (b->uses, uses);
}

static gboolean
is_scale_or_shift (const DlhUse *use)
{
    if (use->input != 2)
        return is_pointwise (use);
    // A bias that does not go with its weight.
    return dlh_node_is (use->node, "conv2d") || dlh_node_is (use->node, "conv_transpose2d") ||
           (dlh_node_is (use->node, "linear") && dlh_node_rank (use->node) == 2);
}

// Why nothing better than a diagonal fits these uses.
static const char *
obstacle (const GArray *uses, gint64 n)
{
    const DlhUse *first = uses->len ? &g_array_index (uses, DlhUse, 0) : NULL;
    gboolean product = FALSE, other = FALSE, points = TRUE;

    for (guint i = 0; i < uses->len; i++) {
        const DlhUse *use = &g_array_index (uses, DlhUse, i);

        if (use->input == 1 && is_product (use->node))
            product = TRUE;
        else
            other = TRUE;
        points = points && is_scale_or_shift (use);
    }
    if (first && points)
        return uses->len > 1   ? "a scale or shift that is used more than once"
               : n > MAX_DENSE ? "a scale or shift of more than 1024 numbers"
                               : "a scale or shift";
    if (product)
        return other ? "used both as a weight and otherwise"
                     : "the weight of products of different kinds";
    return "neither a weight of linear and convolution nodes, an embedding, nor a scale or shift";
}

static void
fill_other (Kfac *k, Block *b, const GArray *uses)
{
    DlhShape w = dlh_variable_shape (dlh_update_variable (k->update, (guint)b->weight));
    const DlhUse *first = uses->len ? &g_array_index (uses, DlhUse, 0) : NULL;

    b->groups = 1;
    b->n_in = 1;
    b->n_out = dlh_shape_count (w);
    b->kind = BLOCK_DIAGONAL;
    if (first && all_tables (uses)) {
        b->kind = BLOCK_TABLE;
        b->n_in = w.dims[0];
        b->n_out = w.dims[1];
    } else if (uses->len == 1 && b->n_out <= MAX_DENSE && is_scale_or_shift (first)) {
        b->kind = BLOCK_DENSE;
    } else {
        b->diagonal_for = obstacle (uses, b->n_out);
    }
    if (b->kind != BLOCK_DIAGONAL)
        add_uses (b->uses, uses);
}

const char *
kfac_block_name (Kfac *k, const Block *b)
{
    return dlh_variable_name (dlh_update_variable (k->update, (guint)b->weight));
}

static void
describe (Kfac *k, const Block *b)
{
    const char *name = kfac_block_name (k, b);
    g_autofree char *groups =
        b->groups > 1 ? g_strdup_printf (" in %" G_GINT64_FORMAT " groups", b->groups) : NULL;
    g_autofree char *time =
        b->steps > 1       ? g_strdup_printf (", shared by %" G_GINT64_FORMAT " steps", b->steps)
        : b->uses->len > 1 ? g_strdup_printf (", used %u times", b->uses->len)
                           : NULL;
    g_autofree char *chain = kfac_chain_text (k, b);
    const char *rounded = kfac_is_rounded (k, b) ? ", bf16 where faster" : "";
    const gboolean plain = b->inverse == &kfac_cholesky || b->inverse == &kfac_chain;

    switch (b->kind) {
    case BLOCK_PRODUCT:
        dlh_update_note (k->update,
                         "%s: %s, Kronecker factors %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT
                         "%s%s%s%s%s%s%s",
                         name, dlh_node_op (g_array_index (b->uses, Use, 0).node)->name,
                         b->n_in + (b->bias >= 0), b->n_out, groups ? groups : "", time ? time : "",
                         plain ? "" : ", ", plain ? "" : b->inverse->name,
                         b->by_rows ? ", by rows" : "", rounded, chain);
        return;
    case BLOCK_TABLE:
        dlh_update_note (k->update,
                         "%s: embedding, Kronecker factors %" G_GINT64_FORMAT
                         " (diagonal) x %" G_GINT64_FORMAT "%s%s%s",
                         name, b->n_in, b->n_out, time ? time : "", rounded, chain);
        return;
    case BLOCK_DENSE:
        dlh_update_note (k->update, "%s: scale or shift, full block of %" G_GINT64_FORMAT "%s",
                         name, b->n_out, chain);
        return;
    default:
        dlh_update_note (k->update, "%s: diagonal (%s)%s", name, b->diagonal_for, chain);
    }
}

static GArray *
uses_new (void)
{
    return g_array_new (FALSE, FALSE, sizeof (Use));
}

static void
uses_free (GArray *uses)
{
    for (guint i = 0; i < uses->len; i++)
        g_ptr_array_unref (g_array_index (uses, Use, i).g);
    g_array_unref (uses);
}

static Block
block_new (guint weight)
{
    return (Block){.weight = (int)weight,
                   .bias = -1,
                   .previous = -1,
                   .next = -1,
                   .uses = uses_new (),
                   .whole = uses_new (),
                   .steps = 1,
                   .rows_per_case = 1};
}

void
kfac_block_clear (gpointer data)
{
    Block *b = data;

    uses_free (b->uses);
    uses_free (b->whole);
}

static gboolean
check_strict (Kfac *k, const Block *b, GError **error)
{
    if (b->kind != BLOCK_DIAGONAL || !k->opt->strict)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "'%s' would get a diagonal block and strict is set: it is %s",
                 kfac_block_name (k, b), b->diagonal_for);
    return FALSE;
}

gboolean
kfac_find_blocks (Kfac *k, GError **error)
{
    const guint n = dlh_update_n_params (k->update);
    g_autofree gboolean *done = g_new0 (gboolean, n + 1);

    // Products first: a bias belongs to its weight, whichever comes first in the store.
    for (guint pass = 0; pass < 2; pass++)
        for (guint i = 0; i < n; i++) {
            g_autoptr (GArray) uses = done[i] ? NULL : uses_of (k, k->measured, i);
            Block b;

            if (done[i] || (pass == 0 && !(uses->len && all_products (uses))))
                continue;
            b = block_new (i);
            if (pass == 0)
                fill_product (k, &b, uses);
            else
                fill_other (k, &b, uses);
            g_array_append_val (k->blocks, b);
            if (!check_strict (k, &b, error))
                return FALSE;
            done[i] = TRUE;
            if (b.bias >= 0)
                done[b.bias] = TRUE;
        }
    if (!kfac_find_chains (k, error))
        return FALSE;
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);

        if (b->kind == BLOCK_PRODUCT) {
            g_autoptr (GArray) whole =
                uses_of (k, dlh_update_objective (k->update), (guint)b->weight);

            add_uses (b->whole, whole);
        }
        b->by_rows = kfac_by_rows (k, b);
        describe (k, b);
    }
    return TRUE;
}

DlhNode *
kfac_block_state (Kfac *k, const Block *b, const char *name, DlhDType dtype, DlhShape shape,
                  DlhInitKind init)
{
    g_autofree char *full = g_strdup_printf ("%s/%s", kfac_block_name (k, b), name);

    return dlh_update_state_full (k->update, full, dtype, shape, (DlhInit){.kind = init});
}
