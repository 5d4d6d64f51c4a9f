/* SPDX-License-Identifier: MIT */
/* Phases beside the steps: what a phase reads is copied, a thread computes it from the copies while
 * steps go on, and it is stored at a step that was fixed when it began. So neither speed nor luck
 * decides what a step sees.
 *
 * The copies are variables: a checkpoint in between holds them, and a run that starts from it does
 * the work again, with the same result. The thread keeps to itself: one core, whatever the number
 * of threads, so its results do not depend on that either. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "cpu/parallel.h"
#include "train/private.h"

typedef struct {
    DlhVariable *from, *to;
} Copy;

struct _DlhBeside {
    DlhStore *store;
    char *name, *place; /* of the phase; where its variables are: "<optimizer>/<phase>" */
    gint64 delay;
    DlhFunction *function; /* reads copies only; its outputs are what is to be stored */
    GArray *copies;        /* Copy */
    GPtrArray *targets;    /* DlhVariable*, one an output */
    DlhVariable *begun;    /* i64: the step of the copies, from 1; 0: nothing is under way */

    GThread *thread; /* NULL until first needed */
    GMutex lock;
    GCond changed;
    gboolean busy, stop; /* with the lock */
    gint64 job;          /* what begun was when the thread was sent off; 0: it has nothing to do */
    GError *error;       /* of the job, once it is not busy */
};

static gint64 *
begun_at (DlhBeside *b)
{
    return dlh_tensor_get_data (dlh_variable_tensor (b->begun));
}

/* Making. */

typedef struct {
    DlhBeside *b;
    const char *prefix; /* of the optimizer's variables */
    GHashTable *copied; /* DlhVariable -> the copy */
    GError *error;
} Copier;

static DlhVariable *
copy_of (Copier *c, DlhVariable *from)
{
    const char *name = dlh_variable_name (from);
    gsize n = strlen (c->prefix);
    g_autofree char *full = NULL;
    Copy copy = {from, g_hash_table_lookup (c->copied, from)};

    if (copy.to)
        return copy.to;
    if (g_str_has_prefix (name, c->prefix) && name[n] == '/')
        name += n + 1;
    full = g_strdup_printf ("%s/copy/%s", c->b->place, name);
    copy.to =
        dlh_store_variable (c->b->store, full, dlh_variable_dtype (from), dlh_variable_shape (from),
                            (DlhInit){.kind = DLH_INIT_ZEROS}, &c->error);
    if (copy.to) {
        g_hash_table_insert (c->copied, from, copy.to);
        g_array_append_val (c->b->copies, copy);
    }
    return copy.to;
}

static void
refuse (Copier *c, const char *what)
{
    if (!c->error)
        g_set_error (&c->error, DLH_ERROR, DLH_ERROR_GRAPH,
                     "phase '%s' is computed beside the steps and depends on %s: store what it "
                     "needs in a state, in a phase with the step",
                     c->b->name, what);
}

static DlhNode *
read_copy (DlhNode *node, DlhNode *const *inputs, gpointer user_data)
{
    Copier *c = user_data;
    DlhVariable *variable = dlh_node_variable (node), *copy;

    (void)inputs;
    if (dlh_node_is (node, "input"))
        refuse (c, "the batch");
    if (!dlh_node_is (node, "read") || c->error)
        return NULL;
    if (g_str_has_prefix (dlh_variable_name (variable), "random/")) {
        refuse (c, "random numbers");
        return NULL;
    }
    copy = copy_of (c, variable);
    return copy ? dlh_read (dlh_node_graph (node), copy) : NULL;
}

static gboolean
compile (DlhBeside *b, DlhUpdate *u, int phase, GError **error)
{
    g_autoptr (GPtrArray) values = g_ptr_array_new ();
    g_autoptr (GHashTable) copied = g_hash_table_new (NULL, NULL);
    Copier c = {b, u->prefix, copied, NULL};

    for (guint i = 0; i < u->assigns->len; i++) {
        const DlhPhaseAssign *a = &g_array_index (u->assigns, DlhPhaseAssign, i);

        if (a->phase != phase)
            continue;
        g_ptr_array_add (values, dlh_node_input (a->assign, 0));
        g_ptr_array_add (b->targets, dlh_node_variable (a->assign));
    }
    dlh_graph_rewrite ((DlhNode **)values->pdata, values->len, read_copy, &c,
                       (DlhNode **)values->pdata);
    if (c.error) {
        g_propagate_error (error, c.error);
        return FALSE;
    }
    b->function = dlh_graph_compile_full (u->graph, (DlhNode **)values->pdata, values->len,
                                          u->training->compile_flags, error);
    return b->function != NULL;
}

DlhBeside *
dlh_beside_new (DlhUpdate *u, guint phase, GError **error)
{
    const DlhPhase *p = &g_array_index (u->phases, DlhPhase, phase);
    g_autoptr (DlhBeside) b = g_new0 (DlhBeside, 1);
    g_autofree char *begun = NULL;

    g_mutex_init (&b->lock);
    g_cond_init (&b->changed);
    b->store = dlh_store_ref (u->store);
    b->name = g_strdup (p->name);
    b->place = g_strdup_printf ("%s/%s", u->prefix, p->name);
    b->delay = p->delay;
    b->copies = g_array_new (FALSE, FALSE, sizeof (Copy));
    b->targets = g_ptr_array_new ();
    begun = g_strdup_printf ("%s/begun", b->place);
    b->begun = dlh_store_variable (u->store, begun, DLH_I64, dlh_shape (),
                                   (DlhInit){.kind = DLH_INIT_ZEROS}, error);
    if (!b->begun || !compile (b, u, (int)phase, error))
        return NULL;
    return g_steal_pointer (&b);
}

DlhFunction *
dlh_beside_function (DlhBeside *b)
{
    return b->function;
}

/* The thread. */

static gpointer
work (gpointer data)
{
    DlhBeside *b = data;

    dlh_parallel_limit (1);
    g_mutex_lock (&b->lock);
    while (!b->stop) {
        if (!b->busy) {
            g_cond_wait (&b->changed, &b->lock);
            continue;
        }
        g_mutex_unlock (&b->lock);
        dlh_function_run (b->function, NULL, 0, &b->error);
        g_mutex_lock (&b->lock);
        b->busy = FALSE;
        g_cond_broadcast (&b->changed);
    }
    g_mutex_unlock (&b->lock);
    return NULL;
}

static void
wait_for_thread (DlhBeside *b)
{
    g_mutex_lock (&b->lock);
    while (b->busy)
        g_cond_wait (&b->changed, &b->lock);
    g_mutex_unlock (&b->lock);
}

static gboolean
send_off (DlhBeside *b, GError **error)
{
    g_clear_error (&b->error);
    if (!b->thread && !(b->thread = g_thread_try_new ("dlhost-beside", work, b, error)))
        return FALSE;
    b->job = *begun_at (b);
    g_mutex_lock (&b->lock);
    b->busy = TRUE;
    g_cond_broadcast (&b->changed);
    g_mutex_unlock (&b->lock);
    return TRUE;
}

void
dlh_beside_free (DlhBeside *b)
{
    if (!b)
        return;
    if (b->thread) {
        g_mutex_lock (&b->lock);
        b->stop = TRUE;
        g_cond_broadcast (&b->changed);
        g_mutex_unlock (&b->lock);
        g_thread_join (b->thread);
    }
    g_clear_error (&b->error);
    dlh_function_unref (b->function);
    g_array_unref (b->copies);
    g_ptr_array_unref (b->targets);
    g_mutex_clear (&b->lock);
    g_cond_clear (&b->changed);
    dlh_store_unref (b->store);
    g_free (b->name);
    g_free (b->place);
    g_free (b);
}

/* Steps. */

static void
take_copies (DlhBeside *b)
{
    for (guint i = 0; i < b->copies->len; i++) {
        const Copy *c = &g_array_index (b->copies, Copy, i);
        DlhTensor *to = dlh_variable_tensor (c->to);

        memcpy (dlh_tensor_get_data (to), dlh_tensor_get_data (dlh_variable_tensor (c->from)),
                dlh_tensor_bytes (to));
    }
}

// Waits for the result and stores it.
static gboolean
collect (DlhBeside *b, GError **error)
{
    const gint64 begun = *begun_at (b);

    wait_for_thread (b);
    if (b->error) {
        b->job = 0;
        g_propagate_error (error, g_steal_pointer (&b->error));
        if (error && *error)
            g_prefix_error (error, "%s, begun after step %" G_GINT64_FORMAT ": ", b->name,
                            begun - 1);
        return FALSE;
    }
    for (guint i = 0; i < b->targets->len; i++) {
        DlhTensor *to = dlh_variable_tensor (b->targets->pdata[i]);

        memcpy (dlh_tensor_get_data (to),
                dlh_tensor_get_data ((DlhTensor *)dlh_function_output (b->function, i)),
                dlh_tensor_bytes (to));
    }
    *begun_at (b) = b->job = 0;
    return TRUE;
}

gboolean
dlh_beside_step (DlhBeside *b, gint64 step, gboolean due, gboolean first, GError **error)
{
    // Under way in the run that wrote the checkpoint, or the store was loaded meanwhile.
    if (*begun_at (b) != b->job) {
        wait_for_thread (b);
        b->job = 0;
        if (*begun_at (b) && !send_off (b, error))
            return FALSE;
    }
    if (b->job && step >= b->job - 1 + b->delay && !collect (b, error))
        return FALSE;
    if (!due || b->job)
        return TRUE;
    take_copies (b);
    *begun_at (b) = step + 1;
    // There is nothing older to go on with: the first result is waited for.
    return send_off (b, error) && (!first || collect (b, error));
}

gboolean
dlh_beside_now (DlhBeside *b, gint64 step, GError **error)
{
    wait_for_thread (b);
    take_copies (b);
    *begun_at (b) = step + 1;
    return send_off (b, error) && collect (b, error);
}
