/* SPDX-License-Identifier: MIT */
/* Data sets through the registry, from options to tensors: what their tests begin with. */
#pragma once

#include "test.h"

/* @settings: "name=value name=value" */
static inline DlhData *
load_as (const char *plugin, DlhDType dtype, const char *settings, GError **error)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_auto (GStrv) words = g_strsplit (settings, " ", -1);
    g_autoptr (DlhComponent) component = NULL;
    g_autoptr (DlhData) data = dlh_data_new ();
    const DlhDataset *dataset;

    for (guint i = 0; words[i] && *words[i]; i++) {
        char *equals = strchr (words[i], '=');

        *equals = '\0';
        g_hash_table_insert (table, words[i], equals + 1);
    }
    component = dlh_registry_load (registry, DLH_DATASET, plugin, table, error);
    if (!component)
        return NULL;
    dataset = dlh_component_interface (component);
    if (!dataset->load (data, dtype, dlh_component_options (component), error))
        return NULL;
    return g_steal_pointer (&data);
}

static inline DlhData *
load (const char *plugin, const char *settings, GError **error)
{
    return load_as (plugin, DLH_F64, settings, error);
}

/* NULL after the test is marked. */
static inline DlhData *
load_well_as (const char *plugin, DlhDType dtype, const char *settings)
{
    g_autoptr (GError) error = NULL;
    DlhData *data = load_as (plugin, dtype, settings, &error);

    if (!data)
        test_fail ("%s %s: %s", plugin, settings, error ? error->message : "no error");
    return data;
}

static inline DlhData *
load_well (const char *plugin, const char *settings)
{
    return load_well_as (plugin, DLH_F64, settings);
}

static inline void
assert_shape (const DlhTensor *tensor, DlhShape want)
{
    g_autofree char *got = dlh_shape_to_string (dlh_tensor_get_shape (tensor));
    g_autofree char *wanted = dlh_shape_to_string (want);

    g_assert_cmpstr (got, ==, wanted);
}

/* Row i * lanes + b goes on where row (i - 1) * lanes + b ended; targets are the next inputs. */
static inline void
assert_stream (DlhData *data, DlhSplit split)
{
    const gint64 *x = dlh_tensor_get_data (dlh_data_inputs (data, split));
    const gint64 *y = dlh_tensor_get_data (dlh_data_targets (data, split));
    gint64 lanes = dlh_data_lanes (data), n = dlh_data_count (data, split), n_wrong = 0;
    gint64 T = dlh_data_input_shape (data).dims[0];

    g_assert_true (dlh_data_is_stream (data));
    g_assert_cmpint (n % lanes, ==, 0);
    g_assert_cmpint (n / lanes, >, 1);
    for (gint64 row = 0; row < n; row++) {
        for (gint64 t = 0; t + 1 < T; t++)
            n_wrong += y[row * T + t] != x[row * T + t + 1];
        if (row >= lanes)
            n_wrong += x[row * T] != y[(row - lanes) * T + T - 1];
    }
    g_assert_cmpint (n_wrong, ==, 0);
}
