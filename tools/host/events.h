/* SPDX-License-Identifier: MIT */
/* TensorBoard's event files: events.out.tfevents.<seconds>.<sitting>.dlhost, one a process. A file
 * is a row of records, each an Event message of TensorFlow's event.proto: the few fields that are
 * needed are encoded here. */
#pragma once

#include <stdio.h>
#include <dlhost/dlhost.h>

typedef struct {
    char *path;
    FILE *file;
    GHashTable *last; /* tag -> the step of its last value */
    gint64 past;      /* values up to this step are in earlier files */
} Events;

/* Opens a new file in @dir. @resumed: whether earlier files are followed: what they say of steps
 * after
 * @step is then void. @finished: whether they hold all that the run says at @step, too. */
gboolean events_open (Events *events, const char *dir, gboolean resumed, gint64 step,
                      gboolean finished, GError **error);
void events_close (Events *events);
gboolean events_scalars (Events *events, gint64 step, const char *const *names,
                         const double *values, guint n, GError **error);
/* Does nothing when no value is finite; those that are not are left out. */
gboolean events_histogram (Events *events, gint64 step, const char *tag, const DlhTensor *values,
                           GError **error);
/* @png: the encoded picture. */
gboolean events_image (Events *events, gint64 step, const char *tag, guint width, guint height,
                       GBytes *png, GError **error);
gboolean events_sync (Events *events, GError **error);
