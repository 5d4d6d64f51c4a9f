/* SPDX-License-Identifier: MIT */
/* What all families of distributions share. The families themselves use only public functions, as a
 * plugin's would. */
#include <string.h>
#include <dlhost/distribution.h>
#include <dlhost/elementwise.h>
#include <dlhost/reduce.h>
#include "graph/private.h"

#define MAX_PARAMETERS 4

struct _DlhDistribution {
    const DlhDistributionClass *family;
    DlhNode *parameters[MAX_PARAMETERS];
    guint n_parameters;
    guint event_rank;
};

DlhDistribution *
dlh_distribution_new (const DlhDistributionClass *family, DlhNode *const *parameters, guint n,
                      guint event_rank)
{
    static const DlhDistributionClass incomplete = {.size = sizeof incomplete, .name = "incomplete"};
    gboolean complete = family->size >= G_STRUCT_OFFSET (DlhDistributionClass, fisher_root_multiply);
    DlhGraph *graph;
    DlhDistribution *d;

    g_return_val_if_fail (n >= 1 && n <= MAX_PARAMETERS, NULL);
    graph = dlh_node_graph (parameters[0]);
    d = dlh_graph_alloc (graph, sizeof *d);
    d->family = complete ? family : &incomplete;
    d->n_parameters = n;
    d->event_rank = event_rank;
    for (guint i = 0; i < n; i++)
        d->parameters[i] = parameters[i];
    if (!complete)
        d->parameters[0] = dlh_graph_fail (
            graph, DLH_ERROR_PLUGIN, "distribution: the family's class is incomplete: set .size");
    if (!dlh_node_failed (parameters[0]) && event_rank > dlh_node_rank (parameters[0])) {
        g_autofree char *shape = dlh_shape_to_string (dlh_node_shape (parameters[0]));

        d->parameters[0] = dlh_graph_fail (graph, DLH_ERROR_SHAPE,
                                           "%s: event rank %u of parameters %s", family->name,
                                           event_rank, shape);
    }
    return d;
}

DlhNode *
dlh_distribution_parameter (DlhDistribution *d, guint i)
{
    g_return_val_if_fail (i < d->n_parameters, NULL);
    return d->parameters[i];
}

guint
dlh_distribution_n_parameters (DlhDistribution *d)
{
    return d->n_parameters;
}

DlhDistribution *
dlh_distribution_like (DlhDistribution *d, DlhNode *const *parameters)
{
    return dlh_distribution_new (d->family, parameters, d->n_parameters, d->event_rank);
}

DlhNode *
dlh_distribution_outputs (DlhDistribution *d)
{
    return d->parameters[0];
}

const char *
dlh_distribution_name (DlhDistribution *d)
{
    return d->family->name;
}

guint
dlh_distribution_event_rank (DlhDistribution *d)
{
    return d->event_rank;
}

// NULL when all is well: the parameters hold and the family has the function @what.
static DlhNode *
obstacle (DlhDistribution *d, gboolean has, const char *what)
{
    for (guint i = 0; i < d->n_parameters; i++)
        if (dlh_node_failed (d->parameters[i]))
            return d->parameters[i];
    if (has)
        return NULL;
    return dlh_graph_fail (dlh_node_graph (d->parameters[0]), DLH_ERROR_GRAPH,
                           "%s: the %s distribution has none", what, d->family->name);
}

DlhNode *
dlh_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *failed = obstacle (d, d->family->log_prob != NULL, "log_prob");

    if (failed || dlh_node_failed (value))
        return failed ? failed : value;
    return d->family->log_prob (d, value);
}

static gboolean
factorises (DlhDistribution *d)
{
    return d->family->size > G_STRUCT_OFFSET (DlhDistributionClass, factorises) &&
           d->family->factorises;
}

DlhNode *
dlh_log_prob_double (DlhDistribution *d, DlhNode *value)
{
    DlhDistribution *single;
    DlhNode *terms;

    if (d->event_rank == 0 || dlh_node_failed (value) || dlh_node_failed (d->parameters[0]) ||
        !dlh_shape_equal (dlh_node_shape (value), dlh_node_shape (d->parameters[0])) ||
        !factorises (d))
        return dlh_cast (dlh_log_prob (d, value), DLH_F64);
    single = dlh_distribution_new (d->family, d->parameters, d->n_parameters, 0);
    terms = dlh_log_prob (single, value);
    return dlh_sum_last (dlh_cast (terms, DLH_F64), d->event_rank);
}

DlhNode *
dlh_sample_from (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *failed = obstacle (d, d->family->sample != NULL, "sample");

    return failed ? failed : dlh_stop_gradient (d->family->sample (d, stream));
}

DlhNode *
dlh_rsample (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *failed =
        obstacle (d, d->family->sample && d->family->reparameterised, "reparameterised sample");

    return failed ? failed : d->family->sample (d, stream);
}

DlhNode *
dlh_entropy (DlhDistribution *d)
{
    DlhNode *failed = obstacle (d, d->family->entropy != NULL, "entropy");

    return failed ? failed : d->family->entropy (d);
}

DlhNode *
dlh_kl (DlhDistribution *p, DlhDistribution *q)
{
    DlhNode *failed = obstacle (p, p->family->kl != NULL, "KL divergence in closed form");
    DlhNode *x = p->parameters[0], *y = q->parameters[0];
    g_autofree char *px = NULL, *qx = NULL;

    if (!failed)
        failed = obstacle (q, TRUE, "");
    if (failed)
        return failed;
    if (p->family != q->family)
        return dlh_graph_fail (dlh_node_graph (x), DLH_ERROR_GRAPH,
                               "KL divergence: no closed form from %s to %s, average log p - log q "
                               "over samples instead",
                               p->family->name, q->family->name);
    if (p->event_rank == q->event_rank && dlh_shape_equal (dlh_node_shape (x), dlh_node_shape (y)))
        return p->family->kl (p, q);
    px = dlh_shape_to_string (dlh_node_shape (x));
    qx = dlh_shape_to_string (dlh_node_shape (y));
    return dlh_graph_fail (dlh_node_graph (x), DLH_ERROR_SHAPE,
                           "KL divergence: %s with event rank %u does not fit %s with event rank %u",
                           px, p->event_rank, qx, q->event_rank);
}

DlhNode *
dlh_distribution_mean (DlhDistribution *d)
{
    DlhNode *failed = obstacle (d, d->family->mean != NULL, "mean");

    return failed ? failed : d->family->mean (d);
}

DlhNode *
dlh_distribution_mode (DlhDistribution *d)
{
    DlhNode *failed = obstacle (d, d->family->mode != NULL, "mode");

    return failed ? failed : d->family->mode (d);
}

DlhNode *
dlh_fisher (DlhDistribution *d)
{
    DlhNode *failed = obstacle (d, d->family->fisher != NULL, "Fisher information");

    return failed ? failed : d->family->fisher (d);
}

// @v when it has the shape of the outputs, else the error node.
static DlhNode *
fit_outputs (DlhDistribution *d, DlhNode *v)
{
    DlhNode *z = d->parameters[0];
    g_autofree char *got = NULL, *want = NULL;

    if (dlh_node_failed (v) || dlh_shape_equal (dlh_node_shape (v), dlh_node_shape (z)))
        return v;
    got = dlh_shape_to_string (dlh_node_shape (v));
    want = dlh_shape_to_string (dlh_node_shape (z));
    return dlh_graph_fail (dlh_node_graph (z), DLH_ERROR_SHAPE,
                           "Fisher product: vector %s does not fit outputs %s", got, want);
}

DlhNode *
dlh_fisher_multiply (DlhDistribution *d, DlhNode *v)
{
    DlhNode *failed = obstacle (d, d->family->fisher_multiply != NULL, "Fisher information");

    if (!failed)
        v = fit_outputs (d, v);
    return failed || dlh_node_failed (v) ? (failed ? failed : v) : d->family->fisher_multiply (d, v);
}

DlhNode *
dlh_fisher_root_multiply (DlhDistribution *d, DlhNode *v)
{
    gboolean has = d->family->size > G_STRUCT_OFFSET (DlhDistributionClass, fisher_root_multiply) &&
                   d->family->fisher_root_multiply;
    DlhNode *failed = obstacle (d, has, "root of the Fisher information");

    if (!failed)
        v = fit_outputs (d, v);
    return failed || dlh_node_failed (v) ? (failed ? failed : v)
                                         : d->family->fisher_root_multiply (d, v);
}
