/* SPDX-License-Identifier: MIT */
/* Plain recurrence, LSTM and GRU, unrolled over time. The products with the inputs are one linear
 * node for all steps, those with the hidden state one linear node a step, so that methods find each
 * use of a weight. */
#include <dlhost/arrange.h>
#include <dlhost/elementwise.h>
#include <dlhost/layers.h>
#include <dlhost/matrix.h>

typedef struct {
    DlhNode *inputs;        /* W x + b for all steps: (T, B, gates h) */
    DlhNode *weight, *bias; /* of the hidden state */
    gint64 n_steps, n_batch, n_hidden;
    DlhNode *state;         /* mask of the state in the product: (B, h); NULL: none, as below */
    DlhNode *update;        /* mask of updates: (T, B, h) */
    DlhNode *cell, *hidden; /* where the last value stays: (T, B, h), or its mean, a number */
} Cell;

static DlhNode *
check_state (DlhBuild *b, const char *what, DlhNode *state, const Cell *cell, DlhDType dtype)
{
    DlhShape want = dlh_shape (cell->n_batch, cell->n_hidden);
    g_autofree char *got = NULL, *text = NULL;

    if (!state)
        return dlh_full (b->graph, dtype, want, 0);
    if (dlh_node_failed (state) || dlh_shape_equal (dlh_node_shape (state), want))
        return state;
    got = dlh_shape_to_string (dlh_node_shape (state));
    text = dlh_shape_to_string (want);
    return dlh_graph_fail (b->graph, DLH_ERROR_SHAPE, "%s: first state %s, must be %s", what, got,
                           text);
}

// Makes the parameters; FALSE when the graph has failed.
static gboolean
cell_init (Cell *cell, DlhBuild *b, const char *what, DlhNode *x, gint64 n_hidden, gint64 n_gates,
           DlhInit input_bias, gboolean hidden_bias)
{
    const DlhInit init = {DLH_INIT_FAN_IN, 1, 0}, zeros = {DLH_INIT_ZEROS, 0, 0};
    gint64 n = n_gates * n_hidden;
    DlhNode *w, *c;

    if (dlh_node_rank (x) != 3 || n_hidden < 1) {
        g_autofree char *got = dlh_shape_to_string (dlh_node_shape (x));

        dlh_graph_fail (b->graph, DLH_ERROR_SHAPE,
                        "%s: input %s and %" G_GINT64_FORMAT
                        " units, must be [time,batch,n] and 1 or more",
                        what, got, n_hidden);
        return FALSE;
    }
    cell->n_steps = dlh_node_dim (x, 0);
    cell->n_batch = dlh_node_dim (x, 1);
    cell->n_hidden = n_hidden;
    w = dlh_parameter (b->graph, b->store, "input/weight", dlh_shape (n, dlh_node_dim (x, 2)),
                       init);
    c = dlh_parameter (b->graph, b->store, "input/bias", dlh_shape (n), input_bias);
    cell->weight =
        dlh_parameter (b->graph, b->store, "hidden/weight", dlh_shape (n, n_hidden), init);
    cell->bias = NULL;
    if (hidden_bias)
        cell->bias = dlh_parameter (b->graph, b->store, "hidden/bias", dlh_shape (n), zeros);
    cell->inputs = dlh_linear (x, w, c);
    return dlh_graph_check (b->graph, NULL);
}

/* Dropout of a recurrence. */

static gboolean
check_rate (DlhBuild *b, const char *what, double rate)
{
    if (rate >= 0 && rate < 1)
        return TRUE;
    dlh_graph_fail (b->graph, DLH_ERROR_OPTION, "%s: rate %g, must be in [0, 1)", what, rate);
    return FALSE;
}

// Where the last value stays. One draw for all steps.
static DlhNode *
stays (DlhBuild *b, const Cell *cell, const char *name, double rate)
{
    DlhDType dtype = dlh_node_dtype (cell->inputs);
    g_autofree char *path = NULL;
    DlhShape shape = dlh_shape (cell->n_steps, cell->n_batch, cell->n_hidden);

    if (rate == 0)
        return NULL;
    if (!b->training)
        return dlh_scalar (b->graph, dtype, rate);
    path = g_strconcat ("dropout/", dlh_graph_get_scope (b->graph), "/", name, NULL);
    return dlh_bernoulli_draw (dlh_store_stream (b->store, path),
                               dlh_full (b->graph, dtype, shape, rate));
}

// FALSE when the graph has failed.
static gboolean
cell_drop (Cell *cell, DlhBuild *b, const DlhRecurrentDropout *drop)
{
    const DlhDType dtype = dlh_node_dtype (cell->inputs);
    const gint64 n = cell->n_steps, batch = cell->n_batch, h = cell->n_hidden;

    if (!drop)
        return TRUE;
    if (!check_rate (b, "variational dropout", drop->variational) ||
        !check_rate (b, "recurrent dropout", drop->update) ||
        !check_rate (b, "zoneout of cells", drop->zoneout_cell) ||
        !check_rate (b, "zoneout of hidden states", drop->zoneout_hidden))
        return FALSE;
    if (b->training && drop->variational > 0)
        cell->state =
            dlh_dropout (b, "variational", dlh_full (b->graph, dtype, dlh_shape (batch, h), 1),
                         drop->variational);
    if (b->training && drop->update > 0)
        cell->update = dlh_dropout (
            b, "update", dlh_full (b->graph, dtype, dlh_shape (n, batch, h), 1), drop->update);
    cell->cell = stays (b, cell, "zoneout_cell", drop->zoneout_cell);
    cell->hidden = stays (b, cell, "zoneout_hidden", drop->zoneout_hidden);
    return dlh_graph_check (b->graph, NULL);
}

// The product with the state as the dropped units leave it.
static DlhNode *
recur (const Cell *cell, DlhNode *h)
{
    return dlh_linear (cell->state ? dlh_mul (h, cell->state) : h, cell->weight, cell->bias);
}

static DlhNode *
drop_update (const Cell *cell, DlhNode *g, gint64 t)
{
    return cell->update ? dlh_mul (g, dlh_index (cell->update, 0, t)) : g;
}

static DlhNode *
zoneout (DlhNode *stay, DlhNode *old, DlhNode *now, gint64 t)
{
    if (!stay)
        return now;
    if (dlh_node_rank (stay) > 0)
        stay = dlh_index (stay, 0, t);
    return dlh_add (now, dlh_mul (stay, dlh_sub (old, now)));
}

static DlhNode *
gate (const Cell *cell, DlhNode *x, gint64 k)
{
    return dlh_slice (x, -1, k * cell->n_hidden, (k + 1) * cell->n_hidden, 1);
}

// The states of all steps as one (T, B, h).
static DlhNode *
collect (DlhBuild *b, const Cell *cell, DlhNode *const *states, DlhDType dtype)
{
    if (cell->n_steps == 0)
        return dlh_full (b->graph, dtype, dlh_shape (0, cell->n_batch, cell->n_hidden), 0);
    return dlh_stack (states, (guint)cell->n_steps, 0);
}

// c <- f c + i g,  h <- o tanh c; zoneout of the cell leaves the latter's c alone
static DlhNode *
lstm (DlhBuild *b, const Cell *cell, DlhNode **h, DlhNode **c)
{
    DlhDType dtype = dlh_node_dtype (cell->inputs);
    g_autofree DlhNode **states = g_new (DlhNode *, (gsize)cell->n_steps);

    for (gint64 t = 0; t < cell->n_steps; t++) {
        DlhNode *z = dlh_add (dlh_index (cell->inputs, 0, t), recur (cell, *h));
        DlhNode *i = dlh_sigmoid (gate (cell, z, 0)), *f = dlh_sigmoid (gate (cell, z, 1));
        DlhNode *g = dlh_tanh (gate (cell, z, 2)), *o = dlh_sigmoid (gate (cell, z, 3));
        DlhNode *next = dlh_add (dlh_mul (f, *c), dlh_mul (i, drop_update (cell, g, t)));

        *c = zoneout (cell->cell, *c, next, t);
        *h = zoneout (cell->hidden, *h, dlh_mul (o, dlh_tanh (next)), t);
        states[t] = *h;
    }
    return collect (b, cell, states, dtype);
}

DlhNode *
dlh_lstm (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden, DlhNode *h0, DlhNode *c0,
          DlhNode **h_last, DlhNode **c_last)
{
    return dlh_lstm_dropped (b, name, x, n_hidden, NULL, h0, c0, h_last, c_last);
}

DlhNode *
dlh_lstm_dropped (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden,
                  const DlhRecurrentDropout *drop, DlhNode *h0, DlhNode *c0, DlhNode **h_last,
                  DlhNode **c_last)
{
    const DlhInit bias = {DLH_INIT_FORGET_BIAS, 1, 0};
    DlhNode *y = x, *h = x, *c = x;
    Cell cell = {0};

    if (!dlh_node_failed (x)) {
        dlh_graph_push_scope (b->graph, name);
        if (cell_init (&cell, b, "LSTM", x, n_hidden, 4, bias, FALSE) &&
            cell_drop (&cell, b, drop)) {
            h = check_state (b, "LSTM", h0, &cell, dlh_node_dtype (x));
            c = check_state (b, "LSTM", c0, &cell, dlh_node_dtype (x));
            y = lstm (b, &cell, &h, &c);
        } else {
            y = h = c = dlh_graph_fail (b->graph, DLH_ERROR_GRAPH, "LSTM");
        }
        dlh_graph_pop_scope (b->graph);
    }
    if (h_last)
        *h_last = h;
    if (c_last)
        *c_last = c;
    return y;
}

// n = tanh (W x + b + r (U h + bh)),  h <- n + z (h - n)
static DlhNode *
gru (DlhBuild *b, const Cell *cell, DlhNode **h)
{
    DlhDType dtype = dlh_node_dtype (cell->inputs);
    g_autofree DlhNode **states = g_new (DlhNode *, (gsize)cell->n_steps);

    for (gint64 t = 0; t < cell->n_steps; t++) {
        DlhNode *in = dlh_index (cell->inputs, 0, t);
        DlhNode *hidden = recur (cell, *h);
        DlhNode *r = dlh_sigmoid (dlh_add (gate (cell, in, 0), gate (cell, hidden, 0)));
        DlhNode *z = dlh_sigmoid (dlh_add (gate (cell, in, 1), gate (cell, hidden, 1)));
        DlhNode *n = dlh_tanh (dlh_add (gate (cell, in, 2), dlh_mul (r, gate (cell, hidden, 2))));

        n = drop_update (cell, n, t);
        *h = zoneout (cell->hidden, *h, dlh_add (n, dlh_mul (z, dlh_sub (*h, n))), t);
        states[t] = *h;
    }
    return collect (b, cell, states, dtype);
}

DlhNode *
dlh_gru (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden, DlhNode *h0, DlhNode **h_last)
{
    return dlh_gru_dropped (b, name, x, n_hidden, NULL, h0, h_last);
}

// Keeps the caller from taking a cell's zoneout for done.
static gboolean
gru_drop (Cell *cell, DlhBuild *b, const DlhRecurrentDropout *drop)
{
    if (drop && drop->zoneout_cell != 0) {
        dlh_graph_fail (b->graph, DLH_ERROR_OPTION,
                        "GRU: zoneout of cells %g, must be 0: it has hidden states only",
                        drop->zoneout_cell);
        return FALSE;
    }
    return cell_drop (cell, b, drop);
}

DlhNode *
dlh_gru_dropped (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden,
                 const DlhRecurrentDropout *drop, DlhNode *h0, DlhNode **h_last)
{
    const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0};
    DlhNode *y = x, *h = x;
    Cell cell = {0};

    if (!dlh_node_failed (x)) {
        dlh_graph_push_scope (b->graph, name);
        if (cell_init (&cell, b, "GRU", x, n_hidden, 3, zeros, TRUE) && gru_drop (&cell, b, drop)) {
            h = check_state (b, "GRU", h0, &cell, dlh_node_dtype (x));
            y = gru (b, &cell, &h);
        } else {
            y = h = dlh_graph_fail (b->graph, DLH_ERROR_GRAPH, "GRU");
        }
        dlh_graph_pop_scope (b->graph);
    }
    if (h_last)
        *h_last = h;
    return y;
}

// h <- phi (W x + b + U h + c)
static DlhNode *
plain (DlhBuild *b, const Cell *cell, const char *activation, DlhNode **h)
{
    DlhDType dtype = dlh_node_dtype (cell->inputs);
    g_autofree DlhNode **states = g_new (DlhNode *, (gsize)cell->n_steps);

    for (gint64 t = 0; t < cell->n_steps; t++) {
        DlhNode *s = dlh_add (dlh_index (cell->inputs, 0, t), recur (cell, *h));

        *h = dlh_activation (s, activation);
        states[t] = *h;
    }
    return collect (b, cell, states, dtype);
}

DlhNode *
dlh_rnn (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden, const char *activation,
         DlhNode *h0, DlhNode **h_last)
{
    const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0};
    DlhNode *y = x, *h = x;
    Cell cell = {0};

    if (!dlh_node_failed (x)) {
        dlh_graph_push_scope (b->graph, name);
        if (cell_init (&cell, b, "RNN", x, n_hidden, 1, zeros, TRUE)) {
            h = check_state (b, "RNN", h0, &cell, dlh_node_dtype (x));
            y = plain (b, &cell, activation, &h);
        } else {
            y = h = dlh_graph_fail (b->graph, DLH_ERROR_GRAPH, "RNN");
        }
        dlh_graph_pop_scope (b->graph);
    }
    if (h_last)
        *h_last = h;
    return y;
}
