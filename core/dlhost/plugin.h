/* SPDX-License-Identifier: MIT */
/* What every plugin exports: one symbol, and a note in its file that says what it is.
 *
 *     DLH_PLUGIN_DEFINE (DLH_OPTIMIZER, myopt, MyoptOptions,
 *         DLH_OPTIONS (DLH_DOUBLE (MyoptOptions, lr, 0.1, 0.0, 100.0, "Step size")),
 *         .name = "myopt", .version = "1.0", .paper = "2401.00001",
 *         .summary = "Goes downhill")
 */
#pragma once

#include <dlhost/option.h>

G_BEGIN_DECLS

/* Kinds of plugins; each has a header with its interface. */
typedef enum {
    DLH_OPTIMIZER = 1,
    DLH_MODEL,
    DLH_SAMPLER,
    DLH_DATASET,
    DLH_ENVIRONMENT,
    DLH_TASK,
    DLH_BACKEND,
    DLH_COMM,
    DLH_PERTURB,   /* noise on the weights of a model */
    DLH_OBJECTIVE, /* what a model is fitted by, in the place of its own loss */
} DlhPluginKind;

/** DLH_LAST_KIND: for loops over the kinds; it grows. */
#define DLH_LAST_KIND DLH_OBJECTIVE

/* The fixed part of the note's descriptor. */
typedef struct {
    guint32 size;          /* sizeof (DlhManifest) when the plugin was built */
    guint32 option_size;   /* sizeof (DlhOption) likewise */
    guint32 n_options;
    guint32 abi_major, abi_minor;
    guint32 kind;          /* DlhPluginKind */
    guint32 options_bytes; /* sizeof the option struct */
    guint32 reserved;
    char name[32];
    char version[16];
    char licence[32];
    char paper[32]; /* arXiv id or other reference, may be empty */
    char summary[160];
} DlhManifest;

/* What the symbol `dlhost_plugin` is. The members after size never move. */
typedef struct {
    gsize size;
    const DlhManifest *manifest;
    gconstpointer interface; /* DlhOptimizer, DlhModel, ... by kind; begins with its size */
} DlhPlugin;

/* Owner and type of the ELF note, for those who read it by other means. */
#define DLH_NOTE_NAME "dlhost"
#define DLH_NOTE_TYPE 1

/* The table of options: rows of <dlhost/option.h>, or none. */
#define DLH_OPTIONS(...) {__VA_ARGS__}

/* Defines the note and the symbol `dlhost_plugin`: kind, the variable that holds its interface, the
 * type of the option struct, DLH_OPTIONS (...), then members of DlhManifest by name. The licence is
 * MIT unless `.licence` says otherwise. Ends with a semicolon. */
#define DLH_PLUGIN_DEFINE(plugin_kind, object, Options, table, ...)                                \
    static const struct {                                                                          \
        guint32 name_size, descriptor_size, type;                                                  \
        char owner[12]; /* the descriptor is aligned to 8 */                                       \
        DlhManifest manifest;                                                                      \
        DlhOption options[sizeof ((DlhOption[]) table) / sizeof (DlhOption)];                      \
    } dlh_note __attribute__ ((section (".note.dlhost"), used, aligned (8))) = {                   \
        sizeof DLH_NOTE_NAME,                                                                      \
        sizeof (DlhManifest) + sizeof ((DlhOption[]) table),                                       \
        DLH_NOTE_TYPE,                                                                             \
        DLH_NOTE_NAME,                                                                             \
        {sizeof (DlhManifest), sizeof (DlhOption),                                                 \
         sizeof ((DlhOption[]) table) / sizeof (DlhOption), DLH_ABI_MAJOR, DLH_ABI_MINOR,          \
         plugin_kind, sizeof (Options), 0, .licence = "MIT", __VA_ARGS__},                         \
        table};                                                                                   \
    DLH_EXPORT extern const DlhPlugin dlhost_plugin;                                               \
    const DlhPlugin dlhost_plugin = {sizeof (DlhPlugin), &dlh_note.manifest, &object}

G_END_DECLS
