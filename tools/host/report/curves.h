/* SPDX-License-Identifier: MIT */
/* Which figures a report has, and their curves. */
#pragma once

#include "figure.h"
#include "group.h"

typedef enum {
    AXIS_STEP = 1,
    AXIS_EPOCH,
    AXIS_WALL,
    AXIS_CPU, /* seconds of the processor, over all threads */
} Axis;

typedef enum {
    SCALE_AUTO,
    SCALE_LOG,
    SCALE_LINEAR,
} Scale;

typedef enum {
    BAND_ERROR = 1, /* standard error of the mean */
    BAND_RANGE,     /* smallest to largest */
} Band;

typedef struct {
    Axis axis;
    Scale x_scale, y_scale;
    double smooth; /* 0: none; below 1: weight of the past; from 1: records in a mean */
    Band band;
} CurveOptions;

/* (element-type Figure) (transfer full) */
GPtrArray *curves_figures (GPtrArray *groups, const CurveOptions *options, GError **error);
/* (transfer full): one metric, a curve a group by its label. */
Figure *curves_figure (GPtrArray *groups, const char *metric, const CurveOptions *options,
                       GError **error);
/* How far along the axis the run was at @point; NaN: it does not tell. */
double curves_position (const RunData *run, const Point *point, Axis axis);
/* (element-type utf8) (transfer full): names of all metrics: test, validation, training, others. */
GPtrArray *metric_names (GPtrArray *groups);
