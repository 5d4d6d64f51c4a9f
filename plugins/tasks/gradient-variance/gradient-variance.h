/* SPDX-License-Identifier: MIT */
/* What the files of the task gradient-variance share. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    const char *estimators, *weights, *noise, *bias, *layers;
    double sigma, rate;
    DlhInts batches, train;
    gint64 samples, cheap, repeats, nested, inner, pass, each_most, elements, batch;
} VarianceOptions;

/* Where noise comes from: the model perturbed in one way, with variables of its own. */
typedef struct {
    char *name;
    DlhComponent *model;
    DlhStore *store;
    DlhTrainer *trainer;
    gboolean each;     /* a draw of each weight for each example: memory allows few of them */
    gint64 pass;       /* examples in a pass */
    gint64 draw, part; /* how many draws for a batch there were, and how many passes */
} Estimator;

/* A parameter whose gradient is looked at. */
typedef struct {
    char *name;
    gint64 *picks;        /* elements */
    gsize n_picks, first; /* place among those of all layers */
} Layer;

/* What nested sampling says of a layer under an estimator: the variance of one example's gradient,
 * and the covariance of two examples' of one batch. */
typedef struct {
    double alpha, shared;
} Parts;

typedef struct {
    DlhRun *run;
    const VarianceOptions *opt;
    DlhData *data;
    DlhProblem problem;
    GPtrArray *estimators, *layers;
    gsize n_picks;
    gint64 rows_drawn;
    gint64 done, total; /* gradients */
    gint64 trained;     /* steps by now */
    double *variances;  /* (estimator, batch size, layer, repeat) */
    Parts *parts;       /* (estimator, layer, repeat) */
} Study;

/* A mean over repeats with its 90 % interval. */
typedef struct {
    double mean, low, high;
} Interval;

/* open.c: estimators and layers. */
gboolean study_open (Study *s, GError **error);
void study_clear (Study *s);
/* Steps of the run's optimizer under the first estimator, up to @steps in all. */
gboolean study_train (Study *s, gint64 steps, GError **error);

/* measure.c: fills variances and parts. */
gboolean measure_batch (Study *s, gint64 n, gint64 *counter, DlhTensor **x, DlhTensor **y,
                        GError **error);
gboolean measure_all (Study *s, GError **error);
double *variances_at (const Study *s, guint estimator, gsize batch, guint layer);
Parts *parts_at (const Study *s, guint estimator, guint layer);
/* How many gradients a variance is taken of at a batch of @n. */
gint64 measure_samples (const Study *s, gint64 n);
gboolean measured_at (const Study *s, guint estimator, gsize batch);

/* theory.c */
Interval interval_of (const double *values, gsize n);
/* Least squares of log @variances by log @batches; NAN with fewer than two. */
double slope_of (const double *batches, const double *variances, gsize n);
/* The theorem: of a batch of @n. */
double parts_predict (Parts parts, double n);
Parts parts_mean (const Parts *parts, gsize n);

/* draw.c: records and figures. */
gboolean study_report (Study *s, GError **error);
