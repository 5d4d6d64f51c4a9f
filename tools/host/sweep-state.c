/* SPDX-License-Identifier: MIT */
/* What a sweep remembers: its arguments, and how each run ended. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <json-glib/json-glib.h>
#include "jsonout.h"
#include "jsontext.h"
#include "sweep.h"

#define MAX_FILE_BYTES (64 << 20)

/* sweep.json */

GPtrArray *
sweep_read_arguments (const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename (dir, "sweep.json", NULL);
    g_autoptr (GPtrArray) out = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_FILE_BYTES, error);
    JsonNode *root, *node = NULL;
    const char *text;
    gsize n = 0, at;

    if (!bytes)
        return NULL;
    text = g_bytes_get_data (bytes, &n);
    if (n && !json_text_problem (text, n, &at) &&
        json_parser_load_from_data (parser, text, (gssize)n, NULL) &&
        (root = json_parser_get_root (parser)) && JSON_NODE_HOLDS_OBJECT (root))
        node = json_object_get_member (json_node_get_object (root), "arguments");
    for (guint i = 0; node && JSON_NODE_HOLDS_ARRAY (node) &&
                      i < json_array_get_length (json_node_get_array (node));
         i++) {
        JsonNode *item = json_array_get_element (json_node_get_array (node), i);

        if (JSON_NODE_HOLDS_VALUE (item) && json_node_get_value_type (item) == G_TYPE_STRING)
            g_ptr_array_add (out, json_node_dup_string (item));
    }
    if (out->len)
        return g_steal_pointer (&out);
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "%s: not a description of a sweep: it must have the list \"arguments\"", path);
    return NULL;
}

gboolean
sweep_write_arguments (const Sweep *sweep, GError **error)
{
    g_autofree char *path = g_build_filename (sweep->dir, "sweep.json", NULL);
    g_auto (JsonOut) json = {0};
    g_autofree char *text = NULL;

    json_out_init (&json);
    json_out_count (&json, "version", 1);
    json_out_string (&json, "dlhost", DLH_VERSION);
    json_out_array (&json, "arguments");
    for (guint i = 0; i < sweep->arguments->len; i++)
        json_out_string (&json, NULL, sweep->arguments->pdata[i]);
    json_out_end_array (&json);
    json_out_array (&json, "runs");
    for (guint i = 0; i < sweep->runs->len; i++)
        json_out_string (&json, NULL, ((SweepRun *)sweep->runs->pdata[i])->name);
    json_out_end_array (&json);
    text = json_out_finish (&json);
    return dlh_file_write (path, text, strlen (text), error);
}

/* state.jsonl: {"run":"000-sgd-seed=0","code":0}, the last one of a run counts. */

typedef struct {
    char *run;
    double code;
} StateRecord;

static void
see_state (const char *key, double value, const char *text, gpointer data)
{
    StateRecord *r = data;

    if (strcmp (key, "run") == 0) {
        g_free (r->run);
        r->run = g_strdup (text);
    } else if (strcmp (key, "code") == 0)
        r->code = value;
}

static void
apply_state (SweepRun *run, int code, gboolean retry)
{
    run->code = code;
    run->state = code == 0 ? RUN_DONE : retry ? RUN_STOPPED : RUN_FAILED;
}

gboolean
sweep_read_state (Sweep *sweep, gboolean retry, GError **error)
{
    g_autofree char *path = g_build_filename (sweep->dir, "state.jsonl", NULL);
    g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GBytes) bytes = NULL;
    g_autofree char *text = NULL;
    g_auto (GStrv) lines = NULL;

    for (guint i = 0; i < sweep->runs->len; i++) {
        SweepRun *run = sweep->runs->pdata[i];
        g_autofree char *folder = g_build_filename (sweep->dir, run->name, NULL);

        g_hash_table_insert (by_name, run->name, run);
        if (g_file_test (folder, G_FILE_TEST_EXISTS))
            run->state = RUN_STOPPED;
    }
    if (!g_file_test (path, G_FILE_TEST_EXISTS))
        return TRUE;
    if (!(bytes = dlh_file_read (path, MAX_FILE_BYTES, error)))
        return FALSE;
    text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
    lines = g_strsplit (text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        StateRecord r = {NULL, 0};
        // A line that a kill cut off: its run is taken up again.
        gboolean whole = record_scan (lines[i], strlen (lines[i]), see_state, &r);
        SweepRun *run = whole && r.run ? g_hash_table_lookup (by_name, r.run) : NULL;

        if (run && run->state != RUN_MISSING && r.code == (int)r.code)
            apply_state (run, (int)r.code, retry);
        g_free (r.run);
    }
    return TRUE;
}

gboolean
sweep_read_folder (Sweep *sweep, const char *dir, GError **error)
{
    sweep->dir = g_strdup (dir);
    return (sweep->arguments = sweep_read_arguments (dir, error)) != NULL &&
           sweep_plan_arguments (sweep, error) && sweep_read_state (sweep, FALSE, error);
}

gboolean
sweep_record (const Sweep *sweep, const SweepRun *run, GError **error)
{
    g_autofree char *path = g_build_filename (sweep->dir, "state.jsonl", NULL);
    // A line that a kill cut off ends here; empty lines are passed over.
    g_autofree char *line =
        g_strdup_printf ("\n{\"run\":\"%s\",\"code\":%d}\n", run->name, run->code);
    int fd = open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    gboolean ok =
        fd >= 0 && write (fd, line, strlen (line)) == (gssize)strlen (line) && fsync (fd) == 0;
    int code = errno;

    if (fd >= 0)
        close (fd);
    if (!ok)
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot write: %s", path,
                     g_strerror (code));
    return ok;
}
