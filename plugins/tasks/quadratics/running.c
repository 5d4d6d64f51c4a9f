/* SPDX-License-Identifier: MIT */
// The plugins themselves on sum_i h_i theta_i^2 / 2.
#include <math.h>
#include "quadratics.h"

#define STEPS_BETWEEN_REPORTS 500
#define SMALLEST 1e-290 /* below, numbers lose digits */
#define LARGEST 1e60    /* its square is a loss that is finite */

// x (1, n): the curvatures
static gboolean
quadratic_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                 DlhNode *y, DlhObjective *objective, GError **error)
{
    DlhNode *theta = dlh_parameter (b->graph, b->store, "theta", problem->input_shape,
                                    (DlhInit){DLH_INIT_CONSTANT, 1, 0});

    (void)options, (void)y;
    objective->loss =
        dlh_scale (dlh_sum_all (dlh_mul (dlh_index (x, 0, 0), dlh_square (theta))), 0.5);
    objective->n_cases = 1;
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised quadratic_role = {.size = sizeof quadratic_role,
                                             .build = quadratic_build};
static const DlhModel quadratic_model = {.size = sizeof quadratic_model,
                                         .supervised = &quadratic_role};
static const DlhManifest quadratic_manifest = {
    .size = sizeof (DlhManifest),
    .option_size = sizeof (DlhOption),
    .abi_major = DLH_ABI_MAJOR,
    .abi_minor = DLH_ABI_MINOR,
    .kind = DLH_MODEL,
    .options_bytes = 1,
    .name = "quadratic",
    .version = "1.0",
    .licence = "MIT",
    .summary = "A quadratic in its axes",
};
static const DlhPlugin quadratic = {sizeof quadratic, &quadratic_manifest, &quadratic_model};

// A name that is no plugin's is an option that is wrong.
static DlhComponent *
load (Study *s, const Method *m, double lr, GError **error)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    GError *cause = NULL;
    DlhComponent *optimizer;

    g_hash_table_insert (m->settings, g_strdup ("lr"),
                         g_strdup (g_ascii_dtostr (text, sizeof text, lr)));
    optimizer = dlh_run_load (s->run, DLH_OPTIMIZER, m->plugin, m->settings, &cause);
    if (!optimizer && g_error_matches (cause, DLH_ERROR, DLH_ERROR_PLUGIN))
        cause->code = DLH_ERROR_OPTION;
    if (!optimizer)
        g_propagate_error (error, cause);
    return optimizer;
}

static DlhTrainer *
trainer_new (Study *s, const Method *m, double lr, gint64 n, DlhStore *store, GError **error)
{
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (n)};
    g_autoptr (DlhComponent) model = dlh_component_new_static (&quadratic, NULL, error);
    g_autoptr (DlhComponent) optimizer = model ? load (s, m, lr, error) : NULL;

    return optimizer ? dlh_trainer_new (store, model, optimizer, &problem, &training, error) : NULL;
}

static gboolean
stop (Study *s, GError **error)
{
    dlh_run_progress (s->run, s->done, s->total, 0);
    if (!dlh_run_should_stop (s->run))
        return FALSE;
    if (dlh_run_checkpoint (s->run, 0, error))
        g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                     "stopped after %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                     " steps; it will begin anew",
                     s->done, s->total);
    return TRUE;
}

static gboolean
has_left (const double *theta, gsize n)
{
    for (gsize i = 0; i < n; i++)
        if (!(fabs (theta[i]) < LARGEST))
            return TRUE;
    return FALSE;
}

gboolean
running_path (Study *s, const Method *m, double lr, const double *curvatures, gsize n, gint64 steps,
              double *path, GError **error)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhTrainer) trainer = trainer_new (s, m, lr, (gint64)n, store, error);
    g_autoptr (DlhTensor) x =
        trainer ? dlh_tensor_new (DLH_F64, dlh_shape (1, (gint64)n), error) : NULL;
    gint64 t;

    if (!x)
        return FALSE;
    for (gsize i = 0; i < n; i++) {
        dlh_tensor_set (x, (gint64)i, curvatures[i]);
        path[i] = 1;
    }
    for (t = 0; t < steps && !has_left (path + (gsize)t * n, n); t++) {
        const DlhVariable *theta;

        if (!dlh_trainer_step (trainer, x, NULL, error))
            return FALSE;
        theta = dlh_store_lookup (store, "quadratic/theta");
        for (gsize i = 0; i < n; i++)
            path[(gsize)(t + 1) * n + i] =
                dlh_tensor_get (dlh_variable_tensor ((DlhVariable *)theta), (gint64)i);
        s->done++;
        if (t % STEPS_BETWEEN_REPORTS == 0 && stop (s, error))
            return FALSE;
    }
    for (gsize k = (gsize)(t + 1) * n; k < (gsize)(steps + 1) * n; k++)
        path[k] = NAN;
    return !stop (s, error);
}

// Over the second half of what can be told: the slope of log |theta| through its maxima where it
// oscillates, between the ends where it does not.
double
running_rate (const double *path, gsize n, gsize i, gint64 steps)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0, count = 0;
    gint64 last = 0, first;

    for (gint64 t = 1; t <= steps && !isnan (path[(gsize)t * n + i]); t++)
        if (fabs (path[(gsize)t * n + i]) > SMALLEST) // it may pass through 0 exactly
            last = t;
    if (last < MIN (8, steps)) // at 0 after a few steps, or beyond all bounds
        return isnan (path[(gsize)(last + 1) * n + i])
                   ? pow (fabs (path[(gsize)last * n + i]), 1 / (double)last)
                   : 0;
    first = last / 2;
    for (gint64 t = first + 1; t < last; t++) {
        const double now = fabs (path[(gsize)t * n + i]), x = (double)(t - first);

        if (now < fabs (path[(gsize)(t - 1) * n + i]) ||
            now < fabs (path[(gsize)(t + 1) * n + i]) || now < SMALLEST)
            continue;
        sx += x;
        sy += log (now);
        sxx += x * x;
        sxy += x * log (now);
        count++;
    }
    if (count >= 2)
        return exp ((count * sxy - sx * sy) / (count * sxx - sx * sx));
    return exp (log (fabs (path[(gsize)last * n + i] / path[(gsize)first * n + i])) /
                (double)(last - first));
}
