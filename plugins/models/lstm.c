/* SPDX-License-Identifier: MIT */
/* Recurrent network (LSTM, Hochreiter and Schmidhuber 1997, with forget gates; or GRU). A class for
 * each step: a language model. One class for a sequence: a classifier on the last state. Inputs are
 * tokens (T) or rows of numbers (T, n). The perplexity is 2 to the power of bits_per_token. */
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    const char *cell;
    gint64 embedding;
    gint64 hidden;
    gint64 layers;
    double dropout;
    gboolean locked;
    double variational;
    double recurrent_dropout;
    double zoneout_cell;
    double zoneout_hidden;
} LstmOptions;

// Of (T, B, n).
static DlhNode *
drop (DlhBuild *b, const LstmOptions *opt, const char *name, DlhNode *x)
{
    if (opt->locked)
        return dlh_dropout_locked (b, name, x, opt->dropout, 0);
    return dlh_dropout (b, name, x, opt->dropout);
}

// (T, B, n) from (B, T) tokens or (B, T, n) numbers.
static DlhNode *
embed (DlhBuild *b, const DlhProblem *problem, const LstmOptions *opt, DlhNode *x, GError **error)
{
    const DlhInit init = {DLH_INIT_UNIFORM, -0.1, 0.1};
    g_autofree char *shape = dlh_shape_to_string (problem->input_shape);
    DlhNode *table;

    if (problem->vocabulary > 0 && problem->input_shape.rank == 1) {
        table = dlh_parameter (b->graph, b->store, "embedding",
                               dlh_shape (problem->vocabulary, opt->embedding), init);
        x = dlh_embedding (table, x);
        return dlh_transpose (x, (const guint[]){1, 0, 2}, 3);
    }
    if (problem->vocabulary == 0 && problem->input_shape.rank == 2)
        return dlh_transpose (x, (const guint[]){1, 0, 2}, 3);
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "inputs %s%s, must be tokens [time] or numbers [time,n]", shape,
                 problem->vocabulary > 0 ? " of tokens" : "");
    return NULL;
}

static DlhNode *
recurrent_layers (DlhBuild *b, const LstmOptions *opt, DlhNode *h, DlhNode **last)
{
    const DlhRecurrentDropout lost = {sizeof lost, opt->variational, opt->recurrent_dropout,
                                      opt->zoneout_cell, opt->zoneout_hidden};

    for (gint64 i = 0; i < opt->layers; i++) {
        g_autofree char *name = g_strdup_printf ("layer%" G_GINT64_FORMAT, i + 1);

        h = drop (b, opt, name, h);
        if (strcmp (opt->cell, "gru") == 0)
            h = dlh_gru_dropped (b, name, h, opt->hidden, &lost, NULL, last);
        else
            h = dlh_lstm_dropped (b, name, h, opt->hidden, &lost, NULL, NULL, last, NULL);
    }
    return h;
}

static gboolean
lstm_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    const LstmOptions *opt = options;
    gboolean each_step = problem->target_kind == DLH_TARGET_SEQUENCE;
    DlhNode *h, *last = NULL;

    if (!each_step && problem->target_kind != DLH_TARGET_CLASS) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "the targets must be a class for each step or for each sequence");
        return FALSE;
    }
    h = embed (b, problem, opt, x, error);
    if (!h)
        return FALSE;
    h = recurrent_layers (b, opt, h, &last);
    h = each_step ? drop (b, opt, "output", h) : dlh_dropout (b, "output", last, opt->dropout);
    h = dlh_dense (b, "output", h, problem->n_classes, dlh_init_named ("glorot"), TRUE);
    if (each_step && y)
        y = dlh_transpose (y, (const guint[]){1, 0}, 2);
    dlh_objective_classify (objective, h, y);
    if (each_step && y)
        dlh_objective_add_metric (objective, "bits_per_token",
                                  dlh_scale (objective->loss, 1 / G_LN2));
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised lstm_supervised = {.size = sizeof (DlhSupervised), .build = lstm_build};
static const DlhModel lstm = {.size = sizeof (DlhModel), .supervised = &lstm_supervised};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, lstm, LstmOptions,
    DLH_OPTIONS (
        DLH_CHOICE (LstmOptions, cell, "lstm", "lstm|gru", "Kind of recurrent unit"),
        DLH_INT (LstmOptions, embedding, 128, 1, 1000000, "Size of a token's vector"),
        DLH_INT (LstmOptions, hidden, 256, 1, 1000000, "Units of each layer"),
        DLH_INT (LstmOptions, layers, 1, 1, 1000, "Recurrent layers"),
        DLH_DOUBLE (LstmOptions, dropout, 0, 0.0, 1.0, "Share of units dropped between layers",
                    .flags = DLH_MAX_OPEN),
        DLH_BOOL_OPTION (LstmOptions, locked, FALSE,
                         "One mask of dropout for all steps of a sequence"),
        DLH_DOUBLE (LstmOptions, variational, 0, 0.0, 1.0,
                    "Share of states dropped in the recurrent product, one mask a sequence",
                    .flags = DLH_MAX_OPEN),
        DLH_DOUBLE (LstmOptions, recurrent_dropout, 0, 0.0, 1.0,
                    "Share of a cell's updates dropped, drawn anew for each step",
                    .flags = DLH_MAX_OPEN),
        DLH_DOUBLE (LstmOptions, zoneout_cell, 0, 0.0, 1.0,
                    "Share of an LSTM's cells that stay what they were", .flags = DLH_MAX_OPEN),
        DLH_DOUBLE (LstmOptions, zoneout_hidden, 0, 0.0, 1.0,
                    "Share of hidden states that stay what they were", .flags = DLH_MAX_OPEN)),
    .name = "lstm", .version = "1.0",
    .summary = "Recurrent network: language model or sequence classifier");
