/* SPDX-License-Identifier: MIT */
/* A request to stop within a step that scores a population: nothing of the step has been done, and
 * what goes on from there has the bits of a run that nobody stopped. */
#include "trainer-bench.h"

static DlhRegistry *registry;

enum { ROWS = 12, INPUTS = 4, STEPS = 3 };

static DlhComponent *
load (DlhPluginKind kind, const char *text)
{
    return load_plugin_line (registry, kind, text);
}

/* Of a trainer. */

typedef struct {
    guint asked, at; /* the call that says yes; 0: none */
} Asked;

static gboolean
asked (gpointer data)
{
    Asked *a = data;

    return ++a->asked == a->at;
}

typedef struct {
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x, *y;
} Place;

static void
place_clear (Place *p)
{
    dlh_trainer_free (p->trainer);
    dlh_store_unref (p->store);
    dlh_tensor_unref (p->x);
    dlh_tensor_unref (p->y);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static void
place_open (Place *p, const char *optimizer)
{
    g_autoptr (DlhComponent) model = load (DLH_MODEL, "mlp hidden=[5]");
    g_autoptr (DlhComponent) o = load (DLH_OPTIMIZER, optimizer);
    g_autoptr (GError) error = NULL;
    const DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .average = 0.5};
    const DlhProblem problem = {.size = sizeof problem,
                                .input_shape = dlh_shape (INPUTS),
                                .target_kind = DLH_TARGET_CLASS,
                                .n_classes = 3,
                                .target_std = 1};

    p->store = dlh_store_new (3, DLH_F64);
    p->trainer = dlh_trainer_new (p->store, model, o, &problem, &training, &error);
    g_assert_no_error (error);
    p->x = test_tensor_random (DLH_F64, dlh_shape (ROWS, INPUTS), 7);
    p->y = dlh_tensor_new (DLH_I64, dlh_shape (ROWS), NULL);
    for (gint64 i = 0; i < ROWS; i++)
        dlh_tensor_set (p->y, i, (double)(i % 3));
}

static void
same_variables (const Place *a, const Place *b)
{
    g_assert_cmpuint (dlh_store_n_variables (a->store), ==, dlh_store_n_variables (b->store));
    for (guint i = 0; i < dlh_store_n_variables (a->store); i++) {
        DlhVariable *v = dlh_store_get_variable (a->store, i);

        test_assert_tensors_equal (dlh_variable_tensor (v), dlh_variable_tensor (dlh_store_lookup (
                                                                b->store, dlh_variable_name (v))));
    }
}

// Stopped wherever it can be, and done then, each step is that of a trainer that is never asked.
static void
stopped_everywhere (gconstpointer optimizer)
{
    g_auto (Place) one = {0}, two = {0};
    g_autoptr (GError) error = NULL;
    Asked a = {0};
    guint places;

    place_open (&one, optimizer);
    place_open (&two, optimizer);
    dlh_trainer_set_stop (two.trainer, asked, &a);
    for (guint s = 0; s < 2; s++) {
        g_assert_true (dlh_trainer_step (one.trainer, one.x, one.y, NULL));
        g_assert_true (dlh_trainer_step (two.trainer, two.x, two.y, NULL));
    }
    // Four groups, with some steps each.
    places = a.asked / 2;
    g_assert_cmpuint (places, >=, 8);
    for (guint k = 1; k <= places; k++) {
        a = (Asked){0, k};
        g_assert_false (dlh_trainer_step (two.trainer, two.x, two.y, &error));
        test_assert_error (&error, DLH_ERROR_CANCELLED, "stopped before step");
        g_assert_cmpuint (a.asked, ==, k);
        same_variables (&one, &two);
    }
    a.at = 0;
    for (guint s = 0; s < 2; s++) {
        g_assert_true (dlh_trainer_step (one.trainer, one.x, one.y, NULL));
        g_assert_true (dlh_trainer_step (two.trainer, two.x, two.y, NULL));
    }
    same_variables (&one, &two);
}

static void
short_steps_are_done (void)
{
    g_auto (Place) p = {0};
    Asked a = {0, 1};

    place_open (&p, "sgd");
    dlh_trainer_set_stop (p.trainer, asked, &a);
    g_assert_true (dlh_trainer_step (p.trainer, p.x, p.y, NULL));
    g_assert_cmpuint (a.asked, ==, 0);
}

/* Of the task that trains. */

typedef struct {
    DlhData *data;
    Asked asked;
    gint64 saved;
} Host;

static DlhData *
host_data (gpointer host, GError **error)
{
    (void)error;
    return dlh_data_ref (((Host *)host)->data);
}

static gboolean
host_log (gpointer host, const char *event, gint64 step, const char *const *names,
          const double *values, guint n, GError **error)
{
    (void)host, (void)event, (void)step, (void)names, (void)values, (void)n, (void)error;
    return TRUE;
}

static void
host_progress (gpointer host, gint64 done, gint64 total, double examples)
{
    (void)host, (void)done, (void)total, (void)examples;
}

static void
host_message (gpointer host, const char *text)
{
    (void)host;
    g_test_message ("%s", text);
}

static gboolean
host_checkpoint (gpointer host, gint64 step, GError **error)
{
    (void)error;
    ((Host *)host)->saved = step;
    return TRUE;
}

static gboolean
host_should_stop (gpointer host)
{
    return asked (&((Host *)host)->asked);
}

static gboolean
train (DlhStore *store, Host *host, GError **error)
{
    static const DlhHost functions = {.size = sizeof (DlhHost),
                                      .data = host_data,
                                      .log = host_log,
                                      .progress = host_progress,
                                      .message = host_message,
                                      .checkpoint = host_checkpoint,
                                      .should_stop = host_should_stop};
    g_autoptr (DlhRun) run = dlh_run_new (&functions, host, store);
    g_autoptr (DlhComponent) task = load (DLH_TASK, "train steps=3 batch=6 log=1");
    g_autoptr (DlhComponent) model = load (DLH_MODEL, "mlp hidden=[5]");
    g_autoptr (DlhComponent) optimizer = load (DLH_OPTIMIZER, "es workers=4 members=2");

    dlh_run_set_component (run, task);
    dlh_run_set_component (run, model);
    dlh_run_set_component (run, optimizer);
    return dlh_run_execute (run, error);
}

// Asked again and again within its second step, and resumed each time.
static void
run_goes_on (void)
{
    g_autoptr (GError) error = NULL;
    Host host = {.data = dlh_data_new ()};
    Place one = {0}, two = {.store = dlh_store_new (3, DLH_F64)};
    guint in_step;

    place_open (&one, "es");
    dlh_data_set_targets (host.data, DLH_TARGET_CLASS, 3);
    g_assert_true (dlh_data_set_split (host.data, DLH_SPLIT_TRAIN, one.x, one.y, &error));
    g_assert_true (dlh_data_set_split (host.data, DLH_SPLIT_TEST, one.x, one.y, &error));
    g_assert_true (train (one.store, &host, &error));
    in_step = host.asked.asked / STEPS;
    for (guint k = 0; k < 2; k++) {
        // The first sitting ends within the second step, and so does the next, in its first.
        host.asked = (Asked){0, k ? in_step / 2 : in_step + in_step / 2};
        g_assert_false (train (two.store, &host, &error));
        test_assert_error (&error, DLH_ERROR_CANCELLED, "stopped at step 1 of 3");
        g_assert_cmpint (host.saved, ==, 1);
    }
    host.asked = (Asked){0, 0};
    g_assert_true (train (two.store, &host, &error));
    same_variables (&one, &two);
    place_clear (&one);
    place_clear (&two);
    dlh_data_unref (host.data);
}

int
main (int argc, char **argv)
{
    int status;

    test_init (&argc, &argv);
    registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_test_add_data_func ("/stop/es/as-before-and-goes-on", "es workers=4 members=2",
                          stopped_everywhere);
    g_test_add_data_func ("/stop/flipes/as-before-and-goes-on", "flipes workers=4 members=2",
                          stopped_everywhere);
    g_test_add_func ("/stop/sgd/short-steps-are-done", short_steps_are_done);
    g_test_add_func ("/stop/train/goes-on", run_goes_on);
    status = g_test_run ();
    dlh_registry_free (registry);
    return status;
}
