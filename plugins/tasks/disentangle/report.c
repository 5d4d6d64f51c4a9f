/* SPDX-License-Identifier: MIT */
/* The table of latents: a file that other programs read. */
#include <math.h>
#include "disentangle.h"

static void
append_number (GString *text, double value)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_c (text, ',');
    if (isfinite (value))
        g_string_append (text, g_ascii_formatd (buffer, sizeof buffer, "%.10g", value));
}

#define ENTROPY 1.41893853320467274178 /* of a Gaussian of deviation 1 */

// latent, variance of the means, mean deviation, mean divergence; then I(z_j; v_k) in nats
gboolean
disentangle_table (Disentangle *t, const Information *information, GError **error)
{
    const Codes *c = &t->codes;
    const char *folder = dlh_run_folder (t->run);
    g_autofree char *path = folder ? g_build_filename (folder, "disentangle.csv", NULL) : NULL;
    g_autoptr (GString) text = g_string_new ("latent,variance,deviation,kl");
    g_autofree double *variance = g_new (double, c->d);

    if (!path)
        return TRUE;
    codes_moments (c, NULL, variance);
    for (guint k = 0; k < c->k && information; k++)
        g_string_append_printf (text, ",%s", c->factors[k].name);
    g_string_append_c (text, '\n');
    for (guint j = 0; j < c->d; j++) {
        double deviation = 0, kl = 0;

        for (gint64 i = 0; i < c->n; i++) {
            gsize at = j * (gsize)c->n + (gsize)i;

            deviation += c->p[i] * exp (c->log_std[at]);
            kl += c->p[i] * (prior_cross (&t->prior, j, c->mean[at], c->log_std[at]) -
                             c->log_std[at] - ENTROPY);
        }
        g_string_append_printf (text, "%u", j + 1);
        append_number (text, variance[j]);
        append_number (text, deviation);
        append_number (text, kl);
        for (guint k = 0; k < c->k && information; k++)
            append_number (text, information->mi[j * c->k + k]);
        g_string_append_c (text, '\n');
    }
    return dlh_file_write (path, text->str, text->len, error);
}
