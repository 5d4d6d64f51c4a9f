/* SPDX-License-Identifier: MIT */
/* Plain recurrence, LSTM and GRU, unrolled over time. The products with the inputs are one linear node for all steps,
 * those with the hidden state one linear node a step, so that methods find each use of a weight. */
#include <dlhost/arrange.h>
#include <dlhost/elementwise.h>
#include <dlhost/layers.h>
#include <dlhost/matrix.h>

typedef struct {
    DlhNode *inputs;          /* W x + b for all steps: (T, B, gates h) */
    DlhNode *weight, *bias;   /* of the hidden state */
    gint64 n_steps, n_batch, n_hidden;
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
    w = dlh_parameter (b->graph, b->store, "input/weight", dlh_shape (n, dlh_node_dim (x, 2)), init);
    c = dlh_parameter (b->graph, b->store, "input/bias", dlh_shape (n), input_bias);
    cell->weight =
        dlh_parameter (b->graph, b->store, "hidden/weight", dlh_shape (n, n_hidden), init);
    cell->bias = NULL;
    if (hidden_bias)
        cell->bias = dlh_parameter (b->graph, b->store, "hidden/bias", dlh_shape (n), zeros);
    cell->inputs = dlh_linear (x, w, c);
    return dlh_graph_check (b->graph, NULL);
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
    return dlh_stack (states, (guint) cell->n_steps, 0);
}

// c <- f c + i g,  h <- o tanh c
static DlhNode *
lstm (DlhBuild *b, const Cell *cell, DlhNode **h, DlhNode **c)
{
    DlhDType dtype = dlh_node_dtype (cell->inputs);
    g_autofree DlhNode **states = g_new (DlhNode *, (gsize) cell->n_steps);

    for (gint64 t = 0; t < cell->n_steps; t++) {
        DlhNode *z = dlh_add (dlh_index (cell->inputs, 0, t), dlh_linear (*h, cell->weight, NULL));
        DlhNode *i = dlh_sigmoid (gate (cell, z, 0)), *f = dlh_sigmoid (gate (cell, z, 1));
        DlhNode *g = dlh_tanh (gate (cell, z, 2)), *o = dlh_sigmoid (gate (cell, z, 3));

        *c = dlh_add (dlh_mul (f, *c), dlh_mul (i, g));
        *h = dlh_mul (o, dlh_tanh (*c));
        states[t] = *h;
    }
    return collect (b, cell, states, dtype);
}

DlhNode *
dlh_lstm (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden, DlhNode *h0, DlhNode *c0,
          DlhNode **h_last, DlhNode **c_last)
{
    const DlhInit bias = {DLH_INIT_FORGET_BIAS, 1, 0};
    DlhNode *y = x, *h = x, *c = x;
    Cell cell;

    if (!dlh_node_failed (x)) {
        dlh_graph_push_scope (b->graph, name);
        if (cell_init (&cell, b, "LSTM", x, n_hidden, 4, bias, FALSE)) {
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
    g_autofree DlhNode **states = g_new (DlhNode *, (gsize) cell->n_steps);

    for (gint64 t = 0; t < cell->n_steps; t++) {
        DlhNode *in = dlh_index (cell->inputs, 0, t);
        DlhNode *hidden = dlh_linear (*h, cell->weight, cell->bias);
        DlhNode *r = dlh_sigmoid (dlh_add (gate (cell, in, 0), gate (cell, hidden, 0)));
        DlhNode *z = dlh_sigmoid (dlh_add (gate (cell, in, 1), gate (cell, hidden, 1)));
        DlhNode *n =
            dlh_tanh (dlh_add (gate (cell, in, 2), dlh_mul (r, gate (cell, hidden, 2))));

        *h = dlh_add (n, dlh_mul (z, dlh_sub (*h, n)));
        states[t] = *h;
    }
    return collect (b, cell, states, dtype);
}

DlhNode *
dlh_gru (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden, DlhNode *h0, DlhNode **h_last)
{
    const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0};
    DlhNode *y = x, *h = x;
    Cell cell;

    if (!dlh_node_failed (x)) {
        dlh_graph_push_scope (b->graph, name);
        if (cell_init (&cell, b, "GRU", x, n_hidden, 3, zeros, TRUE)) {
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
    g_autofree DlhNode **states = g_new (DlhNode *, (gsize) cell->n_steps);

    for (gint64 t = 0; t < cell->n_steps; t++) {
        DlhNode *s =
            dlh_add (dlh_index (cell->inputs, 0, t), dlh_linear (*h, cell->weight, cell->bias));

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
    Cell cell;

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
