/* SPDX-License-Identifier: MIT */
/* Which layers follow each other: the chains of the block-tridiagonal form. Layer j follows layer i
 * when all that reaches its input comes from i's output, row by row. Only a linear node that is the
 * single use of its weight can be in a chain; what keeps a block out is said in its note. */
#include <string.h>
#include "kfac.h"

// Why @b can be in no chain; NULL when it can.
static const char *
obstacle (const Block *b)
{
    const DlhNode *node = b->uses->len ? g_array_index (b->uses, Use, 0).node : NULL;

    switch (b->kind) {
    case BLOCK_PRODUCT:
        break;
    case BLOCK_TABLE:
        return "an embedding's inputs are indices";
    case BLOCK_DENSE:
        return "a scale or shift has no Kronecker factors";
    default:
        return "a diagonal has no Kronecker factors";
    }
    if (!dlh_node_is (node, "linear"))
        return "with its neighbours a convolution has no Kronecker form";
    if (b->uses->len > 1 || b->steps > 1)
        return "its weight is shared";
    return dlh_node_rank (node) == 2 ? NULL : "it has several rows a case";
}

// The block that owns @node as a product or a table, or -1.
static int
owner (const Kfac *k, const DlhNode *node)
{
    for (guint i = 0; i < k->blocks->len; i++) {
        const Block *b = &g_array_index (k->blocks, Block, i);

        if (b->kind != BLOCK_PRODUCT && b->kind != BLOCK_TABLE)
            continue;
        for (guint j = 0; j < b->uses->len; j++)
            if (g_array_index (b->uses, Use, j).node == node)
                return (int)i;
    }
    return -1;
}

typedef struct {
    const Kfac *k;
    GHashTable *seen; /* DlhNode* */
    GPtrArray *nodes; /* those of blocks that were reached */
    gint64 rows;      /* 0: whatever the shape; else only through nodes of as many rows */
} Search;

static void
climb (Search *s, DlhNode *node)
{
    g_autoptr (GPtrArray) stack = g_ptr_array_new ();

    g_ptr_array_add (stack, node);
    while (stack->len > 0) {
        node = g_ptr_array_steal_index_fast (stack, stack->len - 1);
        if (!g_hash_table_add (s->seen, node))
            continue;
        if (s->rows && (dlh_node_rank (node) == 0 || dlh_node_dim (node, 0) != s->rows))
            continue;
        if (owner (s->k, node) >= 0) {
            g_ptr_array_add (s->nodes, node);
            continue;
        }
        for (guint i = 0; i < dlh_node_n_inputs (node); i++)
            g_ptr_array_add (stack, dlh_node_input (node, i));
    }
}

// The nodes of blocks above @node's first input, through whatever lies between.
static GPtrArray *
reached (const Kfac *k, const DlhNode *node, gint64 rows)
{
    g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
    Search s = {k, seen, g_ptr_array_new (), rows};

    climb (&s, dlh_node_input (node, 0));
    return s.nodes;
}

// Sets b->previous where a layer comes before @b, and b->apart where what comes cannot be linked.
static void
find_previous (Kfac *k, Block *b)
{
    const DlhNode *node = g_array_index (b->uses, Use, 0).node;
    g_autoptr (GPtrArray) all = reached (k, node, 0);
    g_autoptr (GPtrArray) direct = NULL;
    int i;

    if (all->len == 0)
        return;
    i = owner (k, all->pdata[0]);
    direct = reached (k, node, dlh_node_dim (node, 0));
    if (all->len > 1)
        b->apart = "several layers lead into it";
    else if (obstacle (&g_array_index (k->blocks, Block, i)))
        b->apart = "what comes before it is in no chain";
    else if (direct->len == 0)
        b->apart = "the rows before it are other ones";
    else
        b->previous = i;
}

// A layer that leads into several others ends its chain.
static void
cut_branches (Kfac *k)
{
    g_autofree guint *followers = g_new0 (guint, k->blocks->len + 1);

    for (guint i = 0; i < k->blocks->len; i++) {
        const Block *b = &g_array_index (k->blocks, Block, i);

        if (b->previous >= 0)
            followers[b->previous]++;
    }
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);

        if (b->previous >= 0 && followers[b->previous] > 1) {
            b->previous = -1;
            b->apart = "the layer before it leads into several";
        }
        if (b->previous >= 0)
            g_array_index (k->blocks, Block, b->previous).next = (int)i;
    }
}

static Block *
block (const Kfac *k, int i)
{
    return &g_array_index (k->blocks, Block, i);
}

char *
kfac_chain_text (const Kfac *k, const Block *b)
{
    guint before = 0, after = 0;

    if (strcmp (k->opt->structure, "tridiagonal") != 0)
        return g_strdup ("");
    for (int i = b->previous; i >= 0; i = block (k, i)->previous)
        before++;
    for (int i = b->next; i >= 0; i = block (k, i)->next)
        after++;
    if (before + after == 0)
        return g_strdup_printf (", in no chain: %s", b->apart ? b->apart : "it is the only layer");
    return g_strdup_printf (", layer %u of %u of a chain%s%s", before + 1, before + after + 1,
                            b->apart ? ": " : "", b->apart ? b->apart : "");
}

gboolean
kfac_find_chains (Kfac *k, GError **error)
{
    if (strcmp (k->opt->structure, "tridiagonal") != 0)
        return TRUE;
    if (strcmp (k->opt->inverse, "ekfac") == 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "structure=tridiagonal has no form for inverse=ekfac: give inverse=cholesky "
                     "or structure=diagonal");
        return FALSE;
    }
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = block (k, (int)i);

        b->apart = obstacle (b);
        if (!b->apart)
            find_previous (k, b);
    }
    cut_branches (k);
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = block (k, (int)i);

        if (b->apart && k->opt->strict) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "'%s' would break the chain of layers and strict is set: %s",
                         kfac_block_name (k, b), b->apart);
            return FALSE;
        }
        if (b->previous >= 0 || b->next >= 0)
            b->inverse = &kfac_chain;
    }
    return TRUE;
}
