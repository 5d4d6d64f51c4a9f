/* SPDX-License-Identifier: MIT */
/* Running text for language models, by words or characters, one sentence a line, as the Penn
 * Treebank in Mikolov's form. Inputs and targets are i64 (n, T); a target is the token after.
 * The text is cut into lanes that are read side by side: row i * lanes + b continues row
 * (i - 1) * lanes + b, and what does not fill a last row in every lane is left out.
 *
 * The vocabulary is that of the whole training text, or its most frequent tokens, in the order of
 * their bytes. Level char takes the
 * blanks off both ends of a line and writes a blank as '_' (the rule behind ptb.char.*). */
#include <string.h>
#include <dlhost/dlhost.h>

#define MAX_BYTES ((gsize) 1 << 30)
#define END_MARK "<eos>"
#define UNKNOWN "<unk>"

typedef struct {
    const char *dir;
    const char *train;
    const char *valid;
    const char *test;
    const char *level;
    gboolean line_end;
    gint64 seq_len;
    gint64 lanes;
    gint64 limit;
    gint64 vocabulary;
} TextOptions;

/* A text as a walk over its tokens. Nothing is copied. */
typedef struct {
    const char *p, *end;
    const char *line_end; /* NULL: a new line begins at p */
    gboolean chars, mark;
    gint64 left; /* tokens that may still be read */
} Walk;

static gboolean
is_blank (char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void
text_begin_line (Walk *w)
{
    const char *newline = memchr (w->p, '\n', (gsize) (w->end - w->p));

    w->line_end = newline ? newline : w->end;
    while (w->p < w->line_end && is_blank (*w->p))
        w->p++;
}

// FALSE at the end of the text.
static gboolean
text_next (Walk *w, const char **token, gsize *n)
{
    const char *stop;

    if (w->left-- <= 0)
        return FALSE;
    for (;;) {
        if (!w->line_end && w->p >= w->end)
            return FALSE;
        if (!w->line_end)
            text_begin_line (w);
        stop = w->line_end;
        while (stop > w->p && is_blank (stop[-1]))
            stop--;
        if (w->p < stop)
            break;
        w->p = w->line_end + (w->line_end < w->end);
        w->line_end = NULL;
        if (w->mark) {
            *token = END_MARK;
            *n = strlen (END_MARK);
            return TRUE;
        }
    }
    *token = w->p;
    if (w->chars) {
        w->p = g_utf8_next_char (w->p);
        *n = (gsize) (w->p - *token);
        if (is_blank (**token))
            *token = "_";
        return TRUE;
    }
    while (w->p < stop && !is_blank (*w->p))
        w->p++;
    *n = (gsize) (w->p - *token);
    while (w->p < stop && is_blank (*w->p))
        w->p++;
    return TRUE;
}

static Walk
text_walk (GBytes *text, const TextOptions *opt)
{
    gsize n;
    const char *p = g_bytes_get_data (text, &n);

    return (Walk){.p = p, .end = p + n, .chars = strcmp (opt->level, "char") == 0,
                  .mark = opt->line_end, .left = G_MAXINT64};
}

static guint
text_hash (gconstpointer key)
{
    gsize n;
    const guint8 *p = g_bytes_get_data ((GBytes *) key, &n);
    guint h = 5381;

    for (gsize i = 0; i < n; i++)
        h = h * 33 + p[i];
    return h;
}

static GBytes *
text_read (const TextOptions *opt, const char *name, GError **error)
{
    g_autofree char *path = dlh_file_locate (opt->dir, name);
    g_autoptr (GBytes) text = dlh_file_read (path, MAX_BYTES, error);
    const char *p, *bad;
    gsize n;

    if (!text)
        return NULL;
    p = g_bytes_get_data (text, &n);
    if (n > 0 && !g_utf8_validate_len (p, n, &bad)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: byte %zu is not UTF-8", path,
                     (gsize) (bad - p));
        return NULL;
    }
    return g_steal_pointer (&text);
}

static int
text_compare (gconstpointer a, gconstpointer b)
{
    return g_bytes_compare (*(GBytes *const *) a, *(GBytes *const *) b);
}

typedef struct {
    GBytes *token;
    guint count;
} Entry;

// The most frequent first; of equals, the smaller bytes.
static int
entry_compare (gconstpointer a, gconstpointer b)
{
    const Entry *p = a, *q = b;

    if (p->count != q->count)
        return p->count > q->count ? -1 : 1;
    return g_bytes_compare (p->token, q->token);
}

// Leaves the @n most frequent tokens, with the one that stands for all others among them.
static void
text_cut (GHashTable *seen, gint64 n)
{
    g_autoptr (GBytes) unknown = g_bytes_new_static (UNKNOWN, strlen (UNKNOWN));
    g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (Entry));
    GHashTableIter iter;
    gpointer key, count;
    gint64 kept = 1;

    if (n == 0 || g_hash_table_size (seen) <= n)
        return;
    g_hash_table_insert (seen, g_bytes_ref (unknown), GUINT_TO_POINTER (1));
    g_hash_table_iter_init (&iter, seen);
    while (g_hash_table_iter_next (&iter, &key, &count)) {
        Entry entry = {key, GPOINTER_TO_UINT (count)};

        if (!g_bytes_equal (key, unknown))
            g_array_append_val (entries, entry);
    }
    g_array_sort (entries, entry_compare);
    for (guint i = 0; i < entries->len; i++)
        if (++kept > n)
            g_hash_table_remove (seen, g_array_index (entries, Entry, i).token);
}

// (transfer full): token -> its number + 1.
static GHashTable *
text_vocabulary (GBytes *text, const TextOptions *opt)
{
    g_autoptr (GHashTable) seen = g_hash_table_new_full (text_hash, g_bytes_equal,
                                                         (GDestroyNotify) g_bytes_unref, NULL);
    g_autofree gpointer *tokens = NULL;
    Walk w = text_walk (text, opt);
    const char *token;
    gsize n;
    guint count;

    while (text_next (&w, &token, &n)) {
        GBytes *key = g_bytes_new_static (token, n);

        count = GPOINTER_TO_UINT (g_hash_table_lookup (seen, key));
        g_hash_table_insert (seen, key, GUINT_TO_POINTER (count + 1));
    }
    text_cut (seen, opt->vocabulary);
    tokens = g_hash_table_get_keys_as_array (seen, &count);
    qsort (tokens, count, sizeof *tokens, text_compare);
    for (guint i = 0; i < count; i++)
        g_hash_table_insert (seen, g_bytes_ref (tokens[i]), GUINT_TO_POINTER (i + 1));
    return g_steal_pointer (&seen);
}

// (transfer full): i64 (n): the numbers of the text's tokens.
static GArray *
text_encode (GBytes *text, const char *name, GHashTable *vocabulary, const TextOptions *opt,
             GError **error)
{
    g_autoptr (GArray) out = g_array_new (FALSE, FALSE, sizeof (gint64));
    g_autoptr (GBytes) unknown = g_bytes_new_static (UNKNOWN, strlen (UNKNOWN));
    guint spare = GPOINTER_TO_UINT (g_hash_table_lookup (vocabulary, unknown));
    Walk w = text_walk (text, opt);
    const char *token;
    gsize n;

    if (opt->limit)
        w.left = opt->limit;
    while (text_next (&w, &token, &n)) {
        g_autoptr (GBytes) key = g_bytes_new_static (token, n);
        guint number = GPOINTER_TO_UINT (g_hash_table_lookup (vocabulary, key));
        gint64 value = (gint64) (number ? number : spare) - 1;

        if (value < 0) {
            g_autofree char *word = g_strndup (token, MIN (n, 40));
            g_autofree char *whole = g_utf8_make_valid (word, -1); // the end may be half a letter

            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                         "%s: '%s' does not occur in the training text, and that has no "
                         UNKNOWN " to stand for it",
                         name, whole);
            return NULL;
        }
        g_array_append_val (out, value);
    }
    return g_steal_pointer (&out);
}

static gboolean
text_set_split (DlhData *data, DlhSplit split, const GArray *tokens, const char *name,
                const TextOptions *opt, GError **error)
{
    gint64 T = opt->seq_len, lanes = opt->lanes;
    gint64 pieces = ((gint64) tokens->len - 1) / (lanes * T); // of each lane
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;

    if (tokens->len == 0 || pieces == 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: has %u tokens, fewer than lanes * seq_len + 1 = %" G_GINT64_FORMAT, name,
                     tokens->len, lanes * T + 1);
        return FALSE;
    }
    x = dlh_tensor_new (DLH_I64, dlh_shape (pieces * lanes, T), error);
    y = x ? dlh_tensor_new (DLH_I64, dlh_shape (pieces * lanes, T), error) : NULL;
    if (!y)
        return FALSE;
    for (gint64 i = 0; i < pieces; i++)
        for (gint64 b = 0; b < lanes; b++) {
            const gint64 *from = (const gint64 *) (gpointer) tokens->data + (b * pieces + i) * T;
            gint64 row = i * lanes + b;

            memcpy ((gint64 *) dlh_tensor_get_data (x) + row * T, from,
                    (gsize) T * sizeof (gint64));
            memcpy ((gint64 *) dlh_tensor_get_data (y) + row * T, from + 1,
                    (gsize) T * sizeof (gint64));
        }
    return dlh_data_set_split (data, split, x, y, error);
}

static gboolean
text_load_splits (DlhData *data, const TextOptions *opt, GError **error)
{
    const char *const names[] = {opt->train, opt->valid, opt->test};
    g_autoptr (GBytes) train = text_read (opt, opt->train, error); // outlives the vocabulary
    g_autoptr (GHashTable) vocabulary = train ? text_vocabulary (train, opt) : NULL;
    gint64 size;

    if (!train)
        return FALSE;
    size = g_hash_table_size (vocabulary);
    dlh_data_set_vocabulary (data, size);
    dlh_data_set_targets (data, DLH_TARGET_SEQUENCE, size);
    dlh_data_set_stream (data, opt->lanes);
    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        g_autoptr (GBytes) text = NULL;
        g_autoptr (GArray) tokens = NULL;

        if (!*names[i])
            continue;
        text = i == 0 ? g_bytes_ref (train) : text_read (opt, names[i], error);
        tokens = text ? text_encode (text, names[i], vocabulary, opt, error) : NULL;
        if (!tokens || !text_set_split (data, DLH_SPLIT_TRAIN + i, tokens, names[i], opt, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
text_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const TextOptions *opt = options;

    (void) dtype; // there are no floats here
    if (!*opt->dir || !g_file_test (opt->dir, G_FILE_TEST_IS_DIR)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "text: no directory '%s': give that of the texts with dir=, and their names "
                     "with train=, valid= and test= where they are not ptb.train.txt and so on",
                     opt->dir);
        return FALSE;
    }
    if (text_load_splits (data, opt, error))
        return TRUE;
    g_prefix_error (error, "text: ");
    return FALSE;
}

static const DlhDataset text = {.size = sizeof (DlhDataset), .load = text_load};

DLH_PLUGIN_DEFINE (DLH_DATASET, text, TextOptions,
    DLH_OPTIONS (
        DLH_STRING (TextOptions, dir, "", "Directory of the texts, gzip or plain"),
        DLH_STRING (TextOptions, train, "ptb.train.txt", "Training text"),
        DLH_STRING (TextOptions, valid, "ptb.valid.txt", "Validation text, empty for none"),
        DLH_STRING (TextOptions, test, "ptb.test.txt", "Test text, empty for none"),
        DLH_CHOICE (TextOptions, level, "word", "word|char", "What a token is"),
        DLH_BOOL_OPTION (TextOptions, line_end, true, "A token <eos> at the end of each line"),
        DLH_INT (TextOptions, seq_len, 35, 1, 1e6, "Steps of a row", .unit = "tokens"),
        DLH_INT (TextOptions, lanes, 20, 1, 1e6,
                 "Places in the text that are read side by side: the batch size"),
        DLH_INT (TextOptions, limit, 0, 0, 1e12, "Of each text, from its beginning; 0: all",
                 .unit = "tokens"),
        DLH_INT (TextOptions, vocabulary, 0, 0, 1e9,
                 "At most so many, the most frequent and <unk> for all others; 0: all",
                 .unit = "tokens")),
    .name = "text", .version = "1.0", .paper = "Mikolov et al. 2010",
    .summary = "Running text for language models, by words or characters");
