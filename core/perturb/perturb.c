/* SPDX-License-Identifier: MIT */
/* A model whose products with weights are perturbed: a component that calls the model's build() and
 * rewrites the graph. Evaluation and the latent role have mean weights; evaluation on request also
 * the average over several draws. */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"
#include "model/wrapped.h"
#include "perturb/private.h"

typedef struct {
    DlhWrapped wrapped; /* first */
    DlhComponent *perturb, *noise;
} Perturbed;

static void
perturbed_free (gpointer data)
{
    Perturbed *m = data;

    dlh_component_unref (m->perturb);
    dlh_component_unref (m->noise);
    g_free (m);
}

static void
perturb_clear (DlhPerturb *p)
{
    g_clear_pointer (&p->weights, g_ptr_array_unref);
    g_clear_pointer (&p->products, g_hash_table_unref);
    g_clear_pointer (&p->cases, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (DlhPerturb, perturb_clear)

static const DlhNoise *
noise_of (const Perturbed *m, const DlhPerturbOptions *options)
{
    const DlhNoise *noise = dlh_noise_named (options->noise);

    if (m->noise)
        return ((const DlhPerturbation *)dlh_component_interface (m->noise))->noise;
    if (g_str_equal (options->noise, "dropconnect") && options->rate != 0.5)
        return &dlh_noise_dropconnect_any;
    return noise;
}

static void
perturb_init (DlhPerturb *p, const Perturbed *m, const DlhBuild *build, DlhNode *x)
{
    const DlhPerturbation *perturbation = dlh_component_interface (m->perturb);
    const char *bias;

    p->build = build;
    p->options = p->estimator_options = dlh_component_options (m->perturb);
    p->estimator = perturbation->estimator;
    p->noise = noise_of (m, p->options);
    p->noise_options = m->noise ? dlh_component_options (m->noise) : NULL;
    p->n = dlh_node_dim (x, 0);
    p->weights = g_ptr_array_new_with_free_func (dlh_weight_free);
    p->products = g_hash_table_new_full (NULL, NULL, NULL, g_free);
    bias = p->options->bias;
    p->biases = !g_str_equal (bias, "none") &&
                (!g_str_equal (bias, "auto") || (p->noise->flags & DLH_NOISE_POSTERIOR));
    p->fresh = p->biases &&
               (g_str_equal (bias, "fresh") ||
                (g_str_equal (bias, "auto") && (p->estimator->needs & DLH_ESTIMATOR_EXAMPLES)));
}

// All that the model has made, in no order that matters.
static GPtrArray *
roots_of (const DlhObjective *o)
{
    GPtrArray *roots = g_ptr_array_new ();

    if (o->loss)
        g_ptr_array_add (roots, o->loss);
    for (guint i = 0; o->prediction && i < dlh_distribution_n_parameters (o->prediction); i++)
        g_ptr_array_add (roots, dlh_distribution_parameter (o->prediction, i));
    for (guint i = 0; i < G_N_ELEMENTS (o->metrics) && o->metrics[i].name; i++)
        g_ptr_array_add (roots, o->metrics[i].value);
    return roots;
}

static DlhNode *
rewrite (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    DlhPerturb *p = data;
    DlhProduct *product = g_hash_table_lookup (p->products, node);
    DlhNode *made;

    if (!product)
        return NULL;
    dlh_graph_push_scope (p->build->graph, dlh_node_op (node)->name);
    product->inputs = inputs;
    made = dlh_product_replace (product);
    product->inputs = NULL;
    dlh_graph_pop_scope (p->build->graph);
    return made;
}

static void
forget_draws (DlhPerturb *p)
{
    for (guint i = 0; i < p->weights->len; i++) {
        DlhWeight *w = p->weights->pdata[i];

        w->draw = w->draws = w->signs[0] = w->signs[1] = NULL;
    }
}

static void
add_posteriors (DlhPerturb *p, DlhObjective *objective)
{
    DlhWeightPosterior *list =
        dlh_graph_alloc (p->build->graph, (p->weights->len + 1) * sizeof *list);

    objective->posteriors = list;
    objective->n_posteriors = 0;
    if (!(p->noise->flags & DLH_NOISE_POSTERIOR))
        return;
    for (guint i = 0; i < p->weights->len; i++) {
        DlhWeight *w = p->weights->pdata[i];

        if (w->obstacle)
            continue;
        list[objective->n_posteriors++] = (DlhWeightPosterior){.size = sizeof *list,
                                                               .variable = w->variable,
                                                               .mean = dlh_weight_mean (w),
                                                               .std = dlh_weight_std (w),
                                                               .draw = w->draw,
                                                               .squares = w->squares,
                                                               .log_std = w->log_std};
        if (w->is_bias && p->fresh)
            list[objective->n_posteriors - 1].draw = NULL;
    }
}

/* Averaging over draws in evaluation. */

static void
add_averages (DlhObjective *objective, DlhNode *const *log_probs, DlhDistribution *const *each,
              guint n)
{
    const double log_n = log ((double)n);
    DlhNode *nll;

    if (log_probs[0]) {
        nll = dlh_logsumexp (dlh_stack (log_probs, n, 0), (const int[]){0}, 1, FALSE);
        nll = dlh_offset (dlh_neg (dlh_mean_all (nll)), log_n);
        dlh_objective_add_metric (objective, "averaged_nll", nll);
    }
    if (g_str_equal (dlh_distribution_name (each[0]), "categorical")) {
        g_autofree DlhNode **logits = g_new (DlhNode *, n);
        DlhNode *hit;

        for (guint i = 0; i < n; i++)
            logits[i] = dlh_log_softmax (dlh_distribution_outputs (each[i]), -1);
        objective->averaged = dlh_categorical (dlh_offset (
            dlh_logsumexp (dlh_stack (logits, n, 0), (const int[]){0}, 1, FALSE), -log_n));
        if (!objective->target || dlh_node_failed (log_probs[0]))
            return;
        hit = dlh_equal (dlh_distribution_mode (objective->averaged),
                         dlh_cast (objective->target, DLH_I64));
        dlh_objective_add_metric (objective, "averaged_accuracy",
                                  dlh_mean_all (dlh_cast (hit, dlh_node_dtype (logits[0]))));
    }
}

static gboolean
average (DlhPerturb *p, const DlhObjective *original, DlhObjective *objective, GError **error)
{
    const guint n = (guint)p->options->samples;
    g_autofree DlhNode **log_probs = g_new0 (DlhNode *, n);
    g_autofree DlhDistribution **each = g_new0 (DlhDistribution *, n);
    guint n_metrics = 0;

    while (n_metrics < G_N_ELEMENTS (objective->metrics) && objective->metrics[n_metrics].name)
        n_metrics++;
    if (!original->prediction || n_metrics + 2 > G_N_ELEMENTS (objective->metrics)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "samples=%u: the model %s", n,
                     original->prediction ? "has too many metrics of its own to add averaged ones"
                                          : "states no predictive distribution to average");
        return FALSE;
    }
    p->quiet = FALSE;
    objective->calibrated = TRUE;
    for (guint i = 0; i < n; i++) {
        DlhObjective copy = *original;

        forget_draws (p);
        dlh_objective_rewrite (&copy, NULL, rewrite, p);
        each[i] = copy.prediction;
        if (copy.target)
            log_probs[i] = dlh_log_prob (copy.prediction, copy.target);
    }
    add_averages (objective, log_probs, each, n);
    return dlh_graph_check (p->build->graph, error);
}

// Leaves @p empty where the graph has failed or the model has made nothing.
static gboolean
build_and_find (DlhPerturb *p, const Perturbed *m, DlhBuild *build, const DlhProblem *problem,
                DlhNode *x, DlhNode *y, DlhObjective *objective, GError **error)
{
    DlhComponent *inner = m->wrapped.model;
    const DlhModel *model = dlh_component_interface (inner);
    g_autoptr (GPtrArray) roots = NULL;

    if (!model->supervised->build (build, problem, dlh_component_options (inner), x, y, objective,
                                   error))
        return FALSE;
    roots = roots_of (objective);
    if (!roots->len || dlh_node_failed (x) || !dlh_graph_check (build->graph, NULL))
        return TRUE;
    perturb_init (p, m, build, x);
    p->cases = dlh_cases_follow ((DlhNode **)roots->pdata, roots->len, x);
    if (dlh_perturb_find (p, (DlhNode **)roots->pdata, roots->len, error))
        return TRUE;
    g_prefix_error (error, "%s: ", dlh_component_name (m->perturb));
    return FALSE;
}

static gboolean
perturbed_build (DlhBuild *build, const DlhProblem *problem, gconstpointer data, DlhNode *x,
                 DlhNode *y, DlhObjective *objective, GError **error)
{
    const Perturbed *m = data;
    g_auto (DlhPerturb) p = {0};
    DlhObjective original;

    if (!build_and_find (&p, m, build, problem, x, y, objective, error))
        return FALSE;
    if (!p.products)
        return TRUE; // the trainer says what is wrong
    p.quiet = !build->training;
    original = *objective;
    dlh_objective_rewrite (objective, build->updates, rewrite, &p);
    add_posteriors (&p, objective);
    dlh_perturb_describe (&p);
    if (!build->training && p.options->samples && !average (&p, &original, objective, error))
        return FALSE;
    return dlh_graph_check (build->graph, error);
}

/* The latent role, at mean weights. */

// A parameter is perturbed in each of its products or in none: its mean may stand where it is read.
static DlhNode *
read_mean (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    const DlhPerturb *p = data;

    (void)inputs;
    for (guint i = 0; dlh_node_is (node, "read") && i < p->weights->len; i++) {
        DlhWeight *w = p->weights->pdata[i];

        if (w->variable == dlh_node_variable (node) && !w->obstacle)
            return dlh_weight_mean (w);
    }
    return NULL;
}

// Which parameters are perturbed is seen in the whole model, on two examples that nothing computes.
static void
take_means (DlhWrapped *w, DlhBuild *build, const DlhProblem *problem, DlhNode **nodes, guint n)
{
    g_autofree DlhNode **means = g_new0 (DlhNode *, n);
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    g_autoptr (GError) error = NULL;
    g_auto (DlhPerturb) p = {0};
    DlhBuild aside = {
        .size = sizeof aside, .graph = build->graph, .store = build->store, .updates = updates};
    DlhDType dtype = problem->vocabulary > 0 ? DLH_I64 : dlh_store_get_dtype (build->store);
    g_autoptr (DlhTensor) zeros =
        dlh_tensor_new (dtype, dlh_shape_insert (problem->input_shape, 0, 2), &error);
    DlhObjective objective = {.size = sizeof objective};

    // No number that stands for all: reshaped it becomes another one, and the examples are lost.
    if (!zeros || !build_and_find (&p, (Perturbed *)w, &aside, problem,
                                   dlh_constant (build->graph, zeros), NULL, &objective, &error)) {
        dlh_graph_fail (build->graph, error->code, "%s", error->message);
        return;
    }
    if (!p.products)
        return;
    p.quiet = TRUE;
    dlh_graph_rewrite (nodes, n, read_mean, &p, means);
    memcpy (nodes, means, n * sizeof *nodes);
}

static gboolean
check_noise (const Perturbed *m, GError **error)
{
    const DlhPerturbOptions *options = dlh_component_options (m->perturb);
    const DlhPerturbation *perturbation = dlh_component_interface (m->perturb);
    const DlhNoise *noise;
    const char *name = dlh_component_name (m->perturb);

    if (!perturbation->estimator) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s is a noise and no estimator: give --perturb=ESTIMATOR,noise=%s", name,
                     name);
        return FALSE;
    }
    if (!(noise = noise_of (m, options))) {
        g_set_error (
            error, DLH_ERROR, DLH_ERROR_OPTION,
            "%s: noise=%s is neither gaussian, fixed, multiplicative nor dropconnect, nor a "
            "plugin that has the noise role",
            name, options->noise);
        return FALSE;
    }
    if (perturbation->estimator->needs & DLH_ESTIMATOR_SYMMETRIC &&
        !(noise->flags & DLH_NOISE_SYMMETRIC)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s flips signs, so its noise must be symmetric about 0, and %s%s is not",
                     name, noise->name,
                     noise == &dlh_noise_dropconnect_any ? " at a rate other than 0.5" : "");
        return FALSE;
    }
    if (perturbation->estimator->needs & DLH_ESTIMATOR_GAUSSIAN &&
        !(noise->flags & DLH_NOISE_GAUSSIAN)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s needs Gaussian noise, and %s is not: give noise=gaussian, fixed or "
                     "multiplicative",
                     name, noise->name);
        return FALSE;
    }
    return TRUE;
}

DlhComponent *
dlh_perturb_model (DlhComponent *model, DlhComponent *perturb, DlhComponent *noise, GError **error)
{
    static const DlhSupervised supervised = {sizeof (DlhSupervised), perturbed_build};
    Perturbed *data;
    DlhComponent *made;

    if (!((const DlhModel *)dlh_component_interface (model))->supervised) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s perturbs models with the supervised role, which '%s' does not offer",
                     dlh_component_name (perturb), dlh_component_name (model));
        return NULL;
    }
    data = g_new0 (Perturbed, 1);
    data->perturb = dlh_component_ref (perturb);
    data->noise = noise ? dlh_component_ref (noise) : NULL;
    if (!check_noise (data, error)) {
        perturbed_free (data);
        return NULL;
    }
    // A noise without a mean of its own leaves the parameters as they are.
    if (noise_of (data, dlh_component_options (perturb))->mean)
        data->wrapped.change = take_means;
    dlh_wrapped_init (&data->wrapped, model, &supervised);
    made =
        dlh_component_new_wrapping (model, &data->wrapped.interface, data, perturbed_free, error);
    if (!made)
        perturbed_free (data);
    return made;
}
