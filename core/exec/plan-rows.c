/* SPDX-License-Identifier: MIT */
/* Runs of steps that go by rows: row r of whatever they write needs row r of what the others write,
 * and nothing else of theirs. Then each thread can take some of the rows through all of the steps,
 * and they wait for each other once instead of after each step. Decoders, encoders and networks on
 * a batch of examples or chains are such runs, gradients by their inputs as well; sums over the
 * batch end them.
 *
 * Since threads are at different steps at a time, what lies in memory for one of the steps must not
 * lie where another has something else: plan-memory.c keeps their buffers apart, but for results
 * that take over an operand's memory row by row. */
#include <dlhost/dlhost.h>
#include "exec/private.h"

#define LEAST_ROWS 16    /* that two threads would share */
#define SHARED_FLOPS 1e5 /* of a step that threads would share by itself; */
#define LEAST_SHARED 6   /* so many make a run: with fewer, rows of all right factors cost more */
#define LONG_FLOPS 2e9   /* of a step so long that waiting at its end is nothing */

double
dlh_plan_flops (const DlhStep *s)
{
    const guint n = s->kind == DLH_STEP_FUSED ? s->group->members->len : 1;
    double flops = 0;

    for (guint i = 0; i < n && s->kind != DLH_STEP_COPY; i++) {
        const DlhNode *m = s->kind == DLH_STEP_FUSED ? s->group->members->pdata[i] : s->node;

        if (s->kind == DLH_STEP_FUSED && m->op == &dlh_op_sum)
            flops += (double)dlh_shape_count (m->inputs[0]->shape);
        else
            flops += m->op->flops ? m->op->flops (m) : (double)dlh_shape_count (m->shape);
    }
    return flops;
}

static guint32
rows_of_kernel (const DlhNode *node)
{
    const DlhOpRows *rows = dlh_op_rows (node->op);

    return rows ? rows->inputs (node) : 0;
}

// The size of the first axis of all that @s writes; 0 when it does not go by rows.
static gint64
rows_of (const DlhStep *s)
{
    const DlhShape shape = s->kind == DLH_STEP_FUSED ? s->group->domain : s->node->shape;

    if (s->kind == DLH_STEP_COPY || s->begin != s->end || shape.rank == 0 ||
        dlh_shape_count (shape) == 0)
        return 0;
    if (s->kind == DLH_STEP_KERNEL)
        return rows_of_kernel (s->node) & DLH_BY_ROWS ? shape.dims[0] : 0;
    for (guint i = 0; i < s->group->members->len; i++) {
        const DlhNode *m = s->group->members->pdata[i];

        if (m->op == &dlh_op_sum && ((const DlhSumAttrs *)m->attrs)->reduced[0])
            return 0;
    }
    return shape.dims[0];
}

static gboolean
takes_rows (const DlhStep *s, const DlhNode *x)
{
    const DlhShape shape = s->kind == DLH_STEP_FUSED ? s->group->domain : s->node->shape;
    const guint32 rows = s->kind == DLH_STEP_KERNEL ? rows_of_kernel (s->node) : 0;

    if (x->shape.rank == 0 || x->shape.dims[0] != shape.dims[0])
        return FALSE;
    // Shapes of element-wise operands are aligned at the last axis.
    if (s->kind == DLH_STEP_FUSED)
        return x->shape.rank == shape.rank;
    for (guint k = 0; k < s->node->n_inputs; k++)
        if (s->node->inputs[k] == x && !(k < 31 && (rows >> k & 1)))
            return FALSE;
    return TRUE;
}

// What @x is a view of, or the variable's value before or after the run.
static gsize
bytes_of_memory (DlhCompiler *c, const DlhNode *x)
{
    const DlhNode *root = c->values[x->id].root;

    return root->op == &dlh_op_assign ? dlh_plan_bytes_of (root->inputs[0])
                                      : dlh_plan_bytes_of (root);
}

gboolean
dlh_plan_reads_by_row (DlhCompiler *c, const DlhStep *s, DlhNode *x)
{
    return takes_rows (s, x) && c->values[x->id].offset == 0 &&
           dlh_plan_bytes_of (x) == bytes_of_memory (c, x);
}

/* Growing a run. */

typedef struct {
    guint begin, end;      /* positions */
    DlhVariable *variable; /* written in place */
    gboolean apart;        /* rows do not need each other so far */
} Run;

static gboolean
is_made_in (DlhCompiler *c, const Run *r, guint step, const DlhNode *x)
{
    const int producer = c->producer[x->id];
    const DlhStep *s = producer < 0 ? NULL : c->steps->pdata[producer];

    return s && (guint)producer != step && s->position >= r->begin && s->position <= r->end;
}

static void
check_operand (DlhCompiler *c, guint step, DlhNode *x, gpointer data)
{
    Run *r = data;

    for (DlhNode *y = x;; y = y->inputs[0]) {
        if (is_made_in (c, r, step, y) && !dlh_plan_reads_by_row (c, c->steps->pdata[step], x))
            r->apart = FALSE;
        if (!dlh_is_view (y))
            return;
    }
}

static void
check_reader (DlhCompiler *c, guint step, DlhNode *x, gpointer data)
{
    Run *r = data;
    const DlhNode *root = c->values[x->id].root;

    if (root && root->op == &dlh_op_read && root->variable == r->variable &&
        !dlh_plan_reads_by_row (c, c->steps->pdata[step], x))
        r->apart = FALSE;
}

// No step of the run may need all of a variable that the last one writes in place.
static void
check_writes (DlhCompiler *c, Run *r, const DlhStep *s)
{
    const guint n = s->kind == DLH_STEP_FUSED ? s->group->members->len : 1;

    for (guint i = 0; i < n && s->writes; i++) {
        const DlhNode *m = s->kind == DLH_STEP_FUSED ? s->group->members->pdata[i] : s->node;
        const DlhValue *v = &c->values[m->id];

        if (v->place != DLH_AT_VARIABLE || v->root->op != &dlh_op_assign)
            continue;
        r->variable = v->root->variable;
        for (guint k = r->begin; k <= s->position; k++)
            dlh_plan_for_operands (c, c->order[k], check_reader, r);
    }
}

// Whether the step after the run's end can be one of it.
static gboolean
fits (DlhCompiler *c, Run *r)
{
    const guint next = c->order[r->end + 1];

    r->apart = TRUE;
    dlh_plan_for_operands (c, next, check_operand, r);
    if (r->apart)
        check_writes (c, r, c->steps->pdata[next]);
    return r->apart;
}

static void
close_run (DlhCompiler *c, const Run *r, gint64 n_rows)
{
    guint n_shared = 0;

    for (guint k = r->begin; k <= r->end; k++)
        n_shared += ((DlhStep *)c->steps->pdata[c->order[k]])->flops >= SHARED_FLOPS;
    for (guint k = r->begin; n_shared >= LEAST_SHARED && k <= r->end; k++) {
        DlhStep *s = c->steps->pdata[c->order[k]];

        s->begin = r->begin;
        s->end = r->end;
        s->n_rows = n_rows;
    }
}

void
dlh_plan_rows (DlhCompiler *c)
{
    for (guint k = 0; k < c->steps->len;) {
        const DlhStep *s = c->steps->pdata[c->order[k]];
        Run r = {.begin = k, .end = k};
        const gint64 n_rows = s->flops < LONG_FLOPS ? rows_of (s) : 0;

        k++;
        if (n_rows < LEAST_ROWS)
            continue;
        for (; k < c->steps->len; k++) {
            s = c->steps->pdata[c->order[k]];
            if (s->flops >= LONG_FLOPS || rows_of (s) != n_rows || !fits (c, &r))
                break;
            r.end = k;
        }
        close_run (c, &r, n_rows);
    }
}
