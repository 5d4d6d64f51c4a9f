/* SPDX-License-Identifier: MIT */
/* Optimizers and models in short training runs on every problem that they accept. */
#include <math.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "preload.h"
#include "training.h"

#define BATCH 4

// An optimizer may have phases of long periods; beside it the model is tiny.
static guint
n_steps (const Check *c)
{
    if (c->info->manifest->kind == DLH_OPTIMIZER)
        return c->thorough ? 100 : 25;
    return c->thorough ? 40 : 6;
}

gboolean
check_accepted (Check *c, const Problem *p)
{
    return check_status (c, "accepts", p->name) == CHECK_OK;
}

static gboolean
is_refusal (const GError *error)
{
    return error->domain == DLH_ERROR &&
           (error->code == DLH_ERROR_SHAPE || error->code == DLH_ERROR_OPTION);
}

/* A run that must succeed, since the problem has been accepted. */
static gboolean
run_steps (Bench *b, Check *c, const Problem *p, DlhDType dtype, guint n)
{
    g_autoptr (GError) error = NULL;

    if (bench_init (b, c, p, dtype, NULL, &error) && bench_steps (b, n, BATCH, &error))
        return TRUE;
    check_fail (c, "%s, but the problem was accepted before; accept or refuse it always",
                error->message);
    return FALSE;
}

/* The checks. Each is an item of its group on problem @p. */

static void
accepts (Check *c, const Problem *p)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    if (bench_init (&b, c, p, DLH_F32, NULL, &error) && bench_steps (&b, 2, BATCH, &error) &&
        dlh_trainer_evaluate (b.trainer, b.x, b.y, &error)) {
        check_ok (c, "loss %.4g, %u variables", dlh_trainer_value (b.trainer, 0),
                  dlh_store_n_variables (b.store));
        return;
    }
    if (is_refusal (error))
        check_skip (c, "refused: %s", error->message);
    else
        check_fail (c,
                    "%s: a plugin refuses what it cannot do with DLH_ERROR_SHAPE or "
                    "DLH_ERROR_OPTION and does the rest without error",
                    error->message);
}

static void
determinism (Check *c, const Problem *p)
{
    g_auto (Bench) a = {0};
    g_auto (Bench) b = {0};
    g_autofree char *difference = NULL, *digest = NULL;
    g_autofree char *name = g_strdup_printf ("digest/%s", p->name);

    if (!run_steps (&a, c, p, DLH_F32, n_steps (c)) || !run_steps (&b, c, p, DLH_F32, n_steps (c)))
        return;
    difference = stores_difference (b.store, a.store);
    digest = store_digest (a.store);
    check_found (c, name, "%s", digest);
    if (difference)
        check_fail (c,
                    "two runs of the same seed differ: %s; draw from dlh_update_stream() or "
                    "dlh_store_stream() and keep no state outside the store",
                    difference);
    else
        check_ok (c, "%u steps, same bytes", n_steps (c));
}

static void
other_process (Check *c, const Problem *p)
{
    g_auto (Bench) b = {0};
    g_autofree char *name = g_strdup_printf ("digest/%s", p->name), *digest = NULL;
    const char *want = g_hash_table_lookup (c->found, name);

    if (!want) {
        check_drop (c);
        return;
    }
    if (!run_steps (&b, c, p, DLH_F32, n_steps (c)))
        return;
    digest = store_digest (b.store);
    if (strcmp (digest, want) == 0)
        check_ok (c, "same bytes");
    else
        check_fail (c, "the same seed gives other bytes in another process; do not use the time, "
                       "the process's id, addresses or uninitialised memory");
}

static void
threads (Check *c, const Problem *p)
{
    guint before = dlh_get_threads ();
    g_auto (Bench) one = {0};
    g_auto (Bench) two = {0};
    double distance;

    if (check_group_failed (c, "determinism")) {
        check_skip (c, "two equal runs differ already, see determinism");
        return;
    }
    dlh_set_threads (1);
    if (run_steps (&one, c, p, DLH_F64, 5)) {
        dlh_set_threads (2);
        if (run_steps (&two, c, p, DLH_F64, 5)) {
            distance = stores_distance (two.store, one.store);
            if (distance == 0)
                check_ok (c, "1 and 2 threads agree bit for bit");
            else if (distance <= 1e-9)
                check_ok (c, "1 and 2 threads agree to rounding, %.1g", distance);
            else
                check_fail (c,
                            "2 threads differ from 1 by %.3g of a variable's size in f64, 1e-9 is "
                            "rounding; look for data shared between threads",
                            distance);
        }
    }
    dlh_set_threads (before);
}

static void
resume (Check *c, const Problem *p)
{
    guint first = n_steps (c) / 2 + 1, rest = n_steps (c) - first;
    g_autofree char *path = g_build_filename (c->scratch, "resume.safetensors", NULL);
    g_autofree char *difference = NULL;
    g_autoptr (GError) error = NULL;
    g_auto (Bench) whole = {0};
    g_auto (Bench) part = {0};
    g_auto (Bench) again = {0};

    if (check_group_failed (c, "determinism")) {
        check_skip (c, "two equal runs differ already, see determinism");
        return;
    }
    if (!run_steps (&whole, c, p, DLH_F32, first + rest) ||
        !run_steps (&part, c, p, DLH_F32, first))
        return;
    if (!dlh_store_save (part.store, path, NULL, &error) ||
        !bench_init (&again, c, p, DLH_F32, NULL, &error) ||
        !dlh_store_load (again.store, path, NULL, &error) ||
        !bench_steps (&again, rest, BATCH, &error)) {
        check_fail (c, "%s: saved after %u steps, it must go on from there", error->message, first);
        return;
    }
    difference = stores_difference (again.store, whole.store);
    if (difference)
        check_fail (c,
                    "a resumed run is not the uninterrupted one: %s; keep all state in variables "
                    "(dlh_update_state(), dlh_store_variable())",
                    difference);
    else
        check_ok (c, "resumed at step %u of %u, same bytes", first, first + rest);
}

static void
batches (Check *c, const Problem *p)
{
    static const gint64 sizes[] = {1, 3, 7, 33, 2};
    g_autoptr (GString) done = g_string_new (NULL);
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    if (!bench_init (&b, c, p, DLH_F32, NULL, &error)) {
        check_fail (c, "%s", error->message);
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
        if (bench_step (&b, sizes[i], &error) &&
            dlh_trainer_evaluate (b.trainer, b.x, b.y, &error)) {
            g_string_append_printf (done, "%s%d", done->len ? ", " : "", (int)sizes[i]);
            continue;
        }
        if (!is_refusal (error) && error->code != DLH_ERROR_NUMERIC) {
            check_fail (c,
                        "a batch of %d: %s; any size from 1 on must work or be refused with "
                        "DLH_ERROR_SHAPE",
                        (int)sizes[i], error->message);
            return;
        }
        g_string_append_printf (done, "%s%d refused", done->len ? ", " : "", (int)sizes[i]);
        g_clear_error (&error);
    }
    check_ok (c, "%s", done->str);
}

// Through the trainer, which refuses it, and for a model through its own build() as well.
static void
empty_batch (Check *c, const Problem *p)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    if (!run_steps (&b, c, p, DLH_F32, 1))
        return;
    if (bench_step (&b, 0, &error))
        check_fail (c, "a batch of no examples was trained on, must be refused with "
                       "DLH_ERROR_SHAPE");
    else if (c->info->manifest->kind == DLH_MODEL)
        check_empty_build (c, p);
    else
        check_ok (c, "refused: %s", error->message);
}

static void
spoil (DlhTensor *t, gint64 n)
{
    for (gint64 i = 0; i < MIN (n, dlh_tensor_count (t)); i++)
        dlh_tensor_set (t, i, NAN);
}

// Into the first example, or where that is of tokens into the first parameter.
static gboolean
add_nan (Bench *b)
{
    if (!b->problem->vocabulary) {
        spoil (b->x, dlh_tensor_count (b->x) / BATCH);
        return TRUE;
    }
    for (guint i = 0; i < dlh_store_n_variables (b->store); i++) {
        DlhVariable *v = dlh_store_get_variable (b->store, i);

        if (dlh_variable_is_trainable (v)) {
            spoil (dlh_variable_tensor (v), G_MAXINT64);
            return TRUE;
        }
    }
    return FALSE;
}

static void
nan_stops (Check *c, const Problem *p)
{
    g_auto (Bench) b = {0};
    g_autoptr (GPtrArray) before = NULL;
    g_autoptr (GError) error = NULL;

    if (!run_steps (&b, c, p, DLH_F32, 2))
        return;
    if (!add_nan (&b)) {
        check_skip (c, "neither inputs nor parameters can be NaN");
        return;
    }
    before = store_values (b.store);
    if (dlh_trainer_step (b.trainer, b.x, b.y, &error)) {
        check_fail (c,
                    "a NaN went in and the step succeeded with loss %.4g, it must fail with "
                    "DLH_ERROR_NUMERIC; do not replace NaN or clamp it away",
                    dlh_trainer_value (b.trainer, 0));
        return;
    }
    if (!g_error_matches (error, DLH_ERROR, DLH_ERROR_NUMERIC) ||
        !strstr (error->message, "step 2") || !strstr (error->message, "first at "))
        check_fail (c,
                    "'%s', must be DLH_ERROR_NUMERIC and name the step and the first node that "
                    "is not finite; leave checks of values to the trainer",
                    error->message);
    else if (!store_unchanged (b.store, before))
        check_fail (c, "a variable changed in a step that failed; assign with dlh_assign() and "
                       "mark ops that can fail DLH_OP_FALLIBLE");
    else
        check_ok (c, "%s", error->message);
}

static const struct {
    const char *group;
    void (*run) (Check *c, const Problem *p);
    gboolean costly; /* one problem is enough, unless --long */
} checks[] = {
    {"determinism", determinism, FALSE}, {"resume", resume, FALSE}, {"batches", batches, FALSE},
    {"empty-batch", empty_batch, FALSE}, {"nan", nan_stops, FALSE}, {"leaks", check_leaks, TRUE},
    {"threads", threads, TRUE},
};

// A model for other purposes has nothing to train.
static gboolean
lacks_role (Check *c)
{
    g_autoptr (DlhComponent) plugin = NULL;
    const DlhModel *model;

    if (c->info->manifest->kind != DLH_MODEL || !(plugin = check_load (c, NULL, NULL)))
        return FALSE;
    model = dlh_component_interface (plugin);
    return model->size < G_STRUCT_OFFSET (DlhModel, supervised) + sizeof (gpointer) ||
           !model->supervised;
}

static void
acceptance (Check *c)
{
    if (lacks_role (c)) {
        if (check_begin (c, "accepts", "training"))
            check_skip (c, "the model does not offer the supervised role");
        return;
    }
    for (const Problem *p = problems; p->name; p++)
        if (check_begin (c, "accepts", p->name))
            accepts (c, p);
}

static void
each_problem (Check *c)
{
    for (guint i = 0; i < G_N_ELEMENTS (checks); i++) {
        guint n = 0;

        for (const Problem *p = problems; p->name; p++)
            if (check_accepted (c, p) && (n++ == 0 || c->thorough || !checks[i].costly) &&
                check_begin (c, checks[i].group, p->name))
                checks[i].run (c, p);
    }
}

// In a process that never had two threads: libgomp then allocates in regions of one as well.
static void
one_thread (Check *c)
{
    for (const Problem *p = problems; p->name; p++)
        if (check_accepted (c, p) && check_begin (c, "no-allocation", p->name)) {
            check_no_allocation (c, p);
            if (!c->thorough)
                break;
        }
}

static void
second_process (Check *c)
{
    for (const Problem *p = problems; p->name; p++)
        if (check_accepted (c, p) && check_status (c, "determinism", p->name) == CHECK_OK &&
            check_begin (c, "other-process", p->name))
            other_process (c, p);
}

static gboolean
is_density_alone (Check *c)
{
    return check_status (c, "accepts", "training") == CHECK_SKIP &&
           check_status (c, "accepts", "own-density") == CHECK_OK;
}

void
check_training (Check *c)
{
    gboolean any = FALSE;

    check_run (c, acceptance);
    if (c->info->manifest->kind == DLH_MODEL)
        check_sampling (c);
    for (const Problem *p = problems; p->name; p++)
        any |= check_accepted (c, p);
    if (!any) {
        if (!check_status (c, "accepts", "training") && !check_group_failed (c, "accepts") &&
            check_begin (c, "accepts", "any"))
            check_fail (c,
                        "every problem was refused, one must be accepted; see the messages above "
                        "and give the options that it needs: dlhost check FILE.so,name=value");
        return;
    }
    check_run (c, check_ops);
    check_run (c, each_problem);
    check_run (c, one_thread);
    check_run (c, second_process);
    if (c->info->manifest->kind == DLH_MODEL)
        check_run (c, check_gradients);
}

/* One use, for the checks of options: the first problem that takes the defaults. */
gboolean
check_use_training (Check *c, GHashTable *settings, GError **error)
{
    if (is_density_alone (c))
        return check_use_sampling (c, settings, error);
    for (const Problem *p = problems; p->name; p++) {
        g_auto (Bench) b = {0};

        if (check_accepted (c, p))
            return bench_init (&b, c, p, DLH_F32, settings, error) && bench_step (&b, BATCH, error);
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "no problem was accepted");
    return FALSE;
}
