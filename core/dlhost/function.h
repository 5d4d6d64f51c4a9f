/* SPDX-License-Identifier: MIT */
/* A function: a graph compiled for some outputs and assignments. Compiling removes dead nodes, folds
 * constants, fuses element-wise chains, and plans memory; running allocates nothing. */
#pragma once

#include <dlhost/store.h>

G_BEGIN_DECLS

typedef struct _DlhFunction DlhFunction; /* a compiled graph */

/* Parts of compiling that can be left out. */
typedef enum {
    DLH_COMPILE_DEFAULT = 0,
    DLH_COMPILE_NO_FUSION = 1 << 0,   /* one step a node */
    DLH_COMPILE_NO_IN_PLACE = 1 << 1, /* every value has memory of its own */
    DLH_COMPILE_NO_FOLDING = 1 << 2,
} DlhCompileFlags;

/**
 * dlh_graph_compile:
 * @outputs: nodes to compute; assign nodes have effects and no output tensor
 * Returns: (transfer full): the function, or NULL with the graph's sticky error or a compile error.
 */
DLH_EXPORT DlhFunction *dlh_graph_compile (DlhGraph *graph, DlhNode *const *outputs, guint n_outputs,
                                           GError **error);
/** dlh_graph_compile_full: the same with @flags, to look for the part of compiling that is to
 * blame. */
DLH_EXPORT DlhFunction *dlh_graph_compile_full (DlhGraph *graph, DlhNode *const *outputs,
                                                guint n_outputs, DlhCompileFlags flags,
                                                GError **error);
/** dlh_function_ref, dlh_function_unref: a function keeps its graph; unreferencing NULL does
 * nothing. */
DLH_EXPORT DlhFunction *dlh_function_ref (DlhFunction *function);
DLH_EXPORT void dlh_function_unref (DlhFunction *function);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhFunction, dlh_function_unref)

/**
 * dlh_function_run:
 * @inputs: one tensor for each dlh_input() of the graph, in the order of their making; NULL is
 * allowed for those that the outputs do not depend on
 * Returns: FALSE with DLH_ERROR_SHAPE when an input does not fit, or DLH_ERROR_NUMERIC from a node;
 * then no variable has changed.
 */
DLH_EXPORT gboolean dlh_function_run (DlhFunction *function, DlhTensor *const *inputs,
                                      guint n_inputs, GError **error);
/** dlh_function_set_stop: @asked: (nullable): is called between the steps of a run until the first
 * that changes a variable; where it returns TRUE the run ends with DLH_ERROR_CANCELLED, and all is
 * as before it: positions of random streams too. */
DLH_EXPORT void dlh_function_set_stop (DlhFunction *function, gboolean (*asked) (gpointer data),
                                       gpointer data);
/** dlh_function_output: (transfer none): output @i, valid until the next run; NULL for an assign.
 * */
DLH_EXPORT const DlhTensor *dlh_function_output (DlhFunction *function, guint i);
/** dlh_function_scalar: the first element of output @i. */
DLH_EXPORT double dlh_function_scalar (DlhFunction *function, guint i);
/**
 * dlh_function_diagnose:
 * Runs every node on its own, assigning nothing, until a value is NaN or infinite.
 * Returns: TRUE when all are finite, else FALSE with DLH_ERROR_NUMERIC naming the first such node.
 */
DLH_EXPORT gboolean dlh_function_diagnose (DlhFunction *function, DlhTensor *const *inputs,
                                           guint n_inputs, GError **error);

/* What a run costs. */

/* One step of a function. */
typedef struct {
    const char *name;  /* "conv2d", "fused(mul,add,tanh)" */
    const char *scope; /* "model/conv1" */
    DlhShape shape;
    double seconds; /* mean of a run */
    double flops;
    double bytes; /* read and written, at least */
} DlhCost;

/** dlh_function_profile: runs @repeats times, assignments included. Returns: (element-type DlhCost)
 * (transfer full) (nullable): a row a step, in order of execution. */
DLH_EXPORT GArray *dlh_function_profile (DlhFunction *function, DlhTensor *const *inputs,
                                         guint n_inputs, guint repeats, GError **error);
/** dlh_function_memory: bytes of the buffer plan (without variables and inputs). */
DLH_EXPORT gsize dlh_function_memory (DlhFunction *function);
/** dlh_function_n_steps: how many kernels a run calls, after fusion. */
DLH_EXPORT guint dlh_function_n_steps (DlhFunction *function);
/** dlh_function_nodes: (transfer none) (array length=n): the outputs as they were asked for. */
DLH_EXPORT DlhNode *const *dlh_function_nodes (DlhFunction *function, guint *n);
/** dlh_function_to_dot: Returns: (transfer full): the compiled steps as dlh_graph_to_dot() draws
 * nodes. */
DLH_EXPORT char *dlh_function_to_dot (DlhFunction *function);

/* Threads: one pool for all kernels, BLAS and convolutions of the process. */

/** dlh_set_threads, dlh_get_threads: how many threads kernels use; 0 means every core that the
 * process may use. Not while a function runs. */
DLH_EXPORT void dlh_set_threads (guint n);
DLH_EXPORT guint dlh_get_threads (void);
/** dlh_parallel_for: calls @work on parts of 0 .. @n - 1, each of at least @grain, one part a thread;
 * thread is below dlh_get_threads(). Runs in the caller alone when there is nothing to share or when
 * already inside a parallel call. Allocates nothing. */
DLH_EXPORT void dlh_parallel_for (gsize n, gsize grain,
                                  void (*work) (gsize begin, gsize end, guint thread,
                                                gpointer user_data),
                                  gpointer user_data);
/** dlh_cpu_level: Returns: "baseline", "avx2" or "avx512": the kernels in use. */
DLH_EXPORT const char *dlh_cpu_level (void);
/** dlh_set_cpu_level: uses the kernels of a lower level, to see what a lesser machine would do; NULL:
 * the best that this processor has. Functions compiled before keep theirs. Returns: FALSE with
 * DLH_ERROR_OPTION when the processor does not have it. */
DLH_EXPORT gboolean dlh_set_cpu_level (const char *level, GError **error);

/* What computes. */
typedef struct {
    gsize size;          /* set by the caller: sizeof (DlhMachine) */
    char cpu_level[16];  /* as dlh_cpu_level() */
    char cpu_levels[48]; /* those that this processor could run: "baseline avx2" */
    char blas[128];      /* "OpenBLAS 0.3.21 ..." */
    char blas_core[32];  /* the kernels that it chose: "SkylakeX"; "" when it does not say */
    char dnnl[16];       /* the oneDNN that some convolutions use; "": none */
    guint threads;
    guint blas_threads;
    guint n_cores;       /* that the process may use */
} DlhMachine;

/** dlh_machine_describe: fills @machine, as far as its size goes. */
DLH_EXPORT void dlh_machine_describe (DlhMachine *machine);

G_END_DECLS
