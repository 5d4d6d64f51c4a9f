/* SPDX-License-Identifier: MIT */
/* Runs that differ in their seed alone are one group: one curve, one row. */
#pragma once

#include "metrics.h"

typedef struct {
    GPtrArray *runs; /* RunData, not owned */
    char *label;     /* what tells it from the other groups */
} Group;

/* (element-type Group) (transfer full): in the order of their first runs. */
GPtrArray *groups_new (GPtrArray *runs);
/* (element-type utf8) (transfer full): keys in whose values the groups differ, seed aside. */
GPtrArray *groups_differing_keys (GPtrArray *groups);
/* (nullable): the group's value of @key, "" where it has none. */
const char *group_setting (const Group *group, const char *key);

/* Mean and standard error (NaN for one value) of @n values. */
void mean_and_error (const double *values, guint n, double *mean, double *error);
