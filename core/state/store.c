/* SPDX-License-Identifier: MIT */
/* Variables, random streams, and the store that keeps them. */
#include <math.h>
#include <string.h>
#include "state/init.h"
#include "state/store-private.h"

static void
variable_free (gpointer data)
{
    DlhVariable *variable = data;

    dlh_tensor_unref (variable->tensor);
    g_free (variable->name);
    g_free (variable);
}

static void
stream_free (gpointer data)
{
    DlhStream *stream = data;

    g_free (stream->name);
    g_free (stream);
}

DlhStore *
dlh_store_new (guint64 seed, DlhDType float_dtype)
{
    DlhStore *store;

    g_return_val_if_fail (dlh_dtype_is_float (float_dtype), NULL);
    store = g_new0 (DlhStore, 1);
    store->ref_count = 1;
    store->seed = seed;
    store->dtype = float_dtype;
    store->variables = g_ptr_array_new_with_free_func (variable_free);
    store->by_name = g_hash_table_new (g_str_hash, g_str_equal);
    store->pending = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                            (GDestroyNotify) dlh_tensor_unref);
    store->streams = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, stream_free);
    return store;
}

DlhStore *
dlh_store_ref (DlhStore *store)
{
    g_atomic_int_inc (&store->ref_count);
    return store;
}

void
dlh_store_unref (DlhStore *store)
{
    if (!store || !g_atomic_int_dec_and_test (&store->ref_count))
        return;
    g_hash_table_unref (store->streams);
    g_hash_table_unref (store->pending);
    g_hash_table_unref (store->by_name);
    g_ptr_array_unref (store->variables);
    g_free (store);
}

DlhDType
dlh_store_get_dtype (DlhStore *store)
{
    return store->dtype;
}

guint64
dlh_store_get_seed (DlhStore *store)
{
    return store->seed;
}

/* Variables. */

static gboolean
check_agrees (const char *name, const char *holder, const DlhTensor *tensor, DlhDType dtype,
              DlhShape shape, GError **error)
{
    g_autofree char *have = NULL, *want = NULL;

    if (dlh_tensor_get_dtype (tensor) == dtype &&
        dlh_shape_equal (dlh_tensor_get_shape (tensor), shape))
        return TRUE;
    have = dlh_shape_to_string (dlh_tensor_get_shape (tensor));
    want = dlh_shape_to_string (shape);
    g_set_error (error, DLH_ERROR, DLH_ERROR_STATE, "variable '%s': %s %s %s, wanted is %s %s", name,
                 holder, dlh_dtype_name (dlh_tensor_get_dtype (tensor)), have,
                 dlh_dtype_name (dtype), want);
    return FALSE;
}

static DlhTensor *
first_value (DlhStore *store, const char *name, DlhDType dtype, DlhShape shape, DlhInit init,
             GError **error)
{
    const DlhTensor *loaded = g_hash_table_lookup (store->pending, name);
    g_autoptr (DlhTensor) tensor = NULL;

    if (loaded) {
        if (!check_agrees (name, "the checkpoint holds", loaded, dtype, shape, error))
            return NULL;
        return dlh_tensor_copy (loaded, error);
    }
    tensor = dlh_tensor_new (dtype, shape, error);
    if (!tensor) {
        g_prefix_error (error, "variable '%s': ", name);
        return NULL;
    }
    if (!dlh_init_fill (init, store->seed, name, tensor, error))
        return NULL;
    return g_steal_pointer (&tensor);
}

DlhVariable *
dlh_store_variable (DlhStore *store, const char *name, DlhDType dtype, DlhShape shape, DlhInit init,
                    GError **error)
{
    DlhVariable *variable;
    DlhTensor *tensor;

    // A safetensors file keeps this name for itself.
    if (!*name || strcmp (name, "__metadata__") == 0 || !g_utf8_validate (name, -1, NULL)) {
        g_autofree char *shown = g_strescape (name, NULL);

        g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                     "variable '%s': a name must be UTF-8, not empty and not '__metadata__'", shown);
        return NULL;
    }
    variable = dlh_store_lookup (store, name);
    if (variable)
        return check_agrees (name, "exists as", variable->tensor, dtype, shape, error) ? variable
                                                                                      : NULL;
    tensor = first_value (store, name, dtype, shape, init, error);
    if (!tensor)
        return NULL;

    variable = g_new0 (DlhVariable, 1);
    variable->store = store;
    variable->name = g_strdup (name);
    variable->tensor = tensor;
    variable->pace = (DlhPace){1, 1};
    g_ptr_array_add (store->variables, variable);
    g_hash_table_insert (store->by_name, variable->name, variable);
    g_hash_table_remove (store->pending, name);
    return variable;
}

DlhVariable *
dlh_store_lookup (DlhStore *store, const char *name)
{
    return g_hash_table_lookup (store->by_name, name);
}

guint
dlh_store_n_variables (DlhStore *store)
{
    return store->variables->len;
}

DlhVariable *
dlh_store_get_variable (DlhStore *store, guint i)
{
    g_return_val_if_fail (i < store->variables->len, NULL);
    return store->variables->pdata[i];
}

const char *
dlh_variable_name (const DlhVariable *variable)
{
    return variable->name;
}

DlhTensor *
dlh_variable_tensor (const DlhVariable *variable)
{
    return variable->tensor;
}

DlhDType
dlh_variable_dtype (const DlhVariable *variable)
{
    return dlh_tensor_get_dtype (variable->tensor);
}

DlhShape
dlh_variable_shape (const DlhVariable *variable)
{
    return dlh_tensor_get_shape (variable->tensor);
}

void
dlh_variable_set_trainable (DlhVariable *variable, gboolean trainable)
{
    variable->trainable = trainable;
}

gboolean
dlh_variable_is_trainable (const DlhVariable *variable)
{
    return variable->trainable;
}

void
dlh_variable_set_pace (DlhVariable *variable, DlhPace pace)
{
    g_return_if_fail (pace.factor >= 0 && isfinite (pace.factor) && pace.period >= 1);
    variable->pace = pace;
}

DlhPace
dlh_variable_get_pace (const DlhVariable *variable)
{
    return variable->pace;
}

DlhNode *
dlh_parameter (DlhGraph *graph, DlhStore *store, const char *name, DlhShape shape, DlhInit init)
{
    const char *scope = dlh_graph_get_scope (graph);
    g_autofree char *path = g_strconcat (scope, *scope ? "/" : "", name, NULL);
    g_autoptr (GError) error = NULL;
    DlhVariable *variable;

    // After an error shapes are not to be trusted: no variable is made from them.
    if (!dlh_graph_check (graph, NULL))
        return dlh_graph_fail (graph, DLH_ERROR_GRAPH, "%s", name);
    // A parameter that a loaded checkpoint lacks means another model: not to be filled by chance.
    if (store->loaded && !dlh_store_lookup (store, path) &&
        !g_hash_table_contains (store->pending, path))
        return dlh_graph_fail (graph, DLH_ERROR_STATE,
                               "the checkpoint has no '%s', which this model needs: is it another "
                               "model's?",
                               path);
    variable = dlh_store_variable (store, path, store->dtype, shape, init, &error);
    if (!variable)
        return dlh_graph_fail (graph, error->code, "%s", error->message);
    dlh_variable_set_trainable (variable, TRUE);
    return dlh_read (graph, variable);
}

/* Random streams. */

DlhStream *
dlh_store_stream (DlhStore *store, const char *name)
{
    DlhStream *stream = g_hash_table_lookup (store->streams, name);

    if (stream)
        return stream;
    stream = g_new0 (DlhStream, 1);
    stream->store = store;
    stream->name = g_strdup (name);
    dlh_philox_key (store->seed, name, stream->key);
    // Where a checkpoint holds something else under the counter's name, the counter stays NULL and
    // the first node that draws from the stream reports it.
    stream->counter = dlh_stream_counter (stream, NULL);
    g_hash_table_insert (store->streams, stream->name, stream);
    return stream;
}

DlhVariable *
dlh_stream_counter (DlhStream *stream, GError **error)
{
    g_autofree char *path = g_strconcat ("random/", stream->name, NULL);

    if (!stream->counter)
        stream->counter = dlh_store_variable (stream->store, path, DLH_I64, dlh_shape (),
                                              (DlhInit){DLH_INIT_ZEROS}, error);
    return stream->counter;
}
