/* SPDX-License-Identifier: MIT */
/* Outcomes of items: in a child they go to the parent, in the parent they are kept and printed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "child.h"

static const char *const words[] = {
    [CHECK_OK] = "ok  ", [CHECK_FAIL] = "FAIL", [CHECK_SKIP] = "skip"};

static void
print_result (const CheckResult *r)
{
    if (r->status == CHECK_OK)
        printf (*r->text ? "ok    %s  (%s)\n" : "ok    %s\n", r->name, r->text);
    else
        printf ("%s  %s: %s\n", words[r->status], r->name, r->text);
    fflush (stdout);
}

static gboolean
is_wanted (const Check *c, const char *name)
{
    return !c->only || g_pattern_match_simple (c->only, name);
}

void
check_add (Check *c, const char *name, CheckStatus status, const char *text)
{
    CheckResult *r;

    if (g_hash_table_contains (c->by_name, name))
        return;
    r = g_new0 (CheckResult, 1);
    r->name = g_strdup (name);
    r->shown = is_wanted (c, name) || status == CHECK_FAIL;
    r->status = status;
    r->text = g_strdelimit (g_strdup (text), "\n\t", ' ');
    g_ptr_array_add (c->results, r);
    g_hash_table_insert (c->by_name, r->name, r);
    if (c->channel < 0 && !c->quiet && r->shown)
        print_result (r);
}

// What the other checks depend on runs also where it was not asked for.
static gboolean
decides (const char *group)
{
    static const char *const groups[] = {"accepts", "determinism", "load", "op", "run", NULL};

    return g_strv_contains (groups, group);
}

gboolean
check_begin (Check *c, const char *group, const char *name)
{
    g_autofree char *item = g_strdup_printf ("%s/%s", group, name);

    if ((!is_wanted (c, item) && !decides (group)) || g_hash_table_contains (c->by_name, item))
        return FALSE;
    g_free (c->current);
    c->current = g_steal_pointer (&item);
    if (c->channel >= 0)
        child_send (c, CHILD_BEGIN, c->current, "");
    return TRUE;
}

static void
finish (Check *c, CheckStatus status, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf (format, args);

    g_return_if_fail (c->current);
    check_add (c, c->current, status, text);
    if (c->channel >= 0)
        child_send (c, (char)(CHILD_RESULT + (int)status), c->current, text);
    g_clear_pointer (&c->current, g_free);
}

void
check_ok (Check *c, const char *format, ...)
{
    va_list args;

    va_start (args, format);
    finish (c, CHECK_OK, format, args);
    va_end (args);
}

void
check_fail (Check *c, const char *format, ...)
{
    va_list args;

    va_start (args, format);
    finish (c, CHECK_FAIL, format, args);
    va_end (args);
}

void
check_skip (Check *c, const char *format, ...)
{
    va_list args;

    va_start (args, format);
    finish (c, CHECK_SKIP, format, args);
    va_end (args);
}

void
check_note (Check *c, gboolean heavy, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    if (c->channel >= 0)
        child_send (c, heavy ? CHILD_HEAVY : CHILD_NOTE, c->current, text);
}

void
check_drop (Check *c)
{
    if (c->channel >= 0 && c->current)
        child_send (c, CHILD_DROP, c->current, "");
    g_clear_pointer (&c->current, g_free);
}

CheckStatus
check_status (Check *c, const char *group, const char *name)
{
    g_autofree char *item = g_strdup_printf ("%s/%s", group, name);
    const CheckResult *r = g_hash_table_lookup (c->by_name, item);

    return r ? r->status : 0;
}

gboolean
check_group_failed (Check *c, const char *group)
{
    gsize n = strlen (group);

    for (guint i = 0; i < c->results->len; i++) {
        const CheckResult *r = c->results->pdata[i];

        if (r->status == CHECK_FAIL && strncmp (r->name, group, n) == 0 && r->name[n] == '/')
            return TRUE;
    }
    return FALSE;
}

void
check_found (Check *c, const char *name, const char *format, ...)
{
    g_autofree char *text = NULL;
    const char *before = g_hash_table_lookup (c->found, name);
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    if (!before || !*before)
        g_hash_table_insert (c->found, g_strdup (name),
                             g_strdelimit (g_strdup (text), "\n\t", ' '));
    if (c->channel >= 0)
        child_send (c, CHILD_FOUND, name, text);
}
