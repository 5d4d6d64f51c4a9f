/* SPDX-License-Identifier: MIT */
/* The conformance suite behind `dlhost check`. Every check is an item "group/name" with one
 * outcome. Items run in child processes, a few to a process, so that a plugin which crashes, exits
 * or hangs loses one item: the parent reports it and starts another child for those that are left.
 * The parent never runs a plugin's code and never has threads, so it may fork at any time.
 *
 *     if (check_begin (c, "leaks", "memory")) {
 *         ...
 *         check_ok (c, "%d cycles", n);        // or check_fail(), check_skip()
 *     }
 */
#pragma once

#include <dlhost/dlhost.h>

typedef enum {
    CHECK_OK = 1,
    CHECK_FAIL,
    CHECK_SKIP,
} CheckStatus;

typedef struct {
    char *name; /* "leaks/memory" */
    CheckStatus status;
    char *text;
    gboolean shown; /* it was asked for, or failed on the way to what was */
} CheckResult;

typedef struct _Check Check;

struct _Check {
    const char *path;
    const DlhPluginInfo *info; /* NULL until the manifest is accepted */
    DlhRegistry *registry;
    GHashTable *settings; /* of the command line: option -> text */
    gboolean thorough;    /* --long */
    const char *only;     /* (nullable): glob on the names */
    guint seconds;        /* an item may take */
    gboolean quiet;       /* nothing printed: --json */

    GPtrArray *results;  /* CheckResult* */
    GHashTable *by_name; /* name -> CheckResult */
    GHashTable *found;   /* what every child is asked about once, "state/umask" -> detail or "" */

    int channel;   /* of a child: where it reports; -1 in the parent */
    char *current; /* of a child: the item that runs */
    char *scratch; /* a directory for the children's files */
};

/* An item. */

/* FALSE when the item is not wanted or has its outcome: then do nothing. */
gboolean check_begin (Check *c, const char *group, const char *name);
void check_ok (Check *c, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* What was seen, what was expected, what to do; on one line. */
void check_fail (Check *c, const char *format, ...) G_GNUC_PRINTF (2, 3);
void check_skip (Check *c, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* What the item is at, should the plugin end the process now. @heavy: it may ask for more than an
 * item may take; then running out of time is no failure. */
void check_note (Check *c, gboolean heavy, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* The item does not apply: no line. */
void check_drop (Check *c);
/* The outcome of an earlier item, 0 when it has none. */
CheckStatus check_status (Check *c, const char *group, const char *name);
/* Whether an item "group/..." failed. */
gboolean check_group_failed (Check *c, const char *group);
/* Something seen that is reported once at the end, however often it is seen. */
void check_found (Check *c, const char *name, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Running. */

typedef void (*CheckGroup) (Check *c);
/* Runs @group in children until each of its items has an outcome. */
void check_run (Check *c, CheckGroup group);
/* Adds an outcome and prints it: for items that the parent decides. */
void check_add (Check *c, const char *name, CheckStatus status, const char *text);

/* The whole suite. Returns: the exit code; -1 with @error set. */
int check_plugin (Check *c, GError **error);

/* The parts of the suite. */
gboolean check_manifest (Check *c); /* FALSE: not a plugin at all */
void check_options (Check *c);
void check_training (Check *c); /* optimizers and models */
void check_gradients (Check *c);
void check_ops (Check *c);
void check_sampling (Check *c); /* samplers, and models that offer a density */
void check_dataset (Check *c);
void check_environment (Check *c);
void check_task (Check *c);

/* One short use of the plugin with @settings beside the command line's, as its kind is used: built
 * and run once. FALSE with the plugin's refusal. */
gboolean check_use (Check *c, GHashTable *settings, GError **error);
gboolean check_use_training (Check *c, GHashTable *settings, GError **error);
gboolean check_use_sampling (Check *c, GHashTable *settings, GError **error);
gboolean check_use_dataset (Check *c, GHashTable *settings, GError **error);
gboolean check_use_environment (Check *c, GHashTable *settings, GError **error);
gboolean check_use_task (Check *c, GHashTable *settings, GError **error);

/* Sets @error where @done is FALSE and the plugin has not. Returns @done. */
gboolean check_told (gboolean done, const char *function, GError **error);
/* The plugin with the command line's settings and @settings (nullable). */
DlhComponent *check_load (Check *c, GHashTable *settings, GError **error);
