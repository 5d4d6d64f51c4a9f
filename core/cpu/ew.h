/* SPDX-License-Identifier: MIT */
/* The element-wise machine: a fused chain of element-wise ops is a short program run on blocks of
 * elements that stay in the first-level cache.
 *
 * A program works on a domain, the shape of the chain. For each block of at most DLH_EW_BLOCK
 * consecutive elements of the flattened domain, loads bring operands into registers (a full operand
 * is used where it lies, a broadcast one is expanded), instructions run, stores and sums take
 * results out.
 * The cuts depend on the program alone and sums are combined in a fixed order, so results do not
 * depend on threads. A loop gives an element the same value wherever it stands in a block, so
 * stored results do not depend on the cuts either: fused or not, they are the same.
 *
 * Every register is written once: by one load, constant or instruction. (Which registers share a
 * buffer is found out by dlh_ew_program_new().)
 *
 * Core-internal: exec/ builds programs, cpu/ew.c runs them. */
#pragma once

#include <dlhost/op.h>

#define DLH_EW_BLOCK 512
#define DLH_EW_MAX_REGISTERS 48

typedef void (*DlhLoop) (void *y, const void *x0, const void *x1, const void *x2, gsize n,
                         const double *p);

/* Register <- memory. Strides are in elements for each domain axis, 0 where it is broadcast. */
typedef struct {
    guint16 reg, slot;
    DlhDType dtype;
    gint64 strides[DLH_MAX_RANK];
} DlhEwLoad;

/* Register <- number, once. */
typedef struct {
    guint16 reg;
    DlhDType dtype;
    double value;
} DlhEwConstant;

typedef struct {
    DlhLoop loop;
    guint16 y, x[3]; /* registers; unused x are 0xffff */
    DlhDType dtype;  /* of y */
    double p[4];
} DlhEwInstruction;

/* Memory <- register: all of the domain, contiguous. May be the memory of a full load of elements
 * of the same size (in place) if an instruction writes the register, whether or not the operand is
 * read later. */
typedef struct {
    guint16 reg, slot;
    DlhDType dtype;
} DlhEwStore;

/* Memory <- scale * sum of the register over the marked domain axes; contiguous result. Sums are
 * carried in double. */
typedef struct {
    guint16 reg, slot;
    DlhDType dtype;
    gboolean reduced[DLH_MAX_RANK];
    double scale;
} DlhEwSum;

typedef struct _DlhEwProgram DlhEwProgram;

/* The arrays are copied; everything a run needs is allocated here. @n_rows: 0, or the size of the first
 * axis, which no sum reduces: the program then runs by rows along it, in parts or as a whole with the
 * same results. */
DlhEwProgram *dlh_ew_program_new (DlhShape domain, guint n_registers, const DlhEwLoad *loads,
                                  guint n_loads, const DlhEwConstant *constants, guint n_constants,
                                  const DlhEwInstruction *instructions, guint n_instructions,
                                  const DlhEwStore *stores, guint n_stores, const DlhEwSum *sums,
                                  guint n_sums, gsize n_rows);
void dlh_ew_program_free (DlhEwProgram *program);
/* @slots: the memory of each slot number. Allocates nothing. */
void dlh_ew_program_run (DlhEwProgram *program, void *const *slots);
/* The same in two parts, of a program by rows: the memory first, then the rows from @first on, different
 * ones on several threads at once. @thread is below the number of threads, or cores if those are more,
 * and of rows, when the program was made. */
void dlh_ew_program_bind (DlhEwProgram *program, void *const *slots);
void dlh_ew_program_run_rows (DlhEwProgram *program, guint thread, gsize first, gsize n);

/* The loop for an element-wise node, by its op, attributes and input types; NULL when there is none
 * (then the types are not supported, which infer() has refused). */
DlhLoop dlh_ew_loop (const DlhNode *node);
