/* SPDX-License-Identifier: MIT */
/* Data made on the spot, the same for the same options: for tests, examples and timing. Kinds:
 *
 *   blobs       Gaussian clouds around random centres: inputs (n, dims), a class each
 *   spiral      arms in the plane, one a class: inputs (n, 2)
 *   regression  y = w' tanh (W x / sqrt (dims)) + noise with random W, w: targets (n, 1)
 *   images      waves of a direction and a length that tell the class, at a random phase:
 *               inputs (n, channels, size, size) in [0, 1]
 *   sequence    tokens s_t = s_(t-1) + s_(t-2) modulo classes, each replaced by a random one with
 *               probability noise: a stream of inputs (n, seq_len), the next tokens as targets */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>

#define HIDDEN 16

typedef struct {
    const char *kind;
    gint64 n;
    gint64 valid;
    gint64 test;
    gint64 dims;
    gint64 classes;
    double noise;
    gint64 channels;
    gint64 size;
    gint64 seq_len;
    gint64 lanes;
    gint64 seed;
} SyntheticOptions;

/* One split on its way: @n examples, @which tells its random draws from those of the others. */
typedef struct {
    const SyntheticOptions *opt;
    guint64 which;
    gint64 n;
    DlhTensor *x, *y;
} Sample;

static double *
synthetic_normal (const SyntheticOptions *opt, const char *name, guint64 which, gint64 n)
{
    double *out = g_new (double, MAX (n, 1));

    dlh_random_fill_normal ((guint64) opt->seed, name, which, out, (gsize) n);
    return out;
}

static double *
synthetic_uniform (const SyntheticOptions *opt, const char *name, guint64 which, gint64 n)
{
    double *out = g_new (double, MAX (n, 1));

    dlh_random_fill_uniform ((guint64) opt->seed, name, which, out, (gsize) n);
    return out;
}

static void
synthetic_blobs (Sample *s)
{
    gint64 d = s->opt->dims, k = s->opt->classes;
    g_autofree double *centres = synthetic_normal (s->opt, "synthetic/centres", 0, k * d);
    g_autofree double *noise = synthetic_normal (s->opt, "synthetic/x", s->which, s->n * d);

    for (gint64 i = 0; i < s->n; i++) {
        dlh_tensor_set (s->y, i, (double) (i % k));
        for (gint64 j = 0; j < d; j++)
            dlh_tensor_set (s->x, i * d + j,
                            3 * centres[i % k * d + j] + s->opt->noise * noise[i * d + j]);
    }
}

static void
synthetic_spiral (Sample *s)
{
    gint64 k = s->opt->classes;
    g_autofree double *radius = synthetic_uniform (s->opt, "synthetic/radius", s->which, s->n);
    g_autofree double *noise = synthetic_normal (s->opt, "synthetic/x", s->which, 2 * s->n);

    for (gint64 i = 0; i < s->n; i++) {
        double angle = 2 * G_PI * (double) (i % k) / (double) k + 4 * radius[i];

        dlh_tensor_set (s->y, i, (double) (i % k));
        dlh_tensor_set (s->x, 2 * i, radius[i] * cos (angle) + 0.1 * s->opt->noise * noise[2 * i]);
        dlh_tensor_set (s->x, 2 * i + 1,
                        radius[i] * sin (angle) + 0.1 * s->opt->noise * noise[2 * i + 1]);
    }
}

static void
synthetic_regression (Sample *s)
{
    gint64 d = s->opt->dims;
    g_autofree double *W = synthetic_normal (s->opt, "synthetic/W", 0, HIDDEN * d);
    g_autofree double *w = synthetic_normal (s->opt, "synthetic/w", 0, HIDDEN);
    g_autofree double *x = synthetic_normal (s->opt, "synthetic/x", s->which, s->n * d);
    g_autofree double *noise = synthetic_normal (s->opt, "synthetic/y", s->which, s->n);

    for (gint64 i = 0; i < s->n; i++) {
        double y = s->opt->noise * noise[i];

        for (gint64 h = 0; h < HIDDEN; h++) {
            double sum = 0;

            for (gint64 j = 0; j < d; j++)
                sum += W[h * d + j] * x[i * d + j];
            y += w[h] * tanh (sum / sqrt ((double) d)) / sqrt (HIDDEN);
        }
        dlh_tensor_set (s->y, i, y);
        for (gint64 j = 0; j < d; j++)
            dlh_tensor_set (s->x, i * d + j, x[i * d + j]);
    }
}

static void
synthetic_images (Sample *s)
{
    gint64 k = s->opt->classes, channels = s->opt->channels, size = s->opt->size;
    gint64 pixels = channels * size * size;
    g_autofree double *phase = synthetic_uniform (s->opt, "synthetic/phase", s->which, s->n);
    g_autofree double *noise = synthetic_normal (s->opt, "synthetic/x", s->which, s->n * pixels);

    for (gint64 i = 0; i < s->n; i++) {
        double turn = G_PI * (double) (i % k) / (double) k;
        double waves = 1.5 + (double) (i % k % 3);

        dlh_tensor_set (s->y, i, (double) (i % k));
        for (gint64 j = 0; j < pixels; j++) {
            double row = (double) (j / size % size), column = (double) (j % size);
            double channel = (double) (j / (size * size));
            double along = (cos (turn) * row + sin (turn) * column) / (double) size;
            double value = 0.5 + 0.3 * sin (2 * G_PI * (waves * along + phase[i]) + channel);

            value += 0.1 * s->opt->noise * noise[i * pixels + j];
            dlh_tensor_set (s->x, i * pixels + j, CLAMP (value, 0, 1));
        }
    }
}

static void
synthetic_sequence (Sample *s)
{
    gint64 T = s->opt->seq_len, lanes = s->opt->lanes, k = s->opt->classes;
    gint64 pieces = s->n / lanes;
    // For each lane two first tokens, then for each token: is it random, and which.
    gint64 draws = 2 * (pieces * T + 2);
    g_autofree double *u = synthetic_uniform (s->opt, "synthetic/x", s->which, lanes * draws);

    for (gint64 b = 0; b < lanes; b++) {
        const double *next = u + b * draws;
        gint64 before = (gint64) (next[0] * (double) k), now = (gint64) (next[1] * (double) k);

        next += 2;
        for (gint64 t = 0; t < pieces * T; t++, next += 2) {
            gint64 at = ((t / T) * lanes + b) * T + t % T;
            gint64 following = next[0] < s->opt->noise ? (gint64) (next[1] * (double) k)
                                                       : (before + now) % k;

            dlh_tensor_set (s->x, at, (double) now);
            dlh_tensor_set (s->y, at, (double) following);
            before = now;
            now = following;
        }
    }
}

typedef struct {
    const char *name;
    void (*make) (Sample *sample);
    DlhTargetKind target;
} Kind;

static const Kind kinds[] = {
    {"blobs", synthetic_blobs, DLH_TARGET_CLASS},
    {"spiral", synthetic_spiral, DLH_TARGET_CLASS},
    {"regression", synthetic_regression, DLH_TARGET_REAL},
    {"images", synthetic_images, DLH_TARGET_CLASS},
    {"sequence", synthetic_sequence, DLH_TARGET_SEQUENCE},
};

static DlhShape
synthetic_shape (const Kind *kind, const SyntheticOptions *opt, gint64 n)
{
    if (kind->make == synthetic_images)
        return dlh_shape (n, opt->channels, opt->size, opt->size);
    if (kind->make == synthetic_sequence)
        return dlh_shape (n, opt->seq_len);
    return dlh_shape (n, kind->make == synthetic_spiral ? 2 : opt->dims);
}

static gboolean
synthetic_make_split (DlhData *data, DlhSplit split, DlhDType dtype, const Kind *kind, gint64 n,
                      const SyntheticOptions *opt, GError **error)
{
    gboolean real = kind->target == DLH_TARGET_REAL;
    gboolean sequence = kind->target == DLH_TARGET_SEQUENCE;
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;
    Sample sample = {.opt = opt, .which = split};

    sample.n = sequence ? n / opt->lanes * opt->lanes : n;
    x = dlh_tensor_new (sequence ? DLH_I64 : dtype, synthetic_shape (kind, opt, sample.n), error);
    if (!x)
        return FALSE;
    y = dlh_tensor_new (real ? dtype : DLH_I64,
                        sequence ? dlh_shape (sample.n, opt->seq_len)
                        : real   ? dlh_shape (sample.n, 1)
                                 : dlh_shape (sample.n),
                        error);
    if (!y)
        return FALSE;
    sample.x = x;
    sample.y = y;
    kind->make (&sample);
    return dlh_data_set_split (data, split, x, y, error);
}

// The draws take 8 bytes an element beside the data, and must not exhaust memory unasked.
static gboolean
synthetic_check_size (const Kind *kind, const SyntheticOptions *opt, gint64 n, GError **error)
{
    DlhShape shape = synthetic_shape (kind, opt, n);
    double elements = 1, centres = (double) opt->classes * (double) opt->dims;

    for (guint i = 0; i < shape.rank; i++)
        elements *= (double) shape.dims[i];
    if (elements > 1e9 || (kind->make == synthetic_blobs && centres > 1e9)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%g numbers are asked for, 1e9 is the limit", MAX (elements, centres));
        return FALSE;
    }
    if (kind->make == synthetic_sequence && n < opt->lanes) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'n', 'valid' or 'test' is %" G_GINT64_FORMAT
                     ", kind=sequence needs a row for each of %" G_GINT64_FORMAT " lanes",
                     n, opt->lanes);
        return FALSE;
    }
    return TRUE;
}

static gboolean
synthetic_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const SyntheticOptions *opt = options;
    const gint64 counts[] = {opt->n, opt->valid, opt->test};
    const Kind *kind = kinds;

    while (strcmp (kind->name, opt->kind) != 0)
        kind++;
    dlh_data_set_targets (data, kind->target, kind->target == DLH_TARGET_REAL ? 0 : opt->classes);
    if (kind->target == DLH_TARGET_SEQUENCE) {
        dlh_data_set_vocabulary (data, opt->classes);
        dlh_data_set_stream (data, opt->lanes);
    }
    for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
        if (counts[i] > 0 && (!synthetic_check_size (kind, opt, counts[i], error) ||
                              !synthetic_make_split (data, DLH_SPLIT_TRAIN + i, dtype, kind,
                                                     counts[i], opt, error))) {
            g_prefix_error (error, "synthetic: ");
            return FALSE;
        }
    return TRUE;
}

static const DlhDataset synthetic = {.size = sizeof (DlhDataset), .load = synthetic_load};

DLH_PLUGIN_DEFINE (DLH_DATASET, synthetic, SyntheticOptions,
    DLH_OPTIONS (
        DLH_CHOICE (SyntheticOptions, kind, "blobs", "blobs|spiral|regression|images|sequence",
                    "What is made"),
        DLH_INT (SyntheticOptions, n, 1000, 1, 1e8, "Training examples"),
        DLH_INT (SyntheticOptions, valid, 0, 0, 1e8, "Validation examples, 0 for none"),
        DLH_INT (SyntheticOptions, test, 200, 0, 1e8, "Test examples, 0 for none"),
        DLH_INT (SyntheticOptions, dims, 2, 1, 1e6, "Inputs of an example (blobs, regression)"),
        DLH_INT (SyntheticOptions, classes, 3, 1, 1e6, "Classes, or tokens of a sequence"),
        DLH_DOUBLE (SyntheticOptions, noise, 0.1, 0, 1e6,
                    "Deviation of the noise; of a sequence the probability of a random token"),
        DLH_INT (SyntheticOptions, channels, 1, 1, 1e4, "Channels of an image"),
        DLH_INT (SyntheticOptions, size, 8, 1, 1e4, "Height and width of an image",
                 .unit = "pixels"),
        DLH_INT (SyntheticOptions, seq_len, 16, 1, 1e6, "Steps of a sequence row",
                 .unit = "tokens"),
        DLH_INT (SyntheticOptions, lanes, 10, 1, 1e6,
                 "Sequences side by side: the batch size for kind=sequence"),
        DLH_INT (SyntheticOptions, seed, 0, 0, 9007199254740992.0, "Of the data, not of the run")),
    .name = "synthetic", .version = "1.0",
    .summary = "Made data: clouds, spirals, a teacher net, waves, sequences");
