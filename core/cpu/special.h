/* SPDX-License-Identifier: MIT */
/* Functions that libm lacks or has only with a global variable. */
#pragma once

/* log |Gamma (x)|. */
double dlh_special_lgamma (double x);
/* The order-th derivative of digamma: order 0 for x that is not 0, -1, ..; others for x > 0; else
 * NaN. */
double dlh_special_polygamma (double order, double x);
