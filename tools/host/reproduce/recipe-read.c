/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <dlhost/dlhost.h>
#include "../jsonfile.h"
#include "recipe-reader.h"

#define MAX_SEEDS 1000
#define MAX_STEP G_GINT64_CONSTANT (1000000000000)

/* Parts. */

static char *
replace_data (Reader *r, char *text)
{
    g_autofree char *owned = text;
    g_auto (GStrv) parts = g_strsplit (owned, "{data}", -1);

    r->uses_data |= g_strv_length (parts) > 1;
    if (r->out) {
        g_autofree char *joined = g_strjoinv (r->data, parts);
        g_auto (GStrv) again = g_strsplit (joined, "{out}", -1);

        return g_strjoinv (r->out, again);
    }
    return g_strjoinv (r->data, parts);
}

// What a run is given: "model.hidden", "dataset", "dtype".
static gboolean
is_run_key (const char *key)
{
    const char *dot = strchr (key, '.');
    g_autofree char *kind = dot ? g_strndup (key, (gsize)(dot - key)) : g_strdup (key);

    return (dlh_plugin_kind_from_name (kind) && (!dot || dot[1])) || strcmp (key, "dtype") == 0;
}

static const char run_key[] =
    "a kind of plugin (optimizer), an option of it (optimizer.lr) or dtype";

gboolean
reader_options (Reader *r, Members *m, const char *name, GHashTable *out, GError **error)
{
    JsonNode *node = members_take (m, name), *value;
    g_auto (Members) inner = {0};
    JsonObjectIter iter;
    const char *key;

    if (!node)
        return TRUE;
    if (!members_open (&inner, r->path, members_place (m, name), node, error))
        return FALSE;
    json_object_iter_init (&iter, inner.object);
    while (json_object_iter_next (&iter, &key, &value)) {
        char *text = value_text (value);

        if (!text)
            return members_refuse (&inner, key, "a number, text, true, false or a list", error);
        if (!is_run_key (key)) {
            g_free (text);
            return members_refuse (&inner, key, run_key, error);
        }
        g_hash_table_insert (out, g_strdup (key), replace_data (r, text));
    }
    return TRUE;
}

static gboolean
read_axis (Reader *r, Members *m, const char *key, JsonNode *value, GPtrArray *out, GError **error)
{
    guint n =
        JSON_NODE_HOLDS_ARRAY (value) ? json_array_get_length (json_node_get_array (value)) : 0;
    g_autofree char *values = n ? replace_data (r, value_text (value)) : NULL;
    g_autofree char *text = g_strdup_printf ("%s=%s", key, values ? values : "");
    SweepAxis *axis;

    if (!is_run_key (key))
        return members_refuse (m, key, run_key, error);
    if (!n)
        return members_refuse (m, key, "a list of values to try", error);
    if (!(axis = sweep_axis_parse (text, error))) {
        g_prefix_error (error, "%s: %s: ", m->path, m->where);
        return FALSE;
    }
    if (r->values && r->values < axis->values->len)
        g_ptr_array_set_size (axis->values, (int)r->values);
    g_ptr_array_add (out, axis);
    return TRUE;
}

static gboolean
read_grid (Reader *r, Members *m, GPtrArray *out, GError **error)
{
    JsonNode *node = members_take (m, "grid"), *value;
    g_auto (Members) inner = {0};
    JsonObjectIter iter;
    const char *key;

    if (!node)
        return TRUE;
    if (!members_open (&inner, r->path, members_place (m, "grid"), node, error))
        return FALSE;
    json_object_iter_init (&iter, inner.object);
    while (json_object_iter_next (&iter, &key, &value))
        if (!read_axis (r, &inner, key, value, out, error))
            return FALSE;
    return TRUE;
}

static gboolean
read_arm (Reader *r, gpointer into, char *where, JsonNode *node, GError **error)
{
    RecipeExperiment *e = into;
    RecipeArm *arm = recipe_arm_new (e);
    g_auto (Members) m = {0};

    if (!members_open (&m, r->path, where, node, error) || !members_name (&m, &arm->name, error) ||
        !members_text (&m, "title", FALSE, &arm->title, error) ||
        !members_text (&m, "curve", FALSE, &arm->curve, error) ||
        !reader_options (r, &m, "options", arm->options, error) ||
        !reader_then (r, &m, arm->then, error) || !read_grid (r, &m, arm->grid, error) ||
        !members_end (&m, error))
        return FALSE;
    if (!arm->title)
        arm->title = g_strdup (arm->name);
    for (guint i = 0; i + 1 < e->arms->len; i++)
        if (strcmp (((RecipeArm *)e->arms->pdata[i])->name, arm->name) == 0)
            return members_refuse (&m, "name", "another than those of the arms before", error);
    return TRUE;
}

static const char *const axes[] = {"step", "epoch", "wall", "cpu", NULL};

static gboolean
read_column (Reader *r, gpointer into, char *where, JsonNode *node, GError **error)
{
    RecipeExperiment *e = into;
    RecipeColumn *column = g_new0 (RecipeColumn, 1);
    static const char *const kinds[] = {"last", "best", NULL};
    g_auto (Members) m = {0};
    int kind = COLUMN_LAST, x = AXIS_STEP;
    JsonNode *at;

    g_ptr_array_add (e->table, column);
    if (!members_open (&m, r->path, where, node, error) ||
        !members_text (&m, "title", FALSE, &column->title, error) ||
        !members_text (&m, "metric", TRUE, &column->metric, error) ||
        !members_text (&m, "until", FALSE, &column->until, error) ||
        !members_choice (&m, "x", axes, AXIS_STEP, &x, error))
        return FALSE;
    at = members_take (&m, "at");
    if (column->until && at)
        return members_refuse (&m, "at", "left out where there is 'until'", error);
    if (at && JSON_NODE_HOLDS_VALUE (at) && json_node_get_value_type (at) == G_TYPE_INT64) {
        kind = COLUMN_AT;
        if (!members_count (&m, "at", 1, MAX_STEP, &column->step, error))
            return FALSE;
    } else if (!members_choice (&m, "at", kinds, COLUMN_LAST, &kind, error))
        return FALSE;
    column->kind = column->until ? COLUMN_UNTIL : kind;
    column->x = x;
    return members_end (&m, error);
}

static gboolean
read_figure (Reader *r, gpointer into, char *where, JsonNode *node, GError **error)
{
    RecipeExperiment *e = into;
    static const char *const scales[] = {"auto", "log", "linear", NULL};
    RecipeFigure *figure = g_new0 (RecipeFigure, 1);
    g_auto (Members) m = {0};
    int x = AXIS_STEP, log_x = SCALE_AUTO, log_y = SCALE_AUTO;

    g_ptr_array_add (e->figures, figure);
    if (!members_open (&m, r->path, where, node, error) ||
        !members_name (&m, &figure->name, error) ||
        !members_text (&m, "title", FALSE, &figure->title, error) ||
        !members_text (&m, "metric", TRUE, &figure->metric, error) ||
        !members_text (&m, "x_metric", FALSE, &figure->x_metric, error))
        return FALSE;
    if (figure->x_metric && members_take (&m, "x"))
        return members_refuse (&m, "x", "left out where there is 'x_metric'", error);
    if (!members_choice (&m, "x", axes, AXIS_STEP, &x, error) ||
        !members_choice (&m, "x_scale", scales, SCALE_AUTO, &log_x, error) ||
        !members_choice (&m, "y_scale", scales, SCALE_AUTO, &log_y, error) ||
        !members_end (&m, error))
        return FALSE;
    figure->curves =
        (CurveOptions){.axis = x, .x_scale = log_x, .y_scale = log_y, .band = BAND_ERROR};
    for (guint i = 0; i + 1 < e->figures->len; i++)
        if (strcmp (((RecipeFigure *)e->figures->pdata[i])->name, figure->name) == 0)
            return members_refuse (&m, "name", "another than those of the figures before", error);
    return TRUE;
}

gboolean
reader_list (Reader *r, Members *m, const char *name, gboolean needed, gpointer into, ReadItem read,
             GError **error)
{
    JsonNode *node = members_take (m, name);
    guint n = node && JSON_NODE_HOLDS_ARRAY (node)
                  ? json_array_get_length (json_node_get_array (node))
                  : 0;

    if (!node && !needed)
        return TRUE;
    if (!n)
        return members_refuse (m, name, "a list that is not empty", error);
    for (guint i = 0; i < n; i++) {
        g_autofree char *place = members_place (m, name);

        if (!read (r, into, g_strdup_printf ("%s[%u]", place, i),
                   json_array_get_element (json_node_get_array (node), i), error))
            return FALSE;
    }
    return TRUE;
}

/* Phases and scales. */

static gboolean
read_phase (Reader *r, Members *m, const char *name, RecipePhase *phase, GError **error)
{
    gboolean tune = strcmp (name, "tune") == 0;
    JsonNode *node = members_take (m, name);
    g_auto (Members) inner = {0};

    if (!node)
        return TRUE;
    return members_open (&inner, r->path, members_place (m, name), node, error) &&
           reader_options (r, &inner, "options", phase->options, error) &&
           members_count (&inner, "seed", 0, G_MAXINT32, &phase->seed, error) &&
           members_count (&inner, "seeds", 1, MAX_SEEDS, &phase->seeds, error) &&
           (!tune || (members_text (&inner, "by", FALSE, &phase->by, error) &&
                      members_count (&inner, "random", 1, 10000, &phase->random, error) &&
                      members_count (&inner, "values", 1, 10000, &r->values, error))) &&
           members_end (&inner, error);
}

static gboolean
read_one_scale (Reader *r, RecipeExperiment *e, gboolean chosen, char *where, JsonNode *node,
                GError **error)
{
    g_auto (Members) m = {0};

    return members_open (&m, r->path, where, node, error) &&
           reader_options (r, &m, "options", e->options, error) &&
           read_phase (r, &m, "tune", &e->tune, error) &&
           read_phase (r, &m, "final", &e->final, error) &&
           reader_scaled_then (r, &m, chosen, error) && members_end (&m, error);
}

// The other scales are read as well, for what is wrong in them.
static gboolean
read_scales (Reader *r, Members *m, RecipeExperiment *e, GError **error)
{
    JsonNode *node = members_take (m, "scales"), *value;
    g_auto (Members) all = {0};
    JsonObjectIter iter;
    const char *key;

    if (!node)
        return TRUE;
    if (!members_open (&all, r->path, members_place (m, "scales"), node, error))
        return FALSE;
    json_object_iter_init (&iter, all.object);
    while (json_object_iter_next (&iter, &key, &value)) {
        gboolean chosen = g_strcmp0 (r->scale, key) == 0;
        RecipeExperiment *scratch = chosen ? NULL : recipe_experiment_new ();
        gint64 values = r->values;
        gboolean ok = read_one_scale (r, chosen ? e : scratch, chosen, members_place (&all, key),
                                      value, error);

        if (!chosen) {
            recipe_experiment_free (scratch);
            r->values = values;
        }
        if (!ok)
            return FALSE;
        // A title speaks of the full size.
        if (chosen) {
            g_autofree char *full = g_steal_pointer (&e->title);

            e->title = g_strdup_printf ("%s (reduced to scale %s)", full, key);
        }
        if (!g_ptr_array_find_with_equal_func (r->scales, key, g_str_equal, NULL))
            g_ptr_array_add (r->scales, g_strdup (key));
    }
    return TRUE;
}

/* Whole experiments. */

// A comparison is fair where every arm may try as many settings.
static gboolean
check_budgets (const Members *m, const RecipeExperiment *e, GError **error)
{
    const RecipeArm *first = NULL;

    for (guint i = 0; i < e->arms->len; i++) {
        const RecipeArm *arm = e->arms->pdata[i];

        if (!arm->grid->len)
            continue;
        if (!first)
            first = arm;
        if (recipe_arm_budget (e, arm) == recipe_arm_budget (e, first))
            continue;
        g_set_error (
            error, DLH_ERROR, DLH_ERROR_OPTION,
            "%s: %s: arm '%s' is tuned with %u settings, '%s' with %u: give all arms grids "
            "of one size, or none",
            m->path, m->where, first->name, recipe_arm_budget (e, first), arm->name,
            recipe_arm_budget (e, arm));
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_columns (const Members *m, const RecipeExperiment *e, GError **error)
{
    for (guint i = 0; i < e->table->len; i++) {
        const RecipeColumn *column = e->table->pdata[i];
        gboolean found = !column->until;

        for (guint k = 0; k < e->arms->len; k++)
            found |= g_strcmp0 (((RecipeArm *)e->arms->pdata[k])->name, column->until) == 0;
        if (!found) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "%s: %s.table[%u]: 'until' is '%s', must be the name of an arm", m->path,
                         m->where, i, column->until);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
read_experiment (Reader *r, Recipe *recipe, char *where, JsonNode *node, GError **error)
{
    RecipeExperiment *e = recipe_experiment_new ();
    g_auto (Members) m = {0};

    g_ptr_array_add (recipe->experiments, e);
    r->values = 0;
    r->uses_data = FALSE;
    g_ptr_array_set_size (r->scaled, 0);
    if (!members_open (&m, r->path, where, node, error) || !members_name (&m, &e->name, error) ||
        !members_text (&m, "title", TRUE, &e->title, error) ||
        !members_text (&m, "reported", FALSE, &e->reported, error) ||
        !members_text (&m, "note", FALSE, &e->note, error) ||
        !reader_options (r, &m, "options", e->options, error) ||
        !read_phase (r, &m, "tune", &e->tune, error) ||
        !read_phase (r, &m, "final", &e->final, error) || !read_scales (r, &m, e, error) ||
        !reader_then (r, &m, e->then, error) ||
        !reader_list (r, &m, "arms", TRUE, e, read_arm, error) ||
        !reader_list (r, &m, "table", TRUE, e, read_column, error) ||
        !reader_list (r, &m, "figures", FALSE, e, read_figure, error) || !members_end (&m, error) ||
        !reader_resolve_then (r, e, error) || !check_budgets (&m, e, error) ||
        !check_columns (&m, e, error))
        return FALSE;
    e->uses_data = r->uses_data;
    for (guint i = 0; i + 1 < recipe->experiments->len; i++)
        if (strcmp (((RecipeExperiment *)recipe->experiments->pdata[i])->name, e->name) == 0)
            return members_refuse (&m, "name", "another than those of the experiments before",
                                   error);
    return TRUE;
}

static gboolean
check_scale (const Reader *r, GError **error)
{
    g_autofree char *all = NULL;

    if (!r->scale || g_ptr_array_find_with_equal_func (r->scales, r->scale, g_str_equal, NULL))
        return TRUE;
    g_ptr_array_add (r->scales, g_strdup ("full"));
    g_ptr_array_add (r->scales, NULL);
    all = g_strjoinv (", ", (char **)r->scales->pdata);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--scale: '%s' is none of %s's, which are %s",
                 r->scale, r->path, all);
    return FALSE;
}

static gboolean
read_recipe (Reader *r, Members *m, Recipe *recipe, const char *data, GError **error)
{
    JsonNode *list;
    guint n;

    if (!members_text (m, "title", TRUE, &recipe->title, error) ||
        !members_text (m, "paper", FALSE, &recipe->paper, error) ||
        !members_text (m, "data", FALSE, &r->data, error))
        return FALSE;
    if (data || !r->data) {
        g_free (r->data);
        r->data = g_strdup (data ? data : ".");
    }
    list = members_take (m, "experiments");
    n = list && JSON_NODE_HOLDS_ARRAY (list) ? json_array_get_length (json_node_get_array (list))
                                             : 0;
    if (!n)
        return members_refuse (m, "experiments", "a list that is not empty", error);
    for (guint i = 0; i < n; i++)
        if (!read_experiment (r, recipe, g_strdup_printf ("experiments[%u]", i),
                              json_array_get_element (json_node_get_array (list), i), error))
            return FALSE;
    return members_end (m, error) && check_scale (r, error);
}

Recipe *
recipe_read (const char *path, const char *scale, const char *data, const char *out, GError **error)
{
    g_autoptr (JsonNode) root = json_file_read (path, "recipe", error);
    g_autoptr (GPtrArray) scales = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GPtrArray) scaled = g_ptr_array_new_with_free_func (scaled_evaluation_free);
    g_autoptr (Recipe) recipe = g_new0 (Recipe, 1);
    g_auto (Members) m = {0};
    Reader r = {.path = path,
                .scale = g_strcmp0 (scale, "full") == 0 ? NULL : scale,
                .scales = scales,
                .scaled = scaled,
                .out = out};
    gboolean ok;

    recipe->path = g_strdup (path);
    recipe->experiments = g_ptr_array_new_with_free_func ((GDestroyNotify)recipe_experiment_free);
    ok = root && members_open (&m, path, g_strdup (""), root, error) &&
         read_recipe (&r, &m, recipe, data, error);
    g_free (r.data);
    return ok ? g_steal_pointer (&recipe) : NULL;
}
