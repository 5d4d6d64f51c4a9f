/* SPDX-License-Identifier: MIT */
/* Any bytes as a JSON configuration: read, or refused with a message; what the program writes of it
 * says the same. */
#include "fuzz.h"

#include "../../tools/host/config.h"

static void
check_error (const GError *error)
{
    g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_OPTION) ||
                   g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
check_round_trip (const Config *config)
{
    DlhComponent *none[DLH_LAST_KIND + 1] = {NULL};
    g_autofree char *json = config_to_json (config, none, "/proc/self/fd"), *again_json = NULL;
    g_auto (Config) again = {0};
    g_autoptr (GError) error = NULL;
    int fd = memfd_create ("config", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);

    g_assert_true (write (fd, json, strlen (json)) == (gssize)strlen (json));
    config_init (&again);
    g_assert_true (config_read (&again, path, &error));
    g_assert_no_error (error);
    again_json = config_to_json (&again, none, "/proc/self/fd");
    g_assert_cmpstr (again_json, ==, json);
    close (fd);
}

gboolean
fuzz_config (const char *path)
{
    g_auto (Config) config = {0};
    g_autoptr (GError) error = NULL;
    gboolean ok;

    config_init (&config);
    ok = config_read (&config, path, &error);
    g_assert_true (ok == (error == NULL));
    if (!ok) {
        check_error (error);
        return FALSE;
    }
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++) {
        GHashTableIter iter;
        gpointer key, value;

        g_hash_table_iter_init (&iter, config.parts[kind].settings);
        while (g_hash_table_iter_next (&iter, &key, &value))
            g_assert_true (g_utf8_validate (key, -1, NULL) && g_utf8_validate (value, -1, NULL));
    }
    check_round_trip (&config);
    return TRUE;
}

FUZZ_FILE_ENTRY (fuzz_config)
