/* SPDX-License-Identifier: MIT */
/* Commands of the program. One table (commands.c) lists them; parsing, help, completion and the
 * manual page all read it, so that a command exists in one place.
 *
 * To add one: write cmd-NAME.c with `const Command command_NAME`, and add a line to commands.c and
 * to tools/meson.build. */
#pragma once

#include "config.h"

/* An option of a command or of a run. */
typedef struct {
    const char *name;  /* "json" */
    const char *value; /* what follows '=', as help shows it: "N", "f32|f64"; NULL: a switch */
    const char *doc;   /* one line, no full stop */
    gboolean repeats;  /* may be given more than once */
} Flag;

/* Where the help lists a command. */
typedef enum {
    GROUP_RUNS = 1,
    GROUP_PLUGINS,
    GROUP_INSIDE,
    GROUP_SETUP,
    GROUP_HIDDEN, /* nowhere: for scripts of this program's own */
} CommandGroup;

typedef struct _Invocation Invocation;

typedef struct {
    const char *name;     /* "inspect" */
    const char *operands; /* "PLUGIN", "[KIND]", "RUN...": as help shows them; "" for none */
    const char *summary;  /* one line, no full stop */
    const char *details;  /* (nullable): paragraphs for `dlhost COMMAND --help` and the manual */
    guint min_operands, max_operands;
    gboolean of_run;   /* takes the options of a run as well: --model, --steps, ... */
    const Flag *flags; /* (nullable): its own options; ends with name NULL */
    /* Returns: the exit code; -1 with @error set, whose kind gives the exit code. */
    int (*run) (Invocation *invocation, GError **error);
    CommandGroup group;
    const char *examples; /* (nullable): command lines, each ending in a newline */
} Command;

/* What the command line said. */
struct _Invocation {
    const Command *command;
    gboolean named;        /* the command line gives the command's name */
    GPtrArray *operands;   /* char*, without the command's name */
    Config config;         /* options of a run */
    GHashTable *given;     /* names of the run's options that were given */
    GHashTable *flags;     /* name -> GPtrArray of char*: the command's own options */
    char *config_file;     /* --config */
    DlhRegistry *registry; /* use invocation_registry() */
    gboolean help, version;
};

/* (nullable): the value of the command's own option @name, "" for a switch, NULL: not given. */
const char *invocation_flag (const Invocation *invocation, const char *name);
/* (nullable) (element-type utf8): all values of a repeating option. */
GPtrArray *invocation_flag_values (const Invocation *invocation, const char *name);
/* A whole number in [min, max] of option @name, or @preset. */
gboolean invocation_flag_count (const Invocation *invocation, const char *name, gint64 min,
                                gint64 max, gint64 preset, gint64 *out, GError **error);
/* (transfer none): the plugins on the search path, opened at the first call. */
DlhRegistry *invocation_registry (Invocation *invocation);
/* Fills what the command line left open from @file (nullable), then from the defaults. */
gboolean invocation_complete (Invocation *invocation, const char *file, GError **error);

/* Sets DLH_ERROR_OPTION "TEXT; see dlhost --help". Returns -1. */
int usage_error (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Tables. */
extern const Flag run_flags[];    /* of every run; ends with name NULL */
extern const Flag global_flags[]; /* of every command; likewise */
extern const Command
    *const commands[]; /* ends with NULL; commands[0] is what runs without a name */
const Command *command_find (const char *name); /* (nullable) */

/* The command line into @invocation (zeroed); FALSE with DLH_ERROR_OPTION. */
gboolean command_line_parse (Invocation *invocation, int argc, char *const *argv, GError **error);
void invocation_clear (Invocation *invocation);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Invocation, invocation_clear)

/* (transfer full): `dlhost --help` (@command NULL), `dlhost COMMAND --help`, in lines of @width. */
char *help_text (const Command *command, guint width);
/* "Runs", "Plugins", ...: the heading of a group. */
const char *group_title (CommandGroup group);

typedef struct {
    const char *codes; /* "0", "130, 143" */
    const char *meaning;
} ExitCode;
extern const ExitCode exit_codes[]; /* ends with codes NULL */

/* `dlhost complete WORD...`: what the last word could become, a line each. Returns: the exit code. */
int complete_main (int argc, char *const *argv);

/* Where plugins are searched for, in order. */
typedef struct {
    char *dir;
    const char *source; /* "--plugin-path", "DLHOST_PLUGIN_PATH", ... */
} SearchDir;

/* (element-type SearchDir) (transfer full) */
GArray *search_dirs (const Config *config);
