/* SPDX-License-Identifier: MIT */
/* `dlhost repeat`: whether a run's configuration gives its bytes again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "checkpoints.h"
#include "command.h"
#include "compare.h"
#include "execute.h"
#include "setup.h"

static const Flag repeat_flags[] = {
    {"out", "DIR", "the new run's folder (default: RUN-repeat)"},
    {"quiet", NULL, "no progress, only the outcome"},
    {NULL},
};

/* (transfer full): RUN-repeat, RUN-repeat-2, ...: the first that is not there. */
static char *
new_folder (const char *run)
{
    g_autofree char *whole = g_canonicalize_filename (run, NULL);
    g_autofree char *parent = g_path_get_dirname (run);
    g_autofree char *name = g_path_get_basename (whole);

    for (guint i = 1;; i++) {
        g_autofree char *suffix = i > 1 ? g_strdup_printf ("-%u", i) : g_strdup ("");
        g_autofree char *last = g_strdup_printf ("%s-repeat%s", name, suffix);
        char *dir =
            strcmp (parent, ".") == 0 ? g_strdup (last) : g_build_filename (parent, last, NULL);

        if (!g_file_test (dir, G_FILE_TEST_EXISTS))
            return dir;
        g_free (dir);
    }
}

static gboolean
same_bytes (const char *a, const char *b, gboolean *same, GError **error)
{
    g_autofree char *x = NULL, *y = NULL;
    gsize n, m;

    if (!g_file_get_contents (a, &x, &n, error) || !g_file_get_contents (b, &y, &m, error))
        return FALSE;
    *same = n == m && memcmp (x, y, n) == 0;
    return TRUE;
}

// Says where two checkpoints part.
static gboolean
print_difference (const char *a, const char *b, GError **error)
{
    g_autoptr (DlhSafetensors) x = dlh_safetensors_read (a, error);
    g_autoptr (DlhSafetensors) y = x ? dlh_safetensors_read (b, error) : NULL;
    g_autoptr (GArray) changes = y ? compare_tensors (x, y) : NULL;
    guint n = 0;

    if (!changes)
        return FALSE;
    for (guint i = 0; i < changes->len; i++) {
        const TensorChange *c = &g_array_index (changes, TensorChange, i);

        if (!tensor_changed (c))
            continue;
        if (n++ == 0)
            printf ("different: %s and %s: %s %s, first at element %" G_GINT64_FORMAT
                    ", by at most %.3g\n",
                    a, b, c->name, c->what, c->first, c->max_change);
    }
    if (n == 0)
        printf ("different: %s and %s: every tensor is the same, the configuration or version is "
                "not\n",
                a, b);
    else
        printf ("%u of %u tensors differ; dlhost inspect-checkpoint %s --compare=%s lists them\n",
                n, changes->len, a, b);
    return TRUE;
}

/* Runs that leave no checkpoint, such as an evaluation: their records, but for the time that they
 * took. */

#define MAX_RECORDS ((gsize)1 << 30) /* bytes */

// Times are cut out of the text, whose numbers stay as they were written: json-glib reads -0 as 0.
// In a string a quote has a backslash before it, so this matches members alone.
static char *
records_of (const char *run, GError **error)
{
    g_autofree char *path = g_build_filename (run, "metrics.jsonl", NULL);
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_RECORDS, error);
    g_autoptr (GRegex) times = g_regex_new (",\"(wall|cpu)\":[^,}]*", G_REGEX_RAW, 0, NULL);
    char *text = NULL;

    if (bytes)
        text = g_regex_replace_literal (times, g_bytes_get_data (bytes, NULL),
                                        (gssize)g_bytes_get_size (bytes), 0, "", 0, error);
    if (!text || strstr (text, "{\"event\":\"final\""))
        return text;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "%s: no checkpoint-<step>.safetensors in this folder, and no final record in its "
                 "metrics.jsonl: there is nothing to compare",
                 run);
    g_free (text);
    return NULL;
}

static int
compare_records (const char *run, const char *again, GError **error)
{
    g_autofree char *a = records_of (run, error), *b = a ? records_of (again, error) : NULL;
    guint line = 1;

    if (!b)
        return -1;
    if (strcmp (a, b) == 0) {
        printf ("identical: the records of %s and %s, but for times; no checkpoint is there\n", run,
                again);
        return EXIT_SUCCESS;
    }
    for (const char *x = a, *y = b; *x == *y; x++, y++)
        line += *x == '\n';
    printf ("different: the records of %s and %s, first in line %u of metrics.jsonl\n", run, again,
            line);
    return EXIT_RUN_FAILED;
}

static int
compare_runs (const char *run, const char *again, GError **error)
{
    gint64 step, step_again;
    g_autofree char *a = checkpoint_latest (run, &step, error);
    g_autofree char *b = a ? checkpoint_latest (again, &step_again, error) : NULL;
    gboolean same;

    if (!b)
        return -1;
    if (step != step_again) {
        printf ("different: %s ends at step %" G_GINT64_FORMAT ", %s at step %" G_GINT64_FORMAT
                "\n",
                run, step, again, step_again);
        return EXIT_RUN_FAILED;
    }
    if (!same_bytes (a, b, &same, error))
        return -1;
    if (!same)
        return print_difference (a, b, error) ? EXIT_RUN_FAILED : -1;
    printf ("identical: %s and %s, byte for byte\n", a, b);
    return EXIT_SUCCESS;
}

static int
repeat_run (Invocation *inv, GError **error)
{
    const char *run = inv->operands->pdata[0], *out = invocation_flag (inv, "out");
    g_autofree char *file = g_build_filename (run, "config.json", NULL);
    g_autofree char *latest = NULL, *records = NULL, *differences = NULL;
    gint64 step;
    int code;

    // Nothing is begun that could not be compared.
    if (!(latest = checkpoint_latest (run, &step, NULL)) && !(records = records_of (run, error)))
        return -1;
    if (!invocation_complete (inv, file, error))
        return -1;
    inv->config.out = out ? g_strdup (out) : new_folder (run);
    inv->config.quiet = invocation_flag (inv, "quiet") != NULL;
    if ((code = execute (&inv->config, invocation_registry (inv), NULL)) != EXIT_SUCCESS)
        return code;
    // Only now have the threads been set.
    if ((differences = setup_compare_machine (run)))
        fprintf (stderr, "dlhost: note: the run was made otherwise, so bytes may differ: %s\n",
                 differences);
    return latest ? compare_runs (run, inv->config.out, error)
                  : compare_records (run, inv->config.out, error);
}

const Command command_repeat = {
    .name = "repeat",
    .operands = "RUN",
    .group = GROUP_RUNS,
    .summary = "runs a run's configuration again and compares the bytes",
    .details =
        "The last checkpoints are compared, which hold all that a run has made: identical, or "
        "where they part first (exit code 1). Of a run that leaves none, such as an evaluation, "
        "the records are, but for times. A note says when version, processor kernels, libraries "
        "or threads are not those of the first run. A run that was made longer by resume is not "
        "what its configuration alone gives.",
    .examples = "dlhost repeat runs/first\n",
    .min_operands = 1,
    .max_operands = 1,
    .flags = repeat_flags,
    .run = repeat_run,
};
