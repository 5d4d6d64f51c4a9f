/* SPDX-License-Identifier: MIT */
/* Which parameters are perturbed: every trainable one is looked at, and what is done with it, or
 * why nothing is, is one line of the run's log. */
#include <dlhost/dlhost.h>
#include "perturb/private.h"

static gboolean
matches (const char *patterns, const char *name)
{
    g_auto (GStrv) parts = g_strsplit (patterns, "|", -1);

    for (guint i = 0; parts[i]; i++)
        if (g_pattern_match_simple (g_strstrip (parts[i]), name))
            return TRUE;
    return FALSE;
}

static DlhWeight *
lookup (DlhPerturb *p, const DlhVariable *variable)
{
    for (guint i = 0; i < p->weights->len; i++)
        if (((DlhWeight *)p->weights->pdata[i])->variable == variable)
            return p->weights->pdata[i];
    return NULL;
}

/* Why a parameter cannot be perturbed: (transfer full), NULL when it can. */

static char *
wrong_use (const DlhWeight *w, const DlhUse *use)
{
    const DlhNode *x = dlh_node_input (use->node, use->input);
    g_autofree char *where = dlh_node_describe (use->node);
    gboolean bias;

    if (!dlh_product_is (use->node, use->input, &bias))
        return g_strdup_printf ("used outside a product, by %s", where);
    if (bias != w->is_bias)
        return g_strdup_printf ("used both as a bias and as a weight, by %s", where);
    while (dlh_node_is (x, "reshape"))
        x = dlh_node_input (x, 0);
    if (!dlh_node_variable (x))
        return g_strdup_printf ("changed by %s before %s", dlh_node_op (x)->name, where);
    if (bias && dlh_node_input (use->node, 1) == dlh_node_input (use->node, 2))
        return g_strdup_printf ("weight and bias of %s", where);
    return NULL;
}

// The data input of a use.
static DlhNode *
data_of (const DlhUse *use)
{
    return dlh_node_input (use->node, use->input == 2 ? 0 : 1 - use->input);
}

static char *
lost_examples (const DlhPerturb *p, const DlhUse *use)
{
    for (guint k = 0; k < 2; k++) {
        const DlhNode *x = k ? use->node : data_of (use);
        const DlhCases *c = &p->cases[dlh_node_id (x)];
        g_autofree char *where = c->state == DLH_CASES_LOST ? dlh_node_describe (c->where) : NULL;

        if (where)
            return g_strdup_printf ("the axis of the examples cannot be followed through %s",
                                    where);
        if (c->state == DLH_CASES_NONE)
            return g_strdup ("its product does not depend on the examples");
    }
    return NULL;
}

// A first state is a constant that no example has made: its rows are the examples' as those of the
// states after it are.
static void
adopt_constants (DlhPerturb *p, const DlhWeight *w)
{
    const DlhUse *uses = (const DlhUse *)(gconstpointer)w->uses->data, *known = NULL;
    gboolean bias;

    for (guint i = 0; i < w->uses->len; i++)
        if (!dlh_product_is (uses[i].node, uses[i].input, &bias))
            return; // left alone
    for (guint i = 0; i < w->uses->len && !known; i++)
        if (p->cases[dlh_node_id (data_of (&uses[i]))].state == DLH_CASES_ALONG)
            known = &uses[i];
    for (guint i = 0; i < w->uses->len && known; i++) {
        const DlhNode *x = data_of (&uses[i]);

        if (p->cases[dlh_node_id (x)].state != DLH_CASES_NONE ||
            !dlh_shape_equal (dlh_node_shape (x), dlh_node_shape (data_of (known))))
            continue;
        p->cases[dlh_node_id (x)] = p->cases[dlh_node_id (data_of (known))];
        p->cases[dlh_node_id (uses[i].node)] = p->cases[dlh_node_id (known->node)];
    }
}

static char *
not_alone (const DlhPerturb *p, const DlhWeight *w)
{
    const DlhUse *use = &g_array_index (w->uses, DlhUse, 0);

    if (w->uses->len > 1)
        return g_strdup_printf ("used %u times, and %s wants one product", w->uses->len,
                                p->estimator->name);
    if ((!dlh_node_is (use->node, "linear") && !dlh_node_is (use->node, "matmul")) ||
        dlh_node_rank (use->node) != 2 || dlh_node_dim (use->node, 0) != p->n)
        return g_strdup_printf ("%s wants a linear product with one row an example, this is %s",
                                p->estimator->name, dlh_node_op (use->node)->name);
    return NULL;
}

static char *
obstacle (const DlhPerturb *p, const DlhWeight *w)
{
    const guint needs = p->estimator->needs;
    char *text = NULL;

    if (!w->uses->len)
        return g_strdup ("not used");
    for (guint i = 0; i < w->uses->len && !text; i++) {
        const DlhUse *use = &g_array_index (w->uses, DlhUse, i);

        text = wrong_use (w, use);
        if (!text && (w->is_bias ? p->fresh : (needs & DLH_ESTIMATOR_EXAMPLES) != 0))
            text = lost_examples (p, use);
    }
    if (!text && !w->is_bias && needs & DLH_ESTIMATOR_ALONE)
        text = not_alone (p, w);
    return text;
}

static gboolean
is_bias (const GArray *uses)
{
    gboolean bias = FALSE;

    if (uses->len)
        dlh_product_is (g_array_index (uses, DlhUse, 0).node, g_array_index (uses, DlhUse, 0).input,
                        &bias);
    return bias;
}

static DlhProduct *
product_at (DlhPerturb *p, DlhNode *node)
{
    DlhProduct *product = g_hash_table_lookup (p->products, node);

    if (!product) {
        product = g_new0 (DlhProduct, 1);
        product->perturb = p;
        product->node = node;
        g_hash_table_insert (p->products, node, product);
    }
    return product;
}

static void
add_products (DlhPerturb *p, DlhWeight *w)
{
    for (guint i = 0; i < w->uses->len; i++) {
        DlhProduct *product = product_at (p, g_array_index (w->uses, DlhUse, i).node);

        if (w->is_bias)
            product->bias = w;
        else
            product->weight = w;
    }
}

static gboolean
add_weight (DlhPerturb *p, DlhVariable *variable, DlhNode *const *roots, guint n_roots,
            GError **error)
{
    DlhWeight *w = g_new0 (DlhWeight, 1);
    const char *name = dlh_variable_name (variable);

    w->perturb = p;
    w->variable = variable;
    w->value = dlh_read (p->build->graph, variable);
    w->uses = dlh_graph_uses (roots, n_roots, variable);
    w->is_bias = is_bias (w->uses);
    adopt_constants (p, w);
    g_ptr_array_add (p->weights, w);
    if (!matches (p->options->weights, name))
        w->obstacle = g_strdup_printf ("weights=%s", p->options->weights);
    else if (w->is_bias && !p->biases)
        w->obstacle = g_strdup_printf ("bias=%s", p->options->bias);
    else if ((w->obstacle = obstacle (p, w)) && p->options->strict) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'%s' cannot be perturbed and strict is set: %s; name others with weights=...",
                     name, w->obstacle);
        return FALSE;
    }
    if (!w->obstacle)
        add_products (p, w);
    return TRUE;
}

static gboolean
check_any (const DlhPerturb *p, GError **error)
{
    g_autoptr (GString) names = g_string_new (NULL);
    const char *reason = "";

    for (guint i = 0; i < p->weights->len; i++) {
        const DlhWeight *w = p->weights->pdata[i];

        if (!w->obstacle)
            return TRUE;
        if (names->len < 200)
            g_string_append_printf (names, "%s%s", names->len ? ", " : "",
                                    dlh_variable_name (w->variable));
        if (matches (p->options->weights, dlh_variable_name (w->variable)) && !w->is_bias)
            reason = w->obstacle;
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "weights=%s names nothing that can be perturbed%s%s: there are %s",
                 p->options->weights, *reason ? ", the last match for this reason: " : "", reason,
                 names->str);
    return FALSE;
}

gboolean
dlh_perturb_find (DlhPerturb *p, DlhNode *const *roots, guint n_roots, GError **error)
{
    g_autoptr (GPtrArray) variables = dlh_graph_variables (roots, n_roots);

    for (guint i = 0; i < variables->len; i++)
        if (dlh_variable_is_trainable (variables->pdata[i]) && !lookup (p, variables->pdata[i]) &&
            !add_weight (p, variables->pdata[i], roots, n_roots, error))
            return FALSE;
    return check_any (p, error);
}

static char *
describe_rounding (const DlhWeight *w)
{
    if (!w->may_round)
        return g_strdup ("");
    return w->unrounded ? g_strdup_printf (", not rounded to bf16 (%s)", w->unrounded)
                        : g_strdup (", bf16 where faster");
}

static char *
describe (const DlhPerturb *p, const DlhWeight *w)
{
    const char *name = dlh_variable_name (w->variable);
    const DlhNode *node;
    g_autofree char *times = NULL, *rounding = describe_rounding (w);

    if (w->obstacle)
        return g_strdup_printf ("%s: not perturbed (%s)", name, w->obstacle);
    node = g_array_index (w->uses, DlhUse, 0).node;
    if (w->uses->len > 1)
        times = g_strdup_printf (", one draw for %u uses", w->uses->len);
    if (w->is_bias)
        return g_strdup_printf ("%s: %s noise, %s%s", name, p->noise->name,
                                p->fresh ? "a draw for each example" : "one draw",
                                times ? times : "");
    return g_strdup_printf (
        "%s: %s, %s noise in %s%s%s%s%s", name, p->estimator->name, p->noise->name,
        dlh_node_op (node)->name, p->estimator->note ? ", " : "",
        p->estimator->note ? p->estimator->note : "", times ? times : "", rounding);
}

void
dlh_perturb_describe (DlhPerturb *p)
{
    const DlhBuild *build = p->build;

    if (build->size < sizeof (DlhBuild) || !build->notes)
        return;
    for (guint i = 0; i < p->weights->len; i++)
        g_ptr_array_add (build->notes, describe (p, p->weights->pdata[i]));
}
