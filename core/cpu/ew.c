/* SPDX-License-Identifier: MIT */
/* Running an element-wise program; ew-build.c makes one. */
#include "cpu/ew-private.h"

#include <string.h>

#include <dlhost/function.h>

#include "cpu/parallel.h"

/* Operands. */

static void
copy_strided (char *out, const char *x, gsize n, gint64 stride, guint size)
{
    for (gsize i = 0; i < n; i++)
        memcpy (out + i * size, x + (gint64) i * stride * size, size);
}

// A row repeated: the first period by hand, the rest by doubling what is there.
static void
expand_row (char *out, const char *x, gsize n_columns, gsize column, gsize n, gsize size)
{
    gsize have = n_columns - column, done = MIN (n, n_columns);

    if (have >= done) {
        memcpy (out, x + column * size, done * size);
    } else {
        memcpy (out, x + column * size, have * size);
        memcpy (out + have * size, x, (done - have) * size);
    }
    while (done < n) {
        gsize more = MIN (done, n - done);

        memcpy (out + done * size, out, more * size);
        done += more;
    }
}

// Elements start .. start + n - 1 of the domain. Returns: where they are, @out or in the operand.
static const void *
expand (const DlhEwProgram *program, const EwExpand *e, char *out, gsize start, gsize n)
{
    guint last = e->rank - 1;
    gsize length = (gsize) e->dims[last], row = start / length, column = start % length;
    gint64 stride = e->strides[last], offset = 0, index[DLH_MAX_RANK];
    char *to = out;

    for (guint i = last; i-- > 0;) {
        index[i] = (gint64) (row % (gsize) e->dims[i]);
        row /= (gsize) e->dims[i];
        offset += index[i] * e->strides[i];
    }
    if (stride == 1 && column + n <= length)
        return e->base + ((gsize) offset + column) * e->size;
    if (stride == 1 && e->rank == 2 && e->strides[0] == 0) {
        expand_row (out, e->base, length, column, n, e->size);
        return out;
    }
    for (;;) {
        gsize m = MIN (length - column, n);
        const char *from = e->base + (offset + (gint64) column * stride) * (gint64) e->size;

        if (stride == 0)
            program->fill[ew_fill_index (e->size)](to, from, m);
        else if (stride == 1)
            memcpy (to, from, m * e->size);
        else
            copy_strided (to, from, m, stride, e->size);
        n -= m;
        if (n == 0)
            return out;
        to += m * e->size;
        column = 0;
        for (guint i = last; i-- > 0;) {
            offset += e->strides[i];
            if (++index[i] < e->dims[i])
                break;
            offset -= e->strides[i] * e->dims[i];
            index[i] = 0;
        }
    }
}

/* Sums. */

static gsize
result_of_row (const EwSum *s, gsize row)
{
    gsize offset = 0;

    for (guint i = s->rank - 1; i-- > 0;) {
        offset += row % (gsize) s->dims[i] * (gsize) s->steps[i];
        row /= (gsize) s->dims[i];
    }
    return offset;
}

// Adds the block's elements to the accumulators, of which @acc is the one of result @first. Rows go
// together while they have the same results (kept last axis) or results in a row (reduced).
static void
add_block (const EwSum *s, double *acc, gsize first, const char *x, gsize start, gsize n)
{
    gsize size = dlh_dtype_size (s->in), length = (gsize) s->dims[s->rank - 1];
    gsize row = start / length, column = start % length;

    while (n) {
        gsize m = MIN (length - column, n), rows = 1;
        double *to = acc + (result_of_row (s, row) - first);

        if (m == length && s->rank > 1) {
            gsize axis = (gsize) s->dims[s->rank - 2];

            rows = MIN (n / length, axis - row % axis);
        }
        if (s->last_kept)
            s->add_rows (to + column, x, rows, m);
        else
            s->sum_rows (to, x, rows, m);
        n -= m * rows;
        x += m * rows * size;
        row += rows;
        column = 0;
    }
}

static void
put (const EwSum *s, gsize i, double value)
{
    switch (s->out) {
    case DLH_F32:
        ((float *) s->base)[i] = (float) (s->scale * value);
        break;
    case DLH_F64:
        ((double *) s->base)[i] = s->scale * value;
        break;
    case DLH_I32:
        ((gint32 *) s->base)[i] = (gint32) (s->scale * value);
        break;
    case DLH_I64:
        ((gint64 *) s->base)[i] = (gint64) (s->scale * value);
        break;
    case DLH_BOOL:
        ((guint8 *) s->base)[i] = value != 0;
        break;
    }
}

/* Blocks and chunks. */

// Where the operands of a coming block are; they are asked for a few lines at a time, between
// instructions, for as many lines at once would hold up the loads of the present block.
typedef struct {
    const EwFull *array, *end;
    gsize start;
    const char *at;
    gsize left; // lines
} Ahead;

static inline void
next_array (Ahead *ahead)
{
    if (ahead->array == ahead->end)
        return;
    ahead->at = ahead->array->base + ahead->start * ahead->array->size;
    ahead->left = DLH_EW_BLOCK * ahead->array->size / 64;
    ahead->array++;
}

static inline void
fetch (Ahead *ahead, gsize lines)
{
    while (lines) {
        gsize n = MIN (lines, ahead->left);

        for (gsize i = 0; i < n; i++)
            __builtin_prefetch (ahead->at + 64 * i, 0, 2);
        ahead->at += 64 * n;
        ahead->left -= n;
        lines -= n;
        if (ahead->left == 0) {
            if (ahead->array == ahead->end)
                return;
            next_array (ahead);
        }
    }
}

// For operands that come from memory: two blocks ahead into the second-level cache.
static void
run_instructions_ahead (const DlhEwProgram *program, void **reg, gsize start, gsize n)
{
    Ahead ahead = {.array = program->full,
                   .end = program->full + program->n_full,
                   .start = start + 2 * DLH_EW_BLOCK};

    next_array (&ahead);
    for (guint i = 0; i < program->n_instructions; i++) {
        const DlhEwInstruction *in = &program->instructions[i];

        fetch (&ahead, program->lines_ahead[i]);
        in->loop (reg[in->y], reg[in->x[0]], reg[in->x[1]], reg[in->x[2]], n, in->p);
    }
}

static void
run_block (const DlhEwProgram *program, EwState *state, gsize start, gsize n)
{
    void **reg = state->reg;

    for (guint i = 0; i < program->n_full; i++)
        reg[program->full[i].reg] = program->full[i].base + start * program->full[i].size;
    for (guint i = 0; i < program->n_expand; i++) {
        const EwExpand *e = &program->expand[i];

        reg[e->reg] = (void *) expand (program, e, state->scratch[e->reg], start, n);
    }
    for (guint i = 0; i < program->n_stores; i++) {
        const EwStore *s = &program->stores[i];

        if (s->direct)
            reg[s->reg] = s->delayed ? state->scratch[s->reg] : s->base + start * s->size;
    }
    if (program->lines_ahead && start + 3 * DLH_EW_BLOCK <= program->count) {
        run_instructions_ahead (program, reg, start, n);
        return;
    }
    for (guint i = 0; i < program->n_instructions; i++) {
        const DlhEwInstruction *in = &program->instructions[i];

        in->loop (reg[in->y], reg[in->x[0]], reg[in->x[1]], reg[in->x[2]], n, in->p);
    }
}

static void
store_block (const DlhEwProgram *program, EwState *state, gsize start, gsize n)
{
    // Values of operands first: a delayed store may replace them.
    for (guint i = 0; i < program->n_stores; i++) {
        const EwStore *s = &program->stores[i];

        if (!s->direct && s->base + start * s->size != state->reg[s->reg])
            memcpy (s->base + start * s->size, state->reg[s->reg], n * s->size);
    }
    for (guint i = 0; i < program->n_stores; i++) {
        const EwStore *s = &program->stores[i];

        if (s->delayed)
            memcpy (s->base + start * s->size, state->reg[s->reg], n * s->size);
    }
}

// Elements start .. end - 1 of the domain: whole rows where sums are by rows.
static void
run_flat (const DlhEwProgram *program, EwState *state, double *acc, gsize start, gsize end)
{
    const gboolean rows = program->kind == EW_ROWS;
    // Where rows are longer than blocks, no block has parts of two.
    const gsize within = rows && program->n_rows && program->row > program->block ? program->row : 0;

    if (program->n_sums)
        memset (acc, 0, program->n_acc * sizeof *acc);
    for (gsize at = start, n; at < end; at += n) {
        n = MIN (program->block, within ? within - at % within : end - at);
        run_block (program, state, at, n);
        for (guint i = 0; i < program->n_sums; i++) {
            const EwSum *s = &program->sums[i];

            add_block (s, acc + s->at, rows ? start / program->row * s->of_row : 0,
                       state->reg[s->reg], at, n);
        }
        store_block (program, state, at, n);
    }
    for (guint i = 0; rows && i < program->n_sums; i++) {
        const EwSum *s = &program->sums[i];
        gsize first = start / program->row * s->of_row;
        gsize n = (end - start) / program->row * s->of_row;

        for (gsize k = 0; k < n; k++)
            put (s, first + k, acc[s->at + k]);
    }
}

static void
run_flat_chunk (const DlhEwProgram *program, EwState *state, gsize chunk)
{
    gsize start = chunk * program->chunk, end = MIN (start + program->chunk, program->count);

    run_flat (program, state,
              program->kind == EW_PARTIAL ? program->acc + chunk * program->n_acc : state->acc,
              start, end);
}

static void
run_column_chunk (const DlhEwProgram *program, EwState *state, gsize chunk)
{
    gsize first = chunk * program->block, n = MIN (program->block, program->columns - first);

    memset (state->acc, 0, program->n_acc * sizeof *state->acc);
    for (gsize at = first; at < program->count; at += program->columns) {
        run_block (program, state, at, n);
        for (guint i = 0; i < program->n_sums; i++) {
            const EwSum *s = &program->sums[i];

            s->add_rows (state->acc + s->at, state->reg[s->reg], 1, n);
        }
        store_block (program, state, at, n);
    }
    for (guint i = 0; i < program->n_sums; i++) {
        const EwSum *s = &program->sums[i];

        for (gsize k = 0; k < n; k++)
            put (s, first + k, state->acc[s->at + k]);
    }
}

static void
run_row_chunks (const DlhEwProgram *program, EwState *state, gsize begin, gsize end)
{
    const gsize step = program->n_sums ? program->chunk / program->row : end - begin;

    for (gsize at = begin; at < end; at += step)
        run_flat (program, state, state->acc, at * program->row,
                  MIN (at + step, end) * program->row);
}

static void
run_chunks (gsize begin, gsize end, guint thread, gpointer data)
{
    const DlhEwProgram *program = data;
    EwState *state = &program->states[thread];
    gsize n = MIN (program->block, program->count);

    for (guint i = 0; i < program->n_once; i++) {
        const EwExpand *e = &program->once[i];

        if (e->rank == 1)
            program->fill[ew_fill_index (e->size)](state->scratch[e->reg], e->base, n);
        else
            expand_row (state->scratch[e->reg], e->base, (gsize) e->dims[1], 0, n, e->size);
    }
    if (program->n_rows) {
        run_row_chunks (program, state, begin, end);
        return;
    }
    for (gsize chunk = begin; chunk < end; chunk++) {
        if (program->kind == EW_COLUMNS)
            run_column_chunk (program, state, chunk);
        else
            run_flat_chunk (program, state, chunk);
    }
}

static void
add_chunks (DlhEwProgram *program)
{
    for (guint i = 0; i < program->n_sums; i++) {
        const EwSum *s = &program->sums[i];

        for (gsize k = 0; k < s->n_out; k++) {
            const double *acc = program->acc + s->at + k;
            double total = 0;

            for (gsize chunk = 0; chunk < program->n_chunks; chunk++)
                total += acc[chunk * program->n_acc];
            put (s, k, total);
        }
    }
}

// Whether a store may overwrite what is still read is known when the addresses are.
static void
find_delays (DlhEwProgram *program)
{
    for (guint i = 0; i < program->n_stores; i++) {
        EwStore *s = &program->stores[i];
        guint64 readers = s->readers;

        for (s->delayed = FALSE; readers && !s->delayed; readers &= readers - 1)
            s->delayed = program->full[__builtin_ctzll (readers)].base == s->base;
    }
}

void
dlh_ew_program_bind (DlhEwProgram *program, void *const *slots)
{
    for (guint i = 0; i < program->n_full; i++)
        program->full[i].base = slots[program->full[i].slot];
    for (guint i = 0; i < program->n_once; i++)
        program->once[i].base = slots[program->once[i].slot];
    for (guint i = 0; i < program->n_expand; i++)
        program->expand[i].base = slots[program->expand[i].slot];
    for (guint i = 0; i < program->n_stores; i++)
        program->stores[i].base = slots[program->stores[i].slot];
    for (guint i = 0; i < program->n_sums; i++)
        program->sums[i].base = slots[program->sums[i].slot];
    if (program->may_delay)
        find_delays (program);
}

void
dlh_ew_program_run_rows (DlhEwProgram *program, guint thread, gsize first, gsize n)
{
    run_chunks (first, first + n, thread, program);
}

void
dlh_ew_program_run (DlhEwProgram *program, void *const *slots)
{
    dlh_ew_program_bind (program, slots);
    // There are as many states as there were threads, or cores, when the program was made.
    if (program->n_states == 1 || dlh_get_threads () > program->n_states)
        run_chunks (0, program->n_chunks, 0, program);
    else
        dlh_parallel_for (program->n_chunks, program->grain, run_chunks, program);
    if (program->kind == EW_PARTIAL || program->count == 0)
        add_chunks (program);
}
