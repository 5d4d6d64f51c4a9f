/* SPDX-License-Identifier: MIT */
/* Making an element-wise program: join axes, merge pairs of instructions, give registers buffers,
 * and cut the domain into chunks that do not depend on the number of threads. */
#include <string.h>

#include <dlhost/function.h>

#include "cpu/ew-private.h"

// Work below this many elements times instructions stays in one thread.
#define PARALLEL_WORK 65536
// Sums: elements of a chunk, at least, and chunks, at most.
#define SUM_CHUNK 16384
#define SUM_CHUNKS 64
// Elements of some rows whose sums are kept together.
#define ROWS_CHUNK 4096
// Operands of more bytes are not in the second-level cache.
#define CACHE_BYTES (1 << 20)
// Of each operand that comes from memory: enough that a call costs little, few enough that all
// operands go on side by side, as the processor's own prefetching wants it, and that operands which
// lie a multiple of the page apart do not fill the first-level cache's sets.
#define STREAM_BYTES 512
// Buffers lie so many bytes further apart than their size: else they would share cache sets.
#define BUFFER_GAP 128

typedef struct {
    DlhEwProgram *program;
    DlhShape domain;
    DlhDType dtype[DLH_EW_MAX_REGISTERS + 1];
    int written[DLH_EW_MAX_REGISTERS + 1];   // instruction that writes the register, -1 for others
    int last_read[DLH_EW_MAX_REGISTERS + 1]; // n_instructions when read at the end of the block
    guint n_reads[DLH_EW_MAX_REGISTERS + 1];
    int buffer[DLH_EW_MAX_REGISTERS + 1]; // -1 for none
    guint n_buffers;
    gsize buffer_size;
    const DlhEwConstant *constants;
    guint n_constants;
} Build;

/* Axes. */

// Joins axes of @dims where @steps go on as if they were one, drops those of size 1; keeps one.
static guint
join_axes (DlhShape domain, const gint64 *steps, gint64 *dims, gint64 *joined)
{
    guint n = 0;

    for (guint i = 0; i < domain.rank; i++) {
        if (domain.dims[i] == 1)
            continue;
        if (n > 0 && joined[n - 1] == steps[i] * domain.dims[i]) {
            dims[n - 1] *= domain.dims[i];
            joined[n - 1] = steps[i];
        } else {
            dims[n] = domain.dims[i];
            joined[n++] = steps[i];
        }
    }
    if (n == 0) {
        dims[0] = 1;
        joined[n++] = 1;
    }
    return n;
}

static void
add_load (DlhEwProgram *program, DlhShape domain, const DlhEwLoad *load)
{
    EwExpand e = {.reg = load->reg, .slot = load->slot};

    e.size = (guint)dlh_dtype_size (load->dtype);
    e.rank = join_axes (domain, load->strides, e.dims, e.strides);
    if (e.rank == 1 && e.strides[0] == 1) {
        EwFull full = {load->reg, load->slot, e.size, NULL};

        program->full[program->n_full++] = full;
    } else if (e.rank == 1 && e.strides[0] == 0) {
        program->once[program->n_once++] = e;
    } else {
        program->expand[program->n_expand++] = e;
    }
}

static void
add_sum (DlhEwProgram *program, DlhShape domain, const DlhEwSum *sum, DlhDType in)
{
    const DlhLoops *loops = dlh_loops ();
    EwSum s = {
        .reg = sum->reg, .slot = sum->slot, .in = in, .out = sum->dtype, .scale = sum->scale};
    gint64 step = 1;
    guint n = 0;

    s.n_out = 1;
    for (guint i = 0; i < domain.rank; i++) {
        if (!sum->reduced[i])
            s.n_out *= (gsize)domain.dims[i];
        if (domain.dims[i] == 1)
            continue;
        // Steps are 0 or 1 at first: kept or not.
        if (n > 0 && s.steps[n - 1] == !sum->reduced[i]) {
            s.dims[n - 1] *= domain.dims[i];
        } else {
            s.dims[n] = domain.dims[i];
            s.steps[n++] = !sum->reduced[i];
        }
    }
    if (n == 0)
        s.dims[n++] = 1;
    s.rank = n;
    s.last_kept = s.steps[n - 1] != 0;
    for (guint i = n; i-- > 0;) {
        gboolean kept = s.steps[i] != 0;

        s.steps[i] = kept ? step : 0;
        step *= kept ? s.dims[i] : 1;
    }
    s.sum_rows = loops->sum_rows[in - 1];
    s.add_rows = loops->add_rows[in - 1];
    program->sums[program->n_sums++] = s;
}

/* Pairs: a product that only a sum or a difference reads is computed in the same loop. Rounding
 * stays that of two instructions. */

static gboolean
is_loop (const DlhEwInstruction *in, DlhEwId id)
{
    const DlhLoop *loops = dlh_loops ()->ew[id];

    return in->loop && (in->loop == loops[0] || in->loop == loops[1]);
}

// The instruction that makes @reg, if it is still there and nobody else reads it.
static DlhEwInstruction *
made_for (Build *b, guint16 reg)
{
    int at = reg == EW_NO_REGISTER ? -1 : b->written[reg];

    return at >= 0 && b->n_reads[reg] == 1 ? &b->program->instructions[at] : NULL;
}

static DlhEwInstruction *
product_made_for (Build *b, guint16 reg)
{
    DlhEwInstruction *in = made_for (b, reg);

    return in && (is_loop (in, DLH_EW_mul) || is_loop (in, DLH_EW_scale)) ? in : NULL;
}

static void
set_pair (DlhEwInstruction *in, DlhEwPair pair, const DlhEwInstruction *product, guint16 other)
{
    gboolean scale = is_loop (product, DLH_EW_scale);

    in->loop = dlh_loops ()->pair[pair][in->dtype == DLH_F64];
    in->x[0] = product->x[0];
    in->x[1] = scale ? other : product->x[1];
    in->x[2] = scale ? EW_NO_REGISTER : other;
    in->p[0] = product->p[0];
}

// x0 * x1 + p0 and x0 * x1 / x2.
static void
merge_product (Build *b, DlhEwInstruction *in)
{
    DlhEwInstruction *product = made_for (b, in->x[0]);
    gboolean offset = is_loop (in, DLH_EW_offset);

    if (!product || !is_loop (product, DLH_EW_mul) || !(offset || is_loop (in, DLH_EW_div)))
        return;
    in->loop =
        dlh_loops ()->pair[offset ? DLH_EW_MUL_OFFSET : DLH_EW_MUL_DIV][in->dtype == DLH_F64];
    in->x[2] = offset ? EW_NO_REGISTER : in->x[1];
    in->x[0] = product->x[0];
    in->x[1] = product->x[1];
    product->loop = NULL;
}

// x + (-y) and (-y) + x are x - y, x - (-y) is x + y: to the bit, but for the sign of a NaN. A step
// of descent is a sum with a negated product, of which a pair remains.
static void
merge_negation (Build *b, DlhEwInstruction *in)
{
    const gboolean add = is_loop (in, DLH_EW_add), sub = is_loop (in, DLH_EW_sub);
    DlhEwInstruction *first = add ? made_for (b, in->x[0]) : NULL;
    DlhEwInstruction *second = add || sub ? made_for (b, in->x[1]) : NULL, *gone;

    if (second && is_loop (second, DLH_EW_neg)) {
        gone = second;
    } else if (first && is_loop (first, DLH_EW_neg)) {
        gone = first;
        in->x[0] = in->x[1];
    } else {
        return;
    }
    in->loop = dlh_loops ()->ew[add ? DLH_EW_sub : DLH_EW_add][in->dtype - 1];
    in->x[1] = gone->x[0];
    gone->loop = NULL;
}

static void
merge_pair (Build *b, DlhEwInstruction *in)
{
    gboolean add = is_loop (in, DLH_EW_add);
    DlhEwInstruction *first, *second;

    if (!add && !is_loop (in, DLH_EW_sub)) {
        merge_product (b, in);
        return;
    }
    first = product_made_for (b, in->x[0]);
    second = product_made_for (b, in->x[1]);
    if (add && first && second && is_loop (first, DLH_EW_scale) && is_loop (second, DLH_EW_scale)) {
        in->loop = dlh_loops ()->pair[DLH_EW_SCALE_SCALE][in->dtype == DLH_F64];
        in->x[0] = first->x[0];
        in->x[1] = second->x[0];
        in->p[0] = first->p[0];
        in->p[1] = second->p[0];
        first->loop = second->loop = NULL;
    } else if (second) {
        gboolean scale = is_loop (second, DLH_EW_scale);

        set_pair (in,
                  add     ? (scale ? DLH_EW_SCALE_ADD : DLH_EW_MUL_ADD)
                  : scale ? DLH_EW_SUB_SCALE
                          : DLH_EW_SUB_MUL,
                  second, in->x[0]);
        second->loop = NULL;
    } else if (first) {
        gboolean scale = is_loop (first, DLH_EW_scale);

        set_pair (in,
                  add     ? (scale ? DLH_EW_SCALE_ADD : DLH_EW_MUL_ADD)
                  : scale ? DLH_EW_SCALE_SUB
                          : DLH_EW_MUL_SUB,
                  first, in->x[1]);
        first->loop = NULL;
    }
}

static void
find_reads (Build *b)
{
    DlhEwProgram *program = b->program;

    memset (b->n_reads, 0, sizeof b->n_reads);
    for (guint r = 0; r <= program->n_registers; r++)
        b->written[r] = b->last_read[r] = -1;
    for (guint i = 0; i < program->n_instructions; i++) {
        const DlhEwInstruction *in = &program->instructions[i];

        g_assert (b->written[in->y] == -1);
        b->written[in->y] = (int)i;
        for (guint k = 0; k < 3; k++)
            if (in->x[k] != EW_NO_REGISTER) {
                b->last_read[in->x[k]] = (int)i;
                b->n_reads[in->x[k]]++;
            }
    }
    for (guint i = 0; i < program->n_stores; i++) {
        b->last_read[program->stores[i].reg] = (int)program->n_instructions;
        b->n_reads[program->stores[i].reg]++;
    }
    for (guint i = 0; i < program->n_sums; i++) {
        b->last_read[program->sums[i].reg] = (int)program->n_instructions;
        b->n_reads[program->sums[i].reg]++;
    }
}

static void
merge_pairs (Build *b)
{
    DlhEwProgram *program = b->program;
    guint n = 0;

    for (guint i = 0; i < program->n_instructions; i++) {
        merge_negation (b, &program->instructions[i]);
        merge_pair (b, &program->instructions[i]);
    }
    for (guint i = 0; i < program->n_instructions; i++)
        if (program->instructions[i].loop)
            program->instructions[n++] = program->instructions[i];
    program->n_instructions = n;
    find_reads (b);
}

/* Stores and buffers. */

// Values of operands first: another store may put its own in an operand's place.
static void
sort_stores (Build *b)
{
    EwStore *stores = b->program->stores;
    guint n = 0;

    for (guint i = 0; i < b->program->n_stores; i++)
        if (b->written[stores[i].reg] < 0) {
            EwStore s = stores[i];

            memmove (stores + n + 1, stores + n, (i - n) * sizeof s);
            stores[n++] = s;
        }
}

static void
choose_stores (Build *b)
{
    DlhEwProgram *program = b->program;
    gboolean direct[DLH_EW_MAX_REGISTERS + 1] = {FALSE};

    sort_stores (b);
    for (guint i = 0; i < program->n_stores; i++) {
        EwStore *s = &program->stores[i];

        s->direct = b->written[s->reg] >= 0 && !direct[s->reg];
        if (!s->direct)
            continue;
        direct[s->reg] = TRUE;
        for (guint k = 0; k < program->n_full; k++)
            if (b->last_read[program->full[k].reg] > b->written[s->reg])
                s->readers |= G_GUINT64_CONSTANT (1) << k;
        program->may_delay |= s->readers != 0;
    }
}

static void
release_buffer (Build *b, gboolean *taken, guint16 reg, int now, gsize size, gboolean same_size)
{
    if (reg != EW_NO_REGISTER && b->buffer[reg] >= 0 && b->written[reg] >= 0 &&
        b->last_read[reg] == now && (dlh_dtype_size (b->dtype[reg]) == size) == same_size)
        taken[b->buffer[reg]] = FALSE;
}

static void
take_buffer (Build *b, gboolean *taken, guint16 reg)
{
    guint i = 0;

    while (taken[i])
        i++;
    taken[i] = TRUE;
    b->buffer[reg] = (int)i;
    b->n_buffers = MAX (b->n_buffers, i + 1);
    b->buffer_size = MAX (b->buffer_size, DLH_EW_BLOCK * dlh_dtype_size (b->dtype[reg]));
}

// Registers that hold no memory of the caller's; a result may take the buffer of an operand that is
// read for the last time, when the elements have the same size.
static void
give_buffers (Build *b)
{
    DlhEwProgram *program = b->program;
    gboolean taken[DLH_EW_MAX_REGISTERS + 2] = {FALSE};
    gboolean stored[DLH_EW_MAX_REGISTERS + 1] = {FALSE};

    for (guint r = 0; r <= program->n_registers; r++)
        b->buffer[r] = -1;
    for (guint i = 0; i < program->n_once; i++)
        take_buffer (b, taken, program->once[i].reg);
    for (guint i = 0; i < program->n_expand; i++)
        take_buffer (b, taken, program->expand[i].reg);
    for (guint i = 0; i < program->n_stores; i++) {
        const EwStore *s = &program->stores[i];

        stored[s->reg] |= s->direct;
        if (s->readers)
            take_buffer (b, taken, s->reg);
    }
    for (guint i = 0; i < program->n_instructions; i++) {
        const DlhEwInstruction *in = &program->instructions[i];
        gsize size = dlh_dtype_size (in->dtype);

        for (guint k = 0; k < 3; k++)
            release_buffer (b, taken, in->x[k], (int)i, size, TRUE);
        if (!stored[in->y])
            take_buffer (b, taken, in->y);
        for (guint k = 0; k < 3; k++)
            release_buffer (b, taken, in->x[k], (int)i, size, FALSE);
    }
}

/* Chunks. */

// Elements of a slice of the domain along the axes before the first that some sum reduces; 0 when a
// sum reduces the first.
static gsize
kept_slice (Build *b, const DlhEwSum *sums)
{
    gsize slice = b->program->count;
    guint i = 0;

    for (; i < b->domain.rank; i++) {
        for (guint k = 0; k < b->program->n_sums; k++)
            if (sums[k].reduced[i] && b->domain.dims[i] != 1)
                return slice == b->program->count ? 0 : slice;
        slice /= (gsize)b->domain.dims[i];
    }
    return slice;
}

static gboolean
are_columns (const DlhEwProgram *program)
{
    for (guint i = 0; i < program->n_sums; i++) {
        const EwSum *s = &program->sums[i];

        if (s->rank != 2 || !s->last_kept || s->steps[0] || s->dims[1] != program->sums[0].dims[1])
            return FALSE;
    }
    return TRUE;
}

// A block of whole rows, where those are short, so that sums have fewer pieces.
static gsize
whole_rows (const DlhEwProgram *program)
{
    gsize length = (gsize)program->sums[0].dims[program->sums[0].rank - 1];

    return length < DLH_EW_BLOCK ? DLH_EW_BLOCK / length * length : DLH_EW_BLOCK;
}

// The accumulators of a chunk. A row is what stays together in EW_ROWS.
static void
place_windows (DlhEwProgram *program, gsize row)
{
    program->n_acc = 0;
    program->row = row;
    for (guint i = 0; i < program->n_sums; i++) {
        EwSum *s = &program->sums[i];

        s->window = s->n_out;
        if (program->kind == EW_COLUMNS) {
            s->window = program->block;
        } else if (program->kind == EW_ROWS) {
            s->of_row = s->n_out / (program->count / row);
            s->window = s->of_row * (program->chunk / row);
        }
        s->at = program->n_acc;
        program->n_acc += s->window;
    }
}

static void
cut_sums (Build *b, const DlhEwSum *sums)
{
    DlhEwProgram *program = b->program;
    gsize count = program->count, n_out = 0, slice = kept_slice (b, sums), n;

    for (guint i = 0; i < program->n_sums; i++)
        n_out += program->sums[i].n_out;
    n = CLAMP (count / SUM_CHUNK, 1, SUM_CHUNKS);
    // All sums in every chunk, when that is little beside the domain itself.
    while (n > 1 && n * n_out > MAX (count / 16, 4096))
        n /= 2;
    program->kind = EW_PARTIAL;
    program->block = whole_rows (program);
    program->chunk = ((count + n - 1) / n + program->block - 1) / program->block * program->block;
    if (n < 8 && n < count / SUM_CHUNK) {
        if (slice) {
            program->kind = EW_ROWS;
            program->chunk = slice * MAX (SUM_CHUNK / slice, 1);
        } else if (are_columns (program)) {
            program->kind = EW_COLUMNS;
            program->block = DLH_EW_BLOCK;
            program->columns = (gsize)program->sums[0].dims[1];
            program->chunk = program->block;
        }
    }
    place_windows (program, slice);
}

static gboolean
is_from_memory (const DlhEwProgram *program)
{
    gsize size = 0;

    for (guint i = 0; i < program->n_full; i++)
        size += program->full[i].size;
    return size * program->count >= CACHE_BYTES;
}

// Arrays that are read or written: those that are both count once.
static guint
count_streams (const DlhEwProgram *program)
{
    guint n = program->n_full;

    for (guint i = 0; i < program->n_stores; i++) {
        gboolean read = FALSE;

        for (guint k = 0; k < program->n_full && !read; k++)
            read = program->full[k].slot == program->stores[i].slot;
        n += !read;
    }
    return n;
}

// Elements of a block where nothing is expanded for it and no sum is cut into its pieces. A single
// array gains nothing from short ones.
static gsize
stream_block (const DlhEwProgram *program)
{
    gsize size = 1;

    if (program->n_expand || count_streams (program) < 2 || !is_from_memory (program))
        return DLH_EW_BLOCK;
    for (guint i = 0; i < program->n_full; i++)
        size = MAX (size, program->full[i].size);
    return STREAM_BYTES / size;
}

// Blocks begin with a row or lie within one, so that sums have the same pieces wherever a part of
// the rows begins.
static void
cut_rows (DlhEwProgram *program)
{
    const gsize row = program->count / program->n_rows;

    program->chunk = row * MAX (ROWS_CHUNK / row, 1);
    if (program->n_sums) {
        program->kind = EW_ROWS;
        program->block = row < DLH_EW_BLOCK ? DLH_EW_BLOCK / row * row : whole_rows (program);
    }
    place_windows (program, row);
    program->n_chunks = program->n_rows;
    program->grain = PARALLEL_WORK / (2 + program->n_instructions) / row;
}

static void
cut (Build *b, const DlhEwSum *sums)
{
    DlhEwProgram *program = b->program;

    program->count = (gsize)dlh_shape_count (b->domain);
    program->block = program->n_sums ? DLH_EW_BLOCK : stream_block (program);
    program->chunk = DLH_EW_BLOCK;
    if (program->n_rows) {
        cut_rows (program);
    } else {
        if (program->n_sums && program->count)
            cut_sums (b, sums);
        program->n_chunks = program->kind == EW_COLUMNS
                                ? (program->columns + program->block - 1) / program->block
                                : (program->count + program->chunk - 1) / program->chunk;
        if (program->kind == EW_COLUMNS)
            program->grain = PARALLEL_WORK / (2 + program->n_instructions) /
                             (program->count / program->columns * program->block);
        else
            program->grain = PARALLEL_WORK / (2 + program->n_instructions) / program->chunk;
    }
    program->grain = MAX (program->grain, 1);
    program->n_states = 1;
    if (program->n_rows || program->n_chunks >= 2 * program->grain) {
        guint n = MAX (dlh_get_threads (), (guint)g_get_num_processors ());

        program->n_states = (guint)MIN (n, program->n_chunks);
    }
}

// Roughly, in units of an addition.
static guint
time_of (const DlhEwInstruction *in)
{
    static const guint8 ids[] = {
#define EW_FLOAT 3
#define EW_NUMBER 1
#define EW_ANY 1
#define EW_COMPARE 1
#define EW_TEST 1
#define EW_CHOICE 1
#define EW_CAST 1
#define EW(name, arity, n_params, types, body) EW_##types,
#include "graph/elementwise.list"
#undef EW
    };

    for (guint id = 0; id < DLH_EW_N; id++)
        if (is_loop (in, id))
            return ids[id];
    return in->loop == dlh_loops ()->pair[DLH_EW_MUL_DIV][in->dtype == DLH_F64] ? 3 : 1;
}

// Operands larger than the second-level cache are fetched ahead, evenly in time; not where blocks
// are short: there it costs more than it brings.
static void
plan_ahead (DlhEwProgram *program)
{
    const gboolean streams = !program->n_sums && program->block < DLH_EW_BLOCK;
    gsize lines = 0, time = 0, done = 0, passed = 0;

    if (streams || !is_from_memory (program) || program->kind == EW_COLUMNS)
        return;
    for (guint i = 0; i < program->n_full; i++)
        lines += program->full[i].size * DLH_EW_BLOCK / 64;
    program->lines_ahead = g_new0 (guint, program->n_instructions);
    for (guint i = 0; i < program->n_instructions; i++)
        time += time_of (&program->instructions[i]);
    for (guint i = 0; i < program->n_instructions; i++) {
        passed += time_of (&program->instructions[i]);
        program->lines_ahead[i] = (guint)(lines * passed / time - done);
        done += program->lines_ahead[i];
    }
}

// A repeated row that starts every block in the same way is expanded once a run.
static void
find_constant_rows (DlhEwProgram *program)
{
    guint n = 0;

    for (guint i = 0; i < program->n_expand; i++) {
        EwExpand e = program->expand[i];

        if (e.rank == 2 && e.strides[0] == 0 && e.strides[1] == 1 && program->kind != EW_COLUMNS &&
            program->block % (gsize)e.dims[1] == 0 &&
            (program->n_rows ? program->row : program->chunk) % (gsize)e.dims[1] == 0)
            program->once[program->n_once++] = e;
        else
            program->expand[n++] = e;
    }
    program->n_expand = n;
}

/* Memory: constants, then for each state its buffers and accumulators, then those of all chunks. */

static gsize
aligned (gsize n)
{
    return (n + 63) & ~(gsize)63;
}

static void
fill_constant (char *to, const DlhEwConstant *c, void (*const *fill) (void *, const void *, gsize))
{
    guint size = (guint)dlh_dtype_size (c->dtype);
    union {
        float f32;
        double f64;
        gint32 i32;
        gint64 i64;
        guint8 b;
    } value = {.i64 = 0};

    switch (c->dtype) {
    case DLH_F32:
        value.f32 = (float)c->value;
        break;
    case DLH_F64:
        value.f64 = c->value;
        break;
    case DLH_I32:
        value.i32 = (gint32)c->value;
        break;
    case DLH_I64:
        value.i64 = (gint64)c->value;
        break;
    case DLH_BOOL:
        value.b = c->value != 0;
        break;
    }
    fill[ew_fill_index (size)](to, &value, DLH_EW_BLOCK);
}

static void
make_states (Build *b)
{
    DlhEwProgram *program = b->program;
    gsize constant_size = aligned (DLH_EW_BLOCK * 8 + BUFFER_GAP);
    gsize buffer_size = aligned (b->buffer_size + BUFFER_GAP);
    gsize acc_size = program->kind == EW_PARTIAL ? 0 : aligned (program->n_acc * sizeof (double));
    gsize partial = program->kind == EW_PARTIAL ? program->n_acc * program->n_chunks : 0;
    gsize table_size = 2 * aligned ((program->n_registers + 1) * sizeof (void *));
    gsize rest_size = aligned (b->n_buffers * buffer_size + acc_size + BUFFER_GAP);
    char *at;

    program->memory =
        g_malloc (b->n_constants * constant_size + program->n_states * (table_size + rest_size) +
                  partial * sizeof (double) + 64);
    at = (char *)aligned ((gsize)program->memory);
    program->states = g_new0 (EwState, program->n_states);
    for (guint i = 0; i < program->n_states; i++) {
        EwState *state = &program->states[i];

        state->reg = (void **)at;
        state->scratch = (char **)(at + table_size / 2);
        memset (at, 0, table_size);
        at += table_size;
        for (guint r = 0; r < program->n_registers; r++)
            if (b->buffer[r] >= 0)
                state->reg[r] = state->scratch[r] = at + (gsize)b->buffer[r] * buffer_size;
        state->acc = (double *)(at + b->n_buffers * buffer_size);
        at += rest_size;
    }
    for (guint i = 0; i < b->n_constants; i++) {
        fill_constant (at, &b->constants[i], program->fill);
        for (guint k = 0; k < program->n_states; k++)
            program->states[k].reg[b->constants[i].reg] = at;
        at += constant_size;
    }
    program->acc = (double *)at;
}

static void
copy_instructions (Build *b, const DlhEwInstruction *instructions, guint n)
{
    DlhEwProgram *program = b->program;

    program->instructions = g_memdup2 (instructions, n * sizeof *instructions);
    program->n_instructions = n;
    for (guint i = 0; i < n; i++)
        b->dtype[instructions[i].y] = instructions[i].dtype;
    find_reads (b);
    merge_pairs (b);
    // Registers that are not there are NULL.
    for (guint i = 0; i < program->n_instructions; i++)
        for (guint k = 0; k < 3; k++)
            if (program->instructions[i].x[k] == EW_NO_REGISTER)
                program->instructions[i].x[k] = (guint16)program->n_registers;
}

DlhEwProgram *
dlh_ew_program_new (DlhShape domain, guint n_registers, const DlhEwLoad *loads, guint n_loads,
                    const DlhEwConstant *constants, guint n_constants,
                    const DlhEwInstruction *instructions, guint n_instructions,
                    const DlhEwStore *stores, guint n_stores, const DlhEwSum *sums, guint n_sums,
                    gsize n_rows)
{
    DlhEwProgram *program = g_new0 (DlhEwProgram, 1);
    Build b = {
        .program = program, .domain = domain, .constants = constants, .n_constants = n_constants};

    g_assert (n_registers <= DLH_EW_MAX_REGISTERS);
    program->n_registers = n_registers;
    program->n_rows = n_rows;
    program->fill = dlh_loops ()->fill;
    program->full = g_new0 (EwFull, n_loads);
    program->once = g_new0 (EwExpand, n_loads);
    program->expand = g_new0 (EwExpand, n_loads);
    program->stores = g_new0 (EwStore, n_stores);
    program->sums = g_new0 (EwSum, n_sums);
    for (guint i = 0; i < n_loads; i++) {
        b.dtype[loads[i].reg] = loads[i].dtype;
        add_load (program, domain, &loads[i]);
    }
    for (guint i = 0; i < n_constants; i++)
        b.dtype[constants[i].reg] = constants[i].dtype;
    for (guint i = 0; i < n_stores; i++) {
        EwStore s = {.reg = stores[i].reg,
                     .slot = stores[i].slot,
                     .size = (guint)dlh_dtype_size (stores[i].dtype)};

        program->stores[program->n_stores++] = s;
    }
    for (guint i = 0; i < n_instructions; i++)
        b.dtype[instructions[i].y] = instructions[i].dtype;
    for (guint i = 0; i < n_sums; i++)
        add_sum (program, domain, &sums[i], b.dtype[sums[i].reg]);
    copy_instructions (&b, instructions, n_instructions);
    cut (&b, sums);
    find_constant_rows (program);
    plan_ahead (program);
    choose_stores (&b);
    give_buffers (&b);
    make_states (&b);
    return program;
}

void
dlh_ew_program_free (DlhEwProgram *program)
{
    if (!program)
        return;
    g_free (program->states);
    g_free (program->memory);
    g_free (program->full);
    g_free (program->once);
    g_free (program->expand);
    g_free (program->instructions);
    g_free (program->lines_ahead);
    g_free (program->stores);
    g_free (program->sums);
    g_free (program);
}
