/* SPDX-License-Identifier: MIT */
/* Gradients against central differences in f64. */
#pragma once

#include <glib.h>

typedef enum {
    DIFFERENCE_AGREES = 1,
    DIFFERENCE_KINK, /* the slopes on both sides differ: no derivative here */
    DIFFERENCE_WRONG,
    DIFFERENCE_FAILED, /* a value is not finite */
} Difference;

/* The function's value with what is in memory now. */
typedef double (*DifferenceFunction) (gpointer data);

/* Moves *@at and puts it back. @slope: (out): by differences. */
Difference difference_check (double *at, double gradient, DifferenceFunction f, gpointer data,
                             double *slope);
