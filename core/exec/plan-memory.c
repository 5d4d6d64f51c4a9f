/* SPDX-License-Identifier: MIT */
/* The plan of the arena: buffers, which of them share storage, and where each lies. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "exec/private.h"

#define ALIGN 64

// For step @s and those beside it.
static int
new_buffer (DlhCompiler *c, gsize bytes, const DlhStep *s)
{
    DlhBuffer b = {.bytes = bytes,
                   .first = s->begin,
                   .last = s->end,
                   .born = s->position,
                   .dies = s->position};

    b.storage = c->buffers->len;
    g_array_append_val (c->buffers, b);
    return (int)c->buffers->len - 1;
}

static void
extend (DlhCompiler *c, guint step, DlhNode *x, gpointer data)
{
    DlhNode *root = c->values[x->id].root;
    int buffer = root ? c->buffer[root->id] : -1;

    (void)data;
    if (buffer >= 0) {
        DlhBuffer *b = &g_array_index (c->buffers, DlhBuffer, buffer);
        const DlhStep *s = c->steps->pdata[step];

        b->last = MAX (b->last, s->end);
        b->dies = MAX (b->dies, s->position);
    }
}

// Until all steps are done.
static void
keep (DlhCompiler *c, int buffer)
{
    DlhBuffer *b = &g_array_index (c->buffers, DlhBuffer, buffer);

    b->last = b->dies = c->steps->len;
}

static void
make_buffers (DlhCompiler *c)
{
    for (guint id = 0; id < c->n; id++)
        if (c->values[id].place == DLH_AT_BUFFER &&
            c->values[id].root == dlh_graph_node (c->graph, id)) {
            DlhStep *s = c->steps->pdata[c->producer[id]];

            c->buffer[id] = new_buffer (c, dlh_plan_bytes_of (c->values[id].root), s);
        }
    for (guint s = 0; s < c->steps->len; s++) {
        DlhStep *step = c->steps->pdata[s];

        dlh_plan_for_operands (c, s, extend, NULL);
        if (step->kind == DLH_STEP_KERNEL && step->node->op->workspace) {
            gsize bytes = step->node->op->workspace (step->node);

            if (bytes)
                c->work[s] = new_buffer (c, bytes, step);
        }
        if (step->kind == DLH_STEP_COPY && step->target < 0) {
            c->stage[-1 - step->target] = new_buffer (c, dlh_plan_bytes_of (step->node), step);
            keep (c, c->stage[-1 - step->target]);
        }
    }
    // What is committed after the last step lives until then.
    for (guint i = 0; i < c->assignments->len; i++) {
        DlhAssignment *a = &g_array_index (c->assignments, DlhAssignment, i);
        DlhNode *root = c->values[a->node->inputs[0]->id].root;

        if (!a->in_place && c->buffer[root->id] >= 0)
            keep (c, c->buffer[root->id]);
    }
}

// Whether a step beside @s, or @s, needs all of what lies in @storage for each of its rows.
typedef struct {
    guint storage;
    gboolean found;
} Whole;

static void
find_whole (DlhCompiler *c, guint step, DlhNode *x, gpointer data)
{
    Whole *w = data;
    const DlhNode *root = c->values[x->id].root;

    if (root && c->buffer[root->id] >= 0 &&
        g_array_index (c->buffers, DlhBuffer, c->buffer[root->id]).storage == w->storage &&
        !dlh_plan_reads_by_row (c, c->steps->pdata[step], x))
        w->found = TRUE;
}

static gboolean
is_read_whole (DlhCompiler *c, const DlhStep *s, guint storage)
{
    Whole w = {storage, FALSE};

    for (guint k = s->begin; s->n_rows && k <= s->end; k++)
        dlh_plan_for_operands (c, c->order[k], find_whole, &w);
    return w.found;
}

// An element-wise result takes over the memory of an operand that dies with the step. The shapes
// are equal, so equal bytes mean elements of one size: each is read before its place is written.
static void
take_over (DlhCompiler *c, guint step, DlhNode *x, gpointer data)
{
    DlhBuffer *out = data, *in;
    DlhStep *s = c->steps->pdata[step];
    int buffer = c->values[x->id].root ? c->buffer[c->values[x->id].root->id] : -1;

    if (buffer < 0 || out->storage != (guint)(out - (DlhBuffer *)(void *)c->buffers->data) ||
        !dlh_shape_equal (x->shape, s->kind == DLH_STEP_FUSED ? s->group->domain : s->node->shape))
        return;
    in = &g_array_index (c->buffers, DlhBuffer, buffer);
    if (in->dies != s->position || in->bytes != out->bytes || c->values[x->id].offset ||
        is_read_whole (c, s, in->storage))
        return;
    // Each operand's memory is taken once.
    for (guint i = 0; i < c->buffers->len; i++) {
        DlhBuffer *b = &g_array_index (c->buffers, DlhBuffer, i);

        if (b->storage == in->storage && b->born >= s->position)
            return;
    }
    out->storage = in->storage;
}

static void
share_buffers (DlhCompiler *c)
{
    if (c->flags & DLH_COMPILE_NO_IN_PLACE)
        return;
    for (guint position = 0; position < c->steps->len; position++) {
        guint index = c->order[position];
        DlhStep *s = c->steps->pdata[index];
        guint n = s->kind == DLH_STEP_FUSED ? s->group->members->len : 1;

        if (s->kind == DLH_STEP_COPY || (s->begin != s->end && !s->n_rows) ||
            (s->kind == DLH_STEP_KERNEL && !(s->node->op->flags & DLH_OP_IN_PLACE)))
            continue;
        for (guint i = 0; i < n; i++) {
            DlhNode *m = s->kind == DLH_STEP_FUSED ? s->group->members->pdata[i] : s->node;

            if (c->buffer[m->id] < 0 || m->op == &dlh_op_sum)
                continue;
            if (s->kind == DLH_STEP_FUSED)
                dlh_plan_for_operands (c, index, take_over,
                                       &g_array_index (c->buffers, DlhBuffer, c->buffer[m->id]));
            else
                take_over (c, index, m->inputs[0],
                           &g_array_index (c->buffers, DlhBuffer, c->buffer[m->id]));
        }
    }
}

typedef struct {
    gsize bytes, at;
    guint first, last;
    guint id;
} Storage;

static int
larger_first (gconstpointer a, gconstpointer b)
{
    const Storage *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

// The lowest place where @s fits beside those placed before that are alive at the same time.
static gsize
lowest_fit (const GArray *placed, const Storage *s)
{
    gsize at = 0;

    for (gboolean moved = TRUE; moved;) {
        moved = FALSE;
        for (guint i = 0; i < placed->len; i++) {
            const Storage *p = &g_array_index (placed, Storage, i);

            if (p->first <= s->last && s->first <= p->last && at < p->at + p->bytes &&
                p->at < at + s->bytes) {
                at = p->at + p->bytes;
                moved = TRUE;
            }
        }
    }
    return at;
}

static void
place_buffers (DlhCompiler *c)
{
    g_autoptr (GArray) all = g_array_new (FALSE, TRUE, sizeof (Storage));
    g_autoptr (GArray) placed = g_array_new (FALSE, FALSE, sizeof (Storage));
    g_autofree gsize *at = g_new0 (gsize, c->buffers->len + 1);

    g_array_set_size (all, c->buffers->len);
    for (guint i = 0; i < c->buffers->len; i++) {
        DlhBuffer *b = &g_array_index (c->buffers, DlhBuffer, i);
        Storage *s = &g_array_index (all, Storage, b->storage);

        if (!s->bytes)
            *s =
                (Storage){(b->bytes + ALIGN - 1) / ALIGN * ALIGN, 0, b->first, b->last, b->storage};
        s->first = MIN (s->first, b->first);
        s->last = MAX (s->last, b->last);
    }
    g_array_sort (all, larger_first);
    for (guint i = 0; i < all->len; i++) {
        Storage *s = &g_array_index (all, Storage, i);

        if (!s->bytes)
            continue;
        s->at = lowest_fit (placed, s);
        at[s->id] = s->at;
        c->arena_size = MAX (c->arena_size, s->at + s->bytes);
        g_array_append_val (placed, *s);
    }
    for (guint i = 0; i < c->buffers->len; i++) {
        DlhBuffer *b = &g_array_index (c->buffers, DlhBuffer, i);

        b->at = at[b->storage];
    }
}

void
dlh_plan_memory (DlhCompiler *c)
{
    c->work = g_new (int, c->steps->len + 1);
    c->stage = g_new (int, c->assignments->len + 1);
    memset (c->work, -1, (c->steps->len + 1) * sizeof (int));
    memset (c->stage, -1, (c->assignments->len + 1) * sizeof (int));
    make_buffers (c);
    share_buffers (c);
    place_buffers (c);
}
