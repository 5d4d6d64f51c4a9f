/* SPDX-License-Identifier: MIT */
/* What computes, for people who compare results and speeds. */
#include <string.h>

#include <dlhost/function.h>

#include "cpu/blas.h"
#include "cpu/dnnl.h"
#include "cpu/loops.h"

extern int omp_get_num_procs (void);
// Absent when another BLAS is linked.
extern char *openblas_get_corename (void) __attribute__ ((weak));
extern int openblas_get_num_threads (void) __attribute__ ((weak));

void
dlh_machine_describe (DlhMachine *machine)
{
    DlhMachine m = {.size = machine->size};

    g_strlcpy (m.cpu_level, dlh_cpu_level (), sizeof m.cpu_level);
    for (guint i = 0; i < dlh_n_cpu_levels (); i++) {
        g_strlcat (m.cpu_levels, i ? " " : "", sizeof m.cpu_levels);
        g_strlcat (m.cpu_levels, dlh_nth_cpu_level (i), sizeof m.cpu_levels);
    }
    g_strlcpy (m.blas, dlh_blas_version (), sizeof m.blas);
    if (openblas_get_corename)
        g_strlcpy (m.blas_core, openblas_get_corename (), sizeof m.blas_core);
    m.threads = dlh_get_threads ();
    m.blas_threads = openblas_get_num_threads ? (guint)openblas_get_num_threads () : m.threads;
    m.n_cores = (guint)omp_get_num_procs ();
    dlh_dnnl_version (m.dnnl, sizeof m.dnnl);
    memcpy (machine, &m, MIN (machine->size, sizeof m));
}
