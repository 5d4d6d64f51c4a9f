/* SPDX-License-Identifier: MIT */
/* Which metrics a report shows. A task that measures each weight in several ways records hundreds,
 * and some of them several times at a step: those are no curves over steps. */
#include <dlhost/dlhost.h>
#include "report.h"

#define MAX_METRICS 60 /* that nobody asked for by name */

static gboolean
is_repeated (GPtrArray *groups, const char *name)
{
    for (guint i = 0; i < groups->len; i++) {
        GPtrArray *runs = ((Group *)groups->pdata[i])->runs;

        for (guint r = 0; r < runs->len; r++) {
            const Series *s = run_data_series (runs->pdata[r], name);

            if (s && s->repeated)
                return TRUE;
        }
    }
    return FALSE;
}

static gboolean
matches (char **patterns, const char *name)
{
    for (guint i = 0; patterns[i]; i++)
        if (g_pattern_match_simple (patterns[i], name))
            return TRUE;
    return FALSE;
}

static gboolean
none_matches (const char *patterns, GPtrArray *names, GError **error)
{
    g_autoptr (GString) some = g_string_new (NULL);
    guint i;

    for (i = 0; i < names->len && some->len < 200; i++)
        g_string_append_printf (some, "%s%s", i ? ", " : "", (char *)names->pdata[i]);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "--metrics: '%s' matches no metric of these runs: there are %s%s", patterns,
                 names->len ? some->str : "none", i < names->len ? " and others" : "");
    return FALSE;
}

static void
keep_only (GPtrArray *groups, GHashTable *kept)
{
    for (guint i = 0; i < groups->len; i++) {
        GPtrArray *runs = ((Group *)groups->pdata[i])->runs;

        for (guint r = 0; r < runs->len; r++) {
            GPtrArray *series = ((RunData *)runs->pdata[r])->series;

            for (guint k = series->len; k-- > 0;)
                if (!g_hash_table_contains (kept, ((Series *)series->pdata[k])->name))
                    g_ptr_array_remove_index (series, k);
        }
    }
}

static char *
describe (guint n_shown, guint n_wanted, guint n_repeated)
{
    GString *s = g_string_new (NULL);

    if (n_shown < n_wanted)
        g_string_append_printf (s,
                                "%u of %u metrics are shown; --metrics=PATTERN shows those that "
                                "match.",
                                n_shown, n_wanted);
    if (n_repeated)
        g_string_append_printf (s,
                                "%s%u %s recorded several times at a step, which is no curve over "
                                "steps: see the task's own figures, and metrics.jsonl.",
                                s->len ? " " : "", n_repeated,
                                n_repeated == 1 ? "metric was" : "metrics were");
    return g_string_free (s, !s->len);
}

gboolean
metrics_pick (GPtrArray *groups, const char *patterns, char **note, GError **error)
{
    g_autoptr (GPtrArray) names = metric_names (groups);
    g_autoptr (GHashTable) kept = g_hash_table_new (g_str_hash, g_str_equal);
    g_auto (GStrv) globs = patterns ? g_strsplit (patterns, ",", -1) : NULL;
    guint n_wanted = 0, n_repeated = 0;

    for (guint i = 0; i < names->len; i++) {
        if (globs && !matches (globs, names->pdata[i]))
            continue;
        if (is_repeated (groups, names->pdata[i]))
            n_repeated++;
        else if (n_wanted++ < MAX_METRICS || globs)
            g_hash_table_add (kept, names->pdata[i]);
    }
    if (globs && !n_wanted && !n_repeated)
        return none_matches (patterns, names, error);
    keep_only (groups, kept);
    *note = describe (g_hash_table_size (kept), n_wanted, n_repeated);
    return TRUE;
}
