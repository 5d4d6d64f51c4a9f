/* SPDX-License-Identifier: MIT */
/* The laws of noise that come with the library.
 *
 *     gaussian        D = sigma o eps, sigma = softplus (rho), rho a parameter beside each weight
 *     fixed           D = sigma eps, sigma a number
 *     multiplicative  D = sigma W o eps
 *     dropconnect     weights cut with probability r: mean (1 - r) W, D = W o (b - (1 - r)), each
 *                     b 0 or 1; at r = 1/2 that is W/2 times a random sign */
#include <math.h>
#include <dlhost/dlhost.h>
#include "perturb/private.h"

static DlhShape
draw_shape (DlhWeight *w, gint64 n)
{
    DlhShape shape = dlh_variable_shape (dlh_weight_variable (w));

    return n ? dlh_shape_insert (shape, 0, n) : shape;
}

static DlhNode *
normal (DlhWeight *w, DlhStream *stream, gint64 n)
{
    return dlh_normal (dlh_node_graph (dlh_weight_value (w)), stream,
                       dlh_variable_dtype (dlh_weight_variable (w)), draw_shape (w, n));
}

static DlhNode *
gaussian_rho (DlhWeight *w)
{
    const double sigma = MAX (dlh_weight_sigma (w, 0.05), 1e-30);
    // log (exp sigma - 1), which does not overflow
    const double rho = sigma > 30 ? sigma : log (expm1 (sigma));

    return dlh_weight_parameter (w, "rho", (DlhInit){DLH_INIT_CONSTANT, rho, 0});
}

static DlhNode *
gaussian_std (DlhWeight *w)
{
    return dlh_softplus (gaussian_rho (w));
}

// One draw is made with what its divergence from a prior needs, which is taken if asked for.
static DlhNode *
gaussian_draw (DlhWeight *w, DlhStream *stream, gint64 n)
{
    if (!n)
        return dlh_softplus_normal (stream, dlh_as_noise (dlh_weight_mean (w)), gaussian_rho (w),
                                    &w->squares, &w->log_std);
    return dlh_mul (dlh_weight_std (w), normal (w, stream, n));
}

static DlhNode *
fixed_std (DlhWeight *w)
{
    return dlh_full_like (dlh_weight_value (w), dlh_weight_sigma (w, 0.1));
}

static DlhNode *
fixed_draw (DlhWeight *w, DlhStream *stream, gint64 n)
{
    return dlh_scale (normal (w, stream, n), dlh_weight_sigma (w, 0.1));
}

// The weight, where it sets the scale of its own noise.
static DlhNode *
scale_of (DlhWeight *w)
{
    return dlh_as_noise (dlh_weight_value (w));
}

static DlhNode *
multiplicative_std (DlhWeight *w)
{
    return dlh_scale (dlh_abs (scale_of (w)), dlh_weight_sigma (w, 1));
}

static DlhNode *
multiplicative_draw (DlhWeight *w, DlhStream *stream, gint64 n)
{
    return dlh_mul (scale_of (w), dlh_scale (normal (w, stream, n), dlh_weight_sigma (w, 1)));
}

static DlhNode *
dropconnect_mean (DlhWeight *w)
{
    return dlh_scale (dlh_weight_value (w), 1 - dlh_weight_rate (w));
}

static DlhNode *
dropconnect_draw (DlhWeight *w, DlhStream *stream, gint64 n)
{
    DlhNode *signs =
        dlh_rademacher (dlh_node_graph (dlh_weight_value (w)), stream,
                        dlh_variable_dtype (dlh_weight_variable (w)), draw_shape (w, n));

    return dlh_mul (dlh_scale (scale_of (w), 0.5), signs);
}

static DlhNode *
dropconnect_any_draw (DlhWeight *w, DlhStream *stream, gint64 n)
{
    const double keep = 1 - dlh_weight_rate (w);
    DlhNode *p = dlh_full (dlh_node_graph (dlh_weight_value (w)),
                           dlh_variable_dtype (dlh_weight_variable (w)), draw_shape (w, n), keep);

    return dlh_mul (scale_of (w), dlh_offset (dlh_bernoulli_draw (stream, p), -keep));
}

static DlhNode *
dropconnect_std (DlhWeight *w)
{
    const double r = dlh_weight_rate (w);

    return dlh_scale (dlh_abs (scale_of (w)), sqrt (r * (1 - r)));
}

static const DlhNoise noises[] = {
    {sizeof (DlhNoise), "gaussian", DLH_NOISE_SYMMETRIC | DLH_NOISE_GAUSSIAN | DLH_NOISE_POSTERIOR,
     gaussian_draw, NULL, gaussian_std},
    {sizeof (DlhNoise), "fixed", DLH_NOISE_SYMMETRIC | DLH_NOISE_GAUSSIAN, fixed_draw, NULL,
     fixed_std},
    {sizeof (DlhNoise), "multiplicative", DLH_NOISE_SYMMETRIC | DLH_NOISE_GAUSSIAN,
     multiplicative_draw, NULL, multiplicative_std},
    {sizeof (DlhNoise), "dropconnect", DLH_NOISE_SYMMETRIC, dropconnect_draw, dropconnect_mean,
     dropconnect_std},
};

const DlhNoise dlh_noise_dropconnect_any = {
    sizeof (DlhNoise), "dropconnect", 0, dropconnect_any_draw, dropconnect_mean, dropconnect_std};

const DlhNoise *
dlh_noise_named (const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS (noises); i++)
        if (g_str_equal (noises[i].name, name))
            return &noises[i];
    return NULL;
}
