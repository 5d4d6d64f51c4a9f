/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "setup.h"
#include "trial.h"

// The task's option @name as a number, @preset when it has none of that name.
static double
task_number (const Trial *t, const char *name, double preset)
{
    DlhComponent *task = t->components[DLH_TASK];
    const DlhOption *options = task ? dlh_component_option_table (task) : NULL;

    for (guint i = 0; options && i < dlh_component_manifest (task)->n_options; i++)
        if (strcmp (options[i].name, name) == 0) {
            g_autofree char *text = dlh_component_option_text (task, i);

            return g_ascii_strtod (text, NULL);
        }
    return preset;
}

static gboolean
require (const Trial *t, DlhPluginKind kind, GError **error)
{
    if (t->components[kind])
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "a training step needs a plugin of kind %s: give --%s=NAME",
                 dlh_plugin_kind_name (kind), dlh_plugin_kind_name (kind));
    return FALSE;
}

static gboolean
take_batch (Trial *t, GError **error)
{
    gint64 n = dlh_data_has_split (t->data, DLH_SPLIT_TRAIN)
                   ? dlh_data_count (t->data, DLH_SPLIT_TRAIN)
                   : 0;
    DlhTensor *targets;

    if (n == 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: the data set has no training examples to take a batch from",
                     dlh_component_name (t->components[DLH_DATASET]));
        return FALSE;
    }
    t->batch = dlh_data_is_stream (t->data) ? dlh_data_lanes (t->data)
                                            : MIN (n, (gint64)task_number (t, "batch", 128));
    if (!(t->x = dlh_data_rows (t->data, DLH_SPLIT_TRAIN, 0, t->batch, error)))
        return FALSE;
    if ((targets = dlh_data_targets (t->data, DLH_SPLIT_TRAIN)))
        t->y = dlh_tensor_rows (targets, 0, t->batch);
    return TRUE;
}

gboolean
trial_init (Trial *t, const Config *config, DlhRegistry *registry, GError **error)
{
    DlhTraining training = {.size = sizeof training,
                            .schedule = {.kind = DLH_SCHEDULE_CONSTANT, .factor = 1, .period = 1}};
    DlhProblem problem;

    if (!setup_components (config, registry, t->components, error) ||
        !require (t, DLH_MODEL, error) || !require (t, DLH_OPTIMIZER, error))
        return FALSE;
    dlh_set_threads ((guint)config->threads);
    t->store = dlh_store_new (config->seed, config->dtype);
    if (config->checkpoint && !dlh_store_load (t->store, config->checkpoint, NULL, error))
        return FALSE;
    if (!(t->data = setup_data (config, registry, t->components, error)) || !take_batch (t, error))
        return FALSE;
    training.clip_norm = task_number (t, "clip_norm", 0);
    training.clip_value = task_number (t, "clip_value", 0);
    training.weight_decay = task_number (t, "weight_decay", 0);
    training.decoupled_weight_decay = task_number (t, "decoupled", 0);
    problem = dlh_problem_of (t->data);
    t->trainer = dlh_trainer_new (t->store, t->components[DLH_MODEL], t->components[DLH_OPTIMIZER],
                                  &problem, &training, error);
    return t->trainer != NULL;
}

void
trial_clear (Trial *t)
{
    dlh_tensor_unref (t->x);
    dlh_tensor_unref (t->y);
    dlh_trainer_free (t->trainer);
    dlh_data_unref (t->data);
    dlh_store_unref (t->store);
    for (guint i = 0; i < G_N_ELEMENTS (t->components); i++)
        dlh_component_unref (t->components[i]);
}
