/* SPDX-License-Identifier: MIT */
/* lgamma, digamma and derivatives (Abramowitz and Stegun 6.3.5, 6.3.7, 6.3.18, 6.4.6, 6.4.11). */
#include "cpu/special.h"

#include <math.h>

// B_2k / (2k)!, k = 1 .. 12
static const double bernoulli[] = {
    1.0 / 12,
    -1.0 / 720,
    1.0 / 30240,
    -1.0 / 1209600,
    1.0 / 47900160,
    -691.0 / 1307674368000.0,
    1.0 / 74724249600.0,
    -3617.0 / 10670622842880000.0,
    43867.0 / 5109094217170944000.0,
    -174611.0 / 802857662698291200000.0,
    77683.0 / 14101100039391805440000.0,
    -236364091.0 / 1693824136731743669452800000.0,
};

double
dlh_special_lgamma (double x)
{
    int sign;

    return lgamma_r (x, &sign);
}

static double
digamma (double x)
{
    double sum = 0, power, factorial = 1;

    if (x <= 0)
        return x == floor (x) ? NAN : digamma (1 - x) - M_PI / tan (M_PI * x);
    for (; x < 10; x++)
        sum -= 1 / x;
    // log x - 1 / 2x - sum_k B_2k / (2k x^2k)
    sum += log (x) - 0.5 / x;
    power = 1 / (x * x);
    for (int k = 1; k <= 12; k++) {
        sum -= bernoulli[k - 1] * factorial * power;
        factorial *= (2 * k) * (2 * k + 1);
        power /= x * x;
    }
    return sum;
}

double
dlh_special_polygamma (double order, double x)
{
    double n = order, sum = 0, term;

    if (n == 0)
        return digamma (x);
    if (!(x > 0))
        return NAN;
    if (isinf (x))
        return fmod (n, 2) == 1 ? 0.0 : -0.0;
    // In units of n!: sum over i of 1 / (x + i)^(n + 1), then the rest of it as a series.
    for (; x < 15 + n; x++)
        sum += pow (x, -n - 1);
    sum += pow (x, -n) / n + 0.5 * pow (x, -n - 1);
    // (2k + n - 1)! / (n! x^(2k + n)), to be multiplied by B_2k / (2k)!
    term = pow (x, -n - 2) * (n + 1);
    for (int k = 1; k <= 12; k++) {
        sum += bernoulli[k - 1] * term;
        term *= (2 * k + n) * (2 * k + n + 1) / (x * x);
    }
    return (fmod (n, 2) == 1 ? 1 : -1) * sum * tgamma (n + 1);
}
