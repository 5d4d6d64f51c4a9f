/* SPDX-License-Identifier: MIT */
/* `dlhost report`: what runs reached, as a page and as figures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "report/report.h"

static const Flag report_flags[] = {
    {"out", "DIR", "where the report goes (default: RUN/report, or report for several)"},
    {"format", "html,svg,png", "which files to write (default: all of them)"},
    {"x", "step|epoch|wall|cpu", "what the curves are drawn over (default: step)"},
    {"log-x", "auto|yes|no", "logarithmic horizontal axis (default: auto)"},
    {"log-y", "auto|yes|no", "logarithmic vertical axis (default: auto)"},
    {"smooth", "N", "mean over N records, or below 1 the weight of an exponential mean"},
    {"band", "error|range", "over seeds: standard error of the mean, or smallest to largest"},
    {"metrics", "PATTERN,...",
     "which metrics: names, * and ? stand for any (default: the first 60)"},
    {"title", "TEXT", "heading of the page"},
    {NULL},
};

// The index of the option's value among @choices, 0 where it is not given; -1 with @error.
static int
choice (const Invocation *inv, const char *name, const char *const *choices, GError **error)
{
    const char *text = invocation_flag (inv, name);
    g_autofree char *all = NULL;

    for (int i = 0; choices[i]; i++)
        if (!text || strcmp (text, choices[i]) == 0)
            return i;
    all = g_strjoinv (", ", (char **)choices);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s: '%s' must be one of %s", name, text,
                 all);
    return -1;
}

static gboolean
read_formats (const Invocation *inv, ReportOptions *options, GError **error)
{
    const char *text = invocation_flag (inv, "format");
    g_auto (GStrv) names = g_strsplit (text ? text : "html,svg,png", ",", -1);

    for (guint i = 0; names[i] || !i; i++) {
        if (g_strcmp0 (names[i], "html") == 0)
            options->html = TRUE;
        else if (g_strcmp0 (names[i], "svg") == 0)
            options->svg = TRUE;
        else if (g_strcmp0 (names[i], "png") == 0)
            options->png = TRUE;
        else {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "--format: '%s' must be html, svg, png or a list of them", text);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
read_smooth (const Invocation *inv, double *smooth, GError **error)
{
    const char *text = invocation_flag (inv, "smooth");
    char *end;

    if (!text)
        return TRUE;
    *smooth = g_ascii_strtod (text, &end);
    // NaN fails every comparison.
    if (*text && !*end &&
        ((*smooth >= 0 && *smooth < 1) ||
         (*smooth >= 1 && *smooth <= 1e6 && *smooth == (guint)*smooth)))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "--smooth: '%s' must be a whole number of records, or a weight in [0, 1)", text);
    return FALSE;
}

static gboolean
read_options (const Invocation *inv, ReportOptions *options, GError **error)
{
    static const char *const axes[] = {"step", "epoch", "wall", "cpu", NULL};
    static const char *const scales[] = {"auto", "yes", "no", NULL};
    static const char *const bands[] = {"error", "range", NULL};
    int axis = choice (inv, "x", axes, error);
    int x = axis < 0 ? -1 : choice (inv, "log-x", scales, error);
    int y = x < 0 ? -1 : choice (inv, "log-y", scales, error);
    int band = y < 0 ? -1 : choice (inv, "band", bands, error);

    if (band < 0)
        return FALSE;
    options->curves.axis = AXIS_STEP + axis;
    options->curves.x_scale = SCALE_AUTO + x;
    options->curves.y_scale = SCALE_AUTO + y;
    options->curves.band = BAND_ERROR + band;
    return read_smooth (inv, &options->curves.smooth, error) && read_formats (inv, options, error);
}

static int
report_run (Invocation *inv, GError **error)
{
    ReportOptions options = {0};
    g_autoptr (GPtrArray) runs = NULL;
    g_autofree char *title = NULL, *dir = NULL, *summary = NULL;
    const char *first = inv->operands->pdata[0];

    if (!read_options (inv, &options, error) || !figures_can_draw (error) ||
        !(runs = report_read (inv->operands, error)))
        return -1;
    dir = invocation_flag (inv, "out") ? g_strdup (invocation_flag (inv, "out"))
          : inv->operands->len == 1    ? g_build_filename (first, "report", NULL)
                                       : g_strdup ("report");
    title = invocation_flag (inv, "title") ? g_strdup (invocation_flag (inv, "title"))
            : inv->operands->len == 1      ? g_path_get_basename (first)
                                           : g_strdup_printf ("%u runs compared", runs->len);
    options.title = title;
    options.metrics = invocation_flag (inv, "metrics");
    if (!report_write (runs, dir, &options, &summary, error))
        return -1;
    printf ("%s\nreport: %s%s\n", summary, dir, options.html ? "/index.html" : "");
    return EXIT_SUCCESS;
}

const Command command_report = {
    .name = "report",
    .operands = "RUN...",
    .group = GROUP_RUNS,
    .summary = "curves, tables, pictures and settings of runs: a page and figures",
    .details =
        "RUN is a run folder, a sweep or a folder of run folders. Runs that differ in their seed "
        "alone are drawn as one curve, their mean, with a band. The page index.html needs no "
        "network and no script. Figures are drawn by gnuplot.",
    .examples = "dlhost report runs/first\n"
                "dlhost report runs/sgd runs/adam --smooth=0.9 --x=wall --out=compared\n",
    .min_operands = 1,
    .max_operands = G_MAXUINT,
    .flags = report_flags,
    .run = report_run,
};
