/* SPDX-License-Identifier: MIT */
/* Samplers on a density that every one accepts, and models that offer a density with a random walk
 * beside them. */
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "check.h"

#define CHAINS 4
#define WARMUP 40 /* has every window */
#define TRANSITIONS 50

typedef struct {
    int unused;
} NoOptions;

static gboolean
walk_build (DlhChains *c, gconstpointer options, GError **error)
{
    guint n = dlh_chains_n_blocks (c);
    g_autofree DlhNode **to = g_new (DlhNode *, n);
    g_autofree DlhNode **q = g_new (DlhNode *, n);
    DlhStream *stream = dlh_chains_stream (c, "walk");
    DlhPass *move = dlh_chains_pass (c, "move", DLH_PASS_EVERY);
    DlhNode *ratio, *u;

    (void)options, (void)error;
    for (guint i = 0; i < n; i++) {
        q[i] = dlh_chains_position (c, i);
        to[i] = dlh_add (q[i], dlh_scale (dlh_chains_normal (c, stream, i), 0.1));
    }
    ratio = dlh_sub (dlh_chains_log_density (c, to), dlh_chains_log_density (c, q));
    u = dlh_uniform (dlh_chains_graph (c), stream, DLH_F64, dlh_shape (CHAINS));
    for (guint i = 0; i < n; i++)
        dlh_pass_assign (move, q[i],
                         dlh_chains_where (c, dlh_less (dlh_log (u), ratio), to[i], q[i]));
    dlh_pass_report (move, "accept",
                     dlh_assert_finite (dlh_chains_accept_probability (c, ratio), "accept"));
    return TRUE;
}

static const DlhTransition walk_transition = {sizeof (DlhTransition), walk_build, NULL};
static const DlhSampler walk = {sizeof (DlhSampler), &walk_transition};
static const DlhManifest walk_manifest = {.size = sizeof (DlhManifest),
                                          .option_size = sizeof (DlhOption),
                                          .abi_major = DLH_ABI_MAJOR,
                                          .abi_minor = DLH_ABI_MINOR,
                                          .kind = DLH_SAMPLER,
                                          .options_bytes = sizeof (NoOptions),
                                          .name = "walk",
                                          .version = "1.0",
                                          .licence = "MIT",
                                          .summary = "Walks at random"};
static const DlhPlugin walk_plugin = {sizeof (DlhPlugin), &walk_manifest, &walk};

static DlhNode *
normal_density (DlhBuild *build, DlhNode *const *q, gpointer user_data)
{
    (void)build, (void)user_data;
    return dlh_scale (
        dlh_add (dlh_sum_axis (dlh_square (q[0]), 1),
                 dlh_sum_axis (dlh_reshape (dlh_square (q[1]), dlh_shape (CHAINS, 6)), 1)),
        -0.5);
}

typedef struct {
    DlhStore *store;
    DlhTarget *target;
    DlhChains *chains;
} Run;

static void
run_clear (Run *r)
{
    dlh_chains_free (r->chains);
    dlh_target_free (r->target);
    dlh_store_unref (r->store);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static gboolean
run_init (Run *r, Check *c, GHashTable *settings, GError **error)
{
    const DlhBlock blocks[] = {{"x", dlh_shape (3), {DLH_INIT_NORMAL, 0, 1}},
                               {"y", dlh_shape (2, 3), {DLH_INIT_NORMAL, 0, 1}}};
    g_autoptr (DlhComponent) plugin = check_load (c, settings, error);
    g_autoptr (DlhComponent) sampler = NULL;
    gboolean is_sampler = c->info->manifest->kind == DLH_SAMPLER;

    if (!plugin)
        return FALSE;
    sampler = is_sampler ? dlh_component_ref (plugin)
                         : dlh_component_new_static (&walk_plugin, NULL, error);
    r->store = dlh_store_new (1, DLH_F32);
    r->target = is_sampler
                    ? dlh_target_new (r->store, CHAINS, blocks, 2, normal_density, NULL, error)
                    : dlh_target_new_density (r->store, plugin, CHAINS, error);
    r->chains = r->target ? dlh_chains_new (r->target, sampler, WARMUP, error) : NULL;
    return check_told (r->chains != NULL, "build()", error);
}

static gboolean
run_on (Run *r, gint64 end, GError **error)
{
    while (dlh_chains_done (r->chains) < end)
        if (!check_told (dlh_chains_transition (r->chains, error), "a transition", error))
            return FALSE;
    return TRUE;
}

gboolean
check_use_sampling (Check *c, GHashTable *settings, GError **error)
{
    g_auto (Run) r = {0};

    return run_init (&r, c, settings, error) && run_on (&r, 2, error);
}

static void
determinism (Check *c)
{
    g_auto (Run) a = {0};
    g_auto (Run) b = {0};
    g_autoptr (GError) error = NULL;
    g_autofree char *difference = NULL;

    if (!run_init (&a, c, NULL, &error) || !run_on (&a, TRANSITIONS, &error) ||
        !run_init (&b, c, NULL, &error) || !run_on (&b, TRANSITIONS, &error))
        check_fail (c, "%s", error->message);
    else if ((difference = stores_difference (b.store, a.store)))
        check_fail (
            c,
            "two runs of the same seed differ: %s; draw from dlh_chains_stream() and keep no "
            "state outside the store",
            difference);
    else
        check_ok (c, "%d transitions, same bytes", TRANSITIONS);
}

static void
resume (Check *c)
{
    g_autofree char *path = g_strdup_printf ("%s/chains-%d.safetensors", c->scratch, getpid ());
    g_auto (Run) whole = {0};
    g_auto (Run) again = {0};
    g_autoptr (GError) error = NULL;
    g_autofree char *difference = NULL;

    if (!run_init (&whole, c, NULL, &error) || !run_on (&whole, TRANSITIONS / 2, &error) ||
        !dlh_store_save (whole.store, path, NULL, &error) ||
        !run_on (&whole, TRANSITIONS, &error)) {
        check_fail (c, "%s", error->message);
        return;
    }
    if (!run_init (&again, c, NULL, &error) || !dlh_store_load (again.store, path, NULL, &error) ||
        !run_on (&again, TRANSITIONS, &error))
        check_fail (c, "%s: saved after %d transitions, it must go on from there", error->message,
                    TRANSITIONS / 2);
    else if ((difference = stores_difference (again.store, whole.store)))
        check_fail (c,
                    "a resumed run is not the uninterrupted one: %s; keep all state in variables "
                    "(dlh_chains_state())",
                    difference);
    else
        check_ok (c, "resumed at transition %d of %d, same bytes", TRANSITIONS / 2, TRANSITIONS);
}

static void
accepts (Check *c)
{
    g_auto (Run) r = {0};
    g_autoptr (GError) error = NULL;

    if (run_init (&r, c, NULL, &error) && run_on (&r, TRANSITIONS, &error))
        check_ok (c, "%d transitions of %d chains, %d of warm-up", TRANSITIONS, CHAINS, WARMUP);
    else
        check_fail (c, "%s", error->message);
}

// A model need not offer a density.
static gboolean
offers_none (Check *c)
{
    g_autoptr (DlhComponent) plugin = check_load (c, NULL, NULL);

    return plugin && c->info->manifest->kind == DLH_MODEL &&
           !((const DlhModel *)dlh_component_interface (plugin))->density;
}

static void
items (Check *c)
{
    if (offers_none (c))
        return;
    if (check_begin (c, "accepts", "chains"))
        accepts (c);
    if (check_status (c, "accepts", "chains") != CHECK_OK)
        return;
    if (check_begin (c, "determinism", "chains"))
        determinism (c);
    if (check_begin (c, "resume", "chains"))
        resume (c);
}

void
check_sampling (Check *c)
{
    check_run (c, items);
    if (check_status (c, "accepts", "chains") == CHECK_OK)
        check_run (c, items);
}
