/* SPDX-License-Identifier: MIT */
/* Methods of momentum on a quadratic: their matrices, their plugins, their pictures. */
#pragma once

#include <dlhost/dlhost.h>

#define MAX_VELOCITIES 16
#define GROWING_STEPS 300 /* of a run that diverges, at most */

/* v_i <- betas_i v_i - g, theta <- theta + lr / n sum_i shares_i v_i. Classical momentum is n = 1;
 * Nesterov's, at its look-ahead points, is betas (0, b) with shares (2, 2 b). */
typedef struct {
    char *label;
    const char *plugin;
    GHashTable *settings; /* all but lr */
    guint n;
    double betas[MAX_VELOCITIES], shares[MAX_VELOCITIES];
    double top; /* the largest beta */
} Method;

typedef struct {
    gint64 steps;
    double condition; /* of the two-dimensional quadratic */
    double lr;
    double beta, rate, a;
    DlhDoubles momentum, nesterov;
    DlhInts velocities;
    gint64 shown; /* steps */
    const char *sgd, *aggmo;
} QuadraticsOptions;

/* A study: what a run of the task finds. */
typedef struct {
    DlhRun *run;
    const QuadraticsOptions *opt;
    GPtrArray *methods; /* Method */
    gint64 done, total; /* steps of all runs, for the progress */
} Study;

/* (element-type Method) (transfer full) */
GPtrArray *methods_new (const QuadraticsOptions *options, GError **error);

/* spectral.c: x = step size times curvature. */
/* The eigenvalues of the update matrix: @re, @im: n + 1 each. Returns: the largest modulus. */
double spectral_roots (const Method *m, double x, double *re, double *im);
double spectral_radius (const Method *m, double x);
/* Where a root leaves the unit circle: at -1. */
double spectral_edge (const Method *m);

/* running.c */
/* @n curvatures, started at 1 with step size @lr; @path: (out) (steps + 1, n). Ends early, with the
 * rest of @path not a number, where a coordinate passes 1e60. */
gboolean running_path (Study *s, const Method *m, double lr, const double *curvatures, gsize n,
                       gint64 steps, double *path, GError **error);
/* The factor by which coordinate @i of @n shrinks in a step, in the long run; NaN: cannot be told.
 */
double running_rate (const double *path, gsize n, gsize i, gint64 steps);

/* rates.c, paths.c: figures. */
gboolean rates_draw (Study *s, GError **error);
gboolean paths_draw (Study *s, GError **error);
