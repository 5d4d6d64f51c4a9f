/* SPDX-License-Identifier: MIT */
/* The quadratic model of the loss around the parameters, with the exact Fisher F of the batch
 * (1503.05671, sections 6.4 and 7):
 *
 *   M (delta) = h + <nabla, delta> + delta' (F + (lambda + eta) I) delta / 2
 *
 * h is the loss with its L2 term of coefficient eta, nabla its gradient before any clipping. Of F
 * only products u' F v = mean over cases of (J u)' F_R (J v) are needed, J the Jacobian of the
 * outputs: a forward derivative a direction, no backward pass. F_R is the metric on the outputs
 * that the option fisher names; drawn targets and random signs estimate the Fisher, which is taken
 * exactly here, on a part of the batch (tau_2 of the paper). All scalars are f64. */
#include <string.h>
#include "kfac.h"

/* Columns of the 2 x 2 system nearer to each other than this count as one direction. */
#define PARALLEL_F32 1e-5
#define PARALLEL_F64 1e-12

DlhNode *
kfac_inner (Kfac *k, DlhNode *const *u, DlhNode *const *v)
{
    const guint n = dlh_update_n_params (k->update);
    DlhNode *sum = dlh_scalar (dlh_update_graph (k->update), DLH_F64, 0);

    for (guint i = 0; i < n; i++)
        sum = dlh_add (sum, dlh_dot (dlh_cast (u[i], DLH_F64), dlh_cast (v[i], DLH_F64)));
    return sum;
}

// (cases, d)
static DlhNode *
by_case (const Kfac *k, DlhNode *z)
{
    return dlh_reshape (z, dlh_shape (-1, kfac_output_size (k->part)));
}

// F_R's factor for products: with R = f (t), t' F_R s = <f (t), s>; of the empirical metric the
// cases' products with their gradients by z.
static DlhNode *
metric_of (Kfac *k, DlhNode *t)
{
    const DlhObjective *objective = k->part;
    DlhNode *z = dlh_distribution_outputs (objective->prediction), *dz, *loss;

    if (strcmp (k->opt->fisher, "euclidean") == 0)
        return t;
    if (k->part_root)
        return kfac_part_hessian_multiply (k, t);
    if (strcmp (k->opt->fisher, "empirical") != 0)
        return dlh_fisher_multiply (objective->prediction, t);
    loss = dlh_neg (dlh_sum_all (dlh_log_prob (objective->prediction, objective->target)));
    dz = by_case (k, dlh_gradient (loss, z));
    t = dlh_sum_axis (dlh_mul (dz, by_case (k, t)), 1);
    return dlh_reshape (dlh_mul (dz, dlh_expand (t, 1)), dlh_node_shape (z));
}

KfacDirection
kfac_direction (Kfac *k, DlhNode *const *v)
{
    const guint n = dlh_update_n_params (k->update);
    g_autofree DlhNode **values = g_new (DlhNode *, n + 1);
    KfacDirection d = {.v = v};

    for (guint i = 0; i < n; i++)
        values[i] = dlh_update_value (k->update, i);
    d.outputs = dlh_jvp (dlh_distribution_outputs (k->part->prediction), values, v, n);
    d.metric = metric_of (k, d.outputs);
    d.slope = kfac_inner (k, k->nabla, v);
    return d;
}

// u' (F + (lambda + eta) I) v
static DlhNode *
curvature (Kfac *k, const KfacDirection *a, const KfacDirection *b)
{
    DlhNode *f = dlh_dot (dlh_cast (a->metric, DLH_F64), dlh_cast (b->outputs, DLH_F64));

    f = dlh_scale (f, k->loss_scale / k->part->n_cases);
    return dlh_add (f, dlh_mul (dlh_offset (k->lambda, k->eta), kfac_inner (k, a->v, b->v)));
}

// a / b, 0 where b is not above 0
static DlhNode *
ratio (DlhNode *a, DlhNode *b)
{
    DlhNode *zero = dlh_full_like (b, 0), *usable = dlh_greater (b, zero);

    return dlh_where (usable, dlh_div (a, dlh_where (usable, b, dlh_full_like (b, 1))), zero);
}

static void
solve_both (Kfac *k, KfacModel *m)
{
    const double parallel = k->model_dtype == DLH_F64 ? PARALLEL_F64 : PARALLEL_F32;
    DlhNode *square = dlh_square (m->b12), *product = dlh_mul (m->b11, m->b22);
    DlhNode *det = dlh_sub (product, square);
    DlhNode *apart = dlh_greater (det, dlh_scale (product, parallel));
    DlhNode *alpha = dlh_sub (dlh_mul (m->b12, m->slope2), dlh_mul (m->b22, m->slope1));
    DlhNode *mu = dlh_sub (dlh_mul (m->b12, m->slope1), dlh_mul (m->b11, m->slope2));

    // Without a previous step, or along it, the proposal alone decides.
    m->alpha = dlh_where (apart, ratio (alpha, det), m->alpha);
    m->mu = dlh_where (apart, ratio (mu, det), m->mu);
}

KfacModel
kfac_model (Kfac *k, const KfacDirection *proposal, const KfacDirection *previous)
{
    KfacModel m = {.slope1 = proposal->slope, .b11 = curvature (k, proposal, proposal)};

    m.alpha = dlh_neg (ratio (m.slope1, m.b11));
    m.mu = dlh_full_like (m.alpha, 0);
    if (!previous)
        return m;
    m.slope2 = previous->slope;
    m.b12 = curvature (k, proposal, previous);
    m.b22 = curvature (k, previous, previous);
    solve_both (k, &m);
    return m;
}

DlhNode *
kfac_model_change (const KfacModel *m, DlhNode *alpha, DlhNode *mu)
{
    DlhNode *linear = dlh_mul (alpha, m->slope1);
    DlhNode *quadratic = dlh_mul (dlh_square (alpha), m->b11);

    if (m->slope2) {
        DlhNode *cross = dlh_scale (dlh_mul (dlh_mul (alpha, mu), m->b12), 2);

        linear = dlh_add (linear, dlh_mul (mu, m->slope2));
        quadratic = dlh_add (dlh_add (quadratic, cross), dlh_mul (dlh_square (mu), m->b22));
    }
    return dlh_add (linear, dlh_scale (quadratic, 0.5));
}
