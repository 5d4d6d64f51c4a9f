/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "difference.h"

#define RELATIVE                                                                                   \
    1e-5 /* what central differences reach on functions whose third derivative is tame */

typedef struct {
    double left, right, central;
    double noise; /* rounding of the values, as a slope */
} Slopes;

static gboolean
measure (double *at, double h, DifferenceFunction f, gpointer data, Slopes *s)
{
    const double x = *at;
    // The step that is really taken, not the one that was meant.
    volatile double high = x + h, low = x - h;
    double middle, up, down;

    middle = f (data);
    *at = high;
    up = f (data);
    *at = low;
    down = f (data);
    *at = x;
    s->right = (up - middle) / (high - x);
    s->left = (middle - down) / (x - low);
    s->central = (up - down) / (high - low);
    s->noise = 1e-13 * fmax (fabs (up), fmax (fabs (down), 1)) / h;
    return isfinite (s->central) && isfinite (s->left) && isfinite (s->right);
}

Difference
difference_check (double *at, double gradient, DifferenceFunction f, gpointer data, double *slope)
{
    static const double steps[] = {1e-5, 1e-4, 1e-6};
    Slopes s = {0};

    *slope = NAN;
    for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
        double h = steps[i] * fmax (1, fabs (*at));

        if (!measure (at, h, f, data, &s))
            return DIFFERENCE_FAILED;
        if (i == 0)
            *slope = s.central;
        if (fabs (s.central - gradient) <=
            RELATIVE * fmax (fabs (s.central), fabs (gradient)) + s.noise)
            return DIFFERENCE_AGREES;
    }
    // At the smallest step a smooth function's slopes differ by its curvature times the step.
    if (fabs (s.right - s.left) > 1e-3 * fmax (fabs (s.right), fabs (s.left)) + 4 * s.noise)
        return DIFFERENCE_KINK;
    return DIFFERENCE_WRONG;
}
