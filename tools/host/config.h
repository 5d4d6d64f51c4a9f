/* SPDX-License-Identifier: MIT */
/* What to run: components with their settings, and the options common to all runs. It comes from
 * defaults, a JSON file and the command line, later ones winning. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    char *name;           /* as given: "kfac", "kfac.so", "./kfac.so"; NULL: none */
    GHashTable *settings; /* option -> text */
    gboolean preset;      /* nobody has named it: loaded when it is asked for, if it is */
} Part;

typedef struct {
    Part parts[DLH_LAST_KIND + 1]; /* by kind */
    guint64 seed;
    gint64 threads;
    DlhDType dtype;
    char *out;         /* run folder, NULL: named by the time */
    char *checkpoint;  /* to start from */
    char *named_by;    /* (nullable): the file that names the checkpoint; NULL: the command line */
    char *plugin_path; /* from the command line */
    gboolean quiet;
} Config;

void config_init (Config *config);
void config_clear (Config *config);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Config, config_clear)

/* "kfac.so,damping=1e-2,betas=[0,0.9]": replaces the part's name and adds settings. */
gboolean config_set_part (Config *config, DlhPluginKind kind, const char *text, GError **error);
/* A common option by name ("seed"); FALSE with DLH_ERROR_OPTION when unknown or wrong. */
gboolean config_set (Config *config, const char *name, const char *value, GError **error);
gboolean config_is_common (const char *name);
/* Adds what a file of config_to_json() says. Its checkpoint is relative to the file's folder. */
gboolean config_read (Config *config, const char *path, GError **error);
/* The whole configuration, every parameter spelled out. @folder: (nullable): where the text will be:
 * the checkpoint is named from there; NULL: no checkpoint is named. */
char *config_to_json (const Config *config, DlhComponent *const *components, const char *folder);
