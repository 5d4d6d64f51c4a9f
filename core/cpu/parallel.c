/* SPDX-License-Identifier: MIT */
/* libgomp is called by its binary interface rather than by pragmas, so that clang, whose own OpenMP
 * run time would be a second pool of threads, shares it as well. */
#include <dlhost/function.h>

#include "cpu/parallel.h"

extern void GOMP_parallel (void (*work) (void *), void *data, unsigned n_threads, unsigned flags);
extern int omp_get_thread_num (void);
extern int omp_get_num_threads (void);
extern int omp_get_max_threads (void);
extern int omp_get_num_procs (void);
extern int omp_in_parallel (void);
extern void omp_set_num_threads (int n);
// Absent when another BLAS is linked.
extern void openblas_set_num_threads (int n) __attribute__ ((weak));

// The only state of its kind: the pool belongs to the process. 0 until somebody asks.
static gint n_threads;

typedef struct {
    gsize n, n_parts;
    void (*work) (gsize begin, gsize end, guint thread, gpointer user_data);
    gpointer user_data;
} Team;

static void
run_parts (void *data)
{
    const Team *t = data;
    gsize step = (gsize) omp_get_num_threads (), thread = (gsize) omp_get_thread_num ();

    // The team may come out smaller than asked for.
    for (gsize i = thread; i < t->n_parts; i += step)
        t->work (t->n * i / t->n_parts, t->n * (i + 1) / t->n_parts, (guint) thread, t->user_data);
}

void
dlh_parallel_for (gsize n, gsize grain,
                  void (*work) (gsize begin, gsize end, guint thread, gpointer user_data),
                  gpointer user_data)
{
    Team team = {n, n / MAX (grain, 1), work, user_data};

    if (n == 0)
        return;
    // The calling thread may have been limited.
    if (team.n_parts > 1)
        team.n_parts = MIN (team.n_parts, MIN (dlh_get_threads (), (guint) omp_get_max_threads ()));
    if (team.n_parts <= 1 || omp_in_parallel ()) {
        work (0, n, 0, user_data);
        return;
    }
    GOMP_parallel (run_parts, &team, (unsigned) team.n_parts, 0);
}

void
dlh_parallel_adopt (void)
{
    int n = (int) dlh_get_threads ();

    if (omp_get_max_threads () != n)
        omp_set_num_threads (n);
}

guint
dlh_parallel_limit (guint n)
{
    int before = omp_get_max_threads ();

    if ((int) n != before)
        omp_set_num_threads ((int) n);
    return (guint) before;
}

gboolean
dlh_parallel_is_nested (void)
{
    return omp_in_parallel () != 0;
}

void
dlh_set_threads (guint n)
{
    int count = n ? (int) MIN (n, 1024) : omp_get_num_procs ();

    g_atomic_int_set (&n_threads, count);
    omp_set_num_threads (count);
    if (openblas_set_num_threads)
        openblas_set_num_threads (count);
}

guint
dlh_get_threads (void)
{
    gint n = g_atomic_int_get (&n_threads);

    if (n == 0) {
        // Respects OMP_NUM_THREADS and the cores that the process may use.
        n = omp_get_max_threads ();
        if (!g_atomic_int_compare_and_exchange (&n_threads, 0, n))
            n = g_atomic_int_get (&n_threads);
    }
    return (guint) n;
}
