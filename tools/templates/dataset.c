/* SPDX-License-Identifier: MIT */
// @name@: points on rings around the origin, a class each. Replace make_rings() by your data;
// dlhost/io.h has readers for idx files, tables and safetensors.
#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    gint64 n, test, rings, seed;
    double noise;
} @Type@Options;

// Draws come from a named stream: the same for the same seed, on every machine, in any order.
static gboolean
make_rings (DlhData *data, DlhSplit split, gint64 n, DlhDType dtype, const @Type@Options *opt,
            GError **error)
{
    g_autoptr (DlhTensor) x = dlh_tensor_new (dtype, dlh_shape (n, 2), error);
    g_autoptr (DlhTensor) y = x ? dlh_tensor_new (DLH_I64, dlh_shape (n), error) : NULL;
    g_autofree double *angle = NULL;
    g_autofree double *noise = NULL;

    if (!y)
        return FALSE;
    angle = g_new (double, (gsize) n);
    noise = g_new (double, (gsize) n);
    dlh_random_fill_uniform ((guint64) opt->seed, "@name@/angle", split, angle, (gsize) n);
    dlh_random_fill_normal ((guint64) opt->seed, "@name@/noise", split, noise, (gsize) n);
    for (gint64 i = 0; i < n; i++) {
        gint64 ring = i % opt->rings;
        double radius = (double) (ring + 1) + opt->noise * noise[i];

        dlh_tensor_set (x, 2 * i, radius * cos (2 * G_PI * angle[i]));
        dlh_tensor_set (x, 2 * i + 1, radius * sin (2 * G_PI * angle[i]));
        dlh_tensor_set (y, i, (double) ring);
    }
    return dlh_data_set_split (data, split, x, y, error); // takes references of its own
}

static gboolean
@ident@_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const @Type@Options *opt = options;

    dlh_data_set_targets (data, DLH_TARGET_CLASS, opt->rings); // before the splits
    return make_rings (data, DLH_SPLIT_TRAIN, opt->n, dtype, opt, error) &&
           (opt->test == 0 || make_rings (data, DLH_SPLIT_TEST, opt->test, dtype, opt, error));
}

static const DlhDataset @ident@_dataset = {
    .size = sizeof (DlhDataset),
    .load = @ident@_load,
};

DLH_PLUGIN_DEFINE (DLH_DATASET, @ident@_dataset, @Type@Options,
                   DLH_OPTIONS (DLH_INT (@Type@Options, n, 1000, 1, 10000000, "Training examples"),
                                DLH_INT (@Type@Options, test, 200, 0, 10000000,
                                         "Test examples; 0: none"),
                                DLH_INT (@Type@Options, rings, 3, 2, 100, "Rings, a class each"),
                                DLH_INT (@Type@Options, seed, 0, 0, 1000000000, "Of the data"),
                                DLH_DOUBLE (@Type@Options, noise, 0.1, 0.0, 10.0,
                                            "Deviation of the radius")),
                   .name = "@name@", .version = "0.1", .summary = "Points on rings, a class each");
