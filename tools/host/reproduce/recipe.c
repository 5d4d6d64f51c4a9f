/* SPDX-License-Identifier: MIT */
#include "recipe.h"

static void
arm_free (gpointer data)
{
    RecipeArm *arm = data;

    g_free (arm->name);
    g_free (arm->title);
    g_free (arm->curve);
    g_clear_pointer (&arm->then, g_ptr_array_unref);
    g_hash_table_unref (arm->options);
    g_ptr_array_unref (arm->grid);
    g_free (arm);
}

static void
column_free (gpointer data)
{
    RecipeColumn *column = data;

    g_free (column->title);
    g_free (column->metric);
    g_free (column->until);
    g_free (column);
}

static void
plot_free (gpointer data)
{
    RecipeFigure *figure = data;

    g_free (figure->name);
    g_free (figure->title);
    g_free (figure->metric);
    g_free (figure->x_metric);
    g_free (figure);
}

GHashTable *
recipe_settings_new (void)
{
    return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

RecipeEvaluation *
recipe_evaluation_new (void)
{
    RecipeEvaluation *evaluation = g_new0 (RecipeEvaluation, 1);

    evaluation->options = recipe_settings_new ();
    return evaluation;
}

void
recipe_evaluation_free (gpointer data)
{
    RecipeEvaluation *evaluation = data;

    g_free (evaluation->name);
    g_hash_table_unref (evaluation->options);
    g_free (evaluation);
}

RecipeExperiment *
recipe_experiment_new (void)
{
    RecipeExperiment *e = g_new0 (RecipeExperiment, 1);

    e->options = recipe_settings_new ();
    e->tune = (RecipePhase){.options = recipe_settings_new (), .seeds = 1};
    e->final = (RecipePhase){.options = recipe_settings_new (), .seeds = 3, .seed = 1000};
    e->then = g_ptr_array_new_with_free_func (recipe_evaluation_free);
    e->arms = g_ptr_array_new_with_free_func (arm_free);
    e->table = g_ptr_array_new_with_free_func (column_free);
    e->figures = g_ptr_array_new_with_free_func (plot_free);
    return e;
}

void
recipe_experiment_free (RecipeExperiment *e)
{
    g_free (e->name);
    g_free (e->title);
    g_free (e->reported);
    g_free (e->note);
    g_hash_table_unref (e->options);
    g_hash_table_unref (e->tune.options);
    g_hash_table_unref (e->final.options);
    g_free (e->tune.by);
    g_free (e->final.by);
    g_ptr_array_unref (e->then);
    g_ptr_array_unref (e->arms);
    g_ptr_array_unref (e->table);
    g_ptr_array_unref (e->figures);
    g_free (e);
}

void
recipe_free (Recipe *recipe)
{
    if (!recipe)
        return;
    g_free (recipe->path);
    g_free (recipe->title);
    g_free (recipe->paper);
    g_ptr_array_unref (recipe->experiments);
    g_free (recipe);
}

RecipeArm *
recipe_arm_new (RecipeExperiment *e)
{
    RecipeArm *arm = g_new0 (RecipeArm, 1);

    arm->options = recipe_settings_new ();
    arm->grid = g_ptr_array_new_with_free_func (sweep_axis_free);
    arm->then = g_ptr_array_new_with_free_func (recipe_evaluation_free);
    g_ptr_array_add (e->arms, arm);
    return arm;
}

guint
recipe_arm_budget (const RecipeExperiment *e, const RecipeArm *arm)
{
    guint n = 1;

    for (guint i = 0; i < arm->grid->len; i++)
        n *= MIN (((SweepAxis *)arm->grid->pdata[i])->values->len, 10000);
    return arm->grid->len && e->tune.random ? (guint)e->tune.random : n;
}
