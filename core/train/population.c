/* SPDX-License-Identifier: MIT */
/* Populations: the model is built once on the batch repeated for each member of a group, and each
 * group is that graph with its products rewritten. What is drawn is drawn for the members alone;
 * their mirror images have the opposite signs of it. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "train/population.h"

static const char *const parts_names[N_PARTS] = {"draw", "draws", "signs0", "signs1"};

/* Products. */

static DlhPopulation *
population_of (gconstpointer options)
{
    return (DlhPopulation *)options;
}

// The batch before it was repeated, when @x is that and no more than laid out in another way.
static DlhNode *
unrepeated (const DlhPopulation *p, DlhNode *x)
{
    DlhShape shape = dlh_node_shape (x);

    if (!p->spread || !dlh_node_is (x, "reshape") || dlh_node_input (x, 0) != p->spread ||
        shape.dims[0] != dlh_node_dim (p->rows, 0))
        return NULL;
    shape.dims[0] /= p->each;
    return dlh_reshape (p->base, shape);
}

// The product with the mean is the same for all candidates where they have the batch itself.
static DlhNode *
mean_product (DlhProduct *product, const DlhPopulation *p, gboolean bias)
{
    DlhNode *x = dlh_product_input (product), *base = unrepeated (p, x);
    DlhNode *mean = dlh_weight_mean (dlh_product_weight (product));

    if (!base)
        return dlh_product_apply (product, x, mean, bias);
    return dlh_population_repeat (dlh_product_apply (product, base, mean, bias), p->each);
}

static DlhNode *
signs_product (DlhProduct *product, gconstpointer options)
{
    DlhWeight *w = dlh_product_weight (product);
    DlhNode *x = dlh_product_flip_input (product, dlh_product_input (product));
    DlhNode *noise = dlh_product_apply (product, x, dlh_weight_draw (w), FALSE);

    return dlh_add (mean_product (product, population_of (options), TRUE),
                    dlh_product_flip_output (product, noise));
}

static DlhNode *
independent_product (DlhProduct *product, gconstpointer options)
{
    DlhWeight *w = dlh_product_weight (product);

    (void)options;
    return dlh_product_apply_each (product, dlh_product_input (product),
                                   dlh_add (dlh_weight_draws (w), dlh_weight_mean (w)), TRUE);
}

static const DlhEstimator estimators[] = {
    [DLH_SPREAD_SIGNS] = {.size = sizeof (DlhEstimator),
                          .name = "population",
                          .needs = DLH_ESTIMATOR_EXAMPLES,
                          .product = signs_product},
    [DLH_SPREAD_INDEPENDENT] = {.size = sizeof (DlhEstimator),
                                .name = "population",
                                .needs = DLH_ESTIMATOR_EXAMPLES,
                                .product = independent_product},
};

/* Draws. */

static Drawn *
drawn_of (DlhPopulation *p, const DlhVariable *v)
{
    Drawn *d = g_hash_table_lookup (p->group, v);

    if (!d) {
        d = g_new0 (Drawn, 1);
        g_hash_table_insert (p->group, (gpointer)v, d);
    }
    return d;
}

static DlhNode *
draw (DlhPopulation *p, DlhVariable *v, Part part, DlhShape shape)
{
    const DlhDType dtype = dlh_variable_dtype (v);
    g_autofree char *name = g_strdup_printf ("%s/%s", dlh_variable_name (v), parts_names[part]);
    DlhStream *stream = dlh_update_stream (p->update, name);
    DlhGraph *graph = dlh_update_graph (p->update);

    if (part == PART_SIGNS0 || part == PART_SIGNS1)
        return dlh_rademacher (graph, stream, dtype, shape);
    return dlh_scale (dlh_normal (graph, stream, dtype, shape), p->options.sigma);
}

// What members have, with the opposite of it behind, or the same once more.
static DlhNode *
mirrored (DlhPopulation *p, DlhNode *x, Part part)
{
    DlhNode *both[] = {x, part == PART_SIGNS1 ? x : dlh_neg (x)};

    return p->options.antithetic && part != PART_DRAW ? dlh_concat (both, 2, 0) : x;
}

static DlhNode *
make (DlhWeight *w, const char *what, DlhShape shape, gpointer data)
{
    DlhPopulation *p = data;
    Drawn *d = drawn_of (p, w->variable);
    guint part = 0;

    while (!g_str_equal (parts_names[part], what))
        part++;
    if (part != PART_DRAW)
        shape.dims[0] = p->options.members;
    d->parts[part] = p->stored ? dlh_population_stored (p, w->variable, parts_names[part], shape)
                               : draw (p, w->variable, part, shape);
    return mirrored (p, d->parts[part], part);
}

/* Rewriting the model. */

DlhNode *
dlh_population_repeat (DlhNode *x, gint64 n)
{
    DlhShape shape = dlh_shape_insert (dlh_node_shape (x), 0, n), joined = dlh_node_shape (x);

    if (dlh_node_failed (x))
        return x;
    joined.dims[0] *= n;
    return dlh_reshape (dlh_broadcast (x, shape), joined);
}

static DlhNode *
rewrite (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    DlhPerturb *perturb = &((DlhPopulation *)data)->perturb;
    DlhProduct *product = g_hash_table_lookup (perturb->products, node);
    DlhNode *made;

    if (!product)
        return NULL;
    product->inputs = inputs;
    made = dlh_product_replace (product);
    product->inputs = NULL;
    return made;
}

void
dlh_population_group (DlhPopulation *p, gint64 group, DlhNode *const *roots, guint n, DlhNode **out)
{
    while (p->groups->len <= group)
        g_ptr_array_add (p->groups, g_hash_table_new_full (NULL, NULL, NULL, g_free));
    p->group = p->groups->pdata[group];
    p->group_number = group;
    for (guint i = 0; i < p->perturb.weights->len; i++) {
        DlhWeight *w = p->perturb.weights->pdata[i];

        w->draw = w->draws = w->signs[0] = w->signs[1] = NULL;
    }
    dlh_graph_rewrite (roots, n, rewrite, p, out);
}

// Which values depend on the batch, whatever axis it has gone to.
static gboolean *
depending (DlhNode *const *roots, guint n_roots, const DlhNode *x, guint *n)
{
    g_autofree gboolean *marked = dlh_graph_ancestors (roots, n_roots, n);
    gboolean *depends = g_new0 (gboolean, *n);

    for (guint id = 0; id < *n; id++) {
        const DlhNode *node = marked[id] ? dlh_graph_node (x->graph, id) : NULL;

        for (guint k = 0; node && k < node->n_inputs; k++)
            depends[id] |= depends[node->inputs[k]->id];
        depends[id] |= node == x;
    }
    return depends;
}

// Candidates must not see each other's examples, as they would through the mean over a batch.
static gboolean
check_apart (const DlhPopulation *p, DlhGraph *graph, guint n, GError **error)
{
    for (guint id = 0; id < n; id++) {
        const DlhNode *node = p->depends[id] ? dlh_graph_node (graph, id) : NULL;
        g_autofree char *text = NULL;

        if (!node || p->perturb.cases[id].state == DLH_CASES_NONE)
            continue;
        for (guint k = 0; k < node->n_inputs; k++) {
            const guint from = node->inputs[k]->id;

            if (!p->depends[from] || p->perturb.cases[from].state != DLH_CASES_NONE)
                continue;
            text = dlh_node_describe (node);
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "the model mixes the examples of a batch, which would mix candidates, at "
                         "%s: leave out what normalises over batches",
                         text);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
dlh_population_find (DlhPopulation *p, DlhNode *const *roots, guint n_roots, GError **error)
{
    DlhPerturb *perturb = &p->perturb;
    DlhNode *from;
    guint n;

    perturb->build = &p->build;
    perturb->options = &p->perturb_options;
    perturb->estimator = &estimators[p->options.spread];
    perturb->estimator_options = p;
    perturb->noise = dlh_noise_named ("fixed");
    perturb->n = p->each;
    perturb->biases = perturb->fresh = TRUE;
    perturb->make = make;
    perturb->make_data = p;
    perturb->weights = g_ptr_array_new_with_free_func (dlh_weight_free);
    perturb->products = g_hash_table_new_full (NULL, NULL, NULL, g_free);
    // A reshape of the repeated rows goes past them, to the axis of the candidates.
    p->spread = dlh_node_is (p->rows, "reshape") ? dlh_node_input (p->rows, 0) : NULL;
    if (p->spread && !dlh_node_is (p->spread, "broadcast"))
        p->spread = NULL;
    from = p->spread ? p->spread : p->rows;
    perturb->cases = dlh_cases_follow (roots, n_roots, from);
    p->depends = depending (roots, n_roots, from, &n);
    // Followed by rows, of which a candidate has several.
    for (guint id = 0; id < n; id++)
        perturb->cases[id].inner *= dlh_node_dim (from, 0) / p->each;
    return check_apart (p, p->rows->graph, n, error) &&
           dlh_perturb_find (perturb, roots, n_roots, error);
}

/* The sum of w_c D_c. */

// (n) or, with mirror images, the difference of the two halves: (members).
static DlhNode *
group_weights (const DlhPopulation *p, DlhNode *weights, gint64 group)
{
    const gint64 n = p->options.members, first = group * p->each;
    DlhNode *w = dlh_slice (weights, 0, first, first + n, 1);

    if (p->options.antithetic)
        w = dlh_sub (w, dlh_slice (weights, 0, first + n, first + 2 * n, 1));
    return w;
}

// D o (R' diag (w) S): signs on the first two axes, in blocks where a convolution has groups.
static DlhNode *
combine_signs (const Drawn *d, DlhNode *w)
{
    DlhNode *r = d->parts[PART_SIGNS0], *s = d->parts[PART_SIGNS1], *base = d->parts[PART_DRAW];
    DlhShape shape = dlh_node_shape (base);
    const gint64 n = dlh_node_dim (r, 0), blocks = dlh_node_dim (s, 1) / shape.dims[1];
    DlhNode *sum;

    r = dlh_mul (r, dlh_expand (w, -1));
    if (blocks == 1) {
        sum = dlh_matmul_t (r, TRUE, s, FALSE);
    } else {
        r = dlh_reshape (r, dlh_shape (n, blocks, shape.dims[0] / blocks));
        s = dlh_reshape (s, dlh_shape (n, blocks, shape.dims[1]));
        sum = dlh_matmul (dlh_transpose (r, (const guint[]){1, 2, 0}, 3),
                          dlh_transpose (s, (const guint[]){1, 0, 2}, 3));
    }
    for (guint axis = 2; axis < shape.rank; axis++)
        shape.dims[axis] = 1;
    return dlh_mul (base, dlh_reshape (sum, shape));
}

static DlhNode *
combine_draws (const Drawn *d, DlhNode *w)
{
    DlhNode *draws = d->parts[PART_DRAWS];
    const DlhShape shape = dlh_node_shape (draws);
    DlhNode *sum =
        dlh_matmul (dlh_expand (w, 0), dlh_reshape (draws, dlh_shape (shape.dims[0], -1)));

    return dlh_reshape (sum, dlh_shape_remove (shape, 0));
}

DlhNode *
dlh_population_combine (DlhPopulation *p, guint i, DlhNode *weights)
{
    const DlhVariable *v = dlh_update_variable (p->update, i);
    DlhNode *sum = NULL;

    if (dlh_node_failed (weights))
        return weights;
    for (guint g = 0; g < p->groups->len; g++) {
        const Drawn *d = g_hash_table_lookup (p->groups->pdata[g], v);
        DlhNode *w = d ? group_weights (p, weights, g) : NULL, *term;

        if (!d)
            continue;
        term = d->parts[PART_DRAWS] ? combine_draws (d, w) : combine_signs (d, w);
        sum = sum ? dlh_add (sum, term) : term;
    }
    return sum ? sum : dlh_full_like (dlh_update_value (p->update, i), 0);
}

/* Making one. */

gint64
dlh_population_size (const DlhPopulation *p)
{
    return p->options.groups * p->each;
}

DlhNode *
dlh_population_scores (DlhPopulation *p)
{
    return p->scores;
}

static gboolean
check_options (const DlhPopulationOptions *o, GError **error)
{
    if ((o->spread == DLH_SPREAD_SIGNS || o->spread == DLH_SPREAD_INDEPENDENT) && o->groups > 0 &&
        o->members > 0 && o->sigma > 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "a population of %" G_GINT64_FORMAT " groups of %" G_GINT64_FORMAT
                 " with sigma %g: all must be above 0, and the spread one of DlhSpread",
                 o->groups, o->members, o->sigma);
    return FALSE;
}

static void
describe (DlhPopulation *p)
{
    for (guint i = 0; i < p->perturb.weights->len; i++) {
        const DlhWeight *w = p->perturb.weights->pdata[i];

        if (w->obstacle)
            dlh_update_note (p->update, "%s: the same for all candidates, stays as it is (%s)",
                             dlh_variable_name (w->variable), w->obstacle);
    }
}

DlhPopulation *
dlh_population_new (DlhUpdate *u, const DlhPopulationOptions *options, const DlhBuild *build)
{
    DlhPopulation *p = g_new0 (DlhPopulation, 1);

    memcpy (&p->options, options, MIN (options->size, sizeof p->options));
    p->update = u;
    p->build = *build;
    p->weights = g_strdup (options->weights ? options->weights : "*");
    p->options.weights = p->weights;
    p->each = options->members * (options->antithetic ? 2 : 1);
    p->perturb_options = (DlhPerturbOptions){
        .weights = p->weights, .noise = "fixed", .bias = "fresh", .sigma = options->sigma};
    p->groups = g_ptr_array_new_with_free_func ((GDestroyNotify)g_hash_table_unref);
    return p;
}

void
dlh_population_free (DlhPopulation *p)
{
    if (!p)
        return;
    g_clear_pointer (&p->perturb.weights, g_ptr_array_unref);
    g_clear_pointer (&p->perturb.products, g_hash_table_unref);
    g_free (p->perturb.cases);
    g_free (p->depends);
    g_ptr_array_unref (p->groups);
    g_free (p->weights);
    g_free (p);
}

DlhPopulation *
dlh_update_population (DlhUpdate *u, const DlhPopulationOptions *options, GError **error)
{
    const DlhBuild build = {
        .size = sizeof build, .graph = u->graph, .store = u->store, .training = TRUE};

    g_return_val_if_fail (!u->population, NULL);
    if (!check_options (options, error) || !dlh_graph_check (u->graph, error))
        return NULL;
    u->population = dlh_population_new (u, options, &build);
    u->population->stored = u->rewarded;
    if (!(u->rewarded ? dlh_population_reward (u->population, error)
                      : dlh_population_score (u->population, error)))
        return NULL;
    describe (u->population);
    return dlh_graph_check (u->graph, error) ? u->population : NULL;
}
