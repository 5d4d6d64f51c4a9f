/* SPDX-License-Identifier: MIT */
/* The element-wise machine against loops that do one element at a time: random programs over random
 * domains, operands broadcast along random axes, results in place, sums over random axes. */
#include "cpu/ew.h"
#include "cpu/loops.h"
#include "cpu/parallel.h"
#include "test.h"

#define MAX_SLOTS 24

typedef struct {
    GRand *rand;
    DlhDType dtype;
    DlhShape domain;
    gsize count;
    DlhEwLoad loads[6];
    DlhEwConstant constants[2];
    DlhEwInstruction instructions[10];
    int ids[10]; // DlhEwId
    DlhEwStore stores[4];
    DlhEwSum sums[3];
    guint n_loads, n_constants, n_instructions, n_stores, n_sums, n_registers, n_slots;
    void *slots[MAX_SLOTS];
    gsize slot_count[MAX_SLOTS];
    gboolean shared[MAX_SLOTS]; // memory of another slot
} Case;

static double
load_value (DlhDType dtype, const void *memory, gsize i)
{
    return dtype == DLH_F64 ? ((const double *)memory)[i] : ((const float *)memory)[i];
}

static guint16
new_slot (Case *c, gsize count)
{
    gsize size = dlh_dtype_size (c->dtype);
    char *memory = g_malloc (count * size + 8);

    for (gsize i = 0; i < count; i++)
        if (c->dtype == DLH_F64)
            ((double *)memory)[i] = g_rand_double_range (c->rand, -2, 2);
        else
            ((float *)memory)[i] = (float)g_rand_double_range (c->rand, -2, 2);
    c->slots[c->n_slots] = memory;
    c->slot_count[c->n_slots] = count;
    return (guint16)c->n_slots++;
}

static DlhShape
random_domain (GRand *rand, gsize limit)
{
    DlhShape s = {.rank = (guint)g_rand_int_range (rand, 0, 5)};
    static const gint64 sizes[] = {1, 2, 3, 7, 10, 16, 33, 100, 513, 1000, 4099};
    gsize count = 1;

    for (guint i = 0; i < s.rank; i++) {
        do
            s.dims[i] = sizes[g_rand_int_range (rand, 0, G_N_ELEMENTS (sizes))];
        while (count * (gsize)s.dims[i] > limit);
        count *= (gsize)s.dims[i];
    }
    return s;
}

static void
random_load (Case *c, guint i)
{
    gint64 step = 1;
    DlhEwLoad load = {.reg = (guint16)i, .dtype = c->dtype};
    guint kind = (guint)g_rand_int_range (c->rand, 0, 4);

    // Full, one number, or broadcast along some axes.
    for (guint axis = c->domain.rank; axis-- > 0;) {
        gboolean keep = kind < 2 || (kind == 3 && g_rand_boolean (c->rand));

        load.strides[axis] = keep && c->domain.dims[axis] > 1 ? step : 0;
        step *= keep ? c->domain.dims[axis] : 1;
    }
    load.slot = new_slot (c, (gsize)step);
    c->loads[i] = load;
}

static void
random_instruction (Case *c, guint i)
{
    static const DlhEwId ids[] = {DLH_EW_add, DLH_EW_sub,   DLH_EW_mul, DLH_EW_scale,
                                  DLH_EW_max, DLH_EW_scale, DLH_EW_mul, DLH_EW_square,
                                  DLH_EW_neg, DLH_EW_add};
    DlhEwInstruction in = {.dtype = c->dtype, .x = {0xffff, 0xffff, 0xffff}};
    DlhEwId id = ids[g_rand_int_range (c->rand, 0, G_N_ELEMENTS (ids))];
    guint n = id == DLH_EW_scale || id == DLH_EW_square || id == DLH_EW_neg ? 1 : 2;

    in.y = (guint16)(c->n_loads + c->n_constants + i);
    for (guint k = 0; k < n; k++)
        in.x[k] = (guint16)g_rand_int_range (c->rand, MAX (0, (int)in.y - 5), in.y);
    in.p[0] = 0.75;
    in.loop = dlh_loops ()->ew[id][c->dtype - 1];
    c->ids[i] = (int)id;
    c->instructions[i] = in;
}

static void
random_outputs (Case *c)
{
    guint first = c->n_loads + c->n_constants;

    for (guint i = 0; i < c->n_stores; i++) {
        DlhEwStore s = {.dtype = c->dtype};

        // Distinct registers, mostly results.
        s.reg = (guint16)(i == 0 ? c->n_registers - 1
                                 : first + (guint)g_rand_int_range (c->rand, 0,
                                                                    (gint32)c->n_instructions));
        if (g_rand_int_range (c->rand, 0, 8) == 0)
            s.reg = (guint16)g_rand_int_range (c->rand, 0, (gint32)first);
        s.slot = new_slot (c, c->count);
        c->stores[i] = s;
    }
    for (guint i = 0; i < c->n_sums; i++) {
        DlhEwSum s = {.dtype = c->dtype, .scale = 0.5};
        gsize n = 1;

        s.reg = (guint16)g_rand_int_range (c->rand, 0, (gint32)c->n_registers);
        for (guint axis = 0; axis < c->domain.rank; axis++) {
            s.reduced[axis] = i == 1 ? TRUE : g_rand_boolean (c->rand);
            n *= s.reduced[axis] ? 1 : (gsize)c->domain.dims[axis];
        }
        s.slot = new_slot (c, n);
        c->sums[i] = s;
    }
}

static void
random_case (Case *c, GRand *rand, DlhShape domain)
{
    *c = (Case){.rand = rand, .dtype = g_rand_boolean (rand) ? DLH_F64 : DLH_F32};
    c->domain = domain;
    c->count = (gsize)dlh_shape_count (c->domain);
    c->n_loads = (guint)g_rand_int_range (rand, 1, 6);
    c->n_constants = (guint)g_rand_int_range (rand, 0, 2);
    c->n_instructions = (guint)g_rand_int_range (rand, 1, 10);
    c->n_stores = (guint)g_rand_int_range (rand, 0, 4);
    c->n_sums = (guint)g_rand_int_range (rand, 0, 3);
    c->n_registers = c->n_loads + c->n_constants + c->n_instructions;
    for (guint i = 0; i < c->n_loads; i++)
        random_load (c, i);
    for (guint i = 0; i < c->n_constants; i++)
        c->constants[i] = (DlhEwConstant){(guint16)(c->n_loads + i), c->dtype, 1.25};
    for (guint i = 0; i < c->n_instructions; i++)
        random_instruction (c, i);
    random_outputs (c);
}

static void
free_case (Case *c)
{
    for (guint i = 0; i < c->n_slots; i++)
        if (!c->shared[i])
            g_free (c->slots[i]);
}

// All registers at one element, in the case's precision.
static void
evaluate (const Case *c, void *const *slots, gsize element, double *reg)
{
    gint64 index[DLH_MAX_RANK];
    gsize rest = element;

    for (guint axis = c->domain.rank; axis-- > 0;) {
        index[axis] = (gint64)(rest % (gsize)c->domain.dims[axis]);
        rest /= (gsize)c->domain.dims[axis];
    }
    for (guint i = 0; i < c->n_loads; i++) {
        gint64 at = 0;

        for (guint axis = 0; axis < c->domain.rank; axis++)
            at += index[axis] * c->loads[i].strides[axis];
        reg[i] = load_value (c->dtype, slots[c->loads[i].slot], (gsize)at);
    }
    for (guint i = 0; i < c->n_constants; i++)
        reg[c->n_loads + i] = c->constants[i].value;
    for (guint i = 0; i < c->n_instructions; i++) {
        const DlhEwInstruction *in = &c->instructions[i];
        double a = reg[in->x[0]], b = in->x[1] == 0xffff ? 0 : reg[in->x[1]], y = 0;

        switch (c->ids[i]) {
        case DLH_EW_add:
            y = a + b;
            break;
        case DLH_EW_sub:
            y = a - b;
            break;
        case DLH_EW_neg:
            y = -a;
            break;
        case DLH_EW_mul:
            y = a * b;
            break;
        case DLH_EW_max:
            y = a >= b ? a : b;
            break;
        case DLH_EW_scale:
            y = a * in->p[0];
            break;
        case DLH_EW_square:
            y = a * a;
            break;
        default:
            g_assert_not_reached ();
        }
        // Double rounding of one operation in float is harmless.
        reg[in->y] = c->dtype == DLH_F32 ? (float)y : y;
    }
}

static gsize
sum_index (const Case *c, const DlhEwSum *s, gsize element)
{
    gsize at = 0, step = 1;

    for (guint axis = c->domain.rank; axis-- > 0;) {
        gsize i = element % (gsize)c->domain.dims[axis];

        element /= (gsize)c->domain.dims[axis];
        if (!s->reduced[axis]) {
            at += i * step;
            step *= (gsize)c->domain.dims[axis];
        }
    }
    return at;
}

static DlhEwProgram *
case_program (const Case *c)
{
    return dlh_ew_program_new (c->domain, c->n_registers, c->loads, c->n_loads, c->constants,
                               c->n_constants, c->instructions, c->n_instructions, c->stores,
                               c->n_stores, c->sums, c->n_sums, 0);
}

static void
copy_slots (const Case *c, void **to)
{
    for (guint i = 0; i < c->n_slots; i++)
        to[i] = g_memdup2 (c->slots[i], c->slot_count[i] * dlh_dtype_size (c->dtype) + 8);
}

// Runs the case and compares everything; @in_place gives results the memory of full operands.
static gboolean
check_case (Case *c, gboolean in_place, guint number)
{
    void *before[MAX_SLOTS];
    double *store[4], *size[3], reg[32];
    long double *sum[3];
    DlhEwProgram *program = case_program (c);
    gboolean good = TRUE, used[6] = {FALSE};
    double eps = c->dtype == DLH_F64 ? DBL_EPSILON : FLT_EPSILON;

    copy_slots (c, before);
    for (guint i = 0; i < c->n_stores; i++)
        store[i] = g_new (double, c->count + 1);
    for (guint i = 0; i < c->n_sums; i++) {
        sum[i] = g_new0 (long double, c->slot_count[c->sums[i].slot] + 1);
        size[i] = g_new0 (double, c->slot_count[c->sums[i].slot] + 1);
    }
    for (gsize e = 0; e < c->count; e++) {
        evaluate (c, before, e, reg);
        for (guint i = 0; i < c->n_stores; i++)
            store[i][e] = reg[c->stores[i].reg];
        for (guint i = 0; i < c->n_sums; i++) {
            sum[i][sum_index (c, &c->sums[i], e)] += reg[c->sums[i].reg];
            size[i][sum_index (c, &c->sums[i], e)] += fabs (reg[c->sums[i].reg]);
        }
    }
    for (guint i = 0; in_place && i < c->n_stores; i++) {
        guint k = (guint)g_rand_int_range (c->rand, 0, (gint32)c->n_loads);

        // Only results of instructions may be in place.
        if (used[k] || c->slot_count[c->loads[k].slot] != c->count ||
            c->stores[i].reg < c->n_loads + c->n_constants)
            continue;
        used[k] = TRUE;
        g_free (c->slots[c->stores[i].slot]);
        c->slots[c->stores[i].slot] = c->slots[c->loads[k].slot];
        c->shared[c->stores[i].slot] = TRUE;
    }
    dlh_ew_program_run (program, c->slots);
    for (guint i = 0; i < c->n_stores && good; i++)
        for (gsize e = 0; e < c->count && good; e++) {
            double got = load_value (c->dtype, c->slots[c->stores[i].slot], e);

            if (got == store[i][e])
                continue;
            test_fail ("case %u: store %u, element %zu of %zu: got %.17g, want %.17g", number, i, e,
                       c->count, got, store[i][e]);
            good = FALSE;
        }
    for (guint i = 0; i < c->n_sums && good; i++)
        for (gsize e = 0; e < c->slot_count[c->sums[i].slot] && good; e++) {
            double got = load_value (c->dtype, c->slots[c->sums[i].slot], e);
            double want = (double)(0.5L * sum[i][e]);
            // A block's partial sums have 32 terms; blocks and chunks follow.
            double tolerance = eps * fabs (want) + 100 * DBL_EPSILON * size[i][e];

            if (fabs (got - want) <= tolerance)
                continue;
            test_fail ("case %u: sum %u, element %zu: got %.17g, want %.17g +- %g", number, i, e,
                       got, want, tolerance);
            good = FALSE;
        }
    dlh_ew_program_free (program);
    for (guint i = 0; i < c->n_slots; i++)
        g_free (before[i]);
    for (guint i = 0; i < c->n_stores; i++)
        g_free (store[i]);
    for (guint i = 0; i < c->n_sums; i++) {
        g_free (sum[i]);
        g_free (size[i]);
    }
    return good;
}

static void
run_cases (guint32 seed, guint n, gsize limit, gboolean in_place)
{
    GRand *rand = g_rand_new_with_seed (seed);
    gboolean good = TRUE;

    for (guint i = 0; i < n && good; i++) {
        Case c;

        random_case (&c, rand, random_domain (rand, limit));
        good = check_case (&c, in_place, i);
        free_case (&c);
    }
    g_rand_free (rand);
}

static void
random_small (void) // "/ew/random-programs/small-domains-exact"
{
    run_cases (1, 400, 3000, FALSE);
}

static void
random_large (void) // "/ew/random-programs/large-domains-exact"
{
    run_cases (2, 60, 200000, FALSE);
}

static void
random_in_place (void) // "/ew/random-programs/in-place-exact"
{
    run_cases (3, 300, 5000, TRUE);
    run_cases (4, 20, 200000, TRUE);
}

// Operands that do not fit the cache go in short blocks, with a rest in the last one.
static void
random_streams (void) // "/ew/random-programs/short-blocks-exact"
{
    GRand *rand = g_rand_new_with_seed (6);
    gboolean good = TRUE;

    for (guint i = 0; i < 16 && good; i++) {
        Case c;

        random_case (&c, rand, dlh_shape (300007));
        c.n_sums = 0;
        good = check_case (&c, i % 2 == 0, i);
        free_case (&c);
    }
    g_rand_free (rand);
}

// The same program gives the same bytes on one thread, two and five.
static void
threads_bitwise (void) // "/ew/random-programs/threads-bitwise"
{
    GRand *rand = g_rand_new_with_seed (5);
    guint before = dlh_get_threads ();

    for (guint i = 0; i < 30; i++) {
        void *first[MAX_SLOTS];
        Case c;

        random_case (&c, rand, random_domain (rand, 300000));
        for (guint threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
            DlhEwProgram *program;

            dlh_set_threads (threads);
            program = case_program (&c);
            dlh_ew_program_run (program, c.slots);
            dlh_ew_program_free (program);
            if (threads == 1)
                copy_slots (&c, first);
            for (guint k = 0; k < c.n_slots; k++)
                if (memcmp (first[k], c.slots[k], c.slot_count[k] * dlh_dtype_size (c.dtype)))
                    test_fail ("case %u, %u threads: slot %u differs", i, threads, k);
        }
        for (guint k = 0; k < c.n_slots; k++)
            g_free (first[k]);
        free_case (&c);
    }
    dlh_set_threads (before);
    g_rand_free (rand);
}

// Shapes for which the sums are cut up in each way: whole rows, strips of columns, partial sums.
static void
large_sums (void) // "/ew/large-sums/every-cut-exact"
{
    const struct {
        DlhShape domain;
        gboolean reduced[3];
    } cases[] = {
        {dlh_shape (60000, 3), {FALSE, TRUE}},
        {dlh_shape (3, 60000), {TRUE, FALSE}},
        {dlh_shape (200000), {TRUE}},
        {dlh_shape (3000, 70), {TRUE, FALSE}},
        {dlh_shape (70, 3000), {FALSE, TRUE}},
        {dlh_shape (40, 16, 300), {TRUE, FALSE, TRUE}},
        {dlh_shape (9000, 2, 9), {FALSE, TRUE, FALSE}},
        {dlh_shape (3, 3, 20000), {TRUE, FALSE, FALSE}},
        {dlh_shape (20000, 3, 3), {FALSE, TRUE, TRUE}},
    };
    GRand *rand = g_rand_new_with_seed (6);

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        Case c;

        random_case (&c, rand, cases[i].domain);
        for (guint k = 0; k < c.n_sums; k++) {
            g_free (c.slots[c.sums[k].slot]);
            c.shared[c.sums[k].slot] = TRUE;
        }
        c.n_sums = 2;
        for (guint k = 0; k < 2; k++) {
            gsize n = 1;

            for (guint axis = 0; axis < c.domain.rank; axis++) {
                c.sums[k].reduced[axis] = cases[i].reduced[axis];
                n *= cases[i].reduced[axis] ? 1 : (gsize)c.domain.dims[axis];
            }
            c.sums[k].reg = (guint16)(c.n_registers - 1 - k);
            c.sums[k].dtype = c.dtype;
            c.sums[k].scale = 0.5;
            c.sums[k].slot = new_slot (&c, n);
        }
        for (guint k = 0; k < c.n_slots; k++)
            if (c.shared[k]) {
                c.slots[k] = g_malloc0 (8);
                c.slot_count[k] = 0;
                c.shared[k] = FALSE;
            }
        check_case (&c, FALSE, i);
        free_case (&c);
    }
    g_rand_free (rand);
}

static void
empty_domain (void) // "/ew/empty-domain/sums-are-zero"
{
    double out[3] = {7, 7, 7}, in[1] = {5};
    void *slots[] = {in, out};
    DlhEwLoad load = {.reg = 0, .slot = 0, .dtype = DLH_F64, .strides = {0, 1}};
    DlhEwSum sum = {.reg = 0, .slot = 1, .dtype = DLH_F64, .reduced = {TRUE, FALSE}, .scale = 1};
    DlhEwProgram *program =
        dlh_ew_program_new (dlh_shape (0, 3), 1, &load, 1, NULL, 0, NULL, 0, NULL, 0, &sum, 1, 0);

    dlh_ew_program_run (program, slots);
    dlh_ew_program_free (program);
    test_assert_close (out, ((double[]){0, 0, 0}), 3, 0);
}

typedef struct {
    gint hits[1000];
    guint max_thread;
} Coverage;

static void
cover (gsize begin, gsize end, guint thread, gpointer data)
{
    Coverage *c = data;

    for (gsize i = begin; i < end; i++)
        g_atomic_int_inc (&c->hits[i]);
    if (thread >= dlh_get_threads ())
        c->max_thread = thread;
}

static void
parallel_once_each (void) // "/ew/parallel-for/every-index-once"
{
    guint before = dlh_get_threads ();

    for (guint threads = 1; threads <= 4; threads++)
        for (gsize n = 0; n <= 1000; n += 37) {
            Coverage c = {{0}, 0};

            dlh_set_threads (threads);
            dlh_parallel_for (n, 10, cover, &c);
            for (gsize i = 0; i < 1000; i++)
                if (c.hits[i] != (i < n))
                    test_fail ("%u threads, n %zu: index %zu ran %d times", threads, n, i,
                               c.hits[i]);
            if (c.max_thread)
                test_fail ("thread number %u of %u", c.max_thread, threads);
        }
    dlh_set_threads (before);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/ew/random-programs/small-domains-exact", random_small);
    g_test_add_func ("/ew/random-programs/large-domains-exact", random_large);
    g_test_add_func ("/ew/random-programs/in-place-exact", random_in_place);
    g_test_add_func ("/ew/random-programs/short-blocks-exact", random_streams);
    g_test_add_func ("/ew/random-programs/threads-bitwise", threads_bitwise);
    g_test_add_func ("/ew/large-sums/every-cut-exact", large_sums);
    g_test_add_func ("/ew/empty-domain/sums-are-zero", empty_domain);
    g_test_add_func ("/ew/parallel-for/every-index-once", parallel_once_each);
    return g_test_run ();
}
