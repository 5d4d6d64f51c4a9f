/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "checkpoints.h"
#include "execute.h"
#include "progress.h"
#include "runlog.h"
#include "setup.h"
#include "signals.h"

#define MAX_MESSAGE 5000 /* bytes; a path may have 4096 */

typedef struct {
    const Config *config;  /* not owned */
    DlhRegistry *registry; /* not owned */
    DlhStore *store;
    DlhComponent *components[DLH_LAST_KIND + 1];
    RunLog log;
    Progress progress;
    char *config_json;
    GHashTable *origin; /* what goes into a checkpoint beside the variables */
    GHashTable *begun;  /* (nullable): of the checkpoint that the run began from */
    guint keep;         /* checkpoints; 0: all */
} Session;

static void
session_clear (Session *s)
{
    for (guint i = 0; i < G_N_ELEMENTS (s->components); i++)
        dlh_component_unref (s->components[i]);
    dlh_store_unref (s->store);
    run_log_clear (&s->log);
    progress_clear (&s->progress);
    g_free (s->config_json);
    g_clear_pointer (&s->origin, g_hash_table_unref);
    g_clear_pointer (&s->begun, g_hash_table_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Session, session_clear)

// What was typed or read may be long and hold anything; a message is one line all the same.
static void
print_message (const char *message)
{
    g_autofree char *valid = g_utf8_make_valid (message, -1);
    GString *line = g_string_new ("dlhost: ");

    for (const char *p = valid; *p; p = g_utf8_next_char (p)) {
        gunichar c = g_utf8_get_char (p);

        if (line->len > MAX_MESSAGE) {
            g_string_append (line, "...");
            break;
        }
        if (c == '\n')
            g_string_append (line, "\\n");
        else if (g_unichar_iscntrl (c))
            g_string_append_printf (line, "\\x%02x", c);
        else
            g_string_append_unichar (line, c);
    }
    fprintf (stderr, "%s\n", line->str);
    g_string_free (line, TRUE);
}

int
fail (const GError *error)
{
    print_message (error->message);
    if (error->domain != DLH_ERROR)
        return EXIT_RUN_FAILED;
    switch ((DlhErrorCode)error->code) {
    case DLH_ERROR_OPTION:
    case DLH_ERROR_SHAPE:
        return EXIT_USAGE;
    case DLH_ERROR_PLUGIN:
        return EXIT_PLUGIN;
    case DLH_ERROR_DATA:
    case DLH_ERROR_STATE:
        return EXIT_DATA;
    case DLH_ERROR_NUMERIC:
        return EXIT_NUMERIC;
    default:
        return EXIT_RUN_FAILED;
    }
}

/* What a task asks of its host. */

// What the run consists of, for config.json and for checkpoints. In these no place is named: their
// bytes do not depend on where the run is.
static void
describe (Session *s)
{
    g_free (s->config_json);
    g_clear_pointer (&s->origin, g_hash_table_unref);
    s->config_json = config_to_json (s->config, s->components, s->log.dir);
    s->origin = checkpoint_origin (s->components);
    g_hash_table_insert (s->origin, "config", config_to_json (s->config, s->components, NULL));
}

static DlhData *
host_data (gpointer host, GError **error)
{
    Session *s = host;
    const gboolean named = s->components[DLH_DATASET] != NULL;
    g_autoptr (DlhData) data = setup_data (s->config, s->registry, s->components, error);

    if (!data)
        return NULL;
    if (!named) {
        describe (s);
        if (!run_log_set_config (&s->log, s->config_json, error))
            return NULL;
    }
    return g_steal_pointer (&data);
}

static gboolean
host_log (gpointer host, const char *event, gint64 step, const char *const *names,
          const double *values, guint n, GError **error)
{
    Session *s = host;

    if (!run_log_write (&s->log, event, step, names, values, n, error))
        return FALSE;
    if (strcmp (event, "step") == 0)
        progress_values (&s->progress, names, values, n);
    else
        progress_record (&s->progress, event, step, names, values, n, run_log_seconds (&s->log));
    return TRUE;
}

static gboolean
host_log_histogram (gpointer host, gint64 step, const char *name, const DlhTensor *values,
                    GError **error)
{
    return run_log_histogram (&((Session *)host)->log, step, name, values, error);
}

static gboolean
host_log_image (gpointer host, gint64 step, const char *name, const DlhTensor *pictures,
                GError **error)
{
    return run_log_image (&((Session *)host)->log, step, name, pictures, error);
}

static gboolean
host_figure (gpointer host, const DlhFigure *figure, GError **error)
{
    Session *s = host;
    g_autofree char *note = NULL;

    if (!run_log_figure (&s->log, figure, &note, error))
        return FALSE;
    if (note)
        progress_line (&s->progress, note);
    return TRUE;
}

static DlhComponent *
host_load (gpointer host, DlhPluginKind kind, const char *name, GHashTable *settings,
           GError **error)
{
    return dlh_registry_load (((Session *)host)->registry, kind, name, settings, error);
}

static void
host_progress (gpointer host, gint64 done, gint64 total, double examples)
{
    progress_step (&((Session *)host)->progress, done, total, examples);
}

static void
host_message (gpointer host, const char *text)
{
    progress_line (&((Session *)host)->progress, text);
}

// The records that led to a checkpoint are on disk before it is.
static gboolean
host_checkpoint (gpointer host, gint64 step, GError **error)
{
    Session *s = host;

    return run_log_sync (&s->log, error) &&
           checkpoint_write (s->log.dir, s->store, step, s->keep, s->origin, error);
}

static gboolean
host_checkpoint_best (gpointer host, gint64 step, GError **error)
{
    Session *s = host;

    return checkpoint_write_best (s->log.dir, s->store, step, s->origin, error);
}

static void
host_keep_checkpoints (gpointer host, guint n)
{
    ((Session *)host)->keep = n;
}

static gboolean
host_should_stop (gpointer host)
{
    (void)host;
    return signals_seen () != 0;
}

static const char *
host_folder (gpointer host)
{
    return ((Session *)host)->log.dir;
}

static const DlhHost host_functions = {
    .size = sizeof (DlhHost),
    .data = host_data,
    .log = host_log,
    .progress = host_progress,
    .message = host_message,
    .checkpoint = host_checkpoint,
    .should_stop = host_should_stop,
    .keep_checkpoints = host_keep_checkpoints,
    .checkpoint_best = host_checkpoint_best,
    .log_histogram = host_log_histogram,
    .log_image = host_log_image,
    .folder = host_folder,
    .figure = host_figure,
    .load = host_load,
};

/* From configuration to a run. */

static char *
folder_hint (Session *s)
{
    DlhComponent *model = s->components[DLH_MODEL], *optimizer = s->components[DLH_OPTIMIZER];

    return g_strdup_printf ("%s%s%s", model ? dlh_component_name (model) : "run",
                            optimizer ? "-" : "", optimizer ? dlh_component_name (optimizer) : "");
}

static gboolean
go_on (Session *s, const char *dir, GError **error)
{
    g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GHashTable) metadata = NULL;
    g_autofree char *difference = NULL;
    gint64 step;

    if (!run_log_lock (&s->log, dir, error) ||
        !checkpoint_load_latest (dir, s->store, &step, &metadata, notes, error))
        return FALSE;
    describe (s);
    checkpoint_remove_leftovers (dir);
    for (guint i = 0; i < notes->len; i++)
        progress_line (&s->progress, notes->pdata[i]);
    if ((difference = checkpoint_plugins_difference (s->origin, metadata)))
        fprintf (stderr, "dlhost: note: %s\n", difference);
    return run_log_reopen (&s->log, step, s->config_json, error);
}

// Bytes depend on the machine: a folder says where it was begun.
static gboolean
note_machine (Session *s, const char *resume, GError **error)
{
    g_autofree char *differences = NULL;

    if (!resume)
        return setup_write_machine (s->log.dir, error);
    if ((differences = setup_compare_machine (resume)))
        fprintf (stderr, "dlhost: note: the run began otherwise, so its bytes may differ: %s\n",
                 differences);
    return TRUE;
}

// Parameters are named after their model: another's are not to be found.
static gboolean
check_model (Session *s, const char *path, GHashTable *metadata, GError **error)
{
    DlhComponent *model = s->components[DLH_MODEL];
    g_autofree char *of = checkpoint_model (metadata);

    if (!model || !of || strcmp (of, dlh_component_name (model)) == 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                 "%s: it is a checkpoint of model '%s', and this run's is '%s': give --model=%s "
                 "with the options of its run, or another file",
                 path, of, dlh_component_name (model), of);
    return FALSE;
}

// A file's checkpoint may have gone since.
static gboolean
load_checkpoint (Session *s, GError **error)
{
    const char *path = s->config->checkpoint, *file = s->config->named_by;

    if (path && file && !g_file_test (path, G_FILE_TEST_EXISTS)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: the checkpoint that it begins from, %s, is not there: give "
                     "--checkpoint=FILE",
                     file, path);
        return FALSE;
    }
    return !path || (dlh_store_load (s->store, path, &s->begun, error) &&
                     check_model (s, path, s->begun, error));
}

static gboolean
start (Session *s, const Config *config, DlhRegistry *registry, const char *resume, GError **error)
{
    g_autofree char *hint = NULL;

    if (!setup_components (config, registry, s->components, error))
        return FALSE;
    dlh_set_threads ((guint)config->threads);
    s->config = config;
    s->registry = registry;
    s->store = dlh_store_new (config->seed, config->dtype);
    if (resume)
        return go_on (s, resume, error) && note_machine (s, resume, error);
    hint = folder_hint (s);
    if (!load_checkpoint (s, error) || !run_log_create (&s->log, config->out, hint, error))
        return FALSE;
    describe (s);
    return run_log_begin (&s->log, s->config_json, error) && note_machine (s, NULL, error);
}

// What was wrong with what was asked for is not a run: nothing of it stays.
static gboolean
is_refusal (const GError *error)
{
    static const DlhErrorCode codes[] = {DLH_ERROR_OPTION, DLH_ERROR_SHAPE, DLH_ERROR_PLUGIN,
                                         DLH_ERROR_DATA, DLH_ERROR_STATE};

    for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
        if (g_error_matches (error, DLH_ERROR, (int)codes[i]))
            return TRUE;
    return FALSE;
}

// Parameters that do not fit are those of other options: the file says which.
static void
explain_state (Session *s, GError **error)
{
    g_autofree char *difference =
        s->begun ? checkpoint_options_difference (s->origin, s->begun) : NULL;

    if (difference && g_error_matches (*error, DLH_ERROR, DLH_ERROR_STATE)) {
        g_autoptr (GError) cause = g_steal_pointer (error);

        g_set_error (error, cause->domain, cause->code, "%s; %s: %s", cause->message,
                     s->config->checkpoint, difference);
    }
}

int
execute (const Config *config, DlhRegistry *registry, const char *resume)
{
    g_auto (Session) s = {0};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhRun) run = NULL;

    signals_claim_streams ();
    progress_init (&s.progress, config->quiet);
    if (!start (&s, config, registry, resume, &error))
        return fail (error);
    signals_catch (config->quiet);
    run = dlh_run_new (&host_functions, &s, s.store);
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++)
        if (s.components[kind])
            dlh_run_set_component (run, s.components[kind]);
    if (dlh_run_execute (run, &error)) {
        g_autofree char *text = g_strdup_printf ("run folder: %s", s.log.dir);

        progress_line (&s.progress, text);
        return EXIT_SUCCESS;
    }
    progress_clear (&s.progress);
    if (g_error_matches (error, DLH_ERROR, DLH_ERROR_CANCELLED)) {
        gint64 step;
        g_autofree char *latest = checkpoint_latest (s.log.dir, &step, NULL);

        if (latest)
            fprintf (stderr, "dlhost: %s; go on with: dlhost resume %s\n", error->message,
                     s.log.dir);
        else
            fprintf (stderr, "dlhost: %s\n", error->message);
        return 128 + (signals_seen () ? signals_seen () : SIGINT);
    }
    if (is_refusal (error))
        run_log_discard (&s.log);
    explain_state (&s, &error);
    return fail (error);
}
