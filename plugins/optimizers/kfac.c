/* SPDX-License-Identifier: MIT */
// K-FAC: natural gradient with one Kronecker product of two small matrices a layer, in the
// coordinate-free form of arXiv 1808.10340; fully connected layers after 1503.05671, convolutions
// after 1602.01407 (KFC).
//
//   A  second moment of a layer's input, with a trailing 1 for the bias     (paper's A_{l-1},
//   Omega) G  second moment of the pseudo-gradient at its output, targets sampled from the model,
//   or summed
//      over the columns of the outputs' Fisher, which is its expectation            (G_l, Gamma)
//   r  rows of the layer's product a case of the batch: 1, or a convolution's output positions T
//   U  = (1/r) (G + c/pi I)^-1 V (A + c pi I)^-1,  c = sqrt (damping / r) (KF1, 3.4) pi = sqrt ((tr
//   A / dim A) / (tr G / dim G)) nu = min (1, sqrt (kl_clip / (lr^2 sum <U, V>))),  v <- momentum v
//   + nu U,  theta <- theta - lr v
//
// Means over all rows of a batch are the sheet's 3.7 in its equivalent form: both factors averaged
// over cases and positions, the block times r. A parameter of any other kind gets a diagonal block,
// the mean of N (batch pseudo-gradient)^2, which estimates the Fisher's diagonal without bias
// because the cases' pseudo-gradients are independent with mean zero.
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    double lr, momentum, damping, decay, kl_clip, weight_decay;
    gint64 statistics, inverses, burn_in;
    const char *fisher;
    gboolean strict, double_factors;
} KfacOptions;

// One block of the metric: a layer's weight with its bias, or a lone parameter.
typedef struct {
    int weight, bias; /* parameter numbers; bias -1 for none */
    DlhNode *use;     /* the product; NULL: diagonal */
    GPtrArray *g;     /* what is propagated back to the output: DlhNode*, one a column or sample */
    gint64 n_in, n_out;
    double rows_per_case;
    DlhNode *inverse_a, *inverse_g; /* states */
    DlhNode *diagonal;
    DlhNode *v, *u; /* gradient (n_out, n_in + bias), and preconditioned */
} Block;

typedef struct {
    DlhUpdate *update;
    const KfacOptions *opt;
    GArray *blocks;
    DlhDType dtype; /* of factors and inverses */
    double n_cases;
    gint64 n_columns;
    DlhNode *keep; /* EMA coefficient of the old statistics */
} Kfac;

static int
find_parameter (DlhUpdate *u, const DlhVariable *variable)
{
    for (guint i = 0; variable && i < dlh_update_n_params (u); i++)
        if (dlh_update_variable (u, i) == variable)
            return (int)i;
    return -1;
}

// The only use of a parameter in the loss, or NULL.
static DlhNode *
single_use (DlhUpdate *u, guint i, guint *input)
{
    const DlhObjective *objective = dlh_update_objective (u);
    g_autoptr (GArray) uses = dlh_graph_uses (&objective->loss, 1, dlh_update_variable (u, i));

    if (uses->len != 1)
        return NULL;
    *input = g_array_index (uses, DlhUse, 0).input;
    return g_array_index (uses, DlhUse, 0).node;
}

static gboolean
is_layer (const DlhNode *node)
{
    if (dlh_node_is (node, "linear"))
        return TRUE;
    return dlh_node_is (node, "conv2d") && ((const DlhConv *)dlh_node_attrs (node))->groups == 1;
}

static void
describe (Kfac *k, const Block *b, guint i)
{
    const char *name = dlh_variable_name (dlh_update_variable (k->update, i));

    if (b->use)
        dlh_update_note (k->update,
                         "%s: %s, Kronecker factors %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT, name,
                         dlh_node_op (b->use)->name, b->n_in + (b->bias >= 0), b->n_out);
    else
        dlh_update_note (k->update, "%s: diagonal (not the one weight of a linear or conv2d layer)",
                         name);
}

static gboolean
find_blocks (Kfac *k, GError **error)
{
    DlhUpdate *u = k->update;
    guint n = dlh_update_n_params (u);
    g_autofree gboolean *done = g_new0 (gboolean, n + 1);

    // Layers first: a bias belongs to its weight, whichever comes first in the store.
    for (guint pass = 0; pass < 2; pass++)
        for (guint i = 0; i < n; i++) {
            Block b = {.weight = (int)i, .bias = -1, .rows_per_case = 1};
            guint input = 0;
            DlhNode *use = done[i] ? NULL : single_use (u, i, &input);

            if (done[i] || (pass == 0 && !(use && input == 1 && is_layer (use))))
                continue;
            if (pass == 0) {
                DlhShape w = dlh_variable_shape (dlh_update_variable (u, i));

                b.use = use;
                b.n_out = w.dims[0];
                b.n_in = dlh_shape_count (dlh_shape_remove (w, 0));
                if (dlh_node_n_inputs (use) == 3)
                    b.bias = find_parameter (u, dlh_node_variable (dlh_node_input (use, 2)));
                if (b.bias >= 0 && single_use (u, (guint)b.bias, &input) != use)
                    b.bias = -1;
                if (b.bias >= 0)
                    done[b.bias] = TRUE;
            } else if (k->opt->strict) {
                g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                             "'%s' would get a diagonal block and strict is set: it is not the one "
                             "weight of a linear or conv2d layer",
                             dlh_variable_name (dlh_update_variable (u, i)));
                return FALSE;
            }
            done[i] = TRUE;
            describe (k, &b, i);
            g_array_append_val (k->blocks, b);
        }
    return TRUE;
}

// The pseudo-gradient: of the log likelihood of targets drawn from the model's own prediction,
// negated; a sum over cases, so each row of it is one case's own.
static void
propagate_sample (Kfac *k, DlhDistribution *prediction, DlhNode **xs, DlhNode **gs)
{
    DlhNode *target = dlh_sample_from (prediction, dlh_update_stream (k->update, "targets"));
    DlhNode *loss = dlh_neg (dlh_sum_all (dlh_log_prob (prediction, target)));

    dlh_gradients (loss, xs, k->blocks->len, NULL, gs);
}

// Column @j of the root of the Fisher information of every case's outputs.
static void
propagate_column (Kfac *k, DlhDistribution *prediction, gint64 j, DlhNode **xs, DlhNode **gs)
{
    DlhNode *z = dlh_distribution_outputs (prediction);
    DlhShape shape = dlh_node_shape (z);
    gint64 n = k->n_columns, cases = dlh_shape_count (shape) / n;
    DlhNode *index = dlh_full (dlh_node_graph (z), DLH_I64, dlh_shape (cases), (double)j);
    DlhNode *unit = dlh_reshape (dlh_one_hot (index, n, dlh_node_dtype (z)), shape);

    dlh_gradients (z, xs, k->blocks->len,
                   dlh_stop_gradient (dlh_fisher_root_multiply (prediction, unit)), gs);
}

static gboolean
propagate (Kfac *k, GError **error)
{
    DlhDistribution *prediction = dlh_update_objective (k->update)->prediction;
    guint n = k->blocks->len;
    g_autofree DlhNode **xs = g_new (DlhNode *, n);
    g_autofree DlhNode **gs = g_new (DlhNode *, n);
    gboolean exact = strcmp (k->opt->fisher, "exact") == 0;

    if (!prediction) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "the model states no predictive distribution, from which the metric comes");
        return FALSE;
    }
    for (guint i = 0; i < n; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);

        xs[i] = b->use ? b->use : dlh_update_value (k->update, (guint)b->weight);
        b->g = g_ptr_array_new ();
    }
    k->n_columns = exact ? dlh_node_dim (dlh_fisher (prediction), -1) : 1;
    for (gint64 j = 0; j <= k->n_columns; j++) {
        gboolean sampled = j == k->n_columns;

        if (sampled)
            propagate_sample (k, prediction, xs, gs);
        else if (exact)
            propagate_column (k, prediction, j, xs, gs);
        else
            continue;
        // Diagonal blocks need independent cases: they take the sample in either mode.
        for (guint i = 0; i < n; i++)
            if (sampled == (!exact || !g_array_index (k->blocks, Block, i).use))
                g_ptr_array_add (g_array_index (k->blocks, Block, i).g, gs[i]);
    }
    return TRUE;
}

// (rows, n_in): what the weight is multiplied by.
static DlhNode *
input_rows (const Block *b)
{
    DlhNode *x = dlh_node_input (b->use, 0);

    if (dlh_node_is (b->use, "conv2d")) {
        DlhNode *w = dlh_node_input (b->use, 1);

        x = dlh_patches (x, dlh_node_dim (w, 2), dlh_node_dim (w, 3),
                         *(const DlhConv *)dlh_node_attrs (b->use));
    }
    return dlh_reshape (x, dlh_shape (-1, b->n_in));
}

// (rows, n_out)
static DlhNode *
output_rows (const Block *b, DlhNode *g)
{
    static const guint channels_last[] = {0, 2, 3, 1};

    if (dlh_node_is (b->use, "conv2d"))
        g = dlh_transpose (g, channels_last, 4);
    return dlh_reshape (g, dlh_shape (-1, b->n_out));
}

// Mean of x x' over rows; with @bias the homogeneous coordinate is appended.
static DlhNode *
second_moment (DlhNode *rows, gboolean bias, DlhDType dtype)
{
    double n = (double)dlh_node_dim (rows, 0);
    DlhNode *m = dlh_scale (dlh_gram (rows), 1 / n);
    DlhNode *mean, *one, *top, *bottom;

    if (bias) {
        mean = dlh_expand (dlh_mean_axis (rows, 0), 0);
        one = dlh_full (dlh_node_graph (m), dlh_node_dtype (m), dlh_shape (1, 1), 1);
        top = dlh_concat ((DlhNode *[]){m, dlh_t (mean)}, 2, 1);
        bottom = dlh_concat ((DlhNode *[]){mean, one}, 2, 1);
        m = dlh_concat ((DlhNode *[]){top, bottom}, 2, 0);
    }
    return dlh_cast (m, dtype);
}

static DlhNode *
block_state (Kfac *k, const Block *b, const char *name, DlhDType dtype, DlhShape shape,
             DlhInitKind init)
{
    g_autofree char *full = g_strdup_printf (
        "%s/%s", dlh_variable_name (dlh_update_variable (k->update, (guint)b->weight)), name);

    return dlh_update_state_full (k->update, full, dtype, shape, (DlhInit){.kind = init});
}

static DlhNode *
moving_average (Kfac *k, DlhNode *state, DlhNode *value)
{
    DlhNode *keep = dlh_cast (k->keep, dlh_node_dtype (state));
    DlhNode *average =
        dlh_add (dlh_mul (state, keep), dlh_mul (value, dlh_sub (dlh_full_like (keep, 1), keep)));

    dlh_update_phase_assign (k->update, "statistics", state, average);
    return state;
}

static DlhNode *
damped_inverse (DlhNode *m, DlhNode *c, DlhDType dtype)
{
    DlhNode *eye = dlh_eye (dlh_node_graph (m), dlh_node_dtype (m), dlh_node_dim (m, 0));

    return dlh_cast (dlh_cholesky_inverse (dlh_cholesky (dlh_add (m, dlh_mul (eye, c)))), dtype);
}

// pi of 3.4; 1 when a trace is not positive.
static DlhNode *
trace_ratio (DlhNode *a, DlhNode *g)
{
    DlhNode *ta = dlh_scale (dlh_trace (a), 1.0 / (double)dlh_node_dim (a, 0));
    DlhNode *tg = dlh_scale (dlh_trace (g), 1.0 / (double)dlh_node_dim (g, 0));
    DlhNode *zero = dlh_full_like (ta, 0), *one = dlh_full_like (ta, 1);
    DlhNode *usable = dlh_greater (dlh_min (ta, tg), zero);

    return dlh_sqrt (dlh_where (usable, dlh_div (ta, dlh_where (usable, tg, one)), one));
}

static void
layer_block (Kfac *k, Block *b)
{
    DlhDType dtype = dlh_store_get_dtype (dlh_update_store (k->update));
    gint64 n_in = b->n_in + (b->bias >= 0);
    DlhNode *x = input_rows (b), *moment = NULL;
    DlhNode *a_state = block_state (k, b, "A", k->dtype, dlh_shape (n_in, n_in), DLH_INIT_ZEROS);
    DlhNode *g_state =
        block_state (k, b, "G", k->dtype, dlh_shape (b->n_out, b->n_out), DLH_INIT_ZEROS);
    DlhNode *a = moving_average (k, a_state, second_moment (x, b->bias >= 0, k->dtype));
    DlhNode *s, *pi;
    double c;

    for (guint j = 0; j < b->g->len; j++) {
        DlhNode *m = second_moment (output_rows (b, b->g->pdata[j]), FALSE, k->dtype);

        moment = moment ? dlh_add (moment, m) : m;
    }
    s = moving_average (k, g_state, moment);
    pi = trace_ratio (a, s);
    b->rows_per_case = (double)dlh_node_dim (x, 0) / k->n_cases;
    c = sqrt (k->opt->damping / b->rows_per_case);
    b->inverse_a =
        block_state (k, b, "inverse_A", dtype, dlh_shape (n_in, n_in), DLH_INIT_IDENTITY);
    b->inverse_g =
        block_state (k, b, "inverse_G", dtype, dlh_shape (b->n_out, b->n_out), DLH_INIT_IDENTITY);
    dlh_update_phase_assign (k->update, "inverses", b->inverse_a,
                             damped_inverse (a, dlh_scale (pi, c), dtype));
    dlh_update_phase_assign (k->update, "inverses", b->inverse_g,
                             damped_inverse (s, dlh_scale (dlh_reciprocal (pi), c), dtype));
}

static void
diagonal_block (Kfac *k, Block *b)
{
    DlhShape shape = dlh_variable_shape (dlh_update_variable (k->update, (guint)b->weight));
    DlhDType dtype = dlh_store_get_dtype (dlh_update_store (k->update));
    DlhNode *state = block_state (k, b, "F", dtype, shape, DLH_INIT_ZEROS);

    b->diagonal =
        moving_average (k, state, dlh_scale (dlh_square (b->g->pdata[0]), 1 / k->n_cases));
}

static DlhNode *
decayed_gradient (Kfac *k, int i)
{
    DlhNode *g = dlh_update_gradient (k->update, (guint)i);

    if (k->opt->weight_decay > 0)
        g = dlh_add (g, dlh_scale (dlh_update_value (k->update, (guint)i), k->opt->weight_decay));
    return g;
}

static void
precondition (Kfac *k, Block *b)
{
    b->v = decayed_gradient (k, b->weight);
    if (!b->use) {
        b->u = dlh_div (b->v, dlh_offset (b->diagonal, k->opt->damping));
        return;
    }
    b->v = dlh_reshape (b->v, dlh_shape (b->n_out, b->n_in));
    if (b->bias >= 0)
        b->v =
            dlh_concat ((DlhNode *[]){b->v, dlh_expand (decayed_gradient (k, b->bias), 1)}, 2, 1);
    b->u = dlh_scale (dlh_matmul (b->inverse_g, dlh_matmul (b->v, b->inverse_a)),
                      1 / b->rows_per_case);
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
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);

        if (b->bias < 0) {
            move (k, b->weight, b->u, scale, lr);
            continue;
        }
        move (k, b->weight, dlh_slice (b->u, 1, 0, b->n_in, 1), scale, lr);
        move (k, b->bias, dlh_slice (b->u, 1, b->n_in, b->n_in + 1, 1), scale, lr);
    }
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

static void
block_clear (gpointer data)
{
    g_clear_pointer (&((Block *)data)->g, g_ptr_array_unref);
}

static gboolean
kfac_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const KfacOptions *opt = options;
    g_autoptr (GArray) blocks = g_array_new (FALSE, TRUE, sizeof (Block));
    Kfac k = {.update = u, .opt = opt, .blocks = blocks};

    g_array_set_clear_func (blocks, block_clear);
    k.n_cases = dlh_update_objective (u)->n_cases;
    k.dtype = opt->double_factors ? DLH_F64 : dlh_store_get_dtype (dlh_update_store (u));
    k.keep = average_weight (&k);
    dlh_update_phase (u, "statistics", DLH_PHASE_WITH, opt->statistics, 0);
    dlh_update_phase (u, "inverses", DLH_PHASE_AFTER, opt->inverses, MAX (opt->burn_in, 1) - 1);
    if (!find_blocks (&k, error) || !propagate (&k, error))
        return FALSE;
    for (guint i = 0; i < blocks->len; i++) {
        Block *b = &g_array_index (blocks, Block, i);

        if (b->use)
            layer_block (&k, b);
        else
            diagonal_block (&k, b);
    }
    apply (&k);
    return TRUE;
}

static const DlhOptimizer kfac = {.size = sizeof (DlhOptimizer), .build = kfac_build};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, kfac, KfacOptions,
    DLH_OPTIONS (
        DLH_DOUBLE (KfacOptions, lr, 0.1, 0.0, 1e6, "Step size", .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, momentum, 0.9, 0.0, 1.0, "Damping of the velocity; 0: none",
                    .flags = DLH_MAX_OPEN),
        DLH_DOUBLE (KfacOptions, damping, 0.3, 0.0, 1e6,
                    "Added to the curvature (lambda), split between the factors",
                    .flags = DLH_MIN_OPEN),
        DLH_DOUBLE (KfacOptions, kl_clip, 1e-2, 0.0, 1e6,
                    "Largest change of the predictions in a step; 0: no limit", .unit = "nats"),
        DLH_DOUBLE (KfacOptions, decay, 0.95, 0.0, 1.0, "Moving average of the statistics",
                    .flags = DLH_MAX_OPEN),
        DLH_INT (KfacOptions, statistics, 4, 1, 1000000, "Steps between updates of the statistics",
                 .unit = "steps"),
        DLH_INT (KfacOptions, inverses, 20, 1, 1000000, "Steps between inversions of the factors",
                 .unit = "steps"),
        DLH_INT (KfacOptions, burn_in, 1, 1, 1000000, "First steps that only collect statistics",
                 .unit = "steps"),
        DLH_CHOICE (KfacOptions, fisher, "sampled", "sampled|exact",
                    "Where the metric comes from: one drawn target a case, or every column of the "
                    "outputs' Fisher"),
        DLH_DOUBLE (KfacOptions, weight_decay, 0, 0.0, 1e6,
                    "L2 coefficient, added to the gradient before it is preconditioned"),
        DLH_BOOL_OPTION (KfacOptions, strict, false,
                         "Refuse parameters that would get a diagonal block"),
        DLH_BOOL_OPTION (KfacOptions, double_factors, false,
                         "Keep and invert the factors in double precision")),
    .name = "kfac", .version = "1.0", .paper = "1808.10340",
    .summary = "Natural gradient with Kronecker-factored curvature");
