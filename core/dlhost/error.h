/* SPDX-License-Identifier: MIT */
/* Error codes of libdlhost. A message says where, what it got, what it wanted and what to try. */
#pragma once

#include <dlhost/macros.h>

G_BEGIN_DECLS

/* The domain of the library's errors. */
#define DLH_ERROR (dlh_error_quark ())

/* Codes of DLH_ERROR. */
typedef enum {
    DLH_ERROR_SHAPE = 1, /* shapes or element types that do not fit each other */
    DLH_ERROR_OPTION,    /* an unknown, ill-typed or out-of-range parameter or argument */
    DLH_ERROR_PLUGIN,    /* a plugin that is missing, broken or refused */
    DLH_ERROR_DATA,      /* a data file that is missing, truncated or malformed */
    DLH_ERROR_STATE,     /* a checkpoint or store that does not fit */
    DLH_ERROR_NUMERIC,   /* NaN, infinity or a failed factorisation */
    DLH_ERROR_IO,        /* the operating system refused to read or write */
    DLH_ERROR_MEMORY,    /* too large to allocate */
    DLH_ERROR_GRAPH,     /* nodes of two graphs mixed, no gradient, a cycle */
    DLH_ERROR_CANCELLED, /* the user asked to stop */
} DlhErrorCode;

/** dlh_error_quark: Returns: the domain of these errors; write DLH_ERROR. */
DLH_EXPORT GQuark dlh_error_quark (void);

G_END_DECLS
