/* SPDX-License-Identifier: MIT */
/* The order of the checks, and what depends on the kind of plugin. */
#include <glib/gstdio.h>
#include <stdlib.h>
#include "../execute.h"
#include "check.h"
#include "state.h"

typedef struct {
    void (*check) (Check *c);
    gboolean (*use) (Check *c, GHashTable *settings, GError **error);
} Kind;

static const Kind kinds[] = {
    [DLH_OPTIMIZER] = {check_training, check_use_training},
    [DLH_MODEL] = {check_training, check_use_training},
    [DLH_SAMPLER] = {check_sampling, check_use_sampling},
    [DLH_DATASET] = {check_dataset, check_use_dataset},
    [DLH_ENVIRONMENT] = {check_environment, check_use_environment},
    [DLH_TASK] = {check_task, check_use_task},
};

static const Kind *
kind_of (const Check *c)
{
    guint kind = c->info->manifest->kind;

    return kind < G_N_ELEMENTS (kinds) && kinds[kind].check ? &kinds[kind] : NULL;
}

gboolean
check_use (Check *c, GHashTable *settings, GError **error)
{
    return kind_of (c)->use (c, settings, error);
}

gboolean
check_told (gboolean done, const char *function, GError **error)
{
    if (!done && error && !*error)
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "%s returned FALSE without setting the error, must set it", function);
    return done;
}

DlhComponent *
check_load (Check *c, GHashTable *settings, GError **error)
{
    g_autoptr (GHashTable) all = g_hash_table_new (g_str_hash, g_str_equal);
    GHashTable *from[] = {c->settings, settings};

    for (guint i = 0; i < G_N_ELEMENTS (from); i++) {
        GHashTableIter iter;
        gpointer key, value;

        if (!from[i])
            continue;
        g_hash_table_iter_init (&iter, from[i]);
        while (g_hash_table_iter_next (&iter, &key, &value))
            g_hash_table_insert (all, key, value);
    }
    return dlh_registry_load (c->registry, 0, c->path, all, error);
}

static gboolean
any_failed (const Check *c)
{
    for (guint i = 0; i < c->results->len; i++)
        if (((const CheckResult *)c->results->pdata[i])->status == CHECK_FAIL)
            return TRUE;
    return FALSE;
}

static void
run_kind (Check *c)
{
    const Kind *kind = kind_of (c);
    const char *name = dlh_plugin_kind_name (c->info->manifest->kind);

    if (!kind) {
        g_autofree char *text = g_strdup_printf ("this version of dlhost has no use for a plugin "
                                                 "of kind %s, so only its file is checked",
                                                 name);

        check_add (c, "kind/use", CHECK_SKIP, text);
        return;
    }
    kind->check (c);
    // What does not work as it comes is not tried with other values, nor what is used by none.
    if ((check_status (c, "accepts", "training") != CHECK_SKIP ||
         check_status (c, "accepts", "own-density") == CHECK_OK) &&
        !check_group_failed (c, "accepts") && !check_group_failed (c, "load") &&
        !check_group_failed (c, "run"))
        check_run (c, check_options);
    state_report (c);
}

static void
remove_scratch (const char *path)
{
    GDir *dir = g_dir_open (path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name (dir))) {
        g_autofree char *file = g_build_filename (path, name, NULL);

        g_unlink (file);
    }
    if (dir)
        g_dir_close (dir);
    g_rmdir (path);
}

int
check_plugin (Check *c, GError **error)
{
    gboolean is_plugin;

    c->scratch = g_dir_make_tmp ("dlhost-check-XXXXXX", error);
    if (!c->scratch)
        return -1;
    is_plugin = check_manifest (c);
    if (is_plugin && c->info && check_status (c, "symbols", "resolve") != CHECK_FAIL)
        run_kind (c);
    remove_scratch (c->scratch);
    if (!is_plugin)
        return EXIT_PLUGIN;
    return any_failed (c) ? EXIT_RUN_FAILED : EXIT_SUCCESS;
}
