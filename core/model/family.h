/* SPDX-License-Identifier: MIT */
/* Small shared parts of the families of distributions. */
#pragma once

#include <dlhost/arrange.h>
#include <dlhost/distribution.h>
#include <dlhost/elementwise.h>
#include <dlhost/reduce.h>

/* NULL when @value has the shape @want of a draw from @d, else the error node. */
DlhNode *dlh_family_check (DlhDistribution *d, DlhNode *value, DlhShape want);
/* @x (.., event) summed over the event. */
DlhNode *dlh_family_sum_event (DlhDistribution *d, DlhNode *x);
/* @x with its last @n axes joined, and those before: (cases, d). */
DlhNode *dlh_family_flatten (DlhNode *x, guint n);
/* @second broadcast to @first's shape; the error node says which family when it cannot be. */
DlhNode *dlh_family_fit (const char *name, DlhNode *first, DlhNode *second);
