/* SPDX-License-Identifier: MIT */
/* First values of variables. Fans follow the shape (out, in, receptive field...): fan_in counts what
 * one output sums, fan_out what one input feeds. Everything is computed in double. */
#include <math.h>
#include <string.h>
#include "state/init.h"

static const char *
init_name (DlhInitKind kind)
{
    static const char *const names[] = {
        [DLH_INIT_ZEROS] = "zeros",           [DLH_INIT_CONSTANT] = "constant",
        [DLH_INIT_NORMAL] = "normal",         [DLH_INIT_UNIFORM] = "uniform",
        [DLH_INIT_GLOROT] = "Glorot",         [DLH_INIT_HE] = "He",
        [DLH_INIT_LECUN] = "LeCun",           [DLH_INIT_FAN_IN] = "fan-in",
        [DLH_INIT_ORTHOGONAL] = "orthogonal", [DLH_INIT_SPARSE] = "sparse",
        [DLH_INIT_IDENTITY] = "identity",     [DLH_INIT_FORGET_BIAS] = "forget-bias",
    };

    return kind >= DLH_INIT_ZEROS && kind <= DLH_INIT_FORGET_BIAS ? names[kind] : "unknown";
}

DlhInit
dlh_init_named (const char *name)
{
    static const struct {
        const char *name;
        DlhInit init;
    } named[] = {
        {"he", {DLH_INIT_HE, 1, 0}},         {"glorot", {DLH_INIT_GLOROT, 1, 0}},
        {"lecun", {DLH_INIT_LECUN, 1, 0}},   {"fan_in", {DLH_INIT_FAN_IN, 1, 0}},
        {"sparse", {DLH_INIT_SPARSE, 15, 1}}, {"orthogonal", {DLH_INIT_ORTHOGONAL, 1, 0}},
    };

    for (guint i = 0; i < G_N_ELEMENTS (named); i++)
        if (strcmp (named[i].name, name) == 0)
            return named[i].init;
    return (DlhInit){0};
}

// Rows and columns of the shape as a matrix: outputs by everything behind them.
static void
matrix_of (DlhShape shape, gsize *rows, gsize *columns)
{
    *rows = shape.rank > 0 ? (gsize) shape.dims[0] : 1;
    *columns = 1;
    for (guint i = 1; i < shape.rank; i++)
        *columns *= (gsize) shape.dims[i];
}

static double
fan_in (DlhShape shape)
{
    gsize rows, columns;

    matrix_of (shape, &rows, &columns);
    return columns > 0 ? (double) columns : 1;
}

static double
fan_out (DlhShape shape)
{
    double n = shape.rank > 0 ? (double) shape.dims[0] : 1;

    for (guint i = 2; i < shape.rank; i++)
        n *= (double) shape.dims[i];
    return n > 0 ? n : 1;
}

static void
fill_normal (guint64 seed, const char *stream, double mean, double std, double *out, gsize n)
{
    dlh_random_fill_normal (seed, stream, 0, out, n);
    for (gsize i = 0; i < n; i++)
        out[i] = mean + std * out[i];
}

static void
fill_uniform (guint64 seed, const char *stream, double lo, double hi, double *out, gsize n)
{
    dlh_random_fill_uniform (seed, stream, 0, out, n);
    for (gsize i = 0; i < n; i++)
        out[i] = lo + (hi - lo) * out[i];
}

static double
dot (const double *x, const double *y, gsize n)
{
    double sum[4] = {0};
    gsize i;

    for (i = 0; i + 4 <= n; i += 4)
        for (gsize j = 0; j < 4; j++)
            sum[j] += x[i + j] * y[i + j];
    for (; i < n; i++)
        sum[0] += x[i] * y[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// The Q of a normal matrix's QR with R's diagonal positive is uniform over orthogonal matrices. Here
// by modified Gram-Schmidt on the shorter side's vectors, one in each row of q. It loses a factor of the
// matrix's condition number, some thousands, of double precision.
static void
fill_orthogonal (guint64 seed, const char *stream, double gain, double *out, gsize rows,
                 gsize columns)
{
    gboolean wide = columns >= rows;
    gsize n = wide ? rows : columns, length = wide ? columns : rows;
    g_autofree double *q = g_new (double, n * length);

    dlh_random_fill_normal (seed, stream, 0, q, n * length);
    for (gsize i = 0; i < n; i++) {
        double *v = q + i * length, norm;

        for (gsize j = 0; j < i; j++) {
            const double *u = q + j * length;
            double c = dot (u, v, length);

            for (gsize k = 0; k < length; k++)
                v[k] -= c * u[k];
        }
        norm = sqrt (dot (v, v, length));
        for (gsize k = 0; k < length; k++)
            v[k] /= norm;
    }
    for (gsize r = 0; r < rows; r++)
        for (gsize c = 0; c < columns; c++)
            out[r * columns + c] = gain * (wide ? q[r * length + c] : q[c * length + r]);
}

// Martens 2010, section 5: each output gets n_links incoming weights, the others are zero.
static void
fill_sparse (guint64 seed, const char *stream, gsize n_links, double std, double *out, gsize rows,
             gsize columns)
{
    gsize n = MIN (n_links, columns);
    g_autofree double *values = g_new (double, rows * n);
    g_autofree double *picks = g_new (double, rows * n);
    g_autofree gsize *order = g_new (gsize, columns);

    dlh_random_fill_normal (seed, stream, 0, values, rows * n);
    dlh_random_fill_uniform (seed, stream, 1, picks, rows * n);
    for (gsize i = 0; i < rows * columns; i++)
        out[i] = 0;
    for (gsize c = 0; c < columns; c++)
        order[c] = c;
    for (gsize r = 0; r < rows; r++)
        for (gsize i = 0; i < n; i++) {
            // The first n steps of a Fisher-Yates shuffle; any order is good to start from.
            gsize j = i + (gsize) (picks[r * n + i] * (double) (columns - i));
            gsize pick = order[j];

            order[j] = order[i];
            order[i] = pick;
            out[r * columns + pick] = std * values[r * n + i];
        }
}

static gboolean
init_check (DlhInit init, const char *name, const DlhTensor *tensor, GError **error)
{
    DlhShape shape = dlh_tensor_get_shape (tensor);
    DlhDType dtype = dlh_tensor_get_dtype (tensor);
    g_autofree char *text = dlh_shape_to_string (shape);

    if (init.kind < DLH_INIT_ZEROS || init.kind > DLH_INIT_FORGET_BIAS) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "variable '%s': %d is not an initialisation", name, (int) init.kind);
        return FALSE;
    }
    if (init.kind > DLH_INIT_CONSTANT && !dlh_dtype_is_float (dtype)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "variable '%s': %s initialisation is for f32 and f64, it is %s", name,
                     init_name (init.kind), dlh_dtype_name (dtype));
        return FALSE;
    }
    if (init.kind == DLH_INIT_IDENTITY && (shape.rank != 2 || shape.dims[0] != shape.dims[1])) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "variable '%s': identity initialisation wants a square matrix, it is %s", name,
                     text);
        return FALSE;
    }
    if ((init.kind == DLH_INIT_ORTHOGONAL || init.kind == DLH_INIT_SPARSE) && shape.rank < 2) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "variable '%s': %s initialisation wants two axes or more, it is %s", name,
                     init_name (init.kind), text);
        return FALSE;
    }
    if (init.kind == DLH_INIT_SPARSE && !(init.a >= 0 && init.a <= 1e15)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "variable '%s': sparse initialisation with %g links an output, must be 0 or "
                     "more",
                     name, init.a);
        return FALSE;
    }
    return TRUE;
}

static void
init_compute (DlhInit init, guint64 seed, const char *stream, DlhShape shape, double *out, gsize n)
{
    double in = fan_in (shape), bound = init.a * sqrt (6 / (in + fan_out (shape)));
    gsize rows, columns;

    matrix_of (shape, &rows, &columns);
    switch (init.kind) {
    case DLH_INIT_ZEROS:
    case DLH_INIT_CONSTANT:
        for (gsize i = 0; i < n; i++)
            out[i] = init.kind == DLH_INIT_ZEROS ? 0 : init.a;
        break;
    case DLH_INIT_NORMAL:
        fill_normal (seed, stream, init.a, init.b, out, n);
        break;
    case DLH_INIT_UNIFORM:
        fill_uniform (seed, stream, init.a, init.b, out, n);
        break;
    case DLH_INIT_GLOROT:
        fill_uniform (seed, stream, -bound, bound, out, n);
        break;
    case DLH_INIT_HE:
        fill_normal (seed, stream, 0, init.a * sqrt (2 / in), out, n);
        break;
    case DLH_INIT_LECUN:
        fill_normal (seed, stream, 0, init.a * sqrt (1 / in), out, n);
        break;
    case DLH_INIT_FAN_IN:
        fill_uniform (seed, stream, -init.a / sqrt (in), init.a / sqrt (in), out, n);
        break;
    case DLH_INIT_ORTHOGONAL:
        fill_orthogonal (seed, stream, init.a, out, rows, columns);
        break;
    case DLH_INIT_SPARSE:
        fill_sparse (seed, stream, (gsize) init.a, init.b, out, rows, columns);
        break;
    case DLH_INIT_IDENTITY:
        for (gsize i = 0; i < n; i++)
            out[i] = i % (columns + 1) == 0;
        break;
    case DLH_INIT_FORGET_BIAS:
        for (gsize i = 0; i < n; i++)
            out[i] = i >= n / 4 && i < n / 2 ? init.a : 0;
        break;
    }
}

gboolean
dlh_init_fill (DlhInit init, guint64 seed, const char *name, DlhTensor *tensor, GError **error)
{
    g_autofree char *stream = g_strconcat ("init/", name, NULL);
    gsize n = (gsize) dlh_tensor_count (tensor);
    g_autofree double *values = NULL;

    if (!init_check (init, name, tensor, error))
        return FALSE;
    // A tensor is made of zeros; large buffers of optimizers need nothing else.
    if (init.kind == DLH_INIT_ZEROS)
        return TRUE;
    values = g_try_new (double, n);
    if (n > 0 && !values) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "variable '%s': no memory to initialise %" G_GSIZE_FORMAT " elements", name, n);
        return FALSE;
    }
    init_compute (init, seed, stream, dlh_tensor_get_shape (tensor), values, n);
    for (gsize i = 0; i < n; i++)
        dlh_tensor_set (tensor, (gint64) i, values[i]);
    return TRUE;
}
