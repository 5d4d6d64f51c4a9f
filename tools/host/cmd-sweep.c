/* SPDX-License-Identifier: MIT */
/* `dlhost sweep`: runs over settings and seeds, resumed and tabulated. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "execute.h"
#include "sweep.h"

#define LOCK_SECONDS 10

static const Flag sweep_flags[] = {
    {"grid", "KEY=[A,B,...]",
     "an axis: optimizer=[sgd,kfac], optimizer.lr=[...], kfac.lr=[...] for that plugin alone, "
     "batch=[...]; may be given again",
     TRUE},
    {"random", "N", "draw N configurations of each choice of plugins; axes may be lr=1e-4..1e-1"},
    {"seeds", "N", "runs of each configuration, with seeds from --seed on (default: 1)"},
    {"after", "DIR",
     "a finished sweep of one configuration: each run starts with the last checkpoint of its run "
     "of the same seed"},
    {"jobs", "N", "runs at once (default: as many as there are cores for)"},
    {"by", "METRIC", "what ranks the table (default: valid/loss, then test/loss)"},
    {"brief", NULL, "progress, but no tables: they are in the files"},
    {"retry", NULL, "take up failed runs again"},
    {NULL},
};

/* The arguments that a sweep consists of, in a fixed order. */

static int
by_text (gconstpointer a, gconstpointer b)
{
    return strcmp (a, b);
}

static void
add_settings (GPtrArray *out, const char *kind, GHashTable *settings)
{
    g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (settings), by_text);

    for (GList *l = keys; l; l = l->next)
        g_ptr_array_add (out, g_strdup_printf ("--%s.%s=%s", kind, (char *)l->data,
                                               (char *)g_hash_table_lookup (settings, l->data)));
}

static gboolean
has_dtype_axis (GPtrArray *grid)
{
    for (guint i = 0; grid && i < grid->len; i++)
        if (g_str_has_prefix (grid->pdata[i], "dtype="))
            return TRUE;
    return FALSE;
}

static GPtrArray *
collect_arguments (Invocation *inv, gint64 threads)
{
    GPtrArray *out = g_ptr_array_new_with_free_func (g_free);
    GPtrArray *grid = invocation_flag_values (inv, "grid");
    const Config *c = &inv->config;

    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++) {
        const char *name = dlh_plugin_kind_name (kind);

        if (c->parts[kind].name)
            g_ptr_array_add (out, g_strdup_printf ("--%s=%s", name, c->parts[kind].name));
        add_settings (out, name, c->parts[kind].settings);
    }
    if (!has_dtype_axis (grid) || g_hash_table_contains (inv->given, "dtype"))
        g_ptr_array_add (out, g_strdup_printf ("--dtype=%s", dlh_dtype_name (c->dtype)));
    if (c->checkpoint)
        g_ptr_array_add (out, g_strdup_printf ("--checkpoint=%s", c->checkpoint));
    g_ptr_array_add (out, g_strdup_printf ("--threads=%" G_GINT64_FORMAT, threads));
    g_ptr_array_add (out, g_strdup_printf ("--seed=%" G_GUINT64_FORMAT, c->seed));
    for (guint i = 0; grid && i < grid->len; i++)
        g_ptr_array_add (out, g_strdup_printf ("--grid=%s", (char *)grid->pdata[i]));
    if (invocation_flag (inv, "random"))
        g_ptr_array_add (out, g_strdup_printf ("--random=%s", invocation_flag (inv, "random")));
    if (invocation_flag (inv, "after"))
        g_ptr_array_add (out, g_strdup_printf ("--after=%s", invocation_flag (inv, "after")));
    g_ptr_array_add (out, g_strdup_printf ("--seeds=%s", invocation_flag (inv, "seeds")
                                                             ? invocation_flag (inv, "seeds")
                                                             : "1"));
    return out;
}

static gboolean
has_text (GPtrArray *list, const char *text)
{
    return g_ptr_array_find_with_equal_func (list, text, g_str_equal, NULL);
}

// What the folder's sweep has and this one has not, and the other way round.
static gboolean
check_same (const char *dir, GPtrArray *stored, GPtrArray *given, GError **error)
{
    g_autoptr (GString) was = g_string_new (NULL), is = g_string_new (NULL);

    for (guint i = 0; i < stored->len; i++)
        if (!has_text (given, stored->pdata[i]))
            g_string_append_printf (was, " %s", (char *)stored->pdata[i]);
    for (guint i = 0; i < given->len; i++)
        if (!has_text (stored, given->pdata[i]))
            g_string_append_printf (is, " %s", (char *)given->pdata[i]);
    if (!was->len && !is->len)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "%s holds another sweep: it has%s, this one%s; give another --out, or go on with "
                 "`dlhost sweep %s`",
                 dir, was->len ? was->str : " nothing else", is->len ? is->str : " nothing else",
                 dir);
    return FALSE;
}

/* Options of the command line, completed from --config and the defaults, but for what is varied. */

#define VARIED "varied by --grid"

static gboolean
is_of_plugin (const Part *part, const char *name)
{
    g_autofree char *base = part->name ? g_path_get_basename (part->name) : NULL;

    if (base && g_str_has_suffix (base, ".so"))
        base[strlen (base) - 3] = '\0';
    return g_strcmp0 (base, name) == 0;
}

// What the command line itself gives stays: that it is varied as well is found and refused.
static gboolean
complete (Invocation *inv, GError **error)
{
    GPtrArray *grid = invocation_flag_values (inv, "grid");
    g_autoptr (GPtrArray) axes = g_ptr_array_new_with_free_func (sweep_axis_free);
    g_autoptr (GHashTable) own = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    Part *parts = inv->config.parts;

    for (guint i = 0; grid && i < grid->len; i++) {
        SweepAxis *axis = sweep_axis_parse (grid->pdata[i], error);
        DlhPluginKind kind;

        if (!axis)
            return FALSE;
        g_ptr_array_add (axes, axis);
        kind = axis->of_kind ? dlh_plugin_kind_from_name (axis->key) : 0;
        // A name that no file has: its parameters are not those of the plugins that are varied.
        if (kind && !parts[kind].name)
            parts[kind].name = g_strdup (VARIED);
        for (kind = 1; kind <= DLH_LAST_KIND; kind++)
            if (axis->option && g_hash_table_contains (parts[kind].settings, axis->option))
                g_hash_table_add (own, g_strdup_printf ("%d.%s", kind, axis->option));
    }
    if (!invocation_complete (inv, inv->config_file, error))
        return FALSE;
    for (guint i = 0; i < axes->len; i++) {
        const SweepAxis *axis = axes->pdata[i];

        for (DlhPluginKind kind = 1; kind <= DLH_LAST_KIND; kind++) {
            g_autofree char *key = g_strdup_printf ("%d.%s", kind, axis->option);

            if (g_strcmp0 (parts[kind].name, VARIED) == 0)
                g_clear_pointer (&parts[kind].name, g_free);
            if (axis->option && !g_hash_table_contains (own, key) &&
                (kind == dlh_plugin_kind_from_name (axis->owner) ||
                 is_of_plugin (&parts[kind], axis->owner)))
                g_hash_table_remove (parts[kind].settings, axis->option);
        }
    }
    return TRUE;
}

/* Threads and jobs. */

static gboolean
share_cores (Invocation *inv, gint64 *jobs, gint64 *threads, GError **error)
{
    gint64 cores = g_get_num_processors ();

    if (!invocation_flag_count (inv, "jobs", 1, 4096, 0, jobs, error))
        return FALSE;
    *threads = g_hash_table_contains (inv->given, "threads") ? inv->config.threads : 0;
    // Of each run: what is given, else the cores divided among the jobs.
    if (!*threads)
        *threads = *jobs ? MAX (1, cores / *jobs) : 1;
    if (!*jobs)
        *jobs = MAX (1, cores / *threads);
    return TRUE;
}

static void
limit_jobs (gint64 *jobs, gint64 threads, gboolean quiet)
{
    gint64 most = MAX (1, (gint64)g_get_num_processors () / threads);

    if (*jobs > most && !quiet)
        printf ("%" G_GINT64_FORMAT " jobs of %" G_GINT64_FORMAT " threads would need more than "
                "the %u cores: %" G_GINT64_FORMAT " at once\n",
                *jobs, threads, g_get_num_processors (), most);
    *jobs = MIN (*jobs, most);
}

/* The folder. */

// Held until this process and its children have ended: a folder has one sweep at a time.
static gboolean
lock (const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename (dir, "sweep.lock", NULL);
    int fd = open (path, O_RDWR | O_CREAT, 0666); // children inherit it

    for (guint i = 0; fd >= 0 && i < LOCK_SECONDS * 20; i++) {
        if (flock (fd, LOCK_EX | LOCK_NB) == 0)
            return TRUE;
        // Runs of a sweep that was killed are saving.
        g_usleep (50000);
    }
    if (fd < 0)
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot be opened: %s", path,
                     g_strerror (errno));
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                     "%s: another sweep is at work in this folder: wait for its end", dir);
    if (fd >= 0)
        close (fd);
    return FALSE;
}

static gboolean
make_folder (Sweep *sweep, GError **error)
{
    g_autofree char *logs = g_build_filename (sweep->dir, "logs", NULL);

    if (g_mkdir_with_parents (logs, 0777) == 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot make the folder: %s", logs,
                 g_strerror (errno));
    return FALSE;
}

static gboolean
is_described (const Invocation *inv)
{
    GHashTableIter iter;
    gpointer key;

    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++)
        if (g_hash_table_size (inv->config.parts[kind].settings))
            return TRUE;
    g_hash_table_iter_init (&iter, inv->given);
    while (g_hash_table_iter_next (&iter, &key, NULL))
        if (strcmp (key, "quiet") != 0 && strcmp (key, "plugin-path") != 0)
            return TRUE;
    return invocation_flag (inv, "grid") || invocation_flag (inv, "seeds") ||
           invocation_flag (inv, "random") || invocation_flag (inv, "after");
}

// Which sweep: the folder's own, or the one that the command line describes.
static gboolean
find_arguments (Sweep *sweep, Invocation *inv, gint64 threads, GError **error)
{
    g_autofree char *file = NULL;
    g_autoptr (GPtrArray) stored = NULL;
    gboolean described = is_described (inv);

    if (inv->operands->len && (described || inv->config.out))
        return usage_error (error,
                            "sweep DIR goes on with what the folder has: it takes no --grid, "
                            "--out or option of a run") == 0;
    sweep->dir = g_strdup (inv->operands->len ? inv->operands->pdata[0] : inv->config.out);
    if (!sweep->dir)
        return usage_error (error, "sweep needs a folder: --out=DIR") == 0;
    file = g_build_filename (sweep->dir, "sweep.json", NULL);
    if ((inv->operands->len || g_file_test (file, G_FILE_TEST_EXISTS)) &&
        !(stored = sweep_read_arguments (sweep->dir, error)))
        return FALSE;
    if (inv->operands->len) {
        sweep->arguments = g_steal_pointer (&stored);
        return TRUE;
    }
    if (!complete (inv, error))
        return FALSE;
    if (inv->config.checkpoint && invocation_flag (inv, "after"))
        return usage_error (error, "--after: its runs say what these start with; leave "
                                   "--checkpoint out") == 0;
    sweep->arguments = collect_arguments (inv, threads);
    // Unless it is given, how many threads a run has is the folder's affair.
    for (guint i = 0; stored && i < stored->len; i++)
        if (g_str_has_prefix (stored->pdata[i], "--threads=") &&
            !g_hash_table_contains (inv->given, "threads"))
            for (guint k = 0; k < sweep->arguments->len; k++)
                if (g_str_has_prefix (sweep->arguments->pdata[k], "--threads=")) {
                    g_free (sweep->arguments->pdata[k]);
                    sweep->arguments->pdata[k] = g_strdup (stored->pdata[i]);
                }
    return !stored || check_same (sweep->dir, stored, sweep->arguments, error);
}

// The plan follows from the arguments alone, however they came here.
gboolean
sweep_plan_arguments (Sweep *sweep, GError **error)
{
    g_autoptr (GPtrArray) argv = g_ptr_array_new ();
    g_auto (Invocation) plan = {0};

    g_ptr_array_add (argv, (gpointer) "dlhost");
    g_ptr_array_add (argv, (gpointer) "sweep");
    for (guint i = 0; i < sweep->arguments->len; i++)
        g_ptr_array_add (argv, sweep->arguments->pdata[i]);
    if (!command_line_parse (&plan, (int)argv->len, (char *const *)argv->pdata, error))
        return FALSE;
    sweep->threads = MAX (1, plan.config.threads);
    return sweep_plan (sweep, &plan, error);
}

gboolean
sweep_is_own_argument (const char *text)
{
    static const char *const own[] = {"--grid=", "--random=", "--seeds=", "--after="};

    for (guint i = 0; i < G_N_ELEMENTS (own); i++)
        if (g_str_has_prefix (text, own[i]))
            return TRUE;
    return FALSE;
}

// Wrong names and values are found before anything runs.
static gboolean
check_combination (const Sweep *sweep, const Combination *c, DlhRegistry *registry, GError **error)
{
    g_autoptr (GPtrArray) argv = g_ptr_array_new ();
    g_auto (Invocation) run = {0};

    g_ptr_array_add (argv, (gpointer) "dlhost");
    for (guint i = 0; i < sweep->arguments->len; i++)
        if (!sweep_is_own_argument (sweep->arguments->pdata[i]))
            g_ptr_array_add (argv, sweep->arguments->pdata[i]);
    for (guint i = 0; i < c->args->len; i++)
        g_ptr_array_add (argv, c->args->pdata[i]);
    if (!command_line_parse (&run, (int)argv->len, (char *const *)argv->pdata, error))
        return FALSE;
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++) {
        const Part *part = &run.config.parts[kind];
        g_autoptr (DlhComponent) component = NULL;

        if (part->name &&
            !(component = dlh_registry_load (registry, kind, part->name, part->settings, error))) {
            g_prefix_error (error, "%s: ", c->label);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
sweep_check (const Sweep *sweep, DlhRegistry *registry, GError **error)
{
    for (guint i = 0; i < sweep->combinations->len; i++)
        if (!check_combination (sweep, sweep->combinations->pdata[i], registry, error))
            return FALSE;
    return TRUE;
}

static int
finish (Sweep *sweep, const char *by, int ended, gboolean silent, GError **error)
{
    guint counts[RUN_DONE + 1] = {0};

    for (guint i = 0; i < sweep->runs->len; i++)
        counts[((SweepRun *)sweep->runs->pdata[i])->state]++;
    if (ended) {
        fprintf (stderr, "dlhost: stopped with %u of %u runs done; go on with: dlhost sweep %s\n",
                 counts[RUN_DONE], sweep->runs->len, sweep->dir);
        return 128 + ended;
    }
    if (!sweep_report (sweep, by, silent, error))
        return -1;
    if (counts[RUN_FAILED])
        fprintf (stderr, "dlhost: %u of %u runs failed; their logs are in %s/logs%s\n",
                 counts[RUN_FAILED], sweep->runs->len, sweep->dir,
                 counts[RUN_DONE] ? "" : ", and no run succeeded");
    return counts[RUN_DONE] ? EXIT_SUCCESS : EXIT_RUN_FAILED;
}

static int
sweep_run (Invocation *inv, GError **error)
{
    g_auto (Sweep) sweep = {0};
    gint64 jobs, threads;
    int ended;

    if (!share_cores (inv, &jobs, &threads, error) ||
        !find_arguments (&sweep, inv, threads, error) || !sweep_plan_arguments (&sweep, error) ||
        !sweep_check (&sweep, invocation_registry (inv), error) ||
        !sweep_find_starts (&sweep, error))
        return -1;
    sweep.plugin_path = g_strdup (inv->config.plugin_path);
    limit_jobs (&jobs, sweep.threads, inv->config.quiet);
    if (!make_folder (&sweep, error) || !lock (sweep.dir, error) ||
        !sweep_write_arguments (&sweep, error) ||
        !sweep_read_state (&sweep, invocation_flag (inv, "retry") != NULL, error))
        return -1;
    ended = sweep_execute (&sweep, (guint)jobs, inv->config.quiet, error);
    if (ended < 0)
        return -1;
    return finish (&sweep, invocation_flag (inv, "by"), ended,
                   inv->config.quiet || invocation_flag (inv, "brief"), error);
}

const Command command_sweep = {
    .name = "sweep",
    .operands = "[DIR]",
    .group = GROUP_RUNS,
    .summary = "runs over settings and seeds: run, resumed, tabulated with standard errors",
    .details =
        "Runs every combination of the axes with every seed, each in a process and folder of its "
        "own. A run that fails is recorded and stops no other. Ctrl-C lets the runs save; the same "
        "command, or `dlhost sweep DIR`, goes on. At the end: a table by --by, results.csv, "
        "results.json and a report page. --threads are those of each run; without it the cores are "
        "divided among the jobs.",
    .examples = "dlhost sweep --grid=optimizer.lr=[0.01,0.1] --seeds=5 --optimizer=sgd "
                "--model=mlp --out=sweeps/lr\n"
                "dlhost sweep sweeps/lr\n",
    .max_operands = 1,
    .of_run = TRUE,
    .flags = sweep_flags,
    .run = sweep_run,
};
