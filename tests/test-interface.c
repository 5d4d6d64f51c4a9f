/* SPDX-License-Identifier: MIT */
/* Interfaces of plugins that were built with other headers: what they lack reads as NULL, what they
 * must have is asked for, and what is large enough is used where it lies. */
#include "test.h"

#include "plugin/interface.h"

// Their functions are never called: that the pointers arrive is what counts.
static gboolean
optimizer_build (DlhUpdate *update G_GNUC_UNUSED, gconstpointer options G_GNUC_UNUSED,
                 GError **error G_GNUC_UNUSED)
{
    return TRUE;
}

static gboolean
supervised_build (DlhBuild *build G_GNUC_UNUSED, const DlhProblem *problem G_GNUC_UNUSED,
                  gconstpointer options G_GNUC_UNUSED, DlhNode *x G_GNUC_UNUSED,
                  DlhNode *y G_GNUC_UNUSED, DlhObjective *objective G_GNUC_UNUSED,
                  GError **error G_GNUC_UNUSED)
{
    return TRUE;
}

static guint
density_blocks (gconstpointer options G_GNUC_UNUSED, DlhBlock *blocks G_GNUC_UNUSED,
                GError **error G_GNUC_UNUSED)
{
    return 1;
}

static DlhNode *
density_log (DlhBuild *build G_GNUC_UNUSED, gconstpointer options G_GNUC_UNUSED,
             DlhNode *const *positions G_GNUC_UNUSED)
{
    return NULL;
}

static void
density_moments (gconstpointer options G_GNUC_UNUSED, guint block G_GNUC_UNUSED,
                 gint64 element G_GNUC_UNUSED, double *mean G_GNUC_UNUSED,
                 double *variance G_GNUC_UNUSED)
{
}

static gpointer
environment_open (gconstpointer options G_GNUC_UNUSED, gint64 n G_GNUC_UNUSED,
                  DlhEnvironmentSpec *spec G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
    return NULL;
}

static gboolean
environment_reset (gpointer world G_GNUC_UNUSED, const guint64 *seeds G_GNUC_UNUSED,
                   const gboolean *chosen G_GNUC_UNUSED, DlhFeedback *feedback G_GNUC_UNUSED,
                   GError **error G_GNUC_UNUSED)
{
    return TRUE;
}

static const DlhSupervised supervised = {.size = sizeof supervised, .build = supervised_build};
static const DlhDensity density = {.size = sizeof density,
                                   .blocks = density_blocks,
                                   .log_density = density_log,
                                   .moments = density_moments};

static void
used_in_place (void)
{
    const DlhModel model = {.size = sizeof model, .supervised = &supervised, .density = &density};
    const struct {
        DlhModel model;
        gpointer later;
    } later = {.model = {.size = sizeof later, .density = &density}};
    const gsize other = sizeof other;
    g_autoptr (GError) error = NULL;
    gpointer copy = &copy;

    g_assert_true (dlh_interface_adopt (DLH_MODEL, &model, &copy, &error) == &model);
    g_assert_null (copy);
    g_assert_true (dlh_interface_adopt (DLH_MODEL, &later, &copy, &error) == &later);
    g_assert_null (copy);
    // Kinds of which nothing is known here, some beyond the table.
    g_assert_true (dlh_interface_adopt (DLH_BACKEND, &other, &copy, &error) == &other);
    g_assert_true (dlh_interface_adopt (DLH_COMM, &other, &copy, &error) == &other);
    g_assert_null (copy);
    g_assert_no_error (error);
}

/* A model of the days when there was one role, and half of a member's bytes behind it. */
static void
model_grows (void)
{
    const DlhModel old = {.size = offsetof (DlhModel, density) + sizeof (gpointer) / 2,
                          .supervised = &supervised,
                          .density = &density};
    g_autoptr (GError) error = NULL;
    g_autofree gpointer copy = NULL;
    const DlhModel *got = dlh_interface_adopt (DLH_MODEL, &old, &copy, &error);

    g_assert_no_error (error);
    g_assert_true (got == copy && got != &old);
    g_assert_true (got->supervised->build == supervised_build);
    g_assert_null (got->density);
    g_assert_null (got->latent);
}

/* A whole model, one role of which is older than its last members. */
static void
role_grows (void)
{
    DlhDensity old = density;
    const DlhModel model = {.size = sizeof model, .supervised = &supervised, .density = &old};
    g_autoptr (GError) error = NULL;
    g_autofree gpointer copy = NULL;
    const DlhModel *got;

    old.size = offsetof (DlhDensity, moments);
    got = dlh_interface_adopt (DLH_MODEL, &model, &copy, &error);
    g_assert_no_error (error);
    g_assert_nonnull (copy);
    g_assert_true (got->density != &old);
    g_assert_true (got->density->blocks == density_blocks);
    g_assert_true (got->density->log_density == density_log);
    g_assert_null (got->density->moments);
    g_assert_null (got->density->draw);
    g_assert_true (got->supervised->build == supervised_build);
}

static void
needed_functions (void)
{
    const DlhOptimizer empty = {.size = sizeof empty};
    const DlhOptimizer small = {.size = offsetof (DlhOptimizer, build), .build = optimizer_build};
    const DlhEnvironment stuck = {.size = sizeof stuck,
                                  .open = environment_open,
                                  .close = g_free,
                                  .reset = environment_reset};
    const DlhTransition still = {.size = sizeof still};
    const DlhSampler sampler = {.size = sizeof sampler, .transition = &still};
    DlhDensity cut = density;
    const DlhModel model = {.size = sizeof model, .density = &cut};
    const struct {
        DlhPluginKind kind;
        gconstpointer table;
        const char *message;
    } cases[] = {
        {DLH_OPTIMIZER, &empty, "has no function 'build'"},
        {DLH_OPTIMIZER, &small, "has no function 'build'"},
        {DLH_ENVIRONMENT, &stuck, "has no function 'step'"},
        {DLH_SAMPLER, &sampler, "has no function 'build'"},
        {DLH_MODEL, &model, "has no function 'log_density', which every plugin of its kind needs"},
    };

    cut.size = offsetof (DlhDensity, log_density) + 1;
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (GError) error = NULL;
        gpointer copy = &copy;

        g_assert_null (dlh_interface_adopt (cases[i].kind, cases[i].table, &copy, &error));
        test_assert_error (&error, DLH_ERROR_PLUGIN, cases[i].message);
        g_assert_null (copy);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/interface/whole/used-in-place", used_in_place);
    g_test_add_func ("/interface/small/missing-is-null", model_grows);
    g_test_add_func ("/interface/small-role/missing-is-null", role_grows);
    g_test_add_func ("/interface/needed-function/asked-for", needed_functions);
    return g_test_run ();
}
