/* SPDX-License-Identifier: MIT */
/* Parameters of a plugin as a table of plain bytes. The host reads it from the plugin's file without
 * loading it; the command line, JSON, help, completion and checks all come from it; and the host fills
 * the plugin's option struct from it. */
#pragma once

#include <stddef.h>
#include <dlhost/error.h>

G_BEGIN_DECLS

/* Types of options and of the fields that they fill. */
typedef enum {
    DLH_OPTION_BOOL = 1, /* gboolean */
    DLH_OPTION_INT,      /* gint64 */
    DLH_OPTION_DOUBLE,   /* double */
    DLH_OPTION_STRING,   /* const char *, never NULL */
    DLH_OPTION_CHOICE,   /* const char *, one of choices */
    DLH_OPTION_DOUBLES,  /* DlhDoubles, at least one */
    DLH_OPTION_INTS,     /* DlhInts, at least one */
} DlhOptionType;

/* A list of numbers; its memory is the host's. */
typedef struct {
    const double *values;
    gsize n;
} DlhDoubles;

/* A list of whole numbers; its memory is the host's. */
typedef struct {
    const gint64 *values;
    gsize n;
} DlhInts;

/* What a range or a list allows. */
typedef enum {
    DLH_MIN_OPEN = 1 << 0, /* the value must be above min */
    DLH_MAX_OPEN = 1 << 1, /* the value must be below max */
    DLH_ALLOW_EMPTY = 1 << 2, /* a list may be empty: [] */
    DLH_ALLOW_INF = 1 << 3, /* inf is a value too, where the range reaches it */
} DlhOptionFlags;

/* One record of the note in the file. All strings end in NUL within their field. */
typedef struct {
    char name[32];
    guint32 type;   /* DlhOptionType */
    guint32 flags;  /* DlhOptionFlags */
    guint32 offset; /* of the field in the option struct */
    guint32 size;   /* of the field */
    double min, max;
    char preset[64];   /* the default, as on the command line */
    char choices[128]; /* "a|b|c" */
    char unit[16];
    char doc[160];
} DlhOption;

/* The field's C type is checked: a mismatch makes the array size negative. */
#define DLH_FIELD_(S, f, T)                                                                        \
    .name = #f, .offset = offsetof (S, f),                                                         \
    .size = sizeof (((S *) 0)->f) +                                                                \
            0 * sizeof (char[1 - 2 * !__builtin_types_compatible_p (__typeof__ (((S *) 0)->f), T)])

/**
 * DLH_BOOL_OPTION, DLH_INT, DLH_DOUBLE, DLH_STRING, DLH_CHOICE, DLH_DOUBLES, DLH_INTS:
 * Rows of the table.
 * @S: the option struct
 * @f: its field, whose C type is checked
 * @value: the default
 * @text: one line of help; members of DlhOption may follow: .flags = DLH_MAX_OPEN, .unit = "steps"
 */
#define DLH_BOOL_OPTION(S, f, value, text, ...)                                                    \
    {DLH_FIELD_ (S, f, gboolean), .type = DLH_OPTION_BOOL, .preset = #value, .doc = text,          \
     ##__VA_ARGS__}
#define DLH_INT(S, f, value, lo, hi, text, ...)                                                    \
    {DLH_FIELD_ (S, f, gint64), .type = DLH_OPTION_INT, .preset = #value, .min = (double) (lo),    \
     .max = (double) (hi), .doc = text, ##__VA_ARGS__}
#define DLH_DOUBLE(S, f, value, lo, hi, text, ...)                                                 \
    {DLH_FIELD_ (S, f, double), .type = DLH_OPTION_DOUBLE, .preset = #value, .min = lo, .max = hi, \
     .doc = text, ##__VA_ARGS__}
#define DLH_STRING(S, f, value, text, ...)                                                         \
    {DLH_FIELD_ (S, f, const char *), .type = DLH_OPTION_STRING, .preset = value, .doc = text,     \
     ##__VA_ARGS__}
#define DLH_CHOICE(S, f, value, list, text, ...)                                                   \
    {DLH_FIELD_ (S, f, const char *), .type = DLH_OPTION_CHOICE, .preset = value, .choices = list, \
     .doc = text, ##__VA_ARGS__}
#define DLH_DOUBLES(S, f, value, lo, hi, text, ...)                                                \
    {DLH_FIELD_ (S, f, DlhDoubles), .type = DLH_OPTION_DOUBLES, .preset = value, .min = lo,        \
     .max = hi, .doc = text, ##__VA_ARGS__}
#define DLH_INTS(S, f, value, lo, hi, text, ...)                                                   \
    {DLH_FIELD_ (S, f, DlhInts), .type = DLH_OPTION_INTS, .preset = value, .min = (double) (lo),   \
     .max = (double) (hi), .doc = text, ##__VA_ARGS__}

G_END_DECLS
