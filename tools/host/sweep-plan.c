/* SPDX-License-Identifier: MIT */
/* From axes to runs. */
#include <math.h>
#include <string.h>
#include "sweep.h"

#define MAX_RUNS 100000
#define MAX_NAME 90

void
sweep_axis_free (gpointer data)
{
    SweepAxis *axis = data;

    g_free (axis->key);
    g_free (axis->owner);
    g_free (axis->option);
    g_ptr_array_unref (axis->values);
    g_free (axis);
}

static void
setting_free (gpointer data)
{
    SweepSetting *s = data;

    g_free (s->key);
    g_free (s->option);
    g_free (s->value);
    g_free (s);
}

static SweepSetting *
setting_copy (const SweepSetting *from)
{
    SweepSetting *s = g_new0 (SweepSetting, 1);

    s->key = g_strdup (from->key);
    s->option = g_strdup (from->option);
    s->value = g_strdup (from->value);
    return s;
}

static void
combination_free (gpointer data)
{
    Combination *c = data;

    g_free (c->label);
    g_free (c->context);
    g_ptr_array_unref (c->settings);
    g_ptr_array_unref (c->args);
    g_free (c);
}

static void
run_free (gpointer data)
{
    SweepRun *run = data;

    g_free (run->name);
    g_free (run->start);
    run_data_free (run->data);
    g_free (run);
}

void
sweep_clear (Sweep *sweep)
{
    g_free (sweep->dir);
    g_free (sweep->plugin_path);
    g_free (sweep->after);
    g_clear_pointer (&sweep->arguments, g_ptr_array_unref);
    g_clear_pointer (&sweep->axes, g_ptr_array_unref);
    g_clear_pointer (&sweep->combinations, g_ptr_array_unref);
    g_clear_pointer (&sweep->runs, g_ptr_array_unref);
}

/* Axes. */

// Splits "a,[b,c],d" at the commas outside brackets.
static GPtrArray *
split_list (const char *text)
{
    GPtrArray *out = g_ptr_array_new_with_free_func (g_free);
    const char *start = text;
    int depth = 0;

    for (const char *p = text;; p++) {
        if (*p == '\0' || (*p == ',' && !depth)) {
            g_ptr_array_add (out, g_strstrip (g_strndup (start, (gsize)(p - start))));
            start = p + 1;
        }
        if (*p == '\0')
            return out;
        depth += *p == '[' ? 1 : *p == ']' ? -1 : 0;
    }
}

// "1e-4..1e-1"
static gboolean
parse_range (SweepAxis *axis, const char *text)
{
    const char *dots = strstr (text, "..");
    g_autofree char *low = dots ? g_strndup (text, (gsize)(dots - text)) : NULL;
    char *end, *end2;

    if (!low || !*low || !dots[2])
        return FALSE;
    axis->low = g_ascii_strtod (low, &end);
    axis->high = g_ascii_strtod (dots + 2, &end2);
    axis->whole = !strpbrk (low, ".eE") && !strpbrk (dots + 2, ".eE");
    return !*end && !*end2 && axis->low > 0 && axis->low < axis->high && isfinite (axis->high);
}

static gboolean
parse_key (SweepAxis *axis, GError **error)
{
    static const char *const of_task[] = {"batch", "epochs", "steps"};
    const char *dot = strchr (axis->key, '.');

    if (dot && dot > axis->key && dot[1]) {
        axis->owner = g_strndup (axis->key, (gsize)(dot - axis->key));
        axis->option = g_strdup (dot + 1);
        return TRUE;
    }
    for (guint i = 0; !dot && i < G_N_ELEMENTS (of_task); i++)
        if (strcmp (axis->key, of_task[i]) == 0) {
            axis->owner = g_strdup ("task");
            axis->option = g_strdup (axis->key);
            return TRUE;
        }
    axis->owner = g_strdup (axis->key);
    axis->of_kind = dlh_plugin_kind_from_name (axis->key) != 0;
    if (axis->of_kind || strcmp (axis->key, "dtype") == 0)
        return TRUE;
    g_set_error (
        error, DLH_ERROR, DLH_ERROR_OPTION,
        "--grid: '%s' can not be varied: give a kind (optimizer), an option "
        "(optimizer.lr, or kfac.lr for that plugin alone), batch, epochs, steps or dtype%s",
        axis->key, strcmp (axis->key, "seed") == 0 ? "; seeds are varied by --seeds" : "");
    return FALSE;
}

SweepAxis *
sweep_axis_parse (const char *text, GError **error)
{
    const char *equals = strchr (text, '=');
    gsize n = equals ? strlen (equals + 1) : 0;
    SweepAxis *axis = g_new0 (SweepAxis, 1);
    g_autofree char *inner = NULL;

    axis->values = g_ptr_array_new_with_free_func (g_free);
    axis->key = equals ? g_strndup (text, (gsize)(equals - text)) : g_strdup (text);
    if (n > 2 && equals[1] == '[' && equals[n] == ']') {
        g_ptr_array_unref (axis->values);
        inner = g_strndup (equals + 2, n - 2);
        axis->values = split_list (inner);
    } else if (!n || !parse_range (axis, equals + 1)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--grid: '%s' must be of the form optimizer.lr=[0.1,0.3], or with --random "
                     "optimizer.lr=1e-4..1e-1 (both ends above 0)",
                     text);
        g_clear_pointer (&axis, sweep_axis_free);
    }
    for (guint i = 0; axis && i < axis->values->len; i++)
        for (guint k = 0; axis && k <= i; k++) {
            const char *value = axis->values->pdata[i];

            if (*value && (k == i || strcmp (value, axis->values->pdata[k]) != 0))
                continue;
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--grid: '%s' has %s", text,
                         *value ? "a value twice" : "an empty value");
            g_clear_pointer (&axis, sweep_axis_free);
        }
    if (axis && !parse_key (axis, error))
        g_clear_pointer (&axis, sweep_axis_free);
    return axis;
}

/* Combinations. */

// Steele, Lea and Flood's splitmix64.
static guint64
mix (guint64 x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// In [0, 1), by what is drawn and not by the order of drawing.
static double
uniform (guint64 seed, const char *context, const char *key, guint draw)
{
    guint64 h = mix (seed);

    for (const char *p = context; *p; p++)
        h = mix (h ^ (guchar)*p);
    h = mix (h ^ 0x100);
    for (const char *p = key; *p; p++)
        h = mix (h ^ (guchar)*p);
    return (double)(mix (mix (h ^ 0x200) ^ draw) >> 11) * 0x1p-53;
}

static char *
draw_value (const SweepAxis *axis, guint64 seed, const char *context, guint draw)
{
    double u = uniform (seed, context, axis->key, draw);
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    double value;

    if (axis->values->len)
        return g_strdup (axis->values->pdata[(guint)(u * axis->values->len)]);
    value = exp (log (axis->low) + u * (log (axis->high) - log (axis->low)));
    if (axis->whole)
        return g_strdup_printf ("%.0f", value);
    return g_strdup (g_ascii_formatd (text, sizeof text, "%.4g", value));
}

static void
add_setting (GPtrArray *settings, const SweepAxis *axis, char *value)
{
    SweepSetting *s = g_new0 (SweepSetting, 1);

    s->key = g_strdup (axis->key);
    s->option = g_strdup (axis->option);
    s->value = value;
    g_ptr_array_add (settings, s);
}

static char *
plugin_name (const char *text)
{
    g_autofree char *base = g_path_get_basename (text);

    if (g_str_has_suffix (base, ".so"))
        base[strlen (base) - 3] = '\0';
    return g_steal_pointer (&base);
}

// Whether a run with these plugins uses plugin @name, and as what.
static DlhPluginKind
kind_of_plugin (const Config *base, GPtrArray *chosen, const char *name)
{
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++) {
        const char *text = base->parts[kind].name;
        g_autofree char *plugin = NULL;

        for (guint i = 0; i < chosen->len; i++)
            if (strcmp (((SweepSetting *)chosen->pdata[i])->key, dlh_plugin_kind_name (kind)) == 0)
                text = ((SweepSetting *)chosen->pdata[i])->value;
        plugin = text ? plugin_name (text) : NULL;
        if (plugin && strcmp (plugin, name) == 0)
            return kind;
    }
    return 0;
}

static void
add_combination (Sweep *sweep, const Config *base, GPtrArray *settings, const char *context)
{
    Combination *c = g_new0 (Combination, 1);
    g_autoptr (GString) label = g_string_new (NULL);

    c->settings = g_ptr_array_new_with_free_func (setting_free);
    c->args = g_ptr_array_new_with_free_func (g_free);
    c->context = g_strdup (context);
    for (guint i = 0; i < settings->len; i++) {
        const SweepSetting *s = settings->pdata[i];
        const char *dot = strchr (s->key, '.');
        g_autofree char *owner = dot ? g_strndup (s->key, (gsize)(dot - s->key)) : NULL;
        DlhPluginKind kind = owner && !dlh_plugin_kind_from_name (owner)
                                 ? kind_of_plugin (base, settings, owner)
                                 : 0;

        g_ptr_array_add (c->settings, setting_copy (s));
        g_ptr_array_add (c->args, kind ? g_strdup_printf ("--%s.%s=%s", dlh_plugin_kind_name (kind),
                                                          s->option, s->value)
                                       : g_strdup_printf ("--%s=%s", s->key, s->value));
        g_string_append_printf (label, "%s%s%s%s", label->len ? ", " : "",
                                s->option ? s->option : "", s->option ? "=" : "", s->value);
    }
    c->label = g_strdup (label->len ? label->str : "as given");
    g_ptr_array_add (sweep->combinations, c);
}

// Every choice of the axes from @at on, after the settings chosen so far.
static gboolean
grid (Sweep *sweep, const Config *base, GPtrArray *axes, guint at, GPtrArray *settings,
      const char *context, GError **error)
{
    const SweepAxis *axis;

    if (sweep->combinations->len >= MAX_RUNS) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--grid: more than %d combinations; draw some of them with --random=N",
                     MAX_RUNS);
        return FALSE;
    }
    if (at == axes->len) {
        add_combination (sweep, base, settings, context);
        return TRUE;
    }
    axis = axes->pdata[at];
    for (guint i = 0; i < axis->values->len; i++) {
        add_setting (settings, axis, g_strdup (axis->values->pdata[i]));
        if (!grid (sweep, base, axes, at + 1, settings, context, error))
            return FALSE;
        g_ptr_array_set_size (settings, (int)settings->len - 1);
    }
    return TRUE;
}

typedef struct {
    Sweep *sweep;
    const Config *base;
    guint64 random;
    GHashTable *used; /* axes that some run has */
} Planner;

// The plugins are chosen: the other axes that apply.
static gboolean
plan_context (Planner *p, GPtrArray *chosen, GError **error)
{
    g_autoptr (GPtrArray) axes = g_ptr_array_new ();
    g_autoptr (GString) context = g_string_new (NULL);

    for (guint i = 0; i < chosen->len; i++)
        g_string_append_printf (context, "%s%s", i ? ", " : "",
                                ((SweepSetting *)chosen->pdata[i])->value);
    for (guint i = 0; i < p->sweep->axes->len; i++) {
        SweepAxis *axis = p->sweep->axes->pdata[i];

        if (axis->of_kind)
            continue;
        if (axis->option && !dlh_plugin_kind_from_name (axis->owner) &&
            !kind_of_plugin (p->base, chosen, axis->owner))
            continue;
        g_hash_table_add (p->used, axis);
        g_ptr_array_add (axes, axis);
    }
    if (!p->random)
        return grid (p->sweep, p->base, axes, 0, chosen, context->str, error);
    for (guint draw = 0; draw < p->random; draw++) {
        guint n = chosen->len;

        for (guint i = 0; i < axes->len; i++)
            add_setting (chosen, axes->pdata[i],
                         draw_value (axes->pdata[i], p->base->seed, context->str, draw));
        add_combination (p->sweep, p->base, chosen, context->str);
        g_ptr_array_set_size (chosen, (int)n);
    }
    return TRUE;
}

static gboolean
plan_kinds (Planner *p, guint at, GPtrArray *chosen, GError **error)
{
    const SweepAxis *axis;

    while (at < p->sweep->axes->len && !((SweepAxis *)p->sweep->axes->pdata[at])->of_kind)
        at++;
    if (at == p->sweep->axes->len)
        return plan_context (p, chosen, error);
    axis = p->sweep->axes->pdata[at];
    for (guint i = 0; i < axis->values->len; i++) {
        add_setting (chosen, axis, g_strdup (axis->values->pdata[i]));
        if (!plan_kinds (p, at + 1, chosen, error))
            return FALSE;
        g_ptr_array_set_size (chosen, (int)chosen->len - 1);
    }
    return TRUE;
}

/* Checks. */

static gboolean
check_axes (const Sweep *sweep, const Invocation *inv, guint64 random, GError **error)
{
    for (guint i = 0; i < sweep->axes->len; i++) {
        const SweepAxis *axis = sweep->axes->pdata[i];
        DlhPluginKind kind = dlh_plugin_kind_from_name (axis->owner);
        gboolean given =
            kind &&
            (axis->option ? g_hash_table_contains (inv->config.parts[kind].settings, axis->option)
                          : g_hash_table_contains (inv->given, axis->key));

        for (guint k = 0; k < i; k++)
            if (strcmp (((SweepAxis *)sweep->axes->pdata[k])->key, axis->key) == 0) {
                g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--grid: '%s' is given twice",
                             axis->key);
                return FALSE;
            }
        if (given ||
            (strcmp (axis->key, "dtype") == 0 && g_hash_table_contains (inv->given, "dtype"))) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "--grid: '%s' is varied, and given as an option of every run as well",
                         axis->key);
            return FALSE;
        }
        if (!axis->values->len && (!random || axis->of_kind)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "--grid: '%s' is a range: say how many draws with --random=N, or list "
                         "values",
                         axis->key);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
check_used (const Sweep *sweep, GHashTable *used, GError **error)
{
    for (guint i = 0; i < sweep->axes->len; i++) {
        SweepAxis *axis = sweep->axes->pdata[i];

        if (axis->of_kind || g_hash_table_contains (used, axis))
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--grid: '%s': no run uses a plugin '%s'",
                     axis->key, axis->owner);
        return FALSE;
    }
    return TRUE;
}

// "012-kfac-lr=0.1-seed=3"
static char *
run_name (const Sweep *sweep, guint combination, guint64 seed)
{
    const Combination *c = sweep->combinations->pdata[combination];
    g_autoptr (GString) s = g_string_new (NULL);

    for (guint i = 0; i < c->settings->len; i++) {
        const SweepSetting *setting = c->settings->pdata[i];

        g_string_append_printf (s, "-%s%s%s", setting->option ? setting->option : "",
                                setting->option ? "=" : "", setting->value);
    }
    g_string_truncate (s, MIN (s->len, MAX_NAME));
    for (char *p = s->str; *p; p++)
        if (!g_ascii_isalnum (*p) && !strchr ("=.+_-", *p))
            *p = '_';
    return g_strdup_printf ("%03u%s-seed=%" G_GUINT64_FORMAT, combination, s->str, seed);
}

gboolean
sweep_plan (Sweep *sweep, Invocation *inv, GError **error)
{
    GPtrArray *texts = invocation_flag_values (inv, "grid");
    g_autoptr (GPtrArray) chosen = g_ptr_array_new_with_free_func (setting_free);
    g_autoptr (GHashTable) used = g_hash_table_new (NULL, NULL);
    Planner planner = {sweep, &inv->config, 0, used};
    gint64 seeds, random;

    sweep->axes = g_ptr_array_new_with_free_func (sweep_axis_free);
    sweep->combinations = g_ptr_array_new_with_free_func (combination_free);
    sweep->runs = g_ptr_array_new_with_free_func (run_free);
    if (!invocation_flag_count (inv, "seeds", 1, 10000, 1, &seeds, error) ||
        !invocation_flag_count (inv, "random", 1, MAX_RUNS, 0, &random, error))
        return FALSE;
    planner.random = (guint64)random;
    sweep->after = g_strdup (invocation_flag (inv, "after"));
    for (guint i = 0; texts && i < texts->len; i++) {
        SweepAxis *axis = sweep_axis_parse (texts->pdata[i], error);

        if (!axis)
            return FALSE;
        g_ptr_array_add (sweep->axes, axis);
    }
    if (!check_axes (sweep, inv, planner.random, error) ||
        !plan_kinds (&planner, 0, chosen, error) || !check_used (sweep, used, error))
        return FALSE;
    for (guint i = 0; i < sweep->combinations->len; i++)
        for (guint64 k = 0; k < (guint64)seeds; k++) {
            SweepRun *run = g_new0 (SweepRun, 1);

            run->combination = sweep->combinations->pdata[i];
            run->seed = inv->config.seed + k;
            run->name = run_name (sweep, i, run->seed);
            run->state = RUN_MISSING;
            g_ptr_array_add (sweep->runs, run);
        }
    return TRUE;
}
