/* SPDX-License-Identifier: MIT */
/* What Linux says of the machine and of what it lets this process have. */
#pragma once

#include <glib.h>

/* (transfer full): "AMD EPYC 9B14"; "unknown" when /proc/cpuinfo does not say. */
char *machine_cpu_model (void);
/* Bytes of memory, 0 when unknown. */
guint64 machine_memory (void);
/* The smallest limit of the control groups around this process, 0: none. */
guint64 machine_memory_limit (void);
/* Cores' worth of time that the control groups give, 0: no limit. */
double machine_cpu_quota (void);
/* Bytes that this process has had in memory at most. */
guint64 machine_peak_memory (void);
