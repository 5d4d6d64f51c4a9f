/* SPDX-License-Identifier: MIT */
/* Annealed importance sampling (Neal 2001) as in Wu et al., arXiv 1611.04273, in both directions
 * (bidirectional Monte Carlo, Grosse et al. 2015). Of T densities
 *
 *   log f_t (q) = (1 - b_t) log start (q) + b_t log density (q),   0 = b_0 < .. < b_{T-1} = 1
 *
 * a chain starts at a draw of the normalised first one, and for t = 1 .. T-1
 *
 *   w += log f_t (q) - log f_{t-1} (q);   q moves by Hamiltonian Monte Carlo under f_t
 *
 * so that E [exp w] is the normaliser of the density. Where the i64 state "reverse" is set, chains
 * start at the positions given, draws of the density, and go back from T-1 to 0: then E [exp w] is
 * the normaliser's reciprocal. The i64 state "stride" makes shorter paths, by every so manyth
 * density.
 *
 * Two rounds: transitions of the warm-up write a table of step sizes by temperature, starting anew
 * every T-1 of them; the first transition after it starts chains with other random numbers, which
 * read the table alone. Beyond the path's end chains stay at its last density.
 *
 * Letters: s log start, p log density, gs and gp their gradients, kept for the present position, so
 * that a change of temperature costs no evaluation and a transition L of them. A transition is the
 * passes open, start (at the first of a round), begin, leap (L - 1 times), last, finish, tune (in
 * the warm-up). */
#include <math.h>
#include <string.h>
#include "ais.h"

#define MAX_DIVERGENCE 1000.0

static void
ais_clear (Ais *a)
{
    DlhNode **arrays[] = {a->q, a->gs, a->gp, a->v, a->new_q, a->new_gs, a->new_gp, a->kept};

    for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
        g_free (arrays[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Ais, ais_clear)

/* State. */

static DlhNode *
integer (Ais *a, const char *name)
{
    return dlh_chains_state (a->c, name, DLH_I64, dlh_shape (), (DlhInit){DLH_INIT_ZEROS, 0, 0});
}

static DlhNode *
per_chain (Ais *a, const char *name)
{
    return dlh_chains_state (a->c, name, DLH_F64, dlh_shape (dlh_chains_count (a->c)),
                             (DlhInit){DLH_INIT_ZEROS, 0, 0});
}

static gboolean
momenta_last (Ais *a)
{
    return strcmp (a->opt->momentum, "kept") == 0;
}

static void
make_state (Ais *a)
{
    const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0};

    for (guint i = 0; i < a->n; i++) {
        a->q[i] = dlh_chains_position (a->c, i);
        a->gs[i] = dlh_chains_state_like (a->c, i, "gradient_start");
        a->gp[i] = dlh_chains_state_like (a->c, i, "gradient");
        a->v[i] = dlh_chains_state_like (a->c, i, "momentum");
        a->new_q[i] = dlh_chains_state_like (a->c, i, "proposal");
        a->new_gs[i] = dlh_chains_state_like (a->c, i, "proposal_gradient_start");
        a->new_gp[i] = dlh_chains_state_like (a->c, i, "proposal_gradient");
        if (momenta_last (a))
            a->kept[i] = dlh_chains_state_like (a->c, i, "kept_momentum");
    }
    a->s = per_chain (a, "log_start");
    a->p = per_chain (a, "log_density");
    a->new_s = per_chain (a, "proposal_log_start");
    a->new_p = per_chain (a, "proposal_log_density");
    a->weight = per_chain (a, "log_weight");
    a->energy = per_chain (a, "energy");
    a->eps = per_chain (a, "eps");
    a->accept = per_chain (a, "accept");
    a->accepted = per_chain (a, "accepted");
    a->b = a->adaptive ? per_chain (a, "temperature")
                       : dlh_chains_state (a->c, "temperature", DLH_F64, dlh_shape (), zeros);
    a->reverse = integer (a, "reverse");
    a->stride = integer (a, "stride");
    a->fresh = integer (a, "fresh");
    a->left = integer (a, "left");
    ais_make_tuned (a);
}

/* The dynamics. */

// (groups) as (C): a group's chains follow each other.
static DlhNode *
of_chains (Ais *a, DlhNode *x)
{
    gint64 C = dlh_chains_count (a->c), each = C / a->n_groups;

    x = dlh_broadcast (dlh_reshape (x, dlh_shape (a->n_groups, 1)), dlh_shape (a->n_groups, each));
    return dlh_reshape (x, dlh_shape (C));
}

// (C) to means (groups).
DlhNode *
ais_of_groups (Ais *a, DlhNode *x)
{
    gint64 each = dlh_chains_count (a->c) / a->n_groups;

    return dlh_mean_axis (dlh_reshape (x, dlh_shape (a->n_groups, each)), 1);
}

// (1 - b) x + b y for numbers of chains.
static DlhNode *
between (DlhNode *b, DlhNode *x, DlhNode *y)
{
    return dlh_add (dlh_mul (dlh_offset (dlh_neg (b), 1), x), dlh_mul (b, y));
}

// v + factor g, g the gradient of log f, factor f64, (C) or a scalar.
static DlhNode *
kick (Ais *a, guint i, DlhNode *v, DlhNode *factor, DlhNode *b, DlhNode *gs, DlhNode *gp)
{
    DlhNode *y = dlh_chains_spread (a->c, b, i);

    return dlh_add (v, dlh_mul (dlh_chains_spread (a->c, factor, i), between (y, gs, gp)));
}

static DlhNode *
kinetic (Ais *a, DlhNode *const *v)
{
    return dlh_scale (dlh_chains_dot (a->c, v, v), 0.5);
}

// Both log densities with their gradients.
static void
evaluate (Ais *a, DlhNode *const *q, DlhNode **s, DlhNode **p, DlhNode **gs, DlhNode **gp)
{
    *s = dlh_chains_log_prior (a->c, q);
    dlh_gradients (*s, q, a->n, NULL, gs);
    *p = dlh_chains_gradients (a->c, q, gp);
}

// Which transition this is; at the first of a round chains start.
static void
build_start (Ais *a)
{
    DlhPass *open = dlh_chains_pass (a->c, "open", DLH_PASS_EVERY), *start;
    DlhNode *first = ais_is_first (a);
    DlhNode *back =
        dlh_broadcast (dlh_cast (a->reverse, DLH_BOOL), dlh_shape (dlh_chains_count (a->c)));
    g_autofree DlhNode **q = g_new (DlhNode *, a->n);
    g_autofree DlhNode **gs = g_new (DlhNode *, a->n);
    g_autofree DlhNode **gp = g_new (DlhNode *, a->n);
    DlhNode *s, *p;

    dlh_pass_assign (open, a->fresh, dlh_cast (first, DLH_I64));
    start = dlh_chains_pass (a->c, "start", DLH_PASS_EVERY);
    dlh_chains_draw_prior (a->c, dlh_chains_stream (a->c, "start"), q);
    for (guint i = 0; i < a->n; i++)
        q[i] = dlh_chains_where (a->c, back, a->q[i], q[i]);
    evaluate (a, q, &s, &p, gs, gp);
    dlh_pass_assign (start, a->s, dlh_assert_finite (s, "log density of the path's first end"));
    dlh_pass_assign (start, a->p, dlh_assert_finite (p, "log density at the chains' start"));
    for (guint i = 0; i < a->n; i++) {
        dlh_pass_assign (start, a->q[i], q[i]);
        dlh_pass_assign (start, a->gs[i], gs[i]);
        dlh_pass_assign (start, a->gp[i], gp[i]);
    }
    dlh_pass_assign (start, a->weight, dlh_full_like (a->weight, 0));
    dlh_pass_assign (start, a->fresh, dlh_sub (a->fresh, a->fresh));
    dlh_pass_while (start, a->fresh, 1);
}

// In the warm-up each round begins with the option's.
DlhNode *
ais_step_sizes (Ais *a)
{
    DlhNode *row = ais_at_row (a->table, ais_row (a));
    DlhNode *first = ais_is_first (a);
    DlhNode *tuning = dlh_where (dlh_broadcast (first, dlh_shape (a->n_groups)),
                                 dlh_full_like (row, a->opt->step_size), a->next_eps);

    return dlh_where (dlh_broadcast (ais_in_warmup (a), dlh_shape (a->n_groups)), tuning, row);
}

// Step sizes of chains: their groups', times 1 +- jitter, whatever the positions are.
static DlhNode *
jittered (Ais *a)
{
    DlhNode *eps = of_chains (a, ais_step_sizes (a)), *u;
    double jitter = a->opt->jitter;

    if (jitter == 0)
        return eps;
    u = dlh_uniform (dlh_chains_graph (a->c), dlh_chains_stream (a->c, "jitter"), DLH_F64,
                     dlh_node_shape (eps));
    return dlh_mul (eps, dlh_offset (dlh_scale (u, 2 * jitter), 1 - jitter));
}

/* Drawn anew; or, where they last, sqrt (1 - r) of the old and sqrt (r) of the new ones, r = 1 -
 * 2^-time for the time eps L of a transition: this leaves N (0, I) invariant at any temperature. */
static void
draw_momenta (Ais *a, DlhNode *eps, DlhNode **v)
{
    DlhStream *stream = dlh_chains_stream (a->c, "momentum");
    DlhNode *keep, *renew, *first;

    for (guint i = 0; i < a->n; i++)
        v[i] = dlh_chains_normal (a->c, stream, i);
    if (!momenta_last (a))
        return;
    first = dlh_broadcast (ais_is_first (a), dlh_node_shape (eps));
    keep = dlh_exp (dlh_scale (eps, -M_LN2 * (double)a->opt->steps));
    keep = dlh_where (first, dlh_full_like (keep, 0), keep);
    renew = dlh_sqrt (dlh_offset (dlh_neg (keep), 1));
    for (guint i = 0; i < a->n; i++)
        v[i] = dlh_add (dlh_mul (a->kept[i], dlh_chains_spread (a->c, dlh_sqrt (keep), i)),
                        dlh_mul (v[i], dlh_chains_spread (a->c, renew, i)));
}

// b of a row, f64: a scalar, or (C) of an adapted schedule.
static DlhNode *
temperature (Ais *a, DlhNode *row)
{
    DlhShape shape = dlh_shape (dlh_chains_count (a->c));
    DlhNode *b = ais_fixed (a, row);

    if (!a->adaptive)
        return b;
    return dlh_where (dlh_broadcast (ais_in_warmup (a), shape), dlh_broadcast (b, shape),
                      of_chains (a, ais_at_row (a->schedule, row)));
}

static void
build_begin (Ais *a)
{
    DlhPass *begin = dlh_chains_pass (a->c, "begin", DLH_PASS_EVERY);
    DlhNode *eps = jittered (a), *b = temperature (a, ais_row (a));
    DlhNode *change = dlh_sub (b, temperature (a, ais_row_before (a)));
    g_autofree DlhNode **v = g_new (DlhNode *, a->n);

    draw_momenta (a, eps, v);
    dlh_pass_assign (begin, a->weight, dlh_add (a->weight, dlh_mul (change, dlh_sub (a->p, a->s))));
    dlh_pass_assign (begin, a->energy, dlh_sub (kinetic (a, v), between (b, a->s, a->p)));
    dlh_pass_assign (begin, a->b, b);
    dlh_pass_assign (begin, a->eps, eps);
    dlh_pass_assign (begin, a->left,
                     dlh_cast (ais_scalar (a, (double)(a->opt->steps - 1)), DLH_I64));
    for (guint i = 0; i < a->n; i++) {
        if (momenta_last (a))
            dlh_pass_assign (begin, a->kept[i], v[i]);
        dlh_pass_assign (begin, a->v[i],
                         kick (a, i, v[i], dlh_scale (eps, 0.5), b, a->gs[i], a->gp[i]));
        dlh_pass_assign (begin, a->new_q[i], a->q[i]);
    }
}

// A step of the path: positions, then momenta by @share of a whole kick. The densities themselves
// are needed after the last step alone, which is a pass of its own.
static void
build_leap (Ais *a, const char *name, double share, gboolean last)
{
    DlhPass *leap = dlh_chains_pass (a->c, name, DLH_PASS_EVERY);
    g_autofree DlhNode **q = g_new (DlhNode *, a->n);
    g_autofree DlhNode **gs = g_new (DlhNode *, a->n);
    g_autofree DlhNode **gp = g_new (DlhNode *, a->n);
    DlhNode *s, *p;

    for (guint i = 0; i < a->n; i++)
        q[i] = dlh_add (a->new_q[i], dlh_mul (a->v[i], dlh_chains_spread (a->c, a->eps, i)));
    evaluate (a, q, &s, &p, gs, gp);
    for (guint i = 0; i < a->n; i++) {
        DlhNode *v = kick (a, i, a->v[i], dlh_scale (a->eps, share), a->b, gs[i], gp[i]);

        dlh_pass_assign (leap, a->new_q[i], q[i]);
        dlh_pass_assign (leap, a->v[i], v);
        if (last) {
            dlh_pass_assign (leap, a->new_gs[i], gs[i]);
            dlh_pass_assign (leap, a->new_gp[i], gp[i]);
        }
    }
    if (last) {
        dlh_pass_assign (leap, a->new_s, s);
        dlh_pass_assign (leap, a->new_p, p);
        return;
    }
    dlh_pass_assign (leap, a->left,
                     dlh_cast (dlh_offset (dlh_cast (a->left, DLH_F64), -1), DLH_I64));
    dlh_pass_while (leap, a->left, G_MAXINT32);
}

// What is not finite has infinite energy.
static DlhNode *
energy_change (Ais *a)
{
    DlhNode *const *blocks[] = {a->new_q, a->v, a->new_gs, a->new_gp};
    DlhNode *change =
        dlh_sub (dlh_sub (kinetic (a, a->v), between (a->b, a->new_s, a->new_p)), a->energy);
    DlhNode *infinite = dlh_full_like (change, INFINITY);

    for (guint i = 0; i < G_N_ELEMENTS (blocks); i++)
        change = dlh_where (dlh_chains_all_finite (a->c, blocks[i]), change, infinite);
    change = dlh_where (dlh_is_finite (a->new_s), change, infinite);
    return dlh_where (dlh_is_finite (a->new_p), change, infinite);
}

static void
build_finish (Ais *a)
{
    DlhPass *finish = dlh_chains_pass (a->c, "finish", DLH_PASS_EVERY);
    DlhNode *change = energy_change (a);
    DlhNode *probability = dlh_chains_accept_probability (a->c, dlh_neg (change));
    DlhNode *u = dlh_uniform (dlh_chains_graph (a->c), dlh_chains_stream (a->c, "accept"), DLH_F64,
                              dlh_node_shape (change));
    DlhNode *yes = dlh_less (u, probability), *p = dlh_where (yes, a->new_p, a->p);

    for (guint i = 0; i < a->n; i++) {
        dlh_pass_assign (finish, a->q[i], dlh_chains_where (a->c, yes, a->new_q[i], a->q[i]));
        dlh_pass_assign (finish, a->gs[i], dlh_chains_where (a->c, yes, a->new_gs[i], a->gs[i]));
        dlh_pass_assign (finish, a->gp[i], dlh_chains_where (a->c, yes, a->new_gp[i], a->gp[i]));
        // Turned round where the proposal is rejected, without which the density is not invariant.
        if (momenta_last (a))
            dlh_pass_assign (finish, a->kept[i],
                             dlh_chains_where (a->c, yes, a->v[i], dlh_neg (a->kept[i])));
    }
    dlh_pass_assign (finish, a->s, dlh_where (yes, a->new_s, a->s));
    dlh_pass_assign (finish, a->p, p);
    dlh_pass_assign (finish, a->accept, probability);
    dlh_pass_assign (finish, a->accepted, dlh_cast (yes, DLH_F64));
    dlh_pass_report (finish, "log_weight", a->weight);
    dlh_pass_report (finish, "log_density", p);
    dlh_pass_report (finish, "accept", probability);
    dlh_pass_report (finish, "divergent",
                     dlh_cast (dlh_less (dlh_full_like (change, MAX_DIVERGENCE), change), DLH_F64));
    dlh_pass_report (finish, "temperature", a->b);
    dlh_pass_report (finish, "step_size", a->eps);
}

static gboolean
check (DlhChains *c, const AisOptions *opt, GError **error)
{
    if (dlh_chains_is_estimate (c)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "the log density is an estimate from a batch, by which nothing can be "
                     "accepted: give batch=0");
        return FALSE;
    }
    if (!dlh_chains_has_prior (c)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "the density has no normalised part to start from: sample a posterior, or "
                     "the latent variables of a model (--task=likelihood)");
        return FALSE;
    }
    if (opt->min_step > opt->step_size || opt->step_size > opt->max_step) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'step_size' is %g, it must be from 'min_step', %g, to 'max_step', %g",
                     opt->step_size, opt->min_step, opt->max_step);
        return FALSE;
    }
    if (strcmp (opt->schedule, "adaptive") == 0 && dlh_chains_n_warmup (c) > 0 &&
        dlh_chains_count (c) < 2 * dlh_chains_n_groups (c)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "schedule=adaptive measures how chains of an example differ: give 2 chains or "
                     "more, or schedule=sigmoid");
        return FALSE;
    }
    return TRUE;
}

static gboolean
ais_build (DlhChains *c, gconstpointer options, GError **error)
{
    const AisOptions *opt = options;
    guint n = dlh_chains_n_blocks (c);
    gint64 warmup = dlh_chains_n_warmup (c);
    g_auto (Ais) a = {.c = c,
                      .opt = opt,
                      .n = n,
                      .n_groups = dlh_chains_n_groups (c),
                      .q = g_new (DlhNode *, n),
                      .gs = g_new (DlhNode *, n),
                      .gp = g_new (DlhNode *, n),
                      .v = g_new (DlhNode *, n),
                      .new_q = g_new (DlhNode *, n),
                      .new_gs = g_new (DlhNode *, n),
                      .new_gp = g_new (DlhNode *, n),
                      .kept = g_new (DlhNode *, n)};

    if (!check (c, opt, error))
        return FALSE;
    a.adaptive = strcmp (opt->schedule, "adaptive") == 0 && warmup >= opt->temperatures - 1;
    if (warmup > 0 && warmup < opt->temperatures - 1)
        dlh_chains_note (c,
                         "note: ais tunes step sizes in %" G_GINT64_FORMAT
                         " transitions, the path has %" G_GINT64_FORMAT
                         ": those of later temperatures are as given",
                         warmup, opt->temperatures - 1);
    if (!a.adaptive && strcmp (opt->schedule, "adaptive") == 0)
        dlh_chains_note (c,
                         "note: ais adapts temperatures in a warm-up of a path at least, and has "
                         "none: the schedule is sigmoid");
    make_state (&a);
    if (!dlh_graph_check (dlh_chains_graph (c), error))
        return FALSE;
    build_start (&a);
    build_begin (&a);
    build_leap (&a, "leap", 1, FALSE);
    build_leap (&a, "last", 0.5, TRUE);
    build_finish (&a);
    if (warmup > 0)
        ais_build_tune (&a);
    return dlh_graph_check (dlh_chains_graph (c), error);
}

static gint64
ais_path (gconstpointer options)
{
    return ((const AisOptions *)options)->temperatures - 1;
}

static const DlhTransition ais_transition = {
    .size = sizeof (DlhTransition), .build = ais_build, .between = ais_between, .path = ais_path};
static const DlhSampler ais = {.size = sizeof (DlhSampler), .transition = &ais_transition};

DLH_PLUGIN_DEFINE (
    DLH_SAMPLER, ais, AisOptions,
    DLH_OPTIONS (DLH_INT (AisOptions, temperatures, 1000, 2, 10000000,
                          "Densities from the start to the target, both counted: a path has one "
                          "transition less",
                          .unit = "densities"),
                 DLH_CHOICE (AisOptions, schedule, "sigmoid", "sigmoid|linear|adaptive",
                             "Of inverse temperatures from 0 to 1; adaptive: placed in the warm-up "
                             "by how much the density changes between them"),
                 DLH_DOUBLE (AisOptions, radius, 4, 0.0, 100.0,
                             "The sigmoid schedule's arguments are from minus this to this",
                             .flags = DLH_MIN_OPEN),
                 DLH_INT (AisOptions, steps, 10, 1, 1000000, "Leapfrog steps of a transition",
                          .unit = "steps"),
                 DLH_CHOICE (AisOptions, momentum, "new", "new|kept",
                             "new: drawn for each transition; kept: renewed in part, so that few "
                             "steps, even one, travel far"),
                 DLH_CHOICE (AisOptions, tuning, "groups", "groups|official",
                             "Of step sizes in the warm-up: for each example by its chains; or one "
                             "for all, as in the paper's code"),
                 DLH_DOUBLE (AisOptions, target, 0.65, 0.0, 1.0,
                             "Acceptance that the warm-up tunes for",
                             .flags = DLH_MIN_OPEN | DLH_MAX_OPEN),
                 DLH_DOUBLE (AisOptions, step_size, 0.15, 1e-12, 1e6,
                             "Leapfrog step size that tuning starts from, or of all temperatures "
                             "without a warm-up"),
                 DLH_DOUBLE (AisOptions, min_step, 1e-4, 1e-12, 1e6, "Least tuned step size"),
                 DLH_DOUBLE (AisOptions, max_step, 0.5, 1e-12, 1e6, "Greatest tuned step size"),
                 DLH_DOUBLE (AisOptions, jitter, 0.2, 0.0, 1.0,
                             "Each chain's step size times 1 +- this, anew for each transition",
                             .flags = DLH_MAX_OPEN)),
    .name = "ais", .version = "1.0", .paper = "1611.04273",
    .summary = "Annealed importance sampling: weights and draws, from a prior to a posterior");
