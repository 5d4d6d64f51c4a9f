/* SPDX-License-Identifier: MIT */
/* `dlhost reproduce`: a paper's experiments from nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "execute.h"
#include "report/figure.h"
#include "reproduce/find.h"
#include "reproduce/reproduce.h"

static const Flag reproduce_flags[] = {
    {"scale", "smoke|full", "how much: smoke takes minutes (default: full)"},
    {"only", "EXPERIMENT", "this experiment of the recipe; may be given again", TRUE},
    {"out", "DIR", "where runs and results go (default: reproduce/METHOD-SCALE)"},
    {"jobs", "N", "runs at once (default: one for each core)"},
    {"threads", "N", "threads of each run (default: 1)"},
    {"data", "DIR", "where data sets are, {data} in the recipe (default: what it says)"},
    {"plan", NULL, "check the recipe and all of its options, say what would run, and run nothing"},
    {"tabulate", NULL, "run nothing: tables and figures of what is done already"},
    {"quiet", NULL, "no progress, only errors"},
    {NULL},
};

static int
list_recipes (const Invocation *inv)
{
    g_autoptr (GPtrArray) names = recipe_names (&inv->config);

    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = recipe_find (names->pdata[i], &inv->config, NULL);
        g_autoptr (GError) cause = NULL;
        g_autoptr (Recipe) recipe = recipe_read (path, NULL, NULL, NULL, &cause);

        printf ("%s: %s\n", (char *)names->pdata[i], recipe ? recipe->title : cause->message);
        for (guint k = 0; recipe && k < recipe->experiments->len; k++) {
            const RecipeExperiment *e = recipe->experiments->pdata[k];

            printf ("  %s: %s\n", e->name, e->title);
        }
    }
    if (!names->len)
        printf ("no recipes\n");
    return EXIT_SUCCESS;
}

static gboolean
is_wanted (const Invocation *inv, const RecipeExperiment *e)
{
    GPtrArray *only = invocation_flag_values (inv, "only");

    return !only || g_ptr_array_find_with_equal_func (only, e->name, g_str_equal, NULL);
}

static gboolean
check_only (const Invocation *inv, const Recipe *recipe, GError **error)
{
    GPtrArray *only = invocation_flag_values (inv, "only");
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    g_autofree char *all = NULL;

    for (guint i = 0; i < recipe->experiments->len; i++)
        g_ptr_array_add (names, ((RecipeExperiment *)recipe->experiments->pdata[i])->name);
    for (guint i = 0; only && i < only->len; i++) {
        if (g_ptr_array_find_with_equal_func (names, only->pdata[i], g_str_equal, NULL))
            continue;
        g_ptr_array_add (names, NULL);
        all = g_strjoinv (", ", (char **)names->pdata);
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--only: '%s' is none of %s's, which are %s", (char *)only->pdata[i],
                     recipe->path, all);
        return FALSE;
    }
    return TRUE;
}

// A directory that no option has would be taken for one that is used.
static gboolean
check_data_option (const Invocation *inv, const Recipe *recipe, GError **error)
{
    gboolean used = !invocation_flag (inv, "data");

    for (guint i = 0; i < recipe->experiments->len && !used; i++) {
        const RecipeExperiment *e = recipe->experiments->pdata[i];

        used = e->uses_data && is_wanted (inv, e);
    }
    if (!used)
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--data: nothing would use it: no option of %s%s has {data}; leave it out",
                     recipe->path, invocation_flag (inv, "only") ? "'s chosen experiments" : "");
    return used;
}

// Missing data would make every run fail alike.
static gboolean
check_all_data (const Invocation *inv, const Recipe *recipe, const ReproduceOptions *options,
                GError **error)
{
    g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < recipe->experiments->len; i++) {
        const RecipeExperiment *e = recipe->experiments->pdata[i];

        if (is_wanted (inv, e) && !reproduce_check_data (e, options, seen, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_options (Invocation *inv, ReproduceOptions *options, GError **error)
{
    gint64 cores = g_get_num_processors ();

    if (!invocation_flag_count (inv, "threads", 1, 4096, 1, &options->threads, error) ||
        !invocation_flag_count (inv, "jobs", 1, 4096, MAX (1, cores / options->threads),
                                &options->jobs, error))
        return FALSE;
    options->plugin_path = inv->config.plugin_path;
    options->quiet = invocation_flag (inv, "quiet") != NULL;
    options->tabulate = invocation_flag (inv, "tabulate") != NULL;
    options->registry = invocation_registry (inv);
    return TRUE;
}

/* Results. */

static gboolean
has_runs (const Outcome *o)
{
    for (guint i = 0; i < o->arms->len; i++)
        if (((const ArmOutcome *)o->arms->pdata[i])->runs->len)
            return TRUE;
    return FALSE;
}

static gboolean
add_results (const Outcome *o, const ReproduceOptions *options, GString *page, GError **error)
{
    g_autoptr (GPtrArray) figures = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (Table) table = reproduce_table (o), tuning = reproduce_tuning (o);
    g_autofree char *shown = table_to_text (table), *chosen = table_to_text (tuning);
    g_autofree char *section = NULL;

    if (has_runs (o) && figures_can_draw (NULL) &&
        !reproduce_figures (o, options->dir, figures, error))
        return FALSE;
    section = reproduce_markdown (o, figures);
    g_string_append_printf (page, "\n%s", section);
    if (!options->quiet)
        printf ("\n%s\n\n%s\n%s\n", o->experiment->title, shown, chosen);
    return TRUE;
}

static char *
page_head (const Invocation *inv, const Recipe *recipe, const char *scale)
{
    return g_strdup_printf ("# %s\n\n%s%s`dlhost reproduce %s --scale=%s`, dlhost %s\n",
                            recipe->title, recipe->paper ? recipe->paper : "",
                            recipe->paper ? "\n\n" : "", (char *)inv->operands->pdata[0], scale,
                            DLH_VERSION);
}

// The page is written after each experiment: what is there survives a later one's trouble.
static int
run_all (Invocation *inv, const Recipe *recipe, const char *scale, const ReproduceOptions *options,
         GError **error)
{
    g_autofree char *head = page_head (inv, recipe, scale);
    g_autofree char *path = g_build_filename (options->dir, "results.md", NULL);
    g_autoptr (GString) page = g_string_new (head);
    int worst = EXIT_SUCCESS;

    // Sweeps make their folders in it, and would each say why they cannot.
    if (g_mkdir_with_parents (options->dir, 0777) != 0 ||
        g_access (options->dir, W_OK | X_OK) != 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot write into the folder: %s",
                     options->dir, g_strerror (errno));
        return -1;
    }
    for (guint i = 0; i < recipe->experiments->len; i++) {
        const RecipeExperiment *e = recipe->experiments->pdata[i];
        Outcome *o;
        gboolean ok;
        int code;

        if (!is_wanted (inv, e))
            continue;
        if (!(o = reproduce_run (e, options, &code, error)))
            return code;
        worst = MAX (worst, code);
        ok = add_results (o, options, page, error) &&
             dlh_file_write (path, page->str, page->len, error);
        outcome_free (o);
        if (!ok)
            return -1;
    }
    if (!options->quiet)
        printf ("results: %s\n", path);
    if (options->tabulate)
        return EXIT_SUCCESS;
    if (worst != EXIT_SUCCESS)
        fprintf (stderr, "dlhost: some runs failed; their logs are in the folders logs/ under %s\n",
                 options->dir);
    return worst;
}

static void
print_plan (const RecipeExperiment *e)
{
    guint tuning = 0, last = e->arms->len * (guint)e->final.seeds, after = 0;

    for (guint i = 0; i < e->arms->len; i++) {
        const RecipeArm *arm = e->arms->pdata[i];

        tuning += arm->grid->len ? recipe_arm_budget (e, arm) * (guint)e->tune.seeds : 0;
        after += arm->then->len * (guint)e->final.seeds;
    }
    printf ("%s: %u arms, %u runs that tune, %u with what they chose", e->name, e->arms->len,
            tuning, last);
    if (after)
        printf (", %u that evaluate those", after);
    putchar ('\n');
}

static char *
default_folder (const char *operand, const char *scale)
{
    g_autofree char *base = g_path_get_basename (operand);
    g_autofree char *leaf = NULL;

    if (g_str_has_suffix (base, ".json"))
        base[strlen (base) - strlen (".json")] = '\0';
    leaf = g_strdup_printf ("%s-%s", base, scale);
    return g_build_filename ("reproduce", leaf, NULL);
}

static int
reproduce_command (Invocation *inv, GError **error)
{
    const char *scale = invocation_flag (inv, "scale") ? invocation_flag (inv, "scale") : "full";
    const char *out = invocation_flag (inv, "out");
    g_autofree char *path = NULL, *dir = NULL, *whole = NULL;
    g_autoptr (Recipe) recipe = NULL;
    ReproduceOptions options = {0};

    if (!inv->operands->len)
        return list_recipes (inv);
    options.dir = dir = out ? g_strdup (out) : default_folder (inv->operands->pdata[0], scale);
    whole = g_canonicalize_filename (dir, NULL);
    if (!(path = recipe_find (inv->operands->pdata[0], &inv->config, error)) ||
        !(recipe = recipe_read (path, scale, invocation_flag (inv, "data"), whole, error)) ||
        !check_only (inv, recipe, error) || !check_data_option (inv, recipe, error) ||
        !read_options (inv, &options, error))
        return -1;
    for (guint i = 0; i < recipe->experiments->len; i++) {
        const RecipeExperiment *e = recipe->experiments->pdata[i];

        if (is_wanted (inv, e) && !reproduce_check (e, &options, error))
            return -1;
        if (is_wanted (inv, e) && invocation_flag (inv, "plan"))
            print_plan (e);
    }
    if (invocation_flag (inv, "plan"))
        return EXIT_SUCCESS;
    if (!options.tabulate && !check_all_data (inv, recipe, &options, error))
        return -1;
    return run_all (inv, recipe, scale, &options, error);
}

const Command command_reproduce = {
    .name = "reproduce",
    .operands = "[METHOD]",
    .group = GROUP_RUNS,
    .summary = "a paper's experiments from nothing: tuned on equal budgets, tabulated, drawn",
    .details =
        "METHOD names a recipe, or is a recipe's file; without it the recipes are listed. Every "
        "arm "
        "of an experiment is tuned by a sweep with the same number of settings, then run with what "
        "was chosen over new seeds. Stopped or killed, the same command goes on. The end is "
        "DIR/results.md: tables of means and standard errors, and figures. Recipes are JSON files, "
        "METHOD.json, in a folder reproduce/ beside the plugins, in the user's data directory, or "
        "installed.",
    .examples = "dlhost reproduce kfac --scale=smoke\n"
                "dlhost reproduce ./mine.json --only=autoencoder --data=../data\n",
    .max_operands = 1,
    .flags = reproduce_flags,
    .run = reproduce_command,
};
