/* SPDX-License-Identifier: MIT */
/* The optimizer: its options, and statistics and inverses in their phases. */
#include <math.h>
#include "damped.h"
#include "kfac.h"

static void
prepare (Kfac *k, Block *b)
{
    DlhNode *raises, *c;

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

static gint64
statistics_period (const Kfac *k)
{
    return k->opt->statistics > 0 ? k->opt->statistics : kfac_is_quadratic (k) ? 1 : 4;
}

// min (1 - 1/n, decay) with n counting updates from 1: the first one overwrites.
static DlhNode *
average_weight (Kfac *k)
{
    DlhNode *step = dlh_update_step (k->update);
    DlhNode *n = dlh_offset (dlh_scale (step, 1 / (double)statistics_period (k)), 1);

    return dlh_min (dlh_sub (dlh_full_like (n, 1), dlh_reciprocal (n)),
                    dlh_full_like (n, k->opt->decay));
}

// d loss / d (minus the mean log-likelihood of the prediction): the curvature is scaled as the loss
// is. Regularisers and the like do not count.
static double
loss_scale (DlhUpdate *u)
{
    const DlhObjective *o = dlh_update_objective (u);
    DlhNode *nll;
    double scale = 1;

    if (!o->prediction || !o->target)
        return 1;
    nll = dlh_neg (dlh_mean_all (dlh_log_prob (o->prediction, o->target)));
    if (!dlh_node_constant_value (dlh_gradient (o->loss, nll), &scale) || scale <= 0) {
        dlh_update_note (u, "the loss is no multiple of the prediction's log-likelihood: the "
                            "curvature is that of the log-likelihood itself");
        return 1;
    }
    return scale;
}

static gint64
part_of (const Kfac *k, double fraction)
{
    return (gint64)ceil ((double)dlh_update_n_examples (k->update) * fraction);
}

static gboolean
kfac_check (gconstpointer options, GError **error)
{
    const KfacOptions *opt = options;

    if (opt->inverse_delay < opt->inverses)
        return kfac_check_damping (opt, error);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "'inverse_delay' is %" G_GINT64_FORMAT " and 'inverses' is %" G_GINT64_FORMAT
                 ": each inversion must be stored before the next begins, give a delay below "
                 "the period",
                 opt->inverse_delay, opt->inverses);
    return FALSE;
}

// A step is one of all parameters together: its size, its limit and its way back are found so.
static gboolean
check_paces (DlhUpdate *u, GError **error)
{
    for (guint i = 0; i < dlh_update_n_params (u); i++) {
        DlhPace pace = dlh_variable_get_pace (dlh_update_variable (u, i));

        if (pace.factor == 1 && pace.period == 1)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "the model moves '%s' at a pace of its own (factor %g, every %" G_GINT64_FORMAT
                     " steps), K-FAC steps are of all parameters together: take adam, sgd or aggmo",
                     dlh_variable_name (dlh_update_variable (u, i)), pace.factor, pace.period);
        return FALSE;
    }
    return TRUE;
}

static gboolean
kfac_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const KfacOptions *opt = options;
    g_autoptr (GArray) blocks = g_array_new (FALSE, TRUE, sizeof (Block));
    g_autoptr (GPtrArray) held = g_ptr_array_new ();
    g_autoptr (GPtrArray) fresh = g_ptr_array_new ();
    Kfac k = {.update = u, .opt = opt, .blocks = blocks, .held = held, .fresh = fresh};

    g_array_set_clear_func (blocks, kfac_block_clear);
    k.measured = dlh_update_part (u, part_of (&k, opt->statistics_fraction), error);
    if (!k.measured)
        return FALSE;
    k.n_cases = k.measured->n_cases;
    k.model_dtype = dlh_store_get_dtype (dlh_update_store (u));
    k.dtype = opt->double_factors ? DLH_F64 : k.model_dtype;
    k.keep = average_weight (&k);
    if (!check_paces (u, error) || !kfac_begin_damping (&k, error))
        return FALSE;
    k.loss_scale = loss_scale (u);
    k.part = dlh_update_objective (u);
    if ((kfac_is_quadratic (&k) || kfac_adapts (&k)) &&
        !(k.part = dlh_update_part (u, part_of (&k, opt->model_fraction), error)))
        return FALSE;
    dlh_update_phase (u, "statistics", DLH_PHASE_WITH, statistics_period (&k), 0);
    dlh_update_phase (u, "inverses", DLH_PHASE_AFTER, opt->inverses, MAX (opt->burn_in, 1) - 1);
    dlh_update_phase_delay (u, "inverses", opt->inverse_delay);
    if (!kfac_find_blocks (&k, error) || !kfac_propagate (&k, error))
        return FALSE;
    for (guint i = 0; i < blocks->len; i++) {
        kfac_add_statistics (&k, &g_array_index (blocks, Block, i));
        kfac_add_cross_statistics (&k, &g_array_index (blocks, Block, i));
    }
    for (guint i = 0; i < blocks->len; i++)
        prepare (&k, &g_array_index (blocks, Block, i));
    kfac_step (&k);
    log_raises (&k);
    return TRUE;
}

static const DlhOptimizer kfac = {
    .size = sizeof (DlhOptimizer), .build = kfac_build, .check = kfac_check};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, kfac, KfacOptions,
    DLH_OPTIONS (
        DLH_CHOICE (KfacOptions, step, "fixed", "fixed|quadratic",
                    "Step size and momentum: lr and momentum; or the minimum of the quadratic "
                    "model with the exact Fisher, where damping is adapted too"),
        DLH_DOUBLE (KfacOptions, lr, 0.3, 0.0, 1e6, "Step size of step=fixed",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, momentum, 0.9, 0.0, 1.0,
                    "Damping of the velocity; 0: none. With step=quadratic only whether there is "
                    "momentum",
                    .flags = DLH_MAX_OPEN),
        DLH_DOUBLE (
            KfacOptions, damping, -1, -1.0, 1e6,
            "Added to the curvature (lambda), where adapted its start; 0: pseudo-inverse, with "
            "inverse=eigen or ekfac; -1: 0.1, of step=quadratic 1"),
        DLH_INT (KfacOptions, damping_period, -1, -1, 1000000,
                 "Steps between adaptations of lambda to the model's fit; 0: never; -1: 0, of "
                 "step=quadratic 5",
                 .unit = "steps"),
        DLH_INT (KfacOptions, gamma_period, -1, -1, 1000000,
                 "Steps between searches for the inverses' own damping; 0: it is lambda; -1: 0, "
                 "of step=quadratic 20",
                 .unit = "steps"),
        DLH_DOUBLE (KfacOptions, damping_min, 1e-6, 0.0, 1e6, "Least damping that is adapted to",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, damping_max, 1e3, 0.0, 1e9, "Most damping that is adapted to",
                    .flags = DLH_MIN_OPEN),
        DLH_CHOICE (KfacOptions, damping_schedule, "constant",
                    "constant|step|exponential|cosine|inverse-time",
                    "How the damping changes over training where it is not adapted"),
        DLH_DOUBLE (KfacOptions, damping_factor, 0.1, 0.0, 1e6,
                    "Of the schedule: step and exponential multiply by it, inverse-time divides",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, damping_steps, 1000, 0.0, 1e12,
                    "Period of exponential and inverse-time", .unit = "steps",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, damping_total, 1000, 0.0, 1e12, "Length of cosine",
                    .unit = "steps", .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, damping_floor, 0.01, 0.0, 1.0, "Of cosine: the last factor",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLES (KfacOptions, damping_milestones, "[]", 0.0, 1e12,
                     "Of step: when the factor is applied", .unit = "steps",
                     .flags = DLH_ALLOW_EMPTY),
        DLH_DOUBLE (KfacOptions, model_fraction, 1, 0.0, 1.0,
                    "Part of the batch that the quadratic model's curvature is taken from",
                    .flags = DLH_MIN_OPEN),
        DLH_BOOL_OPTION (KfacOptions, damping_in_model, true,
                         "Judge the model with its damping term (1503.05671) or without"),
        DLH_DOUBLE (KfacOptions, kl_clip, -1, -1.0, 1e6,
                    "Largest change of the predictions in a step; 0: no limit; -1: 5e-3, of "
                    "step=quadratic no limit",
                    .unit = "nats"),
        DLH_INT (KfacOptions, kl_period, 1, 1, 1000000,
                 "Steps between measurements of that change; above 1 a step is limited by the last",
                 .unit = "steps"),
        DLH_DOUBLE (KfacOptions, decay, 0.95, 0.0, 1.0, "Moving average of the statistics",
                    .flags = DLH_MAX_OPEN),
        DLH_INT (KfacOptions, statistics, 0, 0, 1000000,
                 "Steps between updates of the statistics; 0: 4, of step=quadratic 1",
                 .unit = "steps"),
        DLH_DOUBLE (KfacOptions, statistics_fraction, 1, 0.0, 1.0,
                    "Part of the batch that the statistics are taken from (tau_1 of 1503.05671)",
                    .flags = DLH_MIN_OPEN),
        DLH_INT (KfacOptions, inverses, 20, 1, 1000000, "Steps between inversions of the factors",
                 .unit = "steps"),
        DLH_INT (KfacOptions, inverse_delay, 0, 0, 1000000,
                 "Invert on another thread while this many steps go on; 0: in line",
                 .unit = "steps"),
        DLH_INT (KfacOptions, burn_in, 1, 1, 1000000, "First steps that only collect statistics",
                 .unit = "steps"),
        DLH_CHOICE (
            KfacOptions, fisher, "sampled",
            "sampled|exact|gauss_newton|propagated|empirical|euclidean",
            "Metric on the outputs: the Fisher by drawn targets or by every column of its root; "
            "the loss's Hessian; the Fisher by random signs; real targets; the identity"),
        DLH_INT (KfacOptions, samples, 1, 1, 1000,
                 "Draws a case and update of the statistics, of sampled and propagated"),
        DLH_CHOICE (KfacOptions, inverse, "cholesky", "cholesky|eigen|ekfac",
                    "Damped factors inverted; exact damping in their eigenbases; or with measured "
                    "eigenvalues (EK-FAC)"),
        DLH_CHOICE (KfacOptions, precondition, "cheapest", "cheapest|gradient|rows",
                    "The gradient; or, with the same result, the rows of the batch that it is made "
                    "of; or whichever costs fewer operations"),
        DLH_CHOICE (KfacOptions, precondition_precision, "full", "full|bf16",
                    "Of the products that precondition; bf16: rounded where the processor "
                    "multiplies that faster"),
        DLH_CHOICE (KfacOptions, structure, "diagonal", "diagonal|tridiagonal",
                    "Layers apart, or each with its neighbours in chains of linear layers"),
        DLH_CHOICE (
            KfacOptions, recurrent, "independence", "independence|option1|option2",
            "Weights that time steps share: no correlation between steps, or one of the two "
            "chains of the RNN paper"),
        DLH_DOUBLE (KfacOptions, weight_decay, 0, 0.0, 1e6,
                    "L2 coefficient, added to the gradient before it is preconditioned"),
        DLH_BOOL_OPTION (KfacOptions, strict, false,
                         "Refuse parameters that would get a diagonal block, and blocks outside "
                         "the chain of structure=tridiagonal"),
        DLH_BOOL_OPTION (KfacOptions, double_factors, false,
                         "Keep and invert the factors in double precision")),
    .name = "kfac", .version = "1.0", .paper = "1808.10340",
    .summary = "Natural gradient with Kronecker-factored curvature");
