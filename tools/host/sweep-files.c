/* SPDX-License-Identifier: MIT */
/* results.csv and results.json. */
#include <math.h>
#include <string.h>
#include "jsonout.h"
#include "sweep-results.h"

static void
append_csv (GString *s, const char *text, gboolean first)
{
    g_string_append (s, first ? "" : ",");
    if (!strpbrk (text, ",\"\r\n")) {
        g_string_append (s, text);
        return;
    }
    g_string_append_c (s, '"');
    for (const char *p = text; *p; p++)
        g_string_append (s, *p == '"' ? "\"\"" : (char[]){*p, '\0'});
    g_string_append_c (s, '"');
}

static void
append_csv_number (GString *s, double value)
{
    g_autofree char *text = isfinite (value) ? shortest_number (value) : g_strdup ("");

    append_csv (s, text, FALSE);
}

static const char *
setting_of (const Combination *c, const char *key)
{
    for (guint i = 0; i < c->settings->len; i++)
        if (strcmp (((SweepSetting *)c->settings->pdata[i])->key, key) == 0)
            return ((SweepSetting *)c->settings->pdata[i])->value;
    return "";
}

char *
results_csv (const Results *r)
{
    static const char *const parts[] = {"mean", "error", "best mean", "best error"};
    GString *s = g_string_new ("rank");

    for (guint i = 0; i < r->sweep->axes->len; i++)
        append_csv (s, ((SweepAxis *)r->sweep->axes->pdata[i])->key, FALSE);
    g_string_append (s, ",runs,done,failed");
    for (guint m = 0; m < r->metrics->len; m++)
        for (guint k = 0; k < G_N_ELEMENTS (parts); k++) {
            g_autofree char *name =
                g_strdup_printf ("%s %s", (char *)r->metrics->pdata[m], parts[k]);

            append_csv (s, name, FALSE);
        }
    g_string_append_c (s, '\n');
    for (guint i = 0; i < r->results->len; i++) {
        const Result *result = r->results->pdata[i];

        g_string_append_printf (s, "%u", i + 1);
        for (guint a = 0; a < r->sweep->axes->len; a++)
            append_csv (
                s, setting_of (result->combination, ((SweepAxis *)r->sweep->axes->pdata[a])->key),
                FALSE);
        g_string_append_printf (s, ",%u,%u,%u", result->runs->len, result->done, result->failed);
        for (guint m = 0; m < r->metrics->len; m++)
            for (guint best = 0; best < 2; best++) {
                double error, mean = result_mean (result, r->metrics->pdata[m], best, &error);

                append_csv_number (s, mean);
                append_csv_number (s, error);
            }
        g_string_append_c (s, '\n');
    }
    return g_string_free (s, FALSE);
}

static void
append_json_runs (JsonOut *json, const Results *r, const Result *result)
{
    static const char *const states[] = {"", "missing", "stopped", "failed", "done"};

    json_out_array (json, "runs");
    for (guint k = 0; k < result->runs->len; k++) {
        const SweepRun *run = result->runs->pdata[k];
        g_autofree char *seed = g_strdup_printf ("%" G_GUINT64_FORMAT, run->seed);

        json_out_object (json, NULL);
        json_out_string (json, "name", run->name);
        json_out_string (json, "seed", seed);
        json_out_string (json, "state", states[run->state]);
        json_out_count (json, "code", run->code);
        json_out_object (json, "metrics");
        for (guint m = 0; run->data && m < r->metrics->len; m++)
            json_out_number (json, r->metrics->pdata[m],
                             run_data_last (run->data, r->metrics->pdata[m]));
        json_out_end_object (json);
        json_out_end_object (json);
    }
    json_out_end_array (json);
}

char *
results_json (const Results *r)
{
    g_auto (JsonOut) json = {0};

    json_out_init (&json);
    json_out_string (&json, "by", r->by);
    json_out_array (&json, "configurations");
    for (guint i = 0; i < r->results->len; i++) {
        const Result *result = r->results->pdata[i];

        json_out_object (&json, NULL);
        json_out_string (&json, "label", result->combination->label);
        json_out_object (&json, "settings");
        for (guint k = 0; k < result->combination->settings->len; k++) {
            const SweepSetting *s = result->combination->settings->pdata[k];

            json_out_string (&json, s->key, s->value);
        }
        json_out_end_object (&json);
        json_out_count (&json, "done", result->done);
        json_out_count (&json, "failed", result->failed);
        json_out_object (&json, "metrics");
        for (guint m = 0; m < r->metrics->len; m++) {
            double error, mean = result_mean (result, r->metrics->pdata[m], FALSE, &error);

            json_out_object (&json, r->metrics->pdata[m]);
            json_out_number (&json, "mean", mean);
            json_out_number (&json, "error", error);
            mean = result_mean (result, r->metrics->pdata[m], TRUE, &error);
            json_out_number (&json, "best_mean", mean);
            json_out_number (&json, "best_error", error);
            json_out_end_object (&json);
        }
        json_out_end_object (&json);
        append_json_runs (&json, r, result);
        json_out_end_object (&json);
    }
    json_out_end_array (&json);
    return json_out_finish (&json);
}
