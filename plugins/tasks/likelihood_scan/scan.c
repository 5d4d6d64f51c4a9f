/* SPDX-License-Identifier: MIT */
/* log p(x) of a latent model over its training, from the checkpoints of a run, or over values of
 * one of its options, such as the variance of a Gaussian decoder: the analyses of arXiv 1611.04273.
 * Each point and split is a run of the task likelihood. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "scan.h"

static void
scan_clear (Scan *s)
{
    g_clear_pointer (&s->files, g_ptr_array_unref);
    g_clear_pointer (&s->points, g_array_unref);
    g_strfreev (s->splits);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Scan, scan_clear)

static gboolean
find_splits (Scan *s, GError **error)
{
    // Of an empty text g_strsplit() makes no part at all, which none is right for.
    s->splits = g_strsplit (*s->opt->splits ? s->opt->splits : ",", ",", -1);
    s->n_splits = g_strv_length (s->splits);
    for (guint i = 0; i < s->n_splits; i++) {
        const char *name = g_strstrip (s->splits[i]);
        gboolean known = strcmp (name, "train") == 0 || strcmp (name, "valid") == 0 ||
                         strcmp (name, "test") == 0;

        for (guint k = 0; k < i; k++)
            known = known && strcmp (name, s->splits[k]) != 0;
        if (known)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "likelihood_scan: 'splits' is '%s', it must be some of train, valid and test, "
                     "each once, with commas",
                     s->opt->splits);
        return FALSE;
    }
    return TRUE;
}

typedef struct {
    gint64 step;
    char *path;
} File;

static int
by_step (gconstpointer a, gconstpointer b)
{
    gint64 i = ((const File *)a)->step, j = ((const File *)b)->step;

    return (i > j) - (i < j);
}

static void
file_clear (gpointer data)
{
    g_free (((File *)data)->path);
}

// checkpoint-<step>.safetensors of a folder.
static GArray *
list_files (const char *folder, GError **error)
{
    GArray *files = g_array_new (FALSE, FALSE, sizeof (File));
    g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
    const char *name;

    g_array_set_clear_func (files, file_clear);
    while (dir && (name = g_dir_read_name (dir))) {
        char *end;
        File f = {.step = -1};

        if (!g_str_has_prefix (name, "checkpoint-"))
            continue;
        name += strlen ("checkpoint-");
        f.step = g_ascii_strtoll (name, &end, 10);
        if (end == name || strcmp (end, ".safetensors") != 0)
            continue;
        f.path = g_strdup_printf ("%s/checkpoint-%s", folder, name);
        g_array_append_val (files, f);
    }
    g_array_sort (files, by_step);
    return files;
}

static void
add_point (Scan *s, const char *file, double x)
{
    g_ptr_array_add (s->files, g_strdup (file));
    g_array_append_val (s->points, x);
}

static gboolean
is_number_option (DlhComponent *model, const char *name)
{
    const DlhOption *table = dlh_component_option_table (model);

    for (guint i = 0; i < dlh_component_manifest (model)->n_options; i++)
        if (strcmp (table[i].name, name) == 0)
            return table[i].type == DLH_OPTION_DOUBLE;
    return FALSE;
}

static gboolean
check_values (Scan *s, GError **error)
{
    if (*s->opt->vary ? s->opt->values.n > 0 && is_number_option (s->model, s->opt->vary)
                      : s->opt->values.n == 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "likelihood_scan: 'vary' is '%s' with %" G_GSIZE_FORMAT
                 " values: it must be an option of model '%s' that is a number, as in "
                 "vary=variance,values=[0.01,0.1]; or leave both out",
                 s->opt->vary, s->opt->values.n, dlh_component_name (s->model));
    return FALSE;
}

static gboolean
find_points (Scan *s, GError **error)
{
    const char *where = s->opt->checkpoints;
    gboolean folder = g_file_test (where, G_FILE_TEST_IS_DIR);
    g_autoptr (GArray) files = folder ? list_files (where, error) : NULL;

    if (!check_values (s, error) || (error && *error))
        return FALSE;
    if (*where == '\0' || (folder && files->len == 0)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "likelihood_scan: 'checkpoints' is '%s': give a run's folder with "
                     "checkpoint-<step>.safetensors in it, or such a file",
                     where);
        return FALSE;
    }
    for (gsize i = 0; i < s->opt->values.n; i++)
        add_point (s, folder ? g_array_index (files, File, files->len - 1).path : where,
                   s->opt->values.values[i]);
    for (guint i = 0; !*s->opt->vary && folder && i < files->len; i++)
        add_point (s, g_array_index (files, File, i).path,
                   (double)g_array_index (files, File, i).step);
    if (!*s->opt->vary && !folder)
        add_point (s, where, 0);
    return TRUE;
}

static gboolean
make_state (Scan *s, GError **error)
{
    DlhStore *store = dlh_run_store (s->run);
    const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0};
    DlhVariable *results =
        dlh_store_variable (store, "likelihood_scan/results", DLH_F64,
                            dlh_shape (s->points->len, s->n_splits, SCAN_N_FIELDS), zeros, error);
    DlhVariable *done = results ? dlh_store_variable (store, "likelihood_scan/done", DLH_I64,
                                                      dlh_shape (), zeros, error)
                                : NULL;

    if (!done)
        return FALSE;
    s->results = dlh_tensor_get_data (dlh_variable_tensor (results));
    s->done = dlh_tensor_get_data (dlh_variable_tensor (done));
    return TRUE;
}

// Run after run; one that is stopped in the middle begins anew.
static gboolean
loop (Scan *s, GError **error)
{
    gint64 total = (gint64)s->points->len * s->n_splits;

    while (*s->done < total) {
        guint p = (guint)(*s->done / s->n_splits), split = (guint)(*s->done % s->n_splits);

        if (!scan_score (s, p, split, error)) {
            if (error && g_error_matches (*error, DLH_ERROR, DLH_ERROR_CANCELLED)) {
                g_clear_error (error);
                if (dlh_run_checkpoint (s->run, *s->done, error))
                    g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                                 "stopped after %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                                 " runs; the one at hand begins anew",
                                 *s->done, total);
                return FALSE;
            }
            g_prefix_error (error, "%s, %s: ", (char *)s->files->pdata[p], s->splits[split]);
            return FALSE;
        }
        ++*s->done;
        if (split + 1 == s->n_splits && !scan_log (s, p, "eval", error))
            return FALSE;
        if (!dlh_run_checkpoint (s->run, *s->done, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
scan_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Scan) s = {.run = run,
                       .opt = options,
                       .files = g_ptr_array_new_with_free_func (g_free),
                       .points = g_array_new (FALSE, FALSE, sizeof (double))};
    g_autoptr (GError) own = NULL;

    s.sampler = dlh_run_require (run, DLH_SAMPLER, error);
    s.model = s.sampler ? dlh_run_require (run, DLH_MODEL, error) : NULL;
    if (!s.model)
        return FALSE;
    if (*s.opt->vary && dlh_run_component (run, DLH_PERTURB)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "likelihood_scan: 'vary' makes the model anew for each value, without the "
                     "--perturb that is given: leave out one of them");
        return FALSE;
    }
    dlh_run_keep_checkpoints (run, 1);
    if (find_splits (&s, &own) && find_points (&s, &own) && make_state (&s, &own) &&
        loop (&s, &own) && scan_conclude (&s, &own))
        return TRUE;
    g_propagate_error (error, g_steal_pointer (&own));
    return FALSE;
}

static const DlhTask scan = {.size = sizeof (DlhTask), .run = scan_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, scan, ScanOptions,
    DLH_OPTIONS (
        DLH_STRING (ScanOptions, checkpoints, "",
                    "A run's folder, all of whose checkpoints are scored (with vary: the last), or "
                    "a file"),
        DLH_STRING (ScanOptions, vary, "", "A number among the model's options, to be varied"),
        DLH_DOUBLES (ScanOptions, values, "[]", -1e300, 1e300, "Its values",
                     .flags = DLH_ALLOW_EMPTY),
        DLH_STRING (ScanOptions, splits, "train,test",
                    "What to score: train, valid, test, with commas; the best value is chosen by "
                    "valid, else by the first"),
        DLH_INT (ScanOptions, examples, 100, 1, 100000000, "First examples of each split",
                 .unit = "examples"),
        DLH_INT (ScanOptions, simulated, 0, 0, 100000000,
                 "Examples simulated from the model, for the gap of the bounds",
                 .unit = "examples"),
        DLH_INT (ScanOptions, chains, 16, 1, 1000000, "Of each example", .unit = "chains"),
        DLH_INT (ScanOptions, batch, 10, 1, 1000000, "Examples at once", .unit = "examples"),
        DLH_AVERAGE_OPTION (ScanOptions),
        DLH_BOOL_OPTION (ScanOptions, encoder, false,
                         "Paths begin at the encoder's q(z | x) instead of the prior"),
        DLH_INT (ScanOptions, kde, 0, 0, 1000000000,
                 "Draws of the prior for an estimate without chains; 0: none", .unit = "draws"),
        DLH_INT (ScanOptions, importance, 0, 0, 1000000000,
                 "Draws of the encoder for an importance-weighted bound; 0: none",
                 .unit = "draws")),
    .name = "likelihood_scan", .version = "1.0", .paper = "1611.04273",
    .summary = "log p(x) of a latent model over its training, or over an option's values");
