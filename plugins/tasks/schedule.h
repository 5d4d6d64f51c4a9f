/* SPDX-License-Identifier: MIT */
/* The schedule of the step size as options of a task. */
#pragma once

#include <string.h>
#include <dlhost/dlhost.h>

/* Members of the task's option struct. */
#define SCHEDULE_FIELDS                                                                            \
    const char *schedule;                                                                          \
    double factor, period, floor, warmup;                                                          \
    DlhDoubles milestones

/* Their rows; @whole: what a period of 0 stands for. */
#define SCHEDULE_OPTIONS(S, kind, whole)                                                           \
    DLH_CHOICE (S, schedule, kind, "constant|step|exponential|cosine|inverse-time",                \
                "How the step size changes over training"),                                        \
        DLH_DOUBLE (S, factor, 0.1, 0.0, 1e6,                                                      \
                    "Of the schedule: step and exponential multiply by it, inverse-time divides",  \
                    .flags = DLH_MIN_OPEN),                                                        \
        DLH_DOUBLE (S, period, 0, 0.0, 1e12, "Of exponential and inverse-time; 0: " whole,         \
                    .unit = "steps"),                                                              \
        DLH_DOUBLES (S, milestones, "[]", 0.0, 1e12, "Of step: when the factor is applied",        \
                     .unit = "steps", .flags = DLH_ALLOW_EMPTY),                                   \
        DLH_DOUBLE (S, floor, 0, 0.0, 1.0, "Of cosine: the last factor"),                          \
        DLH_DOUBLE (S, warmup, 0, 0.0, 1e12, "Linear rise of the step size first",                 \
                    .unit = "steps")

static inline DlhScheduleKind
schedule_kind (const char *name)
{
    static const char *const names[] = {"constant", "step", "exponential", "cosine",
                                        "inverse-time"};

    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        if (strcmp (name, names[i]) == 0)
            return DLH_SCHEDULE_CONSTANT + i;
    g_return_val_if_reached (DLH_SCHEDULE_CONSTANT);
}

/* The schedule that an option struct asks for, of @steps in all, where a period of 0 is @whole. */
#define schedule_of(opt, steps, whole)                                                             \
    ((DlhSchedule){.kind = schedule_kind ((opt)->schedule),                                        \
                   .factor = (opt)->factor,                                                        \
                   .period = (opt)->period > 0 ? (opt)->period : (double)(whole),                  \
                   .total = (double)(steps),                                                       \
                   .floor = (opt)->floor,                                                          \
                   .warmup = (opt)->warmup,                                                        \
                   .milestones = (opt)->milestones})
