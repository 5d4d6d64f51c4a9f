/* SPDX-License-Identifier: MIT */
/* Recurrent classifier of pictures, read row by row, of which the last state names the class: the
 * sequential MNIST of Martens, Ba and Johnson's K-FAC for recurrent networks (ICLR 2018). Rows of
 * numbers (T, n) do as well. */
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    const char *cell;
    gint64 hidden;
    gint64 layers;
    double dropout;
} RnnOptions;

// (T, B, n): from (B, T, n), or from (B, C, T, W) with n = C W.
static DlhNode *
rows (const DlhProblem *problem, DlhNode *x, GError **error)
{
    const guint rank = problem->input_shape.rank;
    const gboolean classes = problem->target_kind == DLH_TARGET_CLASS;
    g_autofree char *shape = NULL;

    if (problem->vocabulary == 0 && classes && rank == 2)
        return dlh_transpose (x, (const guint[]){1, 0, 2}, 3);
    if (problem->vocabulary == 0 && classes && rank == 3) {
        x = dlh_transpose (x, (const guint[]){2, 0, 1, 3}, 4);
        return dlh_flatten (x, 2);
    }
    shape = dlh_shape_to_string (problem->input_shape);
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "inputs %s%s%s, must be pictures [channels,height,width] or rows [time,n] with a "
                 "class each: try --model=%s",
                 shape, problem->vocabulary > 0 ? " of tokens" : "",
                 classes ? "" : " without classes", problem->vocabulary > 0 ? "lstm" : "mlp");
    return NULL;
}

static gboolean
rnn_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
           DlhObjective *objective, GError **error)
{
    const RnnOptions *opt = options;
    DlhNode *h = rows (problem, x, error), *last = NULL;

    if (!h)
        return FALSE;
    for (gint64 i = 0; i < opt->layers; i++) {
        g_autofree char *name = g_strdup_printf ("layer%" G_GINT64_FORMAT, i + 1);

        h = i ? dlh_dropout (b, name, h, opt->dropout) : h;
        if (strcmp (opt->cell, "lstm") == 0)
            h = dlh_lstm (b, name, h, opt->hidden, NULL, NULL, &last, NULL);
        else if (strcmp (opt->cell, "gru") == 0)
            h = dlh_gru (b, name, h, opt->hidden, NULL, &last);
        else
            h = dlh_rnn (b, name, h, opt->hidden, opt->cell, NULL, &last);
    }
    last = dlh_dropout (b, "output", last, opt->dropout);
    last = dlh_dense (b, "output", last, problem->n_classes, dlh_init_named ("glorot"), TRUE);
    dlh_objective_classify (objective, last, y);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised rnn_supervised = {.size = sizeof (DlhSupervised), .build = rnn_build};
static const DlhModel rnn = {.size = sizeof (DlhModel), .supervised = &rnn_supervised};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, rnn, RnnOptions,
    DLH_OPTIONS (DLH_CHOICE (RnnOptions, cell, "tanh", "tanh|relu|lstm|gru",
                             "Recurrence: plain with this activation, or gated"),
                 DLH_INT (RnnOptions, hidden, 128, 1, 1000000, "Units of each layer"),
                 DLH_INT (RnnOptions, layers, 1, 1, 1000, "Recurrent layers"),
                 DLH_DOUBLE (RnnOptions, dropout, 0, 0.0, 1.0,
                             "Share of units dropped between layers and before the output",
                             .flags = DLH_MAX_OPEN)),
    .name = "rnn", .version = "1.0",
    .summary = "Recurrent network that reads pictures row by row and names their class");
