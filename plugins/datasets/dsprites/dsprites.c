/* SPDX-License-Identifier: MIT */
/* dSprites: its grid of pictures with known factors, rendered when a batch asks for them, or read
 * from the original file. The grid may be thinned, and its cells may be unequally probable
 * (arXiv 1802.04942, section 6). */
#include <math.h>
#include <string.h>
#include "dsprites.h"

typedef struct {
    const char *path, *shapes, *distribution, *over;
    gint64 scale_step, orientation_step, position_step, test;
} DspritesOptions;

#define LEVELS 4 /* of a factor under distribution= */

static const char *const factor_names[] = {"shape", "scale", "orientation", "position_x",
                                           "position_y"};

/* The pictures of a run. */
typedef struct {
    gint64 first[DSPRITES_FACTORS], step[DSPRITES_FACTORS], count[DSPRITES_FACTORS];
    gint64 n;
    guint8 *bits; /* of the whole grid, from the file; NULL: rendered */
} Grid;

/* Pictures of it as a split has them. */
typedef struct {
    Grid *grid;     /* g_atomic_rc_box */
    gint64 *subset; /* NULL: all in order */
    DlhDType dtype;
} Source;

static void
grid_clear (gpointer grid)
{
    g_free (((Grid *)grid)->bits);
}

static void
source_free (gpointer source)
{
    Source *s = source;

    g_atomic_rc_box_release_full (s->grid, grid_clear);
    g_free (s->subset);
    g_free (s);
}

// Indices within the thinned grid, which are the factor values that tasks see.
static void
grid_indices (const Grid *grid, gint64 i, gint64 *out)
{
    for (guint k = DSPRITES_FACTORS; k-- > 0; i /= grid->count[k])
        out[k] = i % grid->count[k];
}

static void
grid_picture (const Grid *grid, gint64 i, guint8 *bits)
{
    gint64 v[DSPRITES_FACTORS], at = 0;

    grid_indices (grid, i, v);
    for (guint k = 0; k < DSPRITES_FACTORS; k++) {
        v[k] = grid->first[k] + v[k] * grid->step[k];
        at = at * dsprites_counts[k] + v[k];
    }
    if (grid->bits)
        memcpy (bits, grid->bits + at * DSPRITES_BYTES, DSPRITES_BYTES);
    else
        dsprites_render (v, bits);
}

#define EXPAND(T)                                                                                  \
    do {                                                                                           \
        T *restrict x = (T *)out + i * DSPRITES_PIXELS;                                            \
                                                                                                   \
        for (gsize p = 0; p < DSPRITES_PIXELS; p++)                                                \
            x[p] = (T)(bits[p / 8] >> (7 - p % 8) & 1);                                            \
    } while (0)

static void
fill (gpointer source, const gint64 *rows, gsize n, gpointer out)
{
    const Source *s = source;

    for (gsize i = 0; i < n; i++) {
        guint8 bits[DSPRITES_BYTES];

        grid_picture (s->grid, s->subset ? s->subset[rows[i]] : rows[i], bits);
        if (s->dtype == DLH_F32)
            EXPAND (float);
        else
            EXPAND (double);
    }
}

static Grid *
grid_new (const DspritesOptions *opt, GError **error)
{
    const gint64 steps[] = {1, opt->scale_step, opt->orientation_step, opt->position_step,
                            opt->position_step};
    Grid *grid = g_atomic_rc_box_new0 (Grid);

    grid->n = 1;
    for (guint k = 0; k < DSPRITES_FACTORS; k++) {
        grid->step[k] = steps[k];
        grid->count[k] = (dsprites_counts[k] + steps[k] - 1) / steps[k];
    }
    if (strcmp (opt->shapes, "all") != 0) {
        grid->count[0] = 1;
        grid->first[0] = strcmp (opt->shapes, "square") == 0    ? 0
                         : strcmp (opt->shapes, "ellipse") == 0 ? 1
                                                                : 2;
    }
    for (guint k = 0; k < DSPRITES_FACTORS; k++)
        grid->n *= grid->count[k];
    if (*opt->path && !(grid->bits = dsprites_read_archive (opt->path, error)))
        g_clear_pointer (&grid, g_atomic_rc_box_release);
    return grid;
}

static void
describe_factors (DlhData *data, const Grid *grid)
{
    DlhFactor factors[DSPRITES_FACTORS];
    double all[40], values[DSPRITES_FACTORS][40];

    for (guint k = 0; k < DSPRITES_FACTORS; k++) {
        dsprites_values (k, all);
        for (gint64 i = 0; i < grid->count[k]; i++)
            values[k][i] = all[grid->first[k] + i * grid->step[k]];
        // Shapes are no numbers, and the paper's score is of the other four.
        factors[k] = (DlhFactor){.name = factor_names[k],
                                 .n_values = grid->count[k],
                                 .values = k == 0 ? NULL : values[k],
                                 .nuisance = k == 0};
    }
    dlh_data_set_factors (data, factors, DSPRITES_FACTORS);
}

/* How probable levels i and j of the two factors are, up to a common factor; the most probable is
 * four times the least. The sheet of the figure is not public: these are dlhost's own tables. */
static double
cell_weight (const char *distribution, gint64 i, gint64 j)
{
    static const double rising[LEVELS] = {1, 4 / 3.0, 5 / 3.0, 2};
    double product = rising[i] * rising[j], dependent = (double)(LEVELS - ABS (i - j));

    if (strcmp (distribution, "product") == 0)
        return product;
    if (strcmp (distribution, "dependent") == 0)
        return dependent;
    // Between 2 and 16; this power makes it four again.
    return cbrt (product * dependent * product * dependent);
}

static gboolean
set_weights (DlhData *data, DlhSplit split, const Source *s, gint64 n, const DspritesOptions *opt,
             GError **error)
{
    g_autoptr (DlhTensor) weights = NULL;
    guint a = strcmp (opt->over, "scale-x") == 0 ? 1 : 3, b = a == 1 ? 3 : 4;

    if (strcmp (opt->distribution, "uniform") == 0)
        return TRUE;
    if (!(weights = dlh_tensor_new (DLH_F64, dlh_shape (n), error)))
        return FALSE;
    for (gint64 i = 0; i < n; i++) {
        gint64 v[DSPRITES_FACTORS];

        grid_indices (s->grid, s->subset ? s->subset[i] : i, v);
        ((double *)dlh_tensor_get_data (weights))[i] =
            cell_weight (opt->distribution, LEVELS * v[a] / s->grid->count[a],
                         LEVELS * v[b] / s->grid->count[b]);
    }
    return dlh_data_set_weights (data, split, weights, error);
}

// Takes @subset.
static gboolean
set_split (DlhData *data, DlhSplit split, DlhDType dtype, Grid *grid, gint64 *subset, gint64 n,
           const DspritesOptions *opt, GError **error)
{
    Source *s = g_new (Source, 1);
    const DlhExamples rows = {.size = sizeof rows,
                              .n = n,
                              .dtype = dtype,
                              .shape = dlh_shape (1, DSPRITES_SIDE, DSPRITES_SIDE),
                              .fill = fill,
                              .source = s,
                              .free_source = source_free};
    g_autoptr (DlhTensor) factors = NULL;
    gint64 *v;

    *s = (Source){g_atomic_rc_box_acquire (grid), subset, dtype};
    if (!dlh_data_set_examples (data, split, &rows, NULL, error) ||
        !(factors = dlh_tensor_new (DLH_I64, dlh_shape (n, DSPRITES_FACTORS), error)))
        return FALSE;
    v = dlh_tensor_get_data (factors);
    for (gint64 i = 0; i < n; i++)
        grid_indices (grid, subset ? subset[i] : i, v + i * DSPRITES_FACTORS);
    return dlh_data_set_factor_values (data, split, factors, error) &&
           set_weights (data, split, s, n, opt, error);
}

static int
compare_rows (gconstpointer a, gconstpointer b)
{
    const gint64 *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static gboolean
dsprites_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const DspritesOptions *opt = options;
    Grid *grid = grid_new (opt, error);
    gint64 test;
    gboolean ok;

    if (!grid) {
        g_prefix_error (error, "dsprites: ");
        return FALSE;
    }
    test = MIN (opt->test, grid->n);
    describe_factors (data, grid);
    ok = set_split (data, DLH_SPLIT_TRAIN, dtype, grid, NULL, grid->n, opt, error);
    if (ok && test > 0) {
        g_autofree gint64 *order = g_new (gint64, grid->n);

        dlh_random_permutation (0, "dsprites/test", 0, order, (gsize)grid->n);
        qsort (order, (gsize)test, sizeof *order, compare_rows);
        ok = set_split (data, DLH_SPLIT_TEST, dtype, grid,
                        g_memdup2 (order, (gsize)test * sizeof *order), test, opt, error);
    }
    g_atomic_rc_box_release_full (grid, grid_clear);
    if (!ok)
        g_prefix_error (error, "dsprites: ");
    return ok;
}

static const DlhDataset dsprites = {.size = sizeof (DlhDataset), .load = dsprites_load};

DLH_PLUGIN_DEFINE (
    DLH_DATASET, dsprites, DspritesOptions,
    DLH_OPTIONS (
        DLH_STRING (DspritesOptions, path, "",
                    "The original dsprites_ndarray_*.npz; empty: pictures are rendered"),
        DLH_CHOICE (DspritesOptions, shapes, "all", "all|square|ellipse|heart",
                    "Which shapes there are"),
        DLH_INT (DspritesOptions, scale_step, 1, 1, 6, "Keeps every this many of the 6 scales"),
        DLH_INT (DspritesOptions, orientation_step, 1, 1, 40,
                 "Keeps every this many of the 40 orientations"),
        DLH_INT (DspritesOptions, position_step, 1, 1, 32,
                 "Keeps every this many of the 32 positions, of x and of y"),
        DLH_INT (DspritesOptions, test, 2000, 0, 737280,
                 "Pictures, taken at random, that are also the test split: it is no other set",
                 .unit = "examples"),
        DLH_CHOICE (DspritesOptions, distribution, "uniform", "uniform|product|dependent|both",
                    "How probable pictures are by two factors in 4 levels each: product of rising "
                    "weights, by the distance of levels, both"),
        DLH_CHOICE (DspritesOptions, over, "scale-x", "scale-x|x-y",
                    "The two factors of distribution=")),
    .name = "dsprites", .version = "1.0", .paper = "google-deepmind/dsprites",
    .summary = "A rendering of dSprites: sprites of known shape, scale, orientation and position");
