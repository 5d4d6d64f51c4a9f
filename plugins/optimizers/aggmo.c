/* SPDX-License-Identifier: MIT */
// Aggregated Momentum, arXiv 1804.00325.
//   v_k <- beta_k v_k - g               theta <- theta + 1/K sum_k rate_k v_k        (eq. 3, 4)
// Here the velocities accumulate +g and are subtracted: the same numbers with the other sign. The
// step size multiplies the velocities at each step, as the paper has it, so that a schedule
// rescales the whole history. A velocity with beta = 0 is the gradient and is not stored.
// With beta_decay = d below 1, beta_k is beta_k d^t at step t = 0, 1, .. (appendix C, which needs
// it for its regret bound).
#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    double lr, weight_decay, a, beta_decay;
    gint64 k;
    DlhDoubles betas, rates;
    gboolean norms;
} AggmoOptions;

/* One velocity of all parameters. */
typedef struct {
    char name[8];       /* of its state: by index, so that equal betas do not meet */
    double beta, share; /* damping; its rate over lr */
    DlhNode *norm2;     /* (nullable): sum of squares over the parameters */
} Velocity;

static gsize
count_velocities (const AggmoOptions *opt)
{
    return opt->k ? (gsize)opt->k : opt->betas.n;
}

static gboolean
aggmo_check (gconstpointer options, GError **error)
{
    const AggmoOptions *opt = options;
    const gsize n = count_velocities (opt);

    if (!opt->rates.n || opt->rates.n == n)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "'rates' has %" G_GSIZE_FORMAT " numbers for %" G_GSIZE_FORMAT
                 " velocities: give one each, or none",
                 opt->rates.n, n);
    return FALSE;
}

static void
describe (const AggmoOptions *opt, Velocity *v, gsize k)
{
    g_snprintf (v->name, sizeof v->name, "v%" G_GSIZE_FORMAT, k + 1);
    // a^(i-1) in double: 1 - 0.001 is inexact enough in float to matter.
    v->beta = opt->k ? 1 - pow (opt->a, (double)k) : opt->betas.values[k];
    v->share = opt->rates.n ? opt->rates.values[k] / opt->lr : 1;
    v->norm2 = NULL;
}

// The new velocity of parameter @i.
static DlhNode *
advance (DlhUpdate *u, guint i, const Velocity *v, DlhNode *g, DlhNode *decay)
{
    DlhNode *state, *kept;

    if (v->beta == 0)
        return g;
    state = dlh_update_state (u, i, v->name);
    kept = dlh_scale (state, v->beta);
    if (decay)
        kept = dlh_mul (kept, dlh_cast (decay, dlh_node_dtype (state)));
    kept = dlh_add (kept, g);
    dlh_update_assign (u, state, kept);
    return kept;
}

static void
log_norms (DlhUpdate *u, const Velocity *v, gsize n)
{
    for (gsize k = 0; k < n; k++) {
        g_autofree char *name = g_strdup_printf ("velocity_norm/%s", v[k].name + 1);

        if (v[k].norm2)
            dlh_update_log (u, name, dlh_sqrt (v[k].norm2));
    }
}

static gboolean
aggmo_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const AggmoOptions *opt = options;
    const gsize n = count_velocities (opt);
    g_autofree Velocity *velocities = g_new0 (Velocity, n);
    DlhNode *rate = dlh_update_rate (u, opt->lr / (double)n), *decay = NULL;

    (void)error;
    for (gsize k = 0; k < n; k++)
        describe (opt, &velocities[k], k);
    if (opt->beta_decay < 1)
        decay = dlh_exp (dlh_scale (dlh_update_step (u), log (opt->beta_decay)));
    for (guint i = 0; i < dlh_update_n_params (u); i++) {
        DlhNode *g = dlh_update_gradient (u, i), *sum = NULL;

        if (opt->weight_decay > 0)
            g = dlh_add (g, dlh_scale (dlh_update_value (u, i), opt->weight_decay));
        for (gsize k = 0; k < n; k++) {
            Velocity *v = &velocities[k];
            DlhNode *next = advance (u, i, v, g, decay), *term;

            if (opt->norms) {
                DlhNode *square = dlh_norm2 (next);

                v->norm2 = v->norm2 ? dlh_add (v->norm2, square) : square;
            }
            term = v->share == 1 ? next : dlh_scale (next, v->share);
            sum = sum ? dlh_add (sum, term) : term;
        }
        dlh_update_move (u, i, dlh_neg (dlh_mul (sum, rate)));
    }
    log_norms (u, velocities, n);
    return TRUE;
}

static const DlhOptimizer aggmo = {
    .size = sizeof (DlhOptimizer), .build = aggmo_build, .check = aggmo_check};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, aggmo, AggmoOptions,
    DLH_OPTIONS (
        DLH_DOUBLE (AggmoOptions, lr, 0.1, 0.0, 1e6, "Step size", .flags = DLH_MIN_OPEN),
        DLH_DOUBLES (AggmoOptions, betas, "[0,0.9,0.99]", 0.0, 1.0,
                     "Damping coefficients, one velocity each", .flags = DLH_MAX_OPEN),
        DLH_INT (AggmoOptions, k, 0, 0, 16,
                 "Exponential form: this many velocities, beta_i = 1 - a^(i-1); 0: use betas"),
        DLH_DOUBLE (AggmoOptions, a, 0.1, 0.0, 1.0, "Base of the exponential form",
                    .flags = DLH_MIN_OPEN | DLH_MAX_OPEN),
        DLH_DOUBLES (AggmoOptions, rates, "[]", 0.0, 1e6,
                     "Step size of each velocity (eq. 4); none: lr for all",
                     .flags = DLH_ALLOW_EMPTY),
        DLH_DOUBLE (AggmoOptions, beta_decay, 1, 0.0, 1.0,
                    "Factor of every damping coefficient from one step to the next",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (AggmoOptions, weight_decay, 0, 0.0, 1e6,
                    "L2 coefficient, added to the gradient"),
        DLH_BOOL_OPTION (AggmoOptions, norms, false, "Log the norm of each velocity")),
    .name = "aggmo", .version = "1.0", .paper = "1804.00325",
    .summary = "Averages several velocities, one per damping coefficient");
