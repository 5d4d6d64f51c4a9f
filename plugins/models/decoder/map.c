/* SPDX-License-Identifier: MIT */
/* The map is a JSON object: a parameter of this model for each tensor of the file,
 *
 *   {"decoder/layer1/weight": {"tensor": "net.0.weight", "transpose": true},
 *    "decoder/layer1/bias": "net.0.bias",
 *    "decoder/output/weight": "net.2.weight"}
 *
 * Weights are (n_out, n_in), as PyTorch's are; "transpose" is for those that are (n_in, n_out). How
 * many layers there are, and their sizes, follow from it. A layer without a bias has none. */
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>
#include "map.h"

#define MAX_BYTES ((gsize)1 << 20)
#define MAX_LAYERS 1000

/* Where a parameter comes from. */
typedef struct {
    const char *tensor;
    gboolean transpose;
} Entry;

typedef struct {
    const char *file, *map, *model;
    DlhSafetensors *tensors;
    JsonObject *object;
    DlhDType dtype;
} Reader;

static gboolean refuse (const Reader *r, GError **error, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

static gboolean
refuse (const Reader *r, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: %s", r->map, text);
    return FALSE;
}

// Objects of strings and booleans are all there is: nothing deeper reaches the parser, which would
// recurse.
static gboolean
is_shallow (const char *text, gsize n)
{
    gboolean quoted = FALSE;
    int depth = 0;

    for (gsize i = 0; i < n; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > 3)
            return FALSE;
        else if (!quoted && (text[i] == '}' || text[i] == ']'))
            depth--;
    }
    return TRUE;
}

// Of a member that is there twice json-glib keeps the last and says nothing.
static void
on_member (JsonParser *parser, JsonObject *object, const char *name, gpointer seen)
{
    const char *twice = g_hash_table_lookup (seen, "");
    char *key = g_strdup_printf ("%p %s", (gpointer)object, name);

    (void)parser;
    if (!g_hash_table_insert (seen, key, g_strdup (name)) && !twice)
        g_hash_table_insert (seen, g_strdup (""), g_strdup (name));
}

static JsonParser *
parse (const Reader *r, GError **error)
{
    g_autoptr (GBytes) bytes = dlh_file_read (r->map, MAX_BYTES, error);
    g_autoptr (JsonParser) parser = json_parser_new_immutable ();
    g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr (GError) cause = NULL;
    gconstpointer text;
    gsize n;

    if (!bytes)
        return NULL;
    text = g_bytes_get_data (bytes, &n);
    if (n == 0 || !g_utf8_validate (text, (gssize)n, NULL)) {
        refuse (r, error, "is empty or not UTF-8: a JSON object is wanted, of parameters' names");
        return NULL;
    }
    if (!is_shallow (text, n)) {
        refuse (r, error, "is nested more deeply than a map of names is");
        return NULL;
    }
    g_signal_connect (parser, "object-member", G_CALLBACK (on_member), seen);
    if (!json_parser_load_from_data (parser, text, (gssize)n, &cause)) {
        g_autofree char *why = g_utf8_make_valid (cause->message, -1);

        refuse (r, error, "is not JSON: %s", why);
        return NULL;
    }
    if (g_hash_table_contains (seen, "")) {
        refuse (r, error, "'%s' is there twice", (char *)g_hash_table_lookup (seen, ""));
        return NULL;
    }
    if (!json_parser_get_root (parser) || !JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser))) {
        refuse (r, error, "is no JSON object: one is wanted, of parameters' names");
        return NULL;
    }
    return g_steal_pointer (&parser);
}

static gboolean
read_object (const Reader *r, const char *name, JsonObject *object, Entry *entry, GError **error)
{
    g_autoptr (GList) members = json_object_get_members (object);

    for (GList *l = members; l; l = l->next) {
        JsonNode *value = json_object_get_member (object, l->data);
        const GType type = JSON_NODE_HOLDS_VALUE (value) ? json_node_get_value_type (value) : 0;

        if (strcmp (l->data, "tensor") == 0 && type == G_TYPE_STRING)
            entry->tensor = json_node_get_string (value);
        else if (strcmp (l->data, "transpose") == 0 && type == G_TYPE_BOOLEAN)
            entry->transpose = json_node_get_boolean (value);
        else
            return refuse (r, error,
                           "'%s': '%s' is not what is wanted there: \"tensor\": a name, and "
                           "\"transpose\": true or false",
                           name, (const char *)l->data);
    }
    return entry->tensor || refuse (r, error, "'%s': has no \"tensor\"", name);
}

// Entry of the parameter @name; its tensor is NULL where there is none.
static gboolean
find_entry (const Reader *r, const char *name, Entry *entry, GError **error)
{
    JsonNode *node = json_object_get_member (r->object, name);

    *entry = (Entry){NULL, FALSE};
    if (!node)
        return TRUE;
    if (JSON_NODE_HOLDS_OBJECT (node))
        return read_object (r, name, json_node_get_object (node), entry, error);
    if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
        return refuse (r, error,
                       "'%s': is neither a tensor's name nor an object with \"tensor\" and "
                       "\"transpose\"",
                       name);
    entry->tensor = json_node_get_string (node);
    return TRUE;
}

// (transfer full): some of the names in the file.
static char *
some_names (DlhSafetensors *tensors)
{
    GPtrArray *names = dlh_safetensors_names (tensors);
    GString *s = g_string_new (names->len ? "" : "none");

    for (guint i = 0; i < MIN (names->len, 6); i++)
        g_string_append_printf (s, "%s%s", i ? ", " : "", (const char *)names->pdata[i]);
    if (names->len > 6)
        g_string_append_printf (s, " and %u more", names->len - 6);
    return g_string_free (s, FALSE);
}

static gboolean
check_numbers (const Reader *r, const char *name, const Entry *entry, const DlhTensor *t,
               GError **error)
{
    if (!dlh_dtype_is_float (dlh_tensor_get_dtype (t)))
        return refuse (r, error, "'%s': tensor '%s' is of type %s, floats are wanted", name,
                       entry->tensor, dlh_safetensors_type (r->tensors, entry->tensor));
    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        if (!isfinite (dlh_tensor_get (t, i)))
            return refuse (r, error,
                           "'%s': element %" G_GINT64_FORMAT " of tensor '%s' is not finite", name,
                           i, entry->tensor);
    return TRUE;
}

// A copy of @rank axes in the dtype, transposed where the entry says so. *out is NULL where the map
// has no such parameter.
static gboolean
read_tensor (const Reader *r, const char *name, guint rank, DlhTensor **out, GError **error)
{
    Entry entry;
    const DlhTensor *t;
    DlhShape shape;

    *out = NULL;
    if (!find_entry (r, name, &entry, error))
        return FALSE;
    if (!entry.tensor)
        return TRUE;
    if (!(t = dlh_safetensors_get (r->tensors, entry.tensor))) {
        g_autofree char *names = some_names (r->tensors);

        return refuse (r, error, "'%s': there is no tensor '%s' in %s, which has %s", name,
                       entry.tensor, r->file, names);
    }
    shape = dlh_tensor_get_shape (t);
    if (shape.rank != rank || dlh_tensor_count (t) == 0) {
        g_autofree char *text = dlh_shape_to_string (shape);

        return refuse (r, error, "'%s': tensor '%s' is %s, wanted is %s", name, entry.tensor, text,
                       rank == 2 ? "[outputs,inputs]" : "[outputs]");
    }
    if (entry.transpose && rank == 1)
        return refuse (r, error, "'%s': a bias has nothing to transpose", name);
    if (!check_numbers (r, name, &entry, t, error))
        return FALSE;
    if (entry.transpose)
        shape = dlh_shape (shape.dims[1], shape.dims[0]);
    if (!(*out = dlh_tensor_new (r->dtype, shape, error)))
        return FALSE;
    for (gint64 i = 0; i < dlh_tensor_count (t); i++) {
        const gint64 n_in = shape.dims[rank - 1], n_out = shape.dims[0];

        dlh_tensor_set (*out, i,
                        dlh_tensor_get (t, entry.transpose ? i % n_in * n_out + i / n_in : i));
    }
    return TRUE;
}

static void
layer_clear (gpointer data)
{
    Layer *l = data;

    g_free (l->name);
    dlh_tensor_unref (l->weight);
    dlh_tensor_unref (l->bias);
}

// Sizes must fit to the layer before, the bias to the weight.
static gboolean
check_layer (const Reader *r, const Layer *l, const Layer *before, GError **error)
{
    const DlhShape w = dlh_tensor_get_shape (l->weight);
    const gint64 n = before ? dlh_tensor_get_shape (before->weight).dims[0] : w.dims[1];

    if (w.dims[1] != n)
        return refuse (r, error,
                       "'%s/%s/weight' is [%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT
                       "] (outputs, inputs), but %s has %" G_GINT64_FORMAT
                       " outputs: is \"transpose\" as it should be?",
                       r->model, l->name, w.dims[0], w.dims[1], before->name, n);
    if (l->bias && dlh_tensor_count (l->bias) != w.dims[0])
        return refuse (r, error,
                       "'%s/%s/bias' has %" G_GINT64_FORMAT
                       " elements, but the weight is [%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT
                       "] (outputs, inputs): is \"transpose\" as it should be?",
                       r->model, l->name, dlh_tensor_count (l->bias), w.dims[0], w.dims[1]);
    return TRUE;
}

// Adds the layer @name when the map has its weight.
static gboolean
add_layer (const Reader *r, const char *name, GArray *layers, GHashTable *known, GError **error)
{
    char *weight = g_strdup_printf ("%s/%s/weight", r->model, name);
    char *bias = g_strdup_printf ("%s/%s/bias", r->model, name);
    const guint n = layers->len;
    Layer empty = {0}, *l;

    g_hash_table_add (known, weight);
    g_hash_table_add (known, bias);
    if (!json_object_has_member (r->object, weight))
        return TRUE;
    empty.name = g_strdup (name);
    g_array_append_val (layers, empty);
    l = &g_array_index (layers, Layer, n);
    return read_tensor (r, weight, 2, &l->weight, error) &&
           read_tensor (r, bias, 1, &l->bias, error) &&
           check_layer (r, l, n ? &g_array_index (layers, Layer, n - 1) : NULL, error);
}

static gboolean
check_names (const Reader *r, GHashTable *known, GError **error)
{
    g_autoptr (GList) members = json_object_get_members (r->object);

    for (GList *m = members; m; m = m->next)
        if (!g_hash_table_contains (known, m->data))
            return refuse (r, error,
                           "'%s' is no parameter here: they are %s/layerN/weight and bias for "
                           "N = 1, 2, .. without a gap, %s/output/weight and bias, and a bias "
                           "needs its weight",
                           (const char *)m->data, r->model, r->model);
    return TRUE;
}

static GArray *
read_layers (const Reader *r, GError **error)
{
    g_autoptr (GArray) layers = g_array_new (FALSE, TRUE, sizeof (Layer));
    g_autoptr (GHashTable) known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

    g_array_set_clear_func (layers, layer_clear);
    for (guint i = 1; i <= MAX_LAYERS; i++) {
        g_autofree char *name = g_strdup_printf ("layer%u", i);
        g_autofree char *weight = g_strdup_printf ("%s/%s/weight", r->model, name);

        if (!json_object_has_member (r->object, weight))
            break;
        if (!add_layer (r, name, layers, known, error))
            return NULL;
    }
    if (!add_layer (r, "output", layers, known, error) || !check_names (r, known, error))
        return NULL;
    if (layers->len && strcmp (g_array_index (layers, Layer, layers->len - 1).name, "output") == 0)
        return g_steal_pointer (&layers);
    refuse (r, error, "has no '%s/output/weight', which every decoder ends with", r->model);
    return NULL;
}

GArray *
layers_read (const char *file, const char *map, const char *model, DlhDType dtype, GError **error)
{
    Reader r = {.file = file, .map = map, .model = model, .dtype = dtype};
    g_autoptr (DlhSafetensors) tensors = dlh_safetensors_read (file, error);
    g_autoptr (JsonParser) parser = NULL;

    if (!tensors || !(parser = parse (&r, error)))
        return NULL;
    r.tensors = tensors;
    r.object = json_node_get_object (json_parser_get_root (parser));
    return read_layers (&r, error);
}
