/* SPDX-License-Identifier: MIT */
/* Stochastic gradient Langevin dynamics (Welling and Teh 2011), preconditioned as in Li et al.
 * 2016:
 *
 *   q += eps_t / 2 G g + sqrt(eps_t T G) n,    n ~ N(0, I)
 *
 * g  gradient of log prior + N / batch * sum of the batch's log likelihoods: the target's part, so
 *    that neither the prior nor the factor can be forgotten here
 * G  1 without preconditioning, else 1 / (damping + sqrt V) with V a running mean of (g / N)^2
 *
 * Deviation: V moves in the warm-up only. A preconditioner that goes on moving needs a term of its
 * derivatives, which implementations drop at the price of another stationary law; a frozen one does
 * not. */
#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    double step_size, exponent, period, temperature, decay, damping;
    gboolean precondition;
} SgldOptions;

/* eps_t = step_size (1 + t / period)^-exponent. */
static DlhNode *
step_size (DlhChains *c, const SgldOptions *opt)
{
    DlhNode *t = dlh_chains_step (c);

    if (opt->exponent == 0)
        return dlh_scalar (dlh_chains_graph (c), DLH_F64, opt->step_size);
    t = dlh_offset (dlh_scale (t, 1 / opt->period), 1);
    return dlh_scale (dlh_pow_scalar (t, -opt->exponent), opt->step_size);
}

/* V of block @i, after one more gradient; the first one stands for all before it. */
static DlhNode *
mean_square (DlhChains *c, const SgldOptions *opt, DlhNode *V, DlhNode *g)
{
    DlhNode *now = dlh_square (dlh_scale (g, 1 / dlh_chains_n_examples (c)));
    DlhNode *first = dlh_less (dlh_chains_step (c), dlh_scalar (dlh_chains_graph (c), DLH_F64, 1));

    return dlh_where (first, now,
                      dlh_add (dlh_scale (V, opt->decay), dlh_scale (now, 1 - opt->decay)));
}

static void
build_move (DlhChains *c, const SgldOptions *opt, DlhPass *move, DlhNode *const *g,
            DlhNode *const *V)
{
    DlhNode *eps = step_size (c, opt);

    for (guint i = 0; i < dlh_chains_n_blocks (c); i++) {
        DlhNode *q = dlh_chains_position (c, i), *drift = g[i];
        DlhNode *noise = dlh_chains_normal (c, dlh_chains_stream (c, "noise"), i);

        if (V) {
            DlhNode *G = dlh_reciprocal (dlh_offset (dlh_sqrt (V[i]), opt->damping));

            drift = dlh_mul (drift, G);
            noise = dlh_mul (noise, dlh_sqrt (G));
        }
        drift = dlh_mul (drift, dlh_chains_spread (c, dlh_scale (eps, 0.5), i));
        noise =
            dlh_mul (noise, dlh_chains_spread (c, dlh_sqrt (dlh_scale (eps, opt->temperature)), i));
        dlh_pass_assign (
            move, q, dlh_assert_finite (dlh_add (q, dlh_add (drift, noise)), "a chain's position"));
    }
    dlh_pass_report (move, "step_size", eps);
}

static gboolean
sgld_build (DlhChains *c, gconstpointer options, GError **error)
{
    const SgldOptions *opt = options;
    guint n = dlh_chains_n_blocks (c);
    g_autofree DlhNode **q = g_new (DlhNode *, n);
    g_autofree DlhNode **g = g_new (DlhNode *, n);
    g_autofree DlhNode **kept = g_new (DlhNode *, n);
    g_autofree DlhNode **V = g_new (DlhNode *, n);
    DlhPass *gradient = dlh_chains_pass (c, "gradient", DLH_PASS_EVERY), *scale, *move = gradient;
    DlhNode *log_density;

    if (opt->precondition && !dlh_chains_n_warmup (c)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "precondition=true learns its scales in the warm-up, and there is none: give "
                     "the task a warm-up, or precondition=false");
        return FALSE;
    }
    for (guint i = 0; i < n; i++)
        q[i] = dlh_chains_position (c, i);
    log_density = dlh_chains_gradients (c, q, g);
    dlh_pass_report (gradient, "log_density", dlh_assert_finite (log_density, "log density"));
    if (opt->precondition) {
        scale = dlh_chains_pass (c, "scale", DLH_PASS_WARMUP);
        move = dlh_chains_pass (c, "move", DLH_PASS_EVERY);
        for (guint i = 0; i < n; i++) {
            g_autofree char *name =
                g_strdup_printf ("%s/mean_square", dlh_chains_block_name (c, i));

            V[i] = dlh_chains_tuned (c, name, dlh_node_dtype (q[i]), dlh_node_shape (q[i]),
                                     (DlhInit){DLH_INIT_ZEROS, 0, 0});
            kept[i] = dlh_chains_state_like (c, i, "gradient");
            dlh_pass_assign (gradient, kept[i], g[i]);
            dlh_pass_assign (scale, V[i], mean_square (c, opt, V[i], kept[i]));
            g[i] = kept[i];
        }
    }
    build_move (c, opt, move, g, opt->precondition ? V : NULL);
    dlh_chains_note (c, "sgld: step size %g, noise of standard deviation %g%s%s", opt->step_size,
                     sqrt (opt->step_size * opt->temperature),
                     opt->precondition ? " before preconditioning" : "",
                     opt->temperature < 1   ? "; a cold posterior, not the posterior"
                     : opt->temperature > 1 ? "; a tempered posterior, not the posterior"
                                            : "");
    return dlh_graph_check (dlh_chains_graph (c), error);
}

static const DlhTransition sgld_transition = {.size = sizeof (DlhTransition), .build = sgld_build};
static const DlhSampler sgld = {.size = sizeof (DlhSampler), .transition = &sgld_transition};

DLH_PLUGIN_DEFINE (
    DLH_SAMPLER, sgld, SgldOptions,
    DLH_OPTIONS (
        DLH_DOUBLE (SgldOptions, step_size, 1e-4, 0.0, 1e6,
                    "eps: the noise has variance eps, the gradient of the sum counts eps / 2",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (SgldOptions, exponent, 0, 0.0, 1.0,
                    "eps_t = step_size (1 + t / period)^-exponent; 0: constant"),
        DLH_DOUBLE (SgldOptions, period, 1000, 0.0, 1e12, "Of the schedule", .unit = "transitions",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (SgldOptions, temperature, 1, 0.0, 1e6,
                    "T: the noise has variance eps T; other than 1 is not the posterior"),
        DLH_BOOL_OPTION (SgldOptions, precondition, false,
                         "Scale each coordinate by its gradients in the warm-up"),
        DLH_DOUBLE (SgldOptions, decay, 0.99, 0.0, 1.0, "Of the mean of squared gradients",
                    .flags = DLH_MAX_OPEN),
        DLH_DOUBLE (SgldOptions, damping, 1e-5, 0.0, 1e6,
                    "Added to the root of the mean squared gradient", .flags = DLH_MIN_OPEN)),
    .name = "sgld", .version = "1.0",
    .summary = "Langevin dynamics on batches: no accepting, small steps");
