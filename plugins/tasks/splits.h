/* SPDX-License-Identifier: MIT */
/* The option split of a task, "train|valid|test", against what the data set has. */
#pragma once

#include <string.h>
#include <dlhost/dlhost.h>

static const char *const split_names[] = {"train", "valid", "test"};
static const DlhSplit split_values[] = {DLH_SPLIT_TRAIN, DLH_SPLIT_VALID, DLH_SPLIT_TEST};

static inline DlhSplit
split_named (const char *name)
{
    guint i = 0;

    while (i + 1 < G_N_ELEMENTS (split_names) && strcmp (name, split_names[i]) != 0)
        i++;
    return split_values[i];
}

static inline gboolean
split_is_there (DlhData *data, DlhSplit split)
{
    return dlh_data_has_split (data, split) && dlh_data_count (data, split) > 0;
}

/* FALSE with DLH_ERROR_OPTION that names the splits there are when @name is none of them. */
static inline gboolean
split_find (const char *task, DlhData *data, const char *name, DlhSplit *split, GError **error)
{
    g_autoptr (GString) there = g_string_new (NULL);

    *split = split_named (name);
    for (guint i = 0; i < G_N_ELEMENTS (split_names); i++)
        if (split_is_there (data, split_values[i]))
            g_string_append_printf (there, "%ssplit=%s", there->len ? " or " : "", split_names[i]);
    if (split_is_there (data, *split))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: the data set has no '%s' split: give %s",
                 task, name, there->len ? there->str : "another data set, this one is empty");
    return FALSE;
}
