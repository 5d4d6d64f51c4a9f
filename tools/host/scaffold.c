/* SPDX-License-Identifier: MIT */
/* Fills the templates: @name@ is the plugin's name, @ident@ the same as part of a C identifier,
 * @Type@ the same as part of a type's name; the other words come from the table below. */
#include "scaffold.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "templates.h"

#define PREFIX "/dlhost/templates/"
#define MAX_NAME G_SIZEOF_MEMBER (DlhManifest, name)

typedef struct {
    const char *kind;    /* its source is PREFIX KIND.c */
    const char *option;  /* of the program, that takes such a plugin */
    const char *example; /* what the plugin is until it is changed */
    const char *run;     /* a run to try, for the README */
    const char *test;    /* a short run, for the test; the plugin is $plugin */
} Template;

static const Template templates[] = {
    {"optimizer", "optimizer", "gradient descent with heavy-ball momentum",
     "dlhost --optimizer=./@name@.so,lr=0.1 --model=mlp --dataset=synthetic --epochs=5",
     "dlhost --optimizer=\"$plugin\" --model=mlp --dataset=synthetic --steps=20"},
    {"model", "model", "a network with one hidden layer beside a linear map",
     "dlhost --model=./@name@.so,hidden=64 --optimizer=adam,lr=0.01 --dataset=synthetic --epochs=5",
     "dlhost --model=\"$plugin\" --optimizer=adam --dataset=synthetic --steps=20"},
    {"dataset", "dataset", "made data, points on rings",
     "dlhost --dataset=./@name@.so,rings=4 --model=mlp --optimizer=adam,lr=0.01 --epochs=30",
     "dlhost --dataset=\"$plugin\" --model=mlp --optimizer=adam --steps=20"},
    {"environment", "environment", "a point that is pushed towards the origin",
     "dlhost --task=evolve,steps=20 --environment=./@name@.so,wind=0.3 "
     "--optimizer=flipes,members=10,sigma=0.1,lr=0.05 --model=mlp,hidden=[8]",
     "dlhost --task=evolve,steps=3 --environment=\"$plugin\" --optimizer=flipes,members=4 "
     "--model=mlp,hidden=[8]"},
    {"sampler", "sampler", "random-walk Metropolis",
     "dlhost --task=sample --sampler=./@name@.so,scale=0.8 --model=density,kind=normal2",
     "dlhost --task=sample,chains=2,warmup=20,draws=50 --sampler=\"$plugin\" "
     "--model=density,kind=normal2"},
    {"task", "task", "a task that learns one batch by heart",
     "dlhost --task=./@name@.so,loss=0.05,steps=1000 --model=mlp --optimizer=adam,lr=0.01 "
     "--dataset=synthetic",
     "dlhost --task=\"$plugin\",loss=0.5 --model=mlp --optimizer=adam,lr=0.01 --dataset=synthetic"},
    {"op", "model", "a perceptron whose activation is an op of its own",
     "dlhost --model=./@name@.so,hidden=64 --optimizer=adam,lr=0.01 --dataset=synthetic --epochs=5",
     "dlhost --model=\"$plugin\" --optimizer=adam --dataset=synthetic --steps=20"},
};

static const char *const common[] = {"Makefile", "README.md", "meson.build", "test.sh"};

const char *const *
scaffold_kinds (void)
{
    static const char *names[G_N_ELEMENTS (templates) + 1];

    for (guint i = 0; i < G_N_ELEMENTS (templates); i++)
        names[i] = templates[i].kind;
    return names;
}

/* Names. */

// Words that Meson keeps for targets of its own.
static gboolean
is_reserved (const char *name)
{
    static const char *const words[] = {"all",         "benchmark", "clean", "coverage",
                                        "dist",        "install",   "phony", "test",
                                        "reconfigure", "uninstall"};

    for (guint i = 0; i < G_N_ELEMENTS (words); i++)
        if (strcmp (name, words[i]) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
check_name (const char *name, GError **error)
{
    gsize n = strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    g_autofree char *shown = g_strescape (name, NULL);
    const char *why = NULL;

    if (strlen (shown) > 60)
        strcpy (shown + 57, "...");
    if (!g_ascii_islower (name[0]) || name[n])
        why = "must be a letter a-z, then a-z, 0-9, '_' and '-'";
    else if (n >= MAX_NAME)
        why = "is longer than 31 characters";
    else if (is_reserved (name))
        why = "is a word that Meson keeps for itself: add another, as in my-test";
    else if (strcmp (name, "dlh") == 0 || g_str_has_prefix (name, "dlh_") ||
             g_str_has_prefix (name, "dlh-"))
        why = "begins like the library's own functions, dlh_";
    if (!why)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "new: the name '%s' %s", shown, why);
    return FALSE;
}

// "heavy-ball" gives heavy_ball.
static char *
identifier_of (const char *name)
{
    return g_strdelimit (g_strdup (name), "-", '_');
}

// "heavy-ball" gives HeavyBall.
static char *
type_of (const char *name)
{
    GString *type = g_string_new (NULL);
    gboolean upper = TRUE;

    for (const char *p = name; *p; p++) {
        if (*p != '-' && *p != '_')
            g_string_append_c (type, upper ? g_ascii_toupper (*p) : *p);
        upper = *p == '-' || *p == '_';
    }
    return g_string_free (type, FALSE);
}

/* Files. */

typedef struct {
    const char *name, *ident, *type;
    const Template *template;
} Words;

static void
fill (GString *text, const Words *w)
{
    // The longer texts first: they have words of their own.
    const struct {
        const char *word, *value;
    } words[] = {
        {"@run@", w->template->run},
        {"@test@", w->template->test},
        {"@kind@", w->template->option},
        {"@example@", w->template->example},
        {"@ident@", w->ident},
        {"@Type@", w->type},
        {"@name@", w->name},
    };

    for (guint i = 0; i < G_N_ELEMENTS (words); i++)
        g_string_replace (text, words[i].word, words[i].value, 0);
}

static gboolean
write_file (const char *template, const char *dir, const char *file, const Words *words,
            GError **error)
{
    g_autofree char *resource = g_strconcat (PREFIX, template, NULL);
    g_autofree char *path = g_build_filename (dir, file, NULL);
    g_autoptr (GBytes) bytes = g_resource_lookup_data (templates_get_resource (), resource,
                                                       G_RESOURCE_LOOKUP_FLAGS_NONE, error);
    g_autoptr (GString) text = NULL;
    gsize n = 0;
    const char *data = bytes ? g_bytes_get_data (bytes, &n) : NULL;

    if (!data)
        return FALSE;
    text = g_string_new_len (data, (gssize)n);
    fill (text, words);
    return dlh_file_write (path, text->str, text->len, error);
}

static void
remove_files (const char *dir, const char *source)
{
    for (guint i = 0; i <= G_N_ELEMENTS (common); i++) {
        g_autofree char *path =
            g_build_filename (dir, i < G_N_ELEMENTS (common) ? common[i] : source, NULL);

        unlink (path);
    }
    rmdir (dir);
}

static gboolean
write_all (const char *dir, const Words *words, GError **error)
{
    g_autofree char *template = g_strconcat (words->template->kind, ".c", NULL);
    g_autofree char *source = g_strconcat (words->name, ".c", NULL);
    gboolean done = write_file (template, dir, source, words, error);

    for (guint i = 0; i < G_N_ELEMENTS (common) && done; i++) {
        g_autofree char *from = g_strconcat ("common/", common[i], NULL);

        done = write_file (from, dir, common[i], words, error);
    }
    if (!done)
        remove_files (dir, source);
    return done;
}

static const Template *
find_template (const char *kind, GError **error)
{
    g_autofree char *known = NULL;
    const char *near;

    for (guint i = 0; i < G_N_ELEMENTS (templates); i++)
        if (strcmp (templates[i].kind, kind) == 0)
            return &templates[i];
    known = g_strjoinv (", ", (char **)scaffold_kinds ());
    near = dlh_nearest_name (kind, scaffold_kinds (), G_N_ELEMENTS (templates));
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "new: no kind '%s'%s%s%s; there are %s", kind,
                 near ? ", did you mean " : "", near ? near : "", near ? "?" : "", known);
    return NULL;
}

gboolean
scaffold_write (const char *kind, const char *name, const char *dir, GError **error)
{
    const Template *template = find_template (kind, error);
    g_autofree char *ident = identifier_of (name), *type = type_of (name);
    const Words words = {name, ident, type, template};

    if (!template || !check_name (name, error))
        return FALSE;
    if (mkdir (dir, 0755) == 0)
        return write_all (dir, &words, error);
    if (errno == EEXIST)
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "new: %s exists already, and nothing is overwritten: give another --dir", dir);
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "new: cannot make the directory %s: %s", dir,
                     g_strerror (errno));
    return FALSE;
}
