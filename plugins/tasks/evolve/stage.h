/* SPDX-License-Identifier: MIT */
/* Episodes that a policy plays, all side by side. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    DlhWorld *world;
    DlhTensor *x;    /* what the copies show, in the model's type */
    double *actions; /* of all copies */
    guint64 *seeds;  /* (n): of the next episodes */
    double *returns; /* (n): sums of rewards of the last ones */
    double *lengths; /* (n): their steps */
} Stage;

/* dlh_rewarded_predict() or dlh_rewarded_predict_mean(). */
typedef gboolean (*Policy) (DlhRewarded *r, DlhTensor *x, const DlhTensor **prediction,
                            GError **error);

void stage_clear (Stage *s);
gboolean stage_init (Stage *s, DlhComponent *environment, gint64 n, DlhDType dtype, GError **error);

/* What a model must fit to act here. */
DlhProblem stage_problem (const Stage *s);

/* One episode of each copy, of @length steps at most (0: no limit), or DLH_ERROR_CANCELLED as soon
 * as
 * @run should stop. */
gboolean stage_play (Stage *s, DlhRewarded *r, Policy policy, gint64 length, DlhRun *run,
                     GError **error);
