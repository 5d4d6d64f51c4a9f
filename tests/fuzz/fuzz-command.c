/* SPDX-License-Identifier: MIT */
/* Any lines as the arguments of dlhost: understood, or refused with a message; nothing runs. */
#include "fuzz.h"

#include <string.h>

#include "../../tools/host/command.h"

static void
check_accepted (Invocation *inv)
{
    const Command *c = inv->command;
    g_autoptr (GError) error = NULL;

    g_assert_nonnull (c);
    if (inv->help || inv->version)
        return;
    g_assert_cmpuint (inv->operands->len, >=, c->min_operands);
    g_assert_cmpuint (inv->operands->len, <=, c->max_operands);
    for (const Flag *flag = c->flags; flag && flag->name; flag++) {
        const char *value = invocation_flag (inv, flag->name);

        g_assert_true (!value || flag->value || !*value);
    }
    g_assert_true (invocation_complete (inv, NULL, &error));
    g_assert_no_error (error);
    g_assert_nonnull (inv->config.parts[DLH_TASK].name);
}

gboolean
fuzz_command (const guint8 *data, gsize n)
{
    g_autofree char *text = n ? g_strndup ((const char *)data, n) : g_strdup ("");
    g_auto (GStrv) lines = g_strsplit (text, "\n", 64);
    g_autoptr (GPtrArray) argv = g_ptr_array_new ();
    g_auto (Invocation) inv = {0};
    g_autoptr (GError) error = NULL;
    gboolean ok;

    g_ptr_array_add (argv, (gpointer) "dlhost");
    for (guint i = 0; lines[i]; i++)
        g_ptr_array_add (argv, lines[i]);
    g_ptr_array_add (argv, NULL);
    ok = command_line_parse (&inv, (int)argv->len - 1, (char *const *)argv->pdata, &error);
    g_assert_true (ok == (error == NULL));
    if (ok)
        check_accepted (&inv);
    else
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_OPTION));
    return ok;
}

FUZZ_ENTRY (fuzz_command)
