/* SPDX-License-Identifier: MIT */
/* `dlhost inspect-checkpoint`: what is in a safetensors file, of dlhost or of another program. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "compare.h"
#include "execute.h"
#include "jsonout.h"
#include "text.h"

#define LONG_TEXT 60 /* metadata longer than this are not printed whole, unless asked for */

/* Of the finite elements. */
typedef struct {
    double min, max, mean, std;
    gint64 n, not_finite;
} Statistics;

static Statistics
statistics_of (DlhTensor *t)
{
    Statistics s = {INFINITY, -INFINITY, NAN, NAN, dlh_tensor_count (t), 0};
    double sum = 0, squares = 0, n;

    for (gint64 i = 0; i < s.n; i++) {
        double x = dlh_tensor_get (t, i);

        if (!isfinite (x)) {
            s.not_finite++;
            continue;
        }
        s.min = MIN (s.min, x);
        s.max = MAX (s.max, x);
        sum += x;
    }
    if ((n = (double)(s.n - s.not_finite)) == 0) {
        s.min = s.max = NAN;
        return s;
    }
    s.mean = sum / n;
    // A second pass: the difference of two large sums would lose the digits.
    for (gint64 i = 0; i < s.n; i++) {
        double d = dlh_tensor_get (t, i) - s.mean;

        squares += isfinite (d) ? d * d : 0;
    }
    s.std = sqrt (squares / n);
    return s;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* (transfer container): in order of the alphabet. */
static GPtrArray *
sorted_names (DlhSafetensors *file)
{
    GPtrArray *names = g_ptr_array_copy (dlh_safetensors_names (file), NULL, NULL);

    g_ptr_array_sort (names, compare_names);
    return names;
}

static gsize
stored_bytes (DlhSafetensors *file, const char *name)
{
    DlhTensor *t = dlh_safetensors_get (file, name);
    const char *type = dlh_safetensors_type (file, name), *digit = strpbrk (type, "0123456789");

    // "F16", "I64": bits; "BOOL" has none and takes a byte.
    return (gsize)dlh_tensor_count (t) *
           (digit ? (gsize)g_ascii_strtoull (digit, NULL, 10) / 8 : 1);
}

static char *
number (double x)
{
    return isnan (x) ? g_strdup ("-") : g_strdup_printf ("%.4g", x);
}

/* Text. */

static void
append_tensor_row (TextTable *table, DlhSafetensors *file, const char *name)
{
    DlhTensor *t = dlh_safetensors_get (file, name);
    Statistics s = statistics_of (t);
    g_autofree char *shape = dlh_shape_to_string (dlh_tensor_get_shape (t));
    g_autofree char *bytes = text_bytes ((double)stored_bytes (file, name));
    g_autofree char *min = number (s.min), *max = number (s.max), *mean = number (s.mean);
    g_autofree char *std = number (s.std);
    g_autofree char *bad =
        s.not_finite ? g_strdup_printf ("%" G_GINT64_FORMAT, s.not_finite) : g_strdup ("");

    table_row (table, name, dlh_safetensors_type (file, name), shape, min, max, mean, std, bad,
               bytes);
}

static void
append_metadata (GString *out, GHashTable *metadata, gboolean whole)
{
    g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (metadata), (GCompareFunc)strcmp);

    if (keys)
        g_string_append (out, "\nmetadata\n");
    for (GList *k = keys; k; k = k->next) {
        const char *value = g_hash_table_lookup (metadata, k->data);
        gsize n = strlen (value);

        if (whole || (n <= LONG_TEXT && !strchr (value, '\n')))
            g_string_append_printf (out, "  %s: %s%s", (char *)k->data, value,
                                    g_str_has_suffix (value, "\n") ? "" : "\n");
        else
            g_string_append_printf (out,
                                    "  %s: %" G_GSIZE_FORMAT " characters (--metadata prints "
                                    "them)\n",
                                    (char *)k->data, n);
    }
}

static char *
checkpoint_text (DlhSafetensors *file, const char *path, gboolean whole)
{
    g_autoptr (GPtrArray) names = sorted_names (file);
    g_auto (TextTable) table = {0};
    GString *out = g_string_new (NULL);
    double elements = 0, bytes = 0;
    guint64 bad = dlh_safetensors_count_nonfinite (file);
    g_autofree char *shown = g_filename_display_name (path), *n = NULL, *size = NULL;

    table_init (&table, "lllrrrrrr");
    table_row (&table, "tensor", "type", "shape", "min", "max", "mean", "std", "not finite",
               "bytes");
    for (guint i = 0; i < names->len; i++) {
        append_tensor_row (&table, file, names->pdata[i]);
        elements += (double)dlh_tensor_count (dlh_safetensors_get (file, names->pdata[i]));
        bytes += (double)stored_bytes (file, names->pdata[i]);
    }
    g_string_append_printf (out, "%s\n\n", shown);
    table_append (&table, out, 2, G_MAXUINT);
    n = text_count (elements);
    size = text_bytes (bytes);
    g_string_append_printf (out, "\n%u tensor%s, %s elements, %s; ", names->len,
                            names->len == 1 ? "" : "s", n, size);
    if (bad)
        g_string_append_printf (out, "%" G_GUINT64_FORMAT " NaN or infinite\n", bad);
    else
        g_string_append (out, "all finite\n");
    append_metadata (out, dlh_safetensors_metadata (file), whole);
    return g_string_free (out, FALSE);
}

/* JSON. */

static void
add_tensor (JsonOut *json, DlhSafetensors *file, const char *name)
{
    DlhTensor *t = dlh_safetensors_get (file, name);
    DlhShape shape = dlh_tensor_get_shape (t);
    Statistics s = statistics_of (t);

    json_out_object (json, NULL);
    json_out_string (json, "name", name);
    json_out_string (json, "type", dlh_safetensors_type (file, name));
    json_out_array (json, "shape");
    for (guint i = 0; i < shape.rank; i++)
        json_out_count (json, NULL, shape.dims[i]);
    json_out_end_array (json);
    json_out_count (json, "elements", s.n);
    json_out_count (json, "bytes", (gint64)stored_bytes (file, name));
    json_out_number (json, "min", s.min);
    json_out_number (json, "max", s.max);
    json_out_number (json, "mean", s.mean);
    json_out_number (json, "std", s.std);
    json_out_count (json, "not_finite", s.not_finite);
    json_out_end_object (json);
}

static char *
checkpoint_json (DlhSafetensors *file, const char *path)
{
    g_autoptr (GPtrArray) names = sorted_names (file);
    g_autofree char *shown = g_filename_display_name (path);
    g_auto (JsonOut) json = {0};
    GHashTable *metadata = dlh_safetensors_metadata (file);
    g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (metadata), (GCompareFunc)strcmp);

    json_out_init (&json);
    json_out_string (&json, "file", shown);
    json_out_array (&json, "tensors");
    for (guint i = 0; i < names->len; i++)
        add_tensor (&json, file, names->pdata[i]);
    json_out_end_array (&json);
    json_out_count (&json, "not_finite", (gint64)dlh_safetensors_count_nonfinite (file));
    json_out_object (&json, "metadata");
    for (GList *k = keys; k; k = k->next)
        json_out_string (&json, k->data, g_hash_table_lookup (metadata, k->data));
    json_out_end_object (&json);
    return json_out_finish (&json);
}

/* Two files. */

static char *
comparison_text (const GArray *changes)
{
    g_auto (TextTable) table = {0};
    GString *out = g_string_new (NULL);
    guint n = 0;

    table_init (&table, "llrrr");
    table_row (&table, "tensor", "outcome", "largest change", "largest value", "first element");
    for (guint i = 0; i < changes->len; i++) {
        const TensorChange *c = &g_array_index (changes, TensorChange, i);
        g_autofree char *change = number (c->max_change), *value = number (c->max_value);
        g_autofree char *first = g_strdup_printf ("%" G_GINT64_FORMAT, c->first);
        gboolean values = c->first >= 0;

        n += tensor_changed (c);
        if (tensor_changed (c))
            table_row (&table, c->name, c->what, values ? change : "", values ? value : "",
                       values ? first : "");
    }
    if (n) {
        table_append (&table, out, 0, G_MAXUINT);
        g_string_append_printf (out, "\n%u of %u tensors differ\n", n, changes->len);
    } else
        g_string_append_printf (out, "identical: %u tensor%s, bit for bit\n", changes->len,
                                changes->len == 1 ? "" : "s");
    return g_string_free (out, FALSE);
}

static char *
comparison_json (const GArray *changes)
{
    g_auto (JsonOut) json = {0};
    gboolean same = TRUE;

    json_out_init (&json);
    json_out_array (&json, "tensors");
    for (guint i = 0; i < changes->len; i++) {
        const TensorChange *c = &g_array_index (changes, TensorChange, i);

        same &= !tensor_changed (c);
        json_out_object (&json, NULL);
        json_out_string (&json, "name", c->name);
        json_out_string (&json, "outcome", c->what);
        json_out_number (&json, "max_change", c->max_change);
        json_out_number (&json, "max_value", c->max_value);
        json_out_count (&json, "first", c->first);
        json_out_end_object (&json);
    }
    json_out_end_array (&json);
    json_out_bool (&json, "identical", same);
    return json_out_finish (&json);
}

static int
compare (DlhSafetensors *file, const char *other, gboolean json, GError **error)
{
    g_autoptr (DlhSafetensors) second = dlh_safetensors_read (other, error);
    g_autoptr (GArray) changes = second ? compare_tensors (file, second) : NULL;
    g_autofree char *text = NULL;
    gboolean same = TRUE;

    if (!changes)
        return -1;
    text = json ? comparison_json (changes) : comparison_text (changes);
    fputs (text, stdout);
    for (guint i = 0; i < changes->len; i++)
        same &= !tensor_changed (&g_array_index (changes, TensorChange, i));
    return same ? EXIT_SUCCESS : EXIT_RUN_FAILED;
}

static const Flag checkpoint_flags[] = {
    {"compare", "OTHER", "which tensors differ from another file's; exit code 1 when some do"},
    {"metadata", NULL, "the file's texts whole, the configuration among them"},
    {"json", NULL, "the same as JSON"},
    {NULL},
};

static int
checkpoint_run (Invocation *inv, GError **error)
{
    const char *path = inv->operands->pdata[0], *other = invocation_flag (inv, "compare");
    gboolean json = invocation_flag (inv, "json") != NULL;
    g_autoptr (DlhSafetensors) file = dlh_safetensors_read (path, error);
    g_autofree char *text = NULL;

    if (!file)
        return -1;
    if (other)
        return compare (file, other, json, error);
    text = json ? checkpoint_json (file, path)
                : checkpoint_text (file, path, invocation_flag (inv, "metadata") != NULL);
    fputs (text, stdout);
    return EXIT_SUCCESS;
}

const Command command_inspect_checkpoint = {
    .name = "inspect-checkpoint",
    .operands = "FILE",
    .group = GROUP_INSIDE,
    .summary = "the tensors of a checkpoint or other safetensors file, in figures",
    .details = "Smallest and largest value, mean and standard deviation are those of the finite "
               "elements. The file is checked in full first; nothing in it is executed.",
    .examples = "dlhost inspect-checkpoint runs/first/checkpoint-100.safetensors\n"
                "dlhost inspect-checkpoint a.safetensors --compare=b.safetensors\n",
    .min_operands = 1,
    .max_operands = 1,
    .flags = checkpoint_flags,
    .run = checkpoint_run,
};
