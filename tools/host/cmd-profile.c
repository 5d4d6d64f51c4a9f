/* SPDX-License-Identifier: MIT */
/* `dlhost profile`: where the time of a training step goes, beside what the machine can do. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "command.h"
#include "jsonout.h"
#include "text.h"
#include "trial.h"

#define PRODUCT 1024      /* rows and columns of the machine's product */
#define COPIED (16 << 20) /* elements of the machine's copy */
#define MACHINE_SAMPLES 5

static const Flag profile_flags[] = {
    {"repeats", "N", "runs that times are medians of (default: 20)"},
    {"rows", "N", "rows shown of each function, the slowest first; 0: all (default: 20)"},
    {"json", NULL, "everything as JSON"},
    {NULL},
};

/* What a function's steps cost in sum. */
typedef struct {
    const char *name; /* "step", "evaluation" */
    double runs;      /* in a training step; 0: none of it */
    GArray *costs;    /* DlhCost */
    double seconds, flops, bytes;
} Section;

typedef struct {
    GArray *sections;
    double gemm; /* operations a second */
    double copy; /* bytes a second */
    gint64 batch;
} Profile;

static void
section_clear (gpointer data)
{
    g_array_unref (((Section *)data)->costs);
}

static void
profile_clear (Profile *p)
{
    g_clear_pointer (&p->sections, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Profile, profile_clear)

/* The machine. */

static double
seconds_now (void)
{
    struct timespec now;

    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds of the fastest of several runs; negative with an error. */
static double
fastest (DlhGraph *graph, DlhNode *output, DlhTensor *const *inputs, guint n, GError **error)
{
    g_autoptr (DlhFunction) f = dlh_graph_compile (graph, &output, 1, error);
    double best = INFINITY;

    for (guint i = 0; f && i <= MACHINE_SAMPLES; i++) {
        double start = seconds_now ();

        if (!dlh_function_run (f, inputs, n, error))
            return -1;
        // The first run pays for pages and threads.
        if (i)
            best = MIN (best, seconds_now () - start);
    }
    return f ? best : -1;
}

// In the element type of the run, on its threads.
static gboolean
measure_machine (Profile *p, DlhDType dtype, GError **error)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = dlh_tensor_new (dtype, dlh_shape (PRODUCT, PRODUCT), error);
    g_autoptr (DlhTensor) x = a ? dlh_tensor_new (dtype, dlh_shape (COPIED), error) : NULL;
    DlhTensor *inputs[] = {a, x};
    DlhNode *m, *v;
    double t;

    if (!x)
        return FALSE;
    m = dlh_input (graph, "a", dtype, dlh_shape (PRODUCT, PRODUCT));
    v = dlh_input (graph, "x", dtype, dlh_shape (COPIED));
    for (gint64 i = 0; i < (gint64)PRODUCT * PRODUCT; i++)
        dlh_tensor_set (a, i, 1.0 / (double)(1 + i % 7));
    if ((t = fastest (graph, dlh_matmul (m, m), inputs, 2, error)) < 0)
        return FALSE;
    p->gemm = 2.0 * PRODUCT * PRODUCT * PRODUCT / t;
    if ((t = fastest (graph, dlh_scale (v, 1.5), inputs, 2, error)) < 0)
        return FALSE;
    p->copy = 2.0 * COPIED * (double)dlh_dtype_size (dtype) / t;
    return TRUE;
}

/* The step. */

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The costs of @f with the median time of each step over @repeats runs: a moment in which the
 * system did other things does not count. */
static GArray *
median_costs (Trial *t, DlhFunction *f, guint repeats, GError **error)
{
    DlhTensor *inputs[] = {t->x, t->y};
    guint n = t->y ? 2 : 1, n_steps = dlh_function_n_steps (f);
    g_autofree double *times = g_new (double, (gsize)n_steps *repeats + 1);
    GArray *costs = NULL;

    // A first run fills caches and buffers.
    if (!dlh_function_run (f, inputs, n, error))
        return NULL;
    for (guint r = 0; r < repeats; r++) {
        g_clear_pointer (&costs, g_array_unref);
        if (!(costs = dlh_function_profile (f, inputs, n, 1, error)))
            return NULL;
        for (guint i = 0; i < n_steps; i++)
            times[(gsize)i * repeats + r] = g_array_index (costs, DlhCost, i).seconds;
    }
    for (guint i = 0; i < n_steps; i++) {
        double *of_step = times + (gsize)i * repeats;

        qsort (of_step, repeats, sizeof *of_step, compare_doubles);
        g_array_index (costs, DlhCost, i).seconds = of_step[repeats / 2];
    }
    return costs;
}

static gboolean
add_section (Profile *p, Trial *t, const char *name, DlhFunction *f, double runs, guint repeats,
             GError **error)
{
    Section s = {name, runs, median_costs (t, f, repeats, error), 0, 0, 0};

    if (!s.costs)
        return FALSE;
    for (guint i = 0; i < s.costs->len; i++) {
        const DlhCost *c = &g_array_index (s.costs, DlhCost, i);

        s.seconds += c->seconds;
        s.flops += c->flops;
        s.bytes += c->bytes;
    }
    g_array_append_val (p->sections, s);
    return TRUE;
}

static gboolean
measure (Profile *p, Trial *t, const GArray *parts, guint repeats, GError **error)
{
    DlhFunction *evaluation;

    p->batch = t->batch;
    // What an optimizer prepares in its first steps must be there.
    for (guint i = 0; i < 3; i++)
        if (!dlh_trainer_step (t->trainer, t->x, t->y, error))
            return FALSE;
    for (guint i = 0; i < parts->len; i++) {
        const DlhTrainerPart *part = &g_array_index (parts, DlhTrainerPart, i);

        if (!add_section (p, t, part->name, part->function, part->runs, repeats, error))
            return FALSE;
    }
    evaluation = dlh_trainer_evaluation (t->trainer, t->x, t->y, error);
    return evaluation && add_section (p, t, "evaluation", evaluation, 0, repeats, error);
}

/* Text. */

static char *
rate_text (double n, double seconds)
{
    return seconds > 0 && n > 0 ? g_strdup_printf ("%.3g", n / seconds * 1e-9) : g_strdup ("");
}

static int
slower_first (gconstpointer a, gconstpointer b)
{
    double x = ((const DlhCost *)a)->seconds, y = ((const DlhCost *)b)->seconds;

    return (x < y) - (x > y);
}

/* "fused(mul,add,tanh,...)" -> "fused: mul add tanh, 4 in all": (transfer full). */
static char *
short_name (const char *name)
{
    g_auto (GStrv) ops = NULL;
    g_autofree char *inside = NULL;
    guint n;

    if (!g_str_has_prefix (name, "fused("))
        return g_strdup (name);
    inside = g_strndup (name + strlen ("fused("), strlen (name) - strlen ("fused()"));
    ops = g_strsplit (inside, ",", -1);
    n = g_strv_length (ops);
    if (n <= 3)
        return g_strdup_printf ("fused: %s%s%s%s%s", ops[0], n > 1 ? " " : "", n > 1 ? ops[1] : "",
                                n > 2 ? " " : "", n > 2 ? ops[2] : "");
    return g_strdup_printf ("fused: %s %s %s, %u in all", ops[0], ops[1], ops[2], n);
}

static void
append_costs (GString *out, const Section *s, guint rows, guint width)
{
    g_autoptr (GArray) sorted = g_array_copy (s->costs);
    g_auto (TextTable) table = {0};
    guint n = rows ? MIN (rows, sorted->len) : sorted->len;

    g_array_sort (sorted, slower_first);
    table_init (&table, "rrrrrl");
    table_row (&table, "share", "time", "GF/s", "GB/s", "bytes", "what");
    for (guint i = 0; i < n; i++) {
        const DlhCost *c = &g_array_index (sorted, DlhCost, i);
        g_autofree char *share =
            g_strdup_printf ("%.1f %%", s->seconds > 0 ? 100 * c->seconds / s->seconds : 0);
        g_autofree char *time = text_seconds (c->seconds), *bytes = text_bytes (c->bytes);
        g_autofree char *flops = rate_text (c->flops, c->seconds);
        g_autofree char *band = rate_text (c->bytes, c->seconds);
        g_autofree char *shape = dlh_shape_to_string (c->shape), *name = short_name (c->name);
        g_autofree char *what =
            g_strdup_printf ("%s%s%s %s", c->scope, *c->scope ? ": " : "", name, shape);

        table_row (&table, share, time, flops, band, bytes, what);
    }
    table_append (&table, out, 2, width);
    if (n < sorted->len)
        g_string_append_printf (out, "  and %u more\n", sorted->len - n);
}

typedef struct {
    const char *scope;
    double seconds;
} ScopeTotal;

static int
slower_scope_first (gconstpointer a, gconstpointer b)
{
    double x = ((const ScopeTotal *)a)->seconds, y = ((const ScopeTotal *)b)->seconds;

    return (x < y) - (x > y);
}

/* (transfer full) (element-type ScopeTotal) */
static GArray *
scope_totals (const Section *s)
{
    GArray *totals = g_array_new (FALSE, TRUE, sizeof (ScopeTotal));

    for (guint i = 0; i < s->costs->len; i++) {
        const DlhCost *c = &g_array_index (s->costs, DlhCost, i);
        ScopeTotal total = {c->scope, c->seconds};
        guint k = 0;

        while (k < totals->len &&
               strcmp (g_array_index (totals, ScopeTotal, k).scope, c->scope) != 0)
            k++;
        if (k < totals->len)
            g_array_index (totals, ScopeTotal, k).seconds += c->seconds;
        else
            g_array_append_val (totals, total);
    }
    g_array_sort (totals, slower_scope_first);
    return totals;
}

static void
append_scopes (GString *out, const Section *s)
{
    g_autoptr (GArray) totals = scope_totals (s);
    g_auto (TextTable) table = {0};

    table_init (&table, "rrl");
    table_row (&table, "share", "time", "scope");
    for (guint i = 0; i < totals->len; i++) {
        const ScopeTotal *t = &g_array_index (totals, ScopeTotal, i);
        g_autofree char *share =
            g_strdup_printf ("%.1f %%", s->seconds > 0 ? 100 * t->seconds / s->seconds : 0);
        g_autofree char *time = text_seconds (t->seconds);

        table_row (&table, share, time, *t->scope ? t->scope : "(none)");
    }
    table_append (&table, out, 2, G_MAXUINT);
}

static void
append_section (GString *out, const Profile *p, const Section *s, guint rows, guint width)
{
    g_autofree char *time = text_seconds (s->seconds), *flops = text_count (s->flops);
    g_autofree char *bytes = text_bytes (s->bytes);
    g_autoptr (GString) line = g_string_new (NULL);

    g_string_append (line, s->name);
    if (s->runs > 0)
        g_string_append_printf (line, ", %.3g in a training step", s->runs);
    g_string_append_printf (line, ": %s, %u compiled steps, %s%sF, %s", time, s->costs->len, flops,
                            strchr (flops, ' ') ? "" : " ", bytes);
    g_string_append_c (out, '\n');
    text_wrap (out, line->str, 0, 2, width);
    if (s->seconds > 0)
        g_string_append_printf (out,
                                "  %.1f GF/s, %.0f %% of the product's rate; %.1f GB/s, "
                                "%.0f %% of the copy's\n",
                                s->flops / s->seconds * 1e-9, 100 * s->flops / s->seconds / p->gemm,
                                s->bytes / s->seconds * 1e-9,
                                100 * s->bytes / s->seconds / p->copy);
    g_string_append_c (out, '\n');
    append_costs (out, s, rows, width);
    g_string_append_c (out, '\n');
    append_scopes (out, s);
}

static double
step_seconds (const Profile *p)
{
    double seconds = 0;

    for (guint i = 0; i < p->sections->len; i++) {
        const Section *s = &g_array_index (p->sections, Section, i);

        seconds += s->runs * s->seconds;
    }
    return seconds;
}

static char *
profile_text (const Profile *p, DlhDType dtype, guint rows, guint width)
{
    GString *out = g_string_new (NULL);
    double seconds = step_seconds (p);
    g_autofree char *time = text_seconds (seconds);

    g_string_append_printf (out,
                            "machine, %u thread%s, %s: product of %d x %d %.1f GF/s, copy %.1f "
                            "GB/s\n",
                            dlh_get_threads (), dlh_get_threads () == 1 ? "" : "s",
                            dlh_dtype_name (dtype), PRODUCT, PRODUCT, p->gemm * 1e-9,
                            p->copy * 1e-9);
    g_string_append_printf (
        out, "a training step, on average: %s; batch %" G_GINT64_FORMAT ", %.4g examples/s\n", time,
        p->batch, seconds > 0 ? (double)p->batch / seconds : 0);
    for (guint i = 0; i < p->sections->len; i++)
        append_section (out, p, &g_array_index (p->sections, Section, i), rows, width);
    return g_string_free (out, FALSE);
}

/* JSON. */

static void
add_costs (JsonOut *json, const Section *s)
{
    json_out_array (json, "steps");
    for (guint i = 0; i < s->costs->len; i++) {
        const DlhCost *c = &g_array_index (s->costs, DlhCost, i);

        json_out_object (json, NULL);
        json_out_string (json, "name", c->name);
        json_out_string (json, "scope", c->scope);
        json_out_array (json, "shape");
        for (guint k = 0; k < c->shape.rank; k++)
            json_out_count (json, NULL, c->shape.dims[k]);
        json_out_end_array (json);
        json_out_number (json, "seconds", c->seconds);
        json_out_number (json, "flops", c->flops);
        json_out_number (json, "bytes", c->bytes);
        json_out_end_object (json);
    }
    json_out_end_array (json);
}

static char *
profile_json (const Profile *p, DlhDType dtype)
{
    g_auto (JsonOut) json = {0};

    json_out_init (&json);
    json_out_count (&json, "threads", dlh_get_threads ());
    json_out_string (&json, "dtype", dlh_dtype_name (dtype));
    json_out_number (&json, "product_flops_per_second", p->gemm);
    json_out_number (&json, "copy_bytes_per_second", p->copy);
    json_out_count (&json, "batch", p->batch);
    json_out_number (&json, "step_seconds", step_seconds (p));
    json_out_array (&json, "functions");
    for (guint i = 0; i < p->sections->len; i++) {
        const Section *s = &g_array_index (p->sections, Section, i);

        json_out_object (&json, NULL);
        json_out_string (&json, "name", s->name);
        json_out_number (&json, "runs_in_a_step", s->runs);
        json_out_number (&json, "seconds", s->seconds);
        json_out_number (&json, "flops", s->flops);
        json_out_number (&json, "bytes", s->bytes);
        add_costs (&json, s);
        json_out_end_object (&json);
    }
    json_out_end_array (&json);
    return json_out_finish (&json);
}

static int
profile_run (Invocation *inv, GError **error)
{
    g_auto (Trial) t = {0};
    g_auto (Profile) p = {0};
    g_autoptr (GArray) parts = NULL;
    g_autofree char *text = NULL;
    gint64 repeats, rows;

    if (!invocation_flag_count (inv, "repeats", 1, 100000, 20, &repeats, error) ||
        !invocation_flag_count (inv, "rows", 0, 100000, 20, &rows, error) ||
        !invocation_complete (inv, inv->config_file, error) ||
        !trial_init (&t, &inv->config, invocation_registry (inv), error))
        return -1;
    p.sections = g_array_new (FALSE, TRUE, sizeof (Section));
    g_array_set_clear_func (p.sections, section_clear);
    if (!(parts = dlh_trainer_parts (t.trainer, t.x, t.y, error)) ||
        !measure_machine (&p, inv->config.dtype, error) ||
        !measure (&p, &t, parts, (guint)repeats, error))
        return -1;
    text = invocation_flag (inv, "json")
               ? profile_json (&p, inv->config.dtype)
               : profile_text (&p, inv->config.dtype, (guint)rows, text_width ());
    fputs (text, stdout);
    return EXIT_SUCCESS;
}

const Command command_profile = {
    .name = "profile",
    .operands = "",
    .group = GROUP_INSIDE,
    .summary = "where a training step's time goes, beside what the machine can do",
    .details =
        "Runs the step on one batch again and again and prints for each compiled step its share, "
        "time, operations and bytes a second; then the sums by scope. Bytes are what must be read "
        "and written at least. A matrix product and a copy are measured in the same run: they are "
        "the machine's limits. An optimizer's work that is not done at every step is a function of "
        "its own, weighted by how often it is due.",
    .examples = "dlhost profile --model=convnet --optimizer=kfac --threads=1\n"
                "dlhost profile --config=runs/first/config.json --json\n",
    .of_run = TRUE,
    .flags = profile_flags,
    .run = profile_run,
};
