/* SPDX-License-Identifier: MIT */
/* The optimizer: statistics and inverses in their phases, and the step
 *
 *   U = F^-1 V,  nu = min (1, sqrt (kl_clip / (lr^2 sum <U, V>))),
 *   v <- momentum v + nu U,  theta <- theta - lr v
 */
#include <math.h>
#include <string.h>
#include "damped.h"
#include "kfac.h"

static DlhNode *
decayed_gradient (Kfac *k, int i)
{
    DlhNode *g = dlh_update_gradient (k->update, (guint)i);

    if (k->opt->weight_decay > 0)
        g = dlh_add (g, dlh_scale (dlh_update_value (k->update, (guint)i), k->opt->weight_decay));
    return g;
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

static void
prepare (Kfac *k, Block *b)
{
    DlhNode *raises, *c;

    kfac_add_statistics (k, b);
    if (b->kind == BLOCK_PRODUCT)
        b->inverse->prepare (k, b);
    else if (b->kind == BLOCK_TABLE)
        kfac_cholesky.prepare (k, b);
    else if (b->kind == BLOCK_DENSE) {
        b->held[0] = kfac_block_state (k, b, "inverse", k->model_dtype, dlh_node_shape (b->fisher),
                                       DLH_INIT_ZEROS);
        c = dlh_reshape (kfac_damping (k, k->dtype), dlh_shape (1, 1, 1));
        kfac_assign_inverse (k, b->held[0], kfac_damped_inverse (b->fisher, c, &raises));
        raises = dlh_cast (dlh_sum_all (raises), DLH_F64);
        k->raised = k->raised ? dlh_add (k->raised, raises) : raises;
    }
}

static void
precondition (Kfac *k, Block *b)
{
    switch (b->kind) {
    case BLOCK_PRODUCT:
        b->v = product_gradient (k, b);
        b->u = b->inverse->apply (k, b);
        return;
    case BLOCK_TABLE:
        b->v = dlh_expand (decayed_gradient (k, b->weight), 0);
        b->u = kfac_cholesky.apply (k, b);
        return;
    case BLOCK_DENSE:
        b->v = dlh_reshape (decayed_gradient (k, b->weight), dlh_shape (1, b->n_out, 1));
        b->u = dlh_matmul (b->held[0], b->v);
        return;
    default:
        b->v = decayed_gradient (k, b->weight);
        b->u = dlh_div (b->v, dlh_add (b->fisher, kfac_damping (k, k->model_dtype)));
    }
}

// nu: how far the step may go before the model's predictions change by kl_clip nats.
static DlhNode *
trust_region (Kfac *k, DlhNode *lr)
{
    DlhNode *sum = NULL, *kl, *limit;

    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);
        DlhNode *term = dlh_dot (b->u, b->v);

        sum = sum ? dlh_add (sum, term) : term;
    }
    // Rounding can leave a negative sum; it stands for 0.
    kl = dlh_mul (dlh_square (lr), dlh_max (sum, dlh_full_like (sum, 0)));
    dlh_update_log (k->update, "kfac_kl", kl);
    if (k->opt->kl_clip == 0)
        return dlh_full_like (lr, 1);
    limit = dlh_full_like (kl, k->opt->kl_clip);
    return dlh_sqrt (dlh_div (limit, dlh_max (kl, limit)));
}

static void
move (Kfac *k, int i, DlhNode *u, DlhNode *scale, DlhNode *lr)
{
    DlhNode *step =
        dlh_mul (dlh_reshape (u, dlh_node_shape (dlh_update_value (k->update, (guint)i))), scale);

    if (k->opt->momentum > 0) {
        DlhNode *state = dlh_update_state (k->update, (guint)i, "velocity");

        step = dlh_add (dlh_scale (state, k->opt->momentum), step);
        dlh_update_assign (k->update, state, step);
    }
    dlh_update_move (k->update, (guint)i, dlh_neg (dlh_mul (step, lr)));
}

static void
move_block (Kfac *k, const Block *b, DlhNode *scale, DlhNode *lr)
{
    DlhNode *u = b->u;

    if (b->bias >= 0) {
        move (k, b->bias, dlh_slice (u, 2, b->n_in, b->n_in + 1, 1), scale, lr);
        u = dlh_slice (u, 2, 0, b->n_in, 1);
    }
    if (b->kind == BLOCK_PRODUCT && b->swapped)
        u = dlh_transpose (u, (const guint[]){0, 2, 1}, 3);
    move (k, b->weight, u, scale, lr);
}

static void
apply (Kfac *k)
{
    DlhNode *lr = dlh_update_rate (k->update, k->opt->lr), *scale, *begun;

    for (guint i = 0; i < k->blocks->len; i++)
        precondition (k, &g_array_index (k->blocks, Block, i));
    // The first steps only collect statistics: there is no inverse to use yet.
    begun =
        dlh_greater_equal (dlh_update_step (k->update),
                           dlh_full_like (dlh_update_step (k->update), (double)k->opt->burn_in));
    scale = dlh_mul (trust_region (k, lr), dlh_cast (begun, dlh_node_dtype (lr)));
    for (guint i = 0; i < k->blocks->len; i++)
        move_block (k, &g_array_index (k->blocks, Block, i), scale, lr);
}

// Factors that were indefinite got more damping than was asked for: that is shown, not hidden.
static void
log_raises (Kfac *k)
{
    DlhNode *state;

    if (!k->raised)
        return;
    state = dlh_update_state_full (k->update, "raises", DLH_F64, dlh_shape (),
                                   (DlhInit){.kind = DLH_INIT_ZEROS});
    dlh_update_phase_assign (k->update, "inverses", state, k->raised);
    dlh_update_log (k->update, "kfac_damping_raised", state);
}

// min (1 - 1/n, decay) with n counting updates from 1: the first one overwrites.
static DlhNode *
average_weight (Kfac *k)
{
    DlhNode *step = dlh_update_step (k->update);
    DlhNode *n = dlh_offset (dlh_scale (step, 1 / (double)k->opt->statistics), 1);

    return dlh_min (dlh_sub (dlh_full_like (n, 1), dlh_reciprocal (n)),
                    dlh_full_like (n, k->opt->decay));
}

static gboolean
check_options (const KfacOptions *opt, GError **error)
{
    if (opt->inverse_delay >= opt->inverses) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'inverse_delay' is %" G_GINT64_FORMAT " and 'inverses' is %" G_GINT64_FORMAT
                     ": each inversion must be stored before the next begins, give a delay below "
                     "the period",
                     opt->inverse_delay, opt->inverses);
        return FALSE;
    }
    if (opt->damping > 0 || strcmp (opt->inverse, "cholesky") != 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "damping is 0 and inverse is cholesky: give a damping above 0, or inverse=eigen, "
                 "which then takes the pseudo-inverse");
    return FALSE;
}

static gboolean
kfac_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const KfacOptions *opt = options;
    g_autoptr (GArray) blocks = g_array_new (FALSE, TRUE, sizeof (Block));
    g_autoptr (GPtrArray) held = g_ptr_array_new ();
    g_autoptr (GPtrArray) fresh = g_ptr_array_new ();
    Kfac k = {.update = u, .opt = opt, .blocks = blocks, .held = held, .fresh = fresh};

    if (!check_options (opt, error))
        return FALSE;
    g_array_set_clear_func (blocks, kfac_block_clear);
    k.n_cases = dlh_update_objective (u)->n_cases;
    k.model_dtype = dlh_store_get_dtype (dlh_update_store (u));
    k.dtype = opt->double_factors ? DLH_F64 : k.model_dtype;
    k.keep = average_weight (&k);
    k.damping = dlh_scalar (dlh_update_graph (u), DLH_F64, opt->damping);
    k.damped = opt->damping > 0;
    dlh_update_phase (u, "statistics", DLH_PHASE_WITH, opt->statistics, 0);
    dlh_update_phase (u, "inverses", DLH_PHASE_AFTER, opt->inverses, MAX (opt->burn_in, 1) - 1);
    dlh_update_phase_delay (u, "inverses", opt->inverse_delay);
    if (!kfac_find_blocks (&k, error) || !kfac_propagate (&k, error))
        return FALSE;
    for (guint i = 0; i < blocks->len; i++)
        prepare (&k, &g_array_index (blocks, Block, i));
    apply (&k);
    log_raises (&k);
    return TRUE;
}

static const DlhOptimizer kfac = {.size = sizeof (DlhOptimizer), .build = kfac_build};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, kfac, KfacOptions,
    DLH_OPTIONS (
        DLH_DOUBLE (KfacOptions, lr, 0.1, 0.0, 1e6, "Step size", .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, momentum, 0.9, 0.0, 1.0, "Damping of the velocity; 0: none",
                    .flags = DLH_MAX_OPEN),
        DLH_DOUBLE (
            KfacOptions, damping, 0.3, 0.0, 1e6,
            "Added to the curvature (lambda); 0: pseudo-inverse, with inverse=eigen or ekfac"),
        DLH_DOUBLE (KfacOptions, kl_clip, 1e-2, 0.0, 1e6,
                    "Largest change of the predictions in a step; 0: no limit", .unit = "nats"),
        DLH_DOUBLE (KfacOptions, decay, 0.95, 0.0, 1.0, "Moving average of the statistics",
                    .flags = DLH_MAX_OPEN),
        DLH_INT (KfacOptions, statistics, 4, 1, 1000000, "Steps between updates of the statistics",
                 .unit = "steps"),
        DLH_INT (KfacOptions, inverses, 20, 1, 1000000, "Steps between inversions of the factors",
                 .unit = "steps"),
        DLH_INT (KfacOptions, inverse_delay, 0, 0, 1000000,
                 "Invert on another thread while this many steps go on; 0: in line", .unit = "steps"),
        DLH_INT (KfacOptions, burn_in, 1, 1, 1000000, "First steps that only collect statistics",
                 .unit = "steps"),
        DLH_CHOICE (
            KfacOptions, fisher, "sampled", "sampled|exact|propagated|empirical|euclidean",
            "Metric on the outputs: the Fisher by drawn targets, by every column of its root "
            "or by random signs; real targets; the identity"),
        DLH_INT (KfacOptions, samples, 1, 1, 1000,
                 "Draws a case and update of the statistics, of sampled and propagated"),
        DLH_CHOICE (KfacOptions, inverse, "cholesky", "cholesky|eigen|ekfac",
                    "Damped factors inverted; exact damping in their eigenbases; or with measured "
                    "eigenvalues (EK-FAC)"),
        DLH_CHOICE (
            KfacOptions, recurrent, "independence", "independence|option1|option2",
            "Weights that time steps share: no correlation between steps, or one of the two "
            "chains of the RNN paper"),
        DLH_DOUBLE (KfacOptions, weight_decay, 0, 0.0, 1e6,
                    "L2 coefficient, added to the gradient before it is preconditioned"),
        DLH_BOOL_OPTION (KfacOptions, strict, false,
                         "Refuse parameters that would get a diagonal block"),
        DLH_BOOL_OPTION (KfacOptions, double_factors, false,
                         "Keep and invert the factors in double precision")),
    .name = "kfac", .version = "1.0", .paper = "1808.10340",
    .summary = "Natural gradient with Kronecker-factored curvature");
