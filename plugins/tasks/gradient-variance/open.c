/* SPDX-License-Identifier: MIT */
// The model under each estimator, in a store of its own with the same parameters; and which of them
// are looked at.
#include <string.h>
#include "gradient-variance.h"

#define PARAMETERS_OF_A_PASS 4000000 /* where each example has a draw of each weight */

/* An optimizer that does nothing: it is asked for gradients alone. */

static gboolean
nothing_build (DlhUpdate *update, gconstpointer options, GError **error)
{
    (void)update, (void)options, (void)error;
    return TRUE;
}

static const DlhOptimizer nothing_role = {.size = sizeof nothing_role, .build = nothing_build};
static const DlhManifest nothing_manifest = {
    .size = sizeof (DlhManifest),
    .option_size = sizeof (DlhOption),
    .abi_major = DLH_ABI_MAJOR,
    .abi_minor = DLH_ABI_MINOR,
    .kind = DLH_OPTIMIZER,
    .options_bytes = 1,
    .name = "nothing",
    .version = "1.0",
    .licence = "MIT",
    .summary = "Leaves all as it is",
};
static const DlhPlugin nothing = {sizeof nothing, &nothing_manifest, &nothing_role};

static void
estimator_free (gpointer data)
{
    Estimator *e = data;

    dlh_trainer_free (e->trainer);
    dlh_component_unref (e->model);
    dlh_store_unref (e->store);
    g_free (e->name);
    g_free (e);
}

static void
layer_free (gpointer data)
{
    Layer *l = data;

    g_free (l->name);
    g_free (l->picks);
    g_free (l);
}

void
study_clear (Study *s)
{
    g_clear_pointer (&s->estimators, g_ptr_array_unref);
    g_clear_pointer (&s->layers, g_ptr_array_unref);
    g_free (s->variances);
    g_free (s->parts);
}

/* Estimators. */

static DlhComponent *
load_estimator (Study *s, const char *name, GError **error)
{
    const VarianceOptions *opt = s->opt;
    g_autoptr (GHashTable) settings =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    GError *cause = NULL;
    DlhComponent *made;

    g_hash_table_insert (settings, g_strdup ("weights"), g_strdup (opt->weights));
    g_hash_table_insert (settings, g_strdup ("noise"), g_strdup (opt->noise));
    g_hash_table_insert (settings, g_strdup ("bias"), g_strdup (opt->bias));
    g_hash_table_insert (settings, g_strdup ("sigma"),
                         g_strdup (g_ascii_dtostr (number, sizeof number, opt->sigma)));
    g_hash_table_insert (settings, g_strdup ("rate"),
                         g_strdup (g_ascii_dtostr (number, sizeof number, opt->rate)));
    made = dlh_run_load (s->run, DLH_PERTURB, name, settings, &cause);
    // A value of a plugin's own option is wrong, whatever kind of thing it names.
    if (!made && g_error_matches (cause, DLH_ERROR, DLH_ERROR_PLUGIN))
        cause->code = DLH_ERROR_OPTION;
    if (!made)
        g_propagate_prefixed_error (error, cause, "estimators: ");
    return made;
}

static DlhComponent *
perturbed_model (Study *s, const char *name, GError **error)
{
    DlhComponent *model = dlh_run_component (s->run, DLH_MODEL);
    g_autoptr (DlhComponent) perturb = load_estimator (s, name, error);
    g_autoptr (DlhComponent) noise = NULL;
    GError *cause = NULL;

    if (!perturb)
        return NULL;
    if (!dlh_noise_named (s->opt->noise) &&
        !(noise = dlh_run_load (s->run, DLH_PERTURB, s->opt->noise, NULL, &cause))) {
        if (g_error_matches (cause, DLH_ERROR, DLH_ERROR_PLUGIN))
            cause->code = DLH_ERROR_OPTION;
        g_propagate_prefixed_error (error, cause, "noise=%s: ", s->opt->noise);
        return NULL;
    }
    return dlh_perturb_model (model, perturb, noise, error);
}

static gboolean
has_stream (const Estimator *e, const char *parameter, const char *what)
{
    g_autofree char *name = g_strdup_printf ("random/perturb/%s/%s", parameter, what);

    return dlh_store_lookup (e->store, name) != NULL;
}

static gboolean
is_perturbed (const Estimator *e, const char *parameter)
{
    return has_stream (e, parameter, "draw") || has_stream (e, parameter, "draws") ||
           has_stream (e, parameter, "outputs");
}

// Parameters of @from in the place of those of @to: what has the same name.
static gboolean
copy_parameters (DlhStore *from, DlhStore *to, GError **error)
{
    for (guint i = 0; i < dlh_store_n_variables (to); i++) {
        DlhVariable *v = dlh_store_get_variable (to, i);
        DlhVariable *source = dlh_store_lookup (from, dlh_variable_name (v));
        const gsize bytes = dlh_tensor_bytes (dlh_variable_tensor (v));

        if (!source || source == v || g_str_has_prefix (dlh_variable_name (v), "random/"))
            continue;
        if (dlh_tensor_bytes (dlh_variable_tensor (source)) != bytes) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                         "'%s' has another size under another estimator", dlh_variable_name (v));
            return FALSE;
        }
        if (bytes)
            memcpy (dlh_tensor_get_data (dlh_variable_tensor (v)),
                    dlh_tensor_get_data (dlh_variable_tensor (source)), bytes);
    }
    return TRUE;
}

// Made once with one example, which makes its variables.
static gboolean
build_once (Study *s, Estimator *e, GError **error)
{
    gint64 counter = 0;
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;
    g_autoptr (GArray) gradients = NULL;

    if (!measure_batch (s, 1, &counter, &x, &y, error))
        return FALSE;
    gradients = dlh_trainer_gradients (e->trainer, x, y, error);
    return gradients != NULL;
}

static Estimator *
estimator_new (Study *s, const char *name, GError **error)
{
    const guint64 seed = dlh_store_get_seed (dlh_run_store (s->run)) + 1 + s->estimators->len;
    const DlhDType dtype = dlh_store_get_dtype (dlh_run_store (s->run));
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    g_autoptr (DlhComponent) optimizer = dlh_component_new_static (&nothing, NULL, error);
    Estimator *e;

    if (!optimizer)
        return NULL;
    e = g_new0 (Estimator, 1);
    e->name = g_strdup (name);
    e->store = dlh_store_new (seed, dtype);
    e->model = perturbed_model (s, name, error);
    e->trainer =
        e->model ? dlh_trainer_new (e->store, e->model, optimizer, &s->problem, &training, error)
                 : NULL;
    if (e->trainer && build_once (s, e, error))
        return e;
    estimator_free (e);
    return NULL;
}

// The first parameter that one perturbs and the other leaves alone.
static const char *
differs (const Estimator *a, const Estimator *b)
{
    for (guint i = 0; i < dlh_store_n_variables (a->store); i++) {
        DlhVariable *v = dlh_store_get_variable (a->store, i);
        const char *name = dlh_variable_name (v);

        if (dlh_variable_is_trainable (v) && is_perturbed (a, name) != is_perturbed (b, name))
            return name;
    }
    return NULL;
}

static gboolean
add_estimator (Study *s, const char *name, GError **error)
{
    GError *cause = NULL;
    Estimator *e = estimator_new (s, name, &cause);
    const char *apart = e && s->estimators->len ? differs (s->estimators->pdata[0], e) : NULL;

    if (e && !apart) {
        g_ptr_array_add (s->estimators, e);
        return TRUE;
    }
    if (apart)
        dlh_run_message (s->run, "%s is left out: it %s '%s', unlike %s", name,
                         is_perturbed (e, apart) ? "perturbs" : "does not perturb", apart,
                         ((Estimator *)s->estimators->pdata[0])->name);
    estimator_free (e ? e : g_new0 (Estimator, 1));
    if (!cause)
        return TRUE;
    // Under the first estimator the model has been built: this one is not defined here.
    if (!s->estimators->len || !strstr (cause->message, "nothing that can be perturbed")) {
        g_propagate_error (error, cause);
        return FALSE;
    }
    dlh_run_message (s->run, "%s is left out: %s", name, cause->message);
    g_error_free (cause);
    return TRUE;
}

static gboolean
add_estimators (Study *s, GError **error)
{
    g_auto (GStrv) names = g_strsplit (s->opt->estimators, "|", -1);

    if (!names[0]) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "estimators= names none: give plugins of kind perturb, such as "
                     "flipout|shared");
        return FALSE;
    }
    for (guint i = 0; names[i]; i++) {
        for (guint k = 0; k < i; k++)
            if (g_str_equal (g_strstrip (names[i]), names[k])) {
                g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "estimators=%s names '%s' twice",
                             s->opt->estimators, names[i]);
                return FALSE;
            }
        if (!add_estimator (s, g_strstrip (names[i]), error))
            return FALSE;
    }
    return TRUE;
}

/* Layers. */

static gboolean
matches (const char *patterns, const char *name)
{
    g_auto (GStrv) parts = g_strsplit (patterns, "|", -1);

    for (guint i = 0; parts[i]; i++)
        if (g_pattern_match_simple (g_strstrip (parts[i]), name))
            return TRUE;
    return FALSE;
}

static void
add_layer (Study *s, const DlhVariable *v)
{
    const gint64 count = dlh_shape_count (dlh_variable_shape (v));
    Layer *l = g_new0 (Layer, 1);

    l->name = g_strdup (dlh_variable_name (v));
    l->n_picks = (gsize)MIN (count, s->opt->elements);
    l->first = s->n_picks;
    l->picks = g_new (gint64, l->n_picks);
    for (gsize i = 0; i < l->n_picks; i++) // spread over the parameter
        l->picks[i] = (gint64)(((double)i + 0.5) * (double)count / (double)l->n_picks);
    s->n_picks += l->n_picks;
    g_ptr_array_add (s->layers, l);
}

static gboolean
add_layers (Study *s, GError **error)
{
    const Estimator *e = s->estimators->pdata[0];
    g_autoptr (GString) names = g_string_new (NULL);

    for (guint i = 0; i < dlh_store_n_variables (e->store); i++) {
        DlhVariable *v = dlh_store_get_variable (e->store, i);

        if (!dlh_variable_is_trainable (v) || !is_perturbed (e, dlh_variable_name (v)) ||
            dlh_variable_shape (v).rank < 2)
            continue;
        g_string_append_printf (names, "%s%s", names->len ? ", " : "", dlh_variable_name (v));
        if (matches (s->opt->layers, dlh_variable_name (v)))
            add_layer (s, v);
    }
    if (s->layers->len)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "layers=%s names no perturbed weight: there are %s", s->opt->layers, names->str);
    return FALSE;
}

// How many examples a pass of each estimator may have.
static void
size_passes (Study *s)
{
    for (guint i = 0; i < s->estimators->len; i++) {
        Estimator *e = s->estimators->pdata[i];
        gint64 elements = 0;

        for (guint k = 0; k < dlh_store_n_variables (e->store); k++) {
            const DlhVariable *v = dlh_store_get_variable (e->store, k);

            if (dlh_variable_is_trainable (v) && dlh_variable_shape (v).rank > 1 &&
                has_stream (e, dlh_variable_name (v), "draws"))
                elements += dlh_shape_count (dlh_variable_shape (v));
        }
        e->each = elements > 0;
        e->pass = s->opt->pass;
        if (e->each)
            e->pass = CLAMP (PARAMETERS_OF_A_PASS / elements, 1, s->opt->pass);
    }
}

static gboolean
check_run (Study *s, GError **error)
{
    DlhComponent *model = dlh_run_require (s->run, DLH_MODEL, error);

    if (!model)
        return FALSE;
    if (dlh_run_component (s->run, DLH_PERTURB)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "gradient-variance: --perturb would be on top of the estimators that are "
                     "compared: give --task.estimators=%s instead",
                     dlh_component_name (dlh_run_component (s->run, DLH_PERTURB)));
        return FALSE;
    }
    if (!((const DlhModel *)dlh_component_interface (model))->supervised) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "gradient-variance: model '%s' does not offer the supervised role: give one "
                     "that is trained, such as mlp",
                     dlh_component_name (model));
        return FALSE;
    }
    for (gsize i = 0; i < s->opt->train.n; i++)
        if (s->opt->train.values[i] > 0 && !dlh_run_require (s->run, DLH_OPTIMIZER, error))
            return FALSE;
    return (s->data = dlh_run_data (s->run, error)) != NULL;
}

gboolean
study_open (Study *s, GError **error)
{
    gsize cells;

    s->estimators = g_ptr_array_new_with_free_func (estimator_free);
    s->layers = g_ptr_array_new_with_free_func (layer_free);
    if (!check_run (s, error))
        return FALSE;
    if (dlh_data_count (s->data, DLH_SPLIT_TRAIN) == 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "gradient-variance: the data set has no training examples");
        return FALSE;
    }
    s->problem = dlh_problem_of (s->data);
    if (!add_estimators (s, error) || !add_layers (s, error))
        return FALSE;
    size_passes (s);
    cells = (gsize)s->estimators->len * s->layers->len * (gsize)s->opt->repeats;
    s->variances = g_new0 (double, cells * s->opt->batches.n);
    s->parts = g_new0 (Parts, cells);
    return study_train (s, 0, error);
}

/* Training. */

gboolean
study_train (Study *s, gint64 steps, GError **error)
{
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhStore *store = dlh_run_store (s->run);
    g_autoptr (DlhComponent) still = dlh_component_new_static (&nothing, NULL, error);
    DlhComponent *optimizer = dlh_run_component (s->run, DLH_OPTIMIZER);
    Estimator first = *(Estimator *)s->estimators->pdata[0];
    g_autoptr (DlhTrainer) trainer = NULL;

    if (!still)
        return FALSE;
    trainer = dlh_trainer_new (store, first.model, optimizer ? optimizer : still, &s->problem,
                               &training, error);
    first.trainer = trainer;
    if (!trainer || !build_once (s, &first, error))
        return FALSE;
    for (; s->trained < steps; s->trained++) {
        gint64 counter = G_MAXINT32 + s->trained;
        g_autoptr (DlhTensor) x = NULL;
        g_autoptr (DlhTensor) y = NULL;

        if (!measure_batch (s, s->opt->batch, &counter, &x, &y, error) ||
            !dlh_trainer_step (trainer, x, y, error))
            return FALSE;
    }
    for (guint i = 0; i < s->estimators->len; i++)
        if (!copy_parameters (store, ((Estimator *)s->estimators->pdata[i])->store, error))
            return FALSE;
    return TRUE;
}
