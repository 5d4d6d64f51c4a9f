/* SPDX-License-Identifier: MIT */
/* From the preconditioned gradients U = F^-1 V to a step delta, theta <- theta + delta:
 *
 *   fixed      nu = min (1, sqrt (kl_clip / (lr^2 sum <U, V>))),
 *              v <- momentum v + nu U,  delta = - lr v
 *   quadratic  delta = - alpha U + mu delta0, delta0 the step before, (alpha, mu) the minimum of
 *              the quadratic model (quadratic.c)
 */
#include <string.h>
#include "kfac.h"

static DlhNode *
decayed_gradient (Kfac *k, int i)
{
    DlhNode *g = dlh_update_gradient (k->update, (guint)i);

    if (k->opt->weight_decay > 0)
        g = dlh_add (g, dlh_scale (dlh_update_value (k->update, (guint)i), k->opt->weight_decay));
    return g;
}

// What the quadratic model needs: no clipping, and all of the L2 term.
static void
find_nabla (Kfac *k)
{
    const guint n = dlh_update_n_params (k->update);
    g_autofree DlhNode **values = g_new (DlhNode *, n + 1);

    for (guint i = 0; i < n; i++)
        values[i] = dlh_update_value (k->update, i);
    dlh_gradients (dlh_update_objective (k->update)->loss, values, n, NULL, k->nabla);
    for (guint i = 0; i < n && k->eta > 0; i++)
        k->nabla[i] = dlh_add (k->nabla[i], dlh_scale (values[i], k->eta));
}

// V of a product: (groups, n_out, n_in + bias).
static DlhNode *
product_gradient (Kfac *k, const Block *b)
{
    static const guint swap[] = {0, 2, 1};
    DlhNode *v = decayed_gradient (k, b->weight), *bias;

    if (b->swapped)
        v = dlh_transpose (dlh_reshape (v, dlh_shape (b->groups, b->n_in, b->n_out)), swap, 3);
    else
        v = dlh_reshape (v, dlh_shape (b->groups, b->n_out, b->n_in));
    if (b->bias < 0)
        return v;
    bias = dlh_reshape (decayed_gradient (k, b->bias), dlh_shape (b->groups, b->n_out, 1));
    return dlh_concat ((DlhNode *[]){v, bias}, 2, 2);
}

// V in the shape that the block's inverse takes.
static DlhNode *
block_gradient (Kfac *k, const Block *b)
{
    switch (b->kind) {
    case BLOCK_PRODUCT:
        return product_gradient (k, b);
    case BLOCK_TABLE:
        return dlh_expand (decayed_gradient (k, b->weight), 0);
    case BLOCK_DENSE:
        return dlh_reshape (decayed_gradient (k, b->weight), dlh_shape (1, b->n_out, 1));
    default:
        return decayed_gradient (k, b->weight);
    }
}

static void
precondition (Kfac *k, Block *b)
{
    switch (b->kind) {
    case BLOCK_PRODUCT:
        if (b->by_rows) {
            kfac_precondition_rows (k, b);
            return;
        }
        b->u = b->inverse->apply (k, b);
        return;
    case BLOCK_TABLE:
        b->u = kfac_cholesky.apply (k, b);
        return;
    case BLOCK_DENSE:
        b->u = dlh_matmul (b->held[0], b->v);
        return;
    default:
        b->u = dlh_div (b->v, dlh_add (b->fisher, kfac_damping (k, k->model_dtype)));
    }
}

// U in the shapes of the parameters.
static void
spread (Kfac *k, const Block *b, DlhNode **out)
{
    DlhNode *u = b->u;

    if (b->bias >= 0) {
        out[b->bias] = dlh_slice (u, 2, b->n_in, b->n_in + 1, 1);
        u = dlh_slice (u, 2, 0, b->n_in, 1);
    }
    if (b->kind == BLOCK_PRODUCT && b->swapped)
        u = dlh_transpose (u, (const guint[]){0, 2, 1}, 3);
    out[b->weight] = u;
    for (int i = b->weight; i >= 0; i = i == b->weight ? b->bias : -1)
        out[i] = dlh_reshape (out[i], dlh_node_shape (dlh_update_value (k->update, (guint)i)));
}

/* Fixed step size. */

// The value of @kl at the last step that measured it, before this one. There is none at the first,
// whose step is then next to nothing.
static DlhNode *
held (Kfac *k, DlhNode *kl)
{
    DlhNode *state = dlh_update_state_full (k->update, "kl", dlh_node_dtype (kl), dlh_shape (),
                                            (DlhInit){.kind = DLH_INIT_CONSTANT, .a = 1e30});

    dlh_update_phase (k->update, "kl", DLH_PHASE_WITH, k->opt->kl_period, k->opt->burn_in);
    dlh_update_phase_assign (k->update, "kl", state, kl);
    return state;
}

// nu: how far the step may go before the model's predictions change by kl_clip nats. The run's
// schedule is left out here, so that it shortens steps that the limit shortens already.
static DlhNode *
trust_region (Kfac *k, DlhNode *rate)
{
    DlhNode *lr = dlh_full_like (rate, k->opt->lr);
    const double limit = k->opt->kl_clip < 0 ? KFAC_KL_CLIP : k->opt->kl_clip;
    DlhNode *sum = NULL, *kl, *most;

    if (limit == 0)
        return dlh_full_like (lr, 1);
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);
        DlhNode *term = b->by_rows ? b->uv : dlh_dot (b->u, b->v);

        // Where the gradient lies along directions that the inverse takes away, what rounding
        // leaves is larger than the sum. Of either sign it must shorten the step, not free it.
        if (kfac_is_rounded (k, b))
            term = dlh_abs (term);
        sum = sum ? dlh_add (sum, term) : term;
    }
    // Rounding can leave a negative sum; it stands for 0.
    kl = dlh_mul (dlh_square (lr), dlh_max (sum, dlh_full_like (sum, 0)));
    kl = dlh_scale (kl, 1 / k->loss_scale);
    // Before anything is stored: a step that is not finite is not made.
    kl = dlh_assert_finite (kl, "the step's change of the predictions");
    if (k->opt->kl_period > 1)
        kl = held (k, kl);
    dlh_update_log (k->update, "kfac_kl", kl);
    most = dlh_full_like (kl, limit);
    return dlh_sqrt (dlh_div (most, dlh_max (kl, most)));
}

// What the last step was, from the state that is kept anyway. Without momentum there is none: one
// is made.
static void
fixed_recovery (Kfac *k, DlhNode *lr, DlhNode *const *delta)
{
    const guint n = dlh_update_n_params (k->update);
    g_autofree DlhNode **last = g_new (DlhNode *, n + 1);
    g_autofree DlhNode **states = g_new (DlhNode *, n + 1);
    DlhNode *rate = dlh_update_state_full (k->update, "rate", dlh_node_dtype (lr), dlh_shape (),
                                           (DlhInit){.kind = DLH_INIT_ZEROS});

    if (k->opt->momentum > 0)
        dlh_update_assign (k->update, rate, lr);
    for (guint i = 0; i < n; i++) {
        states[i] = dlh_update_state (k->update, i, k->opt->momentum > 0 ? "velocity" : "step");
        last[i] = k->opt->momentum > 0 ? dlh_neg (dlh_mul (states[i], rate)) : states[i];
        if (k->opt->momentum == 0)
            dlh_update_assign (k->update, states[i], delta[i]);
    }
    kfac_recover (k, last, states);
}

static void
fixed_step (Kfac *k, DlhNode *begun, DlhNode **delta)
{
    DlhNode *lr = dlh_update_rate (k->update, k->opt->lr);
    DlhNode *scale = dlh_mul (trust_region (k, lr), dlh_cast (begun, dlh_node_dtype (lr)));

    for (guint i = 0; i < dlh_update_n_params (k->update); i++) {
        DlhNode *step = dlh_mul (k->u[i], scale);

        if (k->opt->momentum > 0) {
            DlhNode *state = dlh_update_state (k->update, i, "velocity");

            step = dlh_add (dlh_scale (state, k->opt->momentum), step);
            dlh_update_assign (k->update, state, step);
        }
        delta[i] = dlh_neg (dlh_mul (step, lr));
    }
    fixed_recovery (k, lr, delta);
    if (kfac_adapts (k)) {
        KfacDirection d = kfac_direction (k, delta);
        KfacModel m = kfac_model (k, &d, NULL);
        DlhNode *one = dlh_full_like (m.alpha, 1);

        kfac_adapt_damping (k, delta, kfac_model_change (&m, one, NULL));
    }
}

/* Step size and momentum from the quadratic model. */

static void
quadratic_step (Kfac *k, DlhNode *begun, DlhNode **delta)
{
    const guint n = dlh_update_n_params (k->update);
    const gboolean momentum = k->opt->momentum > 0;
    g_autofree DlhNode **proposal = g_new (DlhNode *, n + 1);
    g_autofree DlhNode **states = g_new (DlhNode *, n + 1);
    DlhNode *schedule = dlh_cast (dlh_update_rate (k->update, 1), DLH_F64), *alpha, *mu, *change;
    KfacDirection now, before;
    KfacModel m;

    for (guint i = 0; i < n; i++) {
        proposal[i] = dlh_neg (k->u[i]);
        states[i] = dlh_update_state (k->update, i, "step");
    }
    now = kfac_direction (k, proposal);
    if (momentum)
        before = kfac_direction (k, states);
    m = kfac_model (k, &now, momentum ? &before : NULL);
    alpha = dlh_mul (dlh_mul (m.alpha, schedule), dlh_cast (begun, DLH_F64));
    mu = dlh_mul (dlh_mul (m.mu, schedule), dlh_cast (begun, DLH_F64));
    // Before anything is stored: a step that is not finite is not made.
    change =
        dlh_assert_finite (kfac_model_change (&m, alpha, mu), "the step's change of the model");
    dlh_update_log (k->update, "kfac_alpha", alpha);
    dlh_update_log (k->update, "kfac_mu", mu);
    dlh_update_log (k->update, "kfac_model_change", change);
    for (guint i = 0; i < n; i++) {
        const DlhDType t = dlh_node_dtype (proposal[i]);

        delta[i] = dlh_mul (proposal[i], dlh_cast (alpha, t));
        if (momentum)
            delta[i] = dlh_add (delta[i], dlh_mul (states[i], dlh_cast (mu, t)));
        dlh_update_assign (k->update, states[i], delta[i]);
    }
    kfac_recover (k, states, states);
    kfac_adapt_damping (k, delta, change);
    kfac_search_gamma (k, momentum ? &before : NULL);
}

void
kfac_step (Kfac *k)
{
    const guint n = dlh_update_n_params (k->update);
    g_autofree DlhNode **u = g_new0 (DlhNode *, n + 1);
    g_autofree DlhNode **delta = g_new0 (DlhNode *, n + 1);
    g_autofree DlhNode **nabla = g_new0 (DlhNode *, n + 1);
    DlhNode *step = dlh_update_step (k->update), *begun;

    k->nabla = nabla;
    find_nabla (k);
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);

        b->v = b->by_rows ? NULL : block_gradient (k, b);
    }
    // A chain's U needs the V of its other layers.
    for (guint i = 0; i < k->blocks->len; i++) {
        precondition (k, &g_array_index (k->blocks, Block, i));
        spread (k, &g_array_index (k->blocks, Block, i), u);
    }
    k->u = u;
    // The first steps only collect statistics: there is no inverse to use yet.
    begun = dlh_greater_equal (step, dlh_full_like (step, (double)k->opt->burn_in));
    if (kfac_is_quadratic (k))
        quadratic_step (k, begun, delta);
    else
        fixed_step (k, begun, delta);
    for (guint i = 0; i < n; i++)
        dlh_update_move (k->update, i, delta[i]);
    k->u = k->nabla = NULL;
}
