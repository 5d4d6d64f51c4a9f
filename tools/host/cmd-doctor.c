/* SPDX-License-Identifier: MIT */
/* `dlhost doctor`: everything that decides what a run does on this machine, and what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <json-glib/json-glib.h>
#include <zlib.h>
#include "command.h"
#include "execute.h"
#include "jsonout.h"
#include "machine.h"
#include "text.h"

/* Programs that some commands use when they are there. */
typedef struct {
    const char *name;
    const char *purpose;
} Helper;

static const Helper helpers[] = {
    {"dot", "pictures of graphs: dlhost graph --format=svg (Debian: graphviz)"},
    {"gnuplot", "curves of dlhost report (Debian: gnuplot-nox)"},
    {"mandoc", "reading and checking the manual page (Debian: mandoc)"},
};

/* A check-up: one entry a fact, in order; both forms of output walk it. */
typedef struct {
    const char *section; /* NULL: as before */
    const char *name;
    char *value;
} Fact;

static void
fact_clear (gpointer data)
{
    g_free (((Fact *)data)->value);
}

static void add (GArray *facts, const char *section, const char *name, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

static void
add (GArray *facts, const char *section, const char *name, const char *format, ...)
{
    Fact fact = {section, name, NULL};
    va_list args;

    va_start (args, format);
    fact.value = g_strdup_vprintf (format, args);
    va_end (args);
    g_array_append_val (facts, fact);
}

static void
add_versions (GArray *facts)
{
    add (facts, "versions", "dlhost", DLH_VERSION);
    add (facts, NULL, "interface", "%d.%d", DLH_ABI_MAJOR, DLH_ABI_MINOR);
    add (facts, NULL, "glib", "%u.%u.%u", glib_major_version, glib_minor_version,
         glib_micro_version);
    add (facts, NULL, "json_glib", "%s", JSON_VERSION_S);
    add (facts, NULL, "zlib", "%s", zlibVersion ());
}

static void
add_machine (GArray *facts)
{
    DlhMachine m = {.size = sizeof m};
    g_autofree char *model = machine_cpu_model ();
    g_autofree char *memory = text_bytes ((double)machine_memory ());
    g_autofree char *limit = text_bytes ((double)machine_memory_limit ());
    double quota = machine_cpu_quota ();

    dlh_machine_describe (&m);
    add (facts, "machine", "cpu", "%s", model);
    add (facts, NULL, "cpu_level", "%s", m.cpu_level);
    add (facts, NULL, "cpu_levels", "%s", m.cpu_levels);
    add (facts, NULL, "cores", "%u", m.n_cores);
    if (quota > 0)
        add (facts, NULL, "cpu_quota", "%.4g cores", quota);
    else
        add (facts, NULL, "cpu_quota", "none");
    add (facts, NULL, "memory", "%s", memory);
    add (facts, NULL, "memory_limit", "%s", machine_memory_limit () ? limit : "none");
    add (facts, NULL, "threads", "%u", m.threads);
    add (facts, "libraries", "blas", "%s", g_strstrip (m.blas));
    add (facts, NULL, "blas_core", "%s", *m.blas_core ? m.blas_core : "unknown");
    add (facts, NULL, "blas_threads", "%u", m.blas_threads);
    add (facts, NULL, "onednn", "%s", *m.dnnl ? m.dnnl : "none");
}

static void
add_helpers (GArray *facts)
{
    for (guint i = 0; i < G_N_ELEMENTS (helpers); i++) {
        g_autofree char *path = g_find_program_in_path (helpers[i].name);

        add (facts, i ? NULL : "programs", helpers[i].name, "%s; for %s", path ? path : "not found",
             helpers[i].purpose);
    }
}

/* Directories. */

/* (transfer full): "drwxr-xr-x, 12 plugins", "not there". */
static char *
directory_state (const char *dir, guint n_plugins)
{
    struct stat st;
    char mode[] = "drwxrwxrwx";

    if (stat (dir, &st) != 0)
        return g_strdup ("not there");
    if (!S_ISDIR (st.st_mode))
        return g_strdup ("not a directory");
    for (guint bit = 0; bit < 9; bit++)
        if (!(st.st_mode & (0400u >> bit)))
            mode[1 + bit] = '-';
    return g_strdup_printf (
        "%s, %u plugin%s%s", mode, n_plugins, n_plugins == 1 ? "" : "s",
        st.st_mode & S_IWOTH ? "; everyone can write here, so nothing in it is loaded" : "");
}

static guint
count_in (GPtrArray *plugins, const char *dir)
{
    guint n = 0;

    for (guint i = 0; i < plugins->len; i++) {
        g_autofree char *parent = g_path_get_dirname (((DlhPluginInfo *)plugins->pdata[i])->path);
        g_autofree char *a = g_canonicalize_filename (parent, NULL);
        g_autofree char *b = g_canonicalize_filename (dir, NULL);

        n += strcmp (a, b) == 0;
    }
    return n;
}

static void
add_directories (GArray *facts, const GArray *dirs, GPtrArray *plugins)
{
    for (guint i = 0; i < dirs->len; i++) {
        const SearchDir *d = &g_array_index (dirs, SearchDir, i);
        g_autofree char *shown = g_filename_display_name (d->dir);
        g_autofree char *state = directory_state (d->dir, count_in (plugins, d->dir));

        add (facts, i ? NULL : "search_path", d->source, "%s (%s)", shown, state);
    }
}

static void
add_plugins (GArray *facts, GPtrArray *plugins)
{
    add (facts, "plugins", "all", "%u", plugins->len);
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++) {
        guint n = 0;

        for (guint i = 0; i < plugins->len; i++)
            n += ((DlhPluginInfo *)plugins->pdata[i])->manifest->kind == kind;
        add (facts, NULL, dlh_plugin_kind_name (kind), "%u", n);
    }
}

static void
add_refused (GArray *facts, GPtrArray *rejects)
{
    for (guint i = 0; i < rejects->len; i++) {
        const DlhPluginReject *reject = rejects->pdata[i];
        g_autofree char *file = g_filename_display_name (reject->path);

        add (facts, i ? NULL : "refused", "file", "%s %s", file, reject->error->message);
    }
}

/* Output. */

// Sections whose entries may share a name, which is not one word.
static gboolean
is_list (const char *section)
{
    return strcmp (section, "search_path") == 0 || strcmp (section, "refused") == 0;
}

static char *
facts_text (const GArray *facts, guint width)
{
    GString *out = g_string_new (NULL);
    const char *section = NULL;
    guint column = 0;

    for (guint i = 0; i < facts->len; i++)
        column = MAX (column, 4 + (guint)strlen (g_array_index (facts, Fact, i).name));
    for (guint i = 0; i < facts->len; i++) {
        const Fact *f = &g_array_index (facts, Fact, i);
        g_autofree char *name = g_strdup (f->name), *title = g_strdup (f->section);

        if (f->section) {
            section = f->section;
            g_string_append_printf (out, "%s%s\n", i ? "\n" : "", g_strdelimit (title, "_", ' '));
        }
        if (!is_list (section))
            g_strdelimit (name, "_", ' ');
        g_string_append (out, "  ");
        text_pad (out, name, column - 2);
        text_wrap (out, f->value, column, column, width);
    }
    return g_string_free (out, FALSE);
}

static void
add_value (JsonOut *json, const Fact *f)
{
    gint64 n;

    if (g_ascii_string_to_signed (f->value, 10, 0, G_MAXINT64, &n, NULL))
        json_out_count (json, f->name, n);
    else
        json_out_string (json, f->name, f->value);
}

static char *
facts_json (const GArray *facts, gboolean healthy)
{
    g_auto (JsonOut) json = {0};
    const char *open = NULL;

    json_out_init (&json);
    json_out_bool (&json, "healthy", healthy);
    for (guint i = 0; i < facts->len; i++) {
        const Fact *f = &g_array_index (facts, Fact, i);

        if (f->section) {
            if (open)
                (is_list (open) ? json_out_end_array : json_out_end_object) (&json);
            (is_list (f->section) ? json_out_array : json_out_object) (&json, f->section);
            open = f->section;
        }
        if (is_list (open)) {
            json_out_object (&json, NULL);
            json_out_string (&json, strcmp (open, "refused") == 0 ? "kind" : "source", f->name);
            json_out_string (&json, "text", f->value);
            json_out_end_object (&json);
        } else
            add_value (&json, f);
    }
    if (open)
        (is_list (open) ? json_out_end_array : json_out_end_object) (&json);
    return json_out_finish (&json);
}

static const Flag doctor_flags[] = {
    {"json", NULL, "the same as JSON"},
    {NULL},
};

static int
doctor_run (Invocation *inv, GError **error)
{
    g_autoptr (GArray) facts = g_array_new (FALSE, TRUE, sizeof (Fact));
    g_autoptr (GArray) dirs = search_dirs (&inv->config);
    DlhRegistry *registry = invocation_registry (inv);
    g_autoptr (GPtrArray) plugins = dlh_registry_list (registry, 0);
    guint n_refused = dlh_registry_rejects (registry)->len;
    g_autofree char *text = NULL;

    (void)error;
    g_array_set_clear_func (facts, fact_clear);
    add_versions (facts);
    add_machine (facts);
    add_helpers (facts);
    add_directories (facts, dirs, plugins);
    add_plugins (facts, plugins);
    add_refused (facts, dlh_registry_rejects (registry));
    text = invocation_flag (inv, "json") ? facts_json (facts, n_refused == 0)
                                         : facts_text (facts, text_width ());
    fputs (text, stdout);
    if (!invocation_flag (inv, "json"))
        printf (n_refused ? "\n%u file%s refused\n" : "\nno plugin is refused\n", n_refused,
                n_refused == 1 ? " is" : "s are");
    return n_refused ? EXIT_PLUGIN : EXIT_SUCCESS;
}

const Command command_doctor = {
    .name = "doctor",
    .operands = "",
    .group = GROUP_SETUP,
    .summary = "versions, processor, libraries, search paths, refused files",
    .details = "What decides how a run goes on this machine. The exit code is 3 when a file on the "
               "search path was refused.",
    .examples = "dlhost doctor\n"
                "dlhost doctor --json\n",
    .flags = doctor_flags,
    .run = doctor_run,
};
