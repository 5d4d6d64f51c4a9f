/* SPDX-License-Identifier: MIT */
/* The program dlhost, run as a person would: what it leaves, what it says, and what a kill loses.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "test.h"

static const char *program;
static char *dir; /* of this test */

typedef struct {
    int code; /* exit code, or - signal */
    char *out, *err;
} Outcome;

static void
outcome_clear (Outcome *o)
{
    g_free (o->out);
    g_free (o->err);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

static GPtrArray *
command (const char *line)
{
    g_auto (GStrv) words = g_strsplit (line, " ", -1);
    GPtrArray *argv = g_ptr_array_new_with_free_func (g_free);

    g_ptr_array_add (argv, g_strdup (program));
    for (guint i = 0; words[i]; i++)
        if (*words[i])
            g_ptr_array_add (argv, g_strdup (words[i]));
    g_ptr_array_add (argv, NULL);
    return argv;
}

static void run (Outcome *o, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
run (Outcome *o, const char *format, ...)
{
    g_autofree char *line = NULL;
    g_autoptr (GPtrArray) argv = NULL;
    g_autoptr (GError) error = NULL;
    va_list args;
    int status = 0;

    va_start (args, format);
    line = g_strdup_vprintf (format, args);
    va_end (args);
    argv = command (line);
    g_spawn_sync (dir, (char **)argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &o->out, &o->err,
                  &status, &error);
    g_assert_no_error (error);
    o->code = WIFEXITED (status) ? WEXITSTATUS (status) : -WTERMSIG (status);
}

static char *
contents (const char *run_dir, const char *name, gsize *n)
{
    g_autofree char *path = g_build_filename (dir, run_dir, name, NULL);
    char *text = NULL;

    if (!g_file_get_contents (path, &text, n, NULL))
        test_fail ("%s is missing", path);
    return text;
}

static void
assert_same_file (const char *a, const char *b, const char *name)
{
    gsize n = 0, m = 0;
    g_autofree char *x = contents (a, name, &n);
    g_autofree char *y = contents (b, name, &m);

    g_assert_true (x && y && n == m && memcmp (x, y, n) == 0);
}

#define SMALL                                                                                      \
    "--model=mlp,dropout=0.2 --dataset=synthetic,kind=blobs,dims=8,n=300 --batch=32 --threads=1 "

static void
folder_is_complete (void)
{
    g_auto (Outcome) o = {0};
    g_autofree char *metrics = NULL, *config = NULL;

    run (&o, SMALL "--optimizer=adam,lr=1e-2 --epochs=2 --out=complete");
    g_assert_cmpint (o.code, ==, 0);
    g_assert_cmpstr (o.err, ==, "");
    g_assert_nonnull (strstr (o.out, "test/accuracy"));
    g_assert_nonnull (strstr (o.out, "run folder: complete"));
    metrics = contents ("complete", "metrics.jsonl", NULL);
    g_assert_nonnull (strstr (metrics, "{\"event\":\"eval\",\"step\":10,\"wall\":"));
    g_assert_nonnull (strstr (metrics, "{\"event\":\"final\",\"step\":20,\"wall\":"));
    g_assert_nonnull (strstr (metrics, "\"train/loss\":"));
    config = contents ("complete", "config.json", NULL);
    g_assert_nonnull (strstr (config, "\"lr\": 0.01"));
    g_assert_nonnull (strstr (config, "\"beta2\": 0.999"));
    g_free (contents ("complete", "checkpoint-20.safetensors", NULL));
}

static void
config_repeats_the_run (void)
{
    g_auto (Outcome) o = {0};
    g_auto (Outcome) p = {0};

    run (&o, SMALL "--optimizer=kfac.so,statistics=2,inverses=3,damping=1e-7 --steps=15 "
                   "--seed=18446744073709551615 --out=first");
    run (&p, "--config=first/config.json --out=again");
    g_assert_cmpint (o.code, ==, 0);
    g_assert_cmpint (p.code, ==, 0);
    assert_same_file ("first", "again", "config.json");
    assert_same_file ("first", "again", "checkpoint-15.safetensors");
}

static void
seed_decides (void)
{
    g_auto (Outcome) o = {0};
    g_auto (Outcome) p = {0};
    gsize n, m;
    g_autofree char *x = NULL, *y = NULL;

    run (&o, SMALL "--optimizer=sgd --steps=5 --seed=1 --out=seed1");
    run (&p, SMALL "--optimizer=sgd --steps=5 --seed=2 --out=seed2");
    x = contents ("seed1", "checkpoint-5.safetensors", &n);
    y = contents ("seed2", "checkpoint-5.safetensors", &m);
    g_assert_false (n == m && memcmp (x, y, n) == 0);
}

/* Starts a run that lasts, sends it @number once it has begun, and returns how it ended. */
static int
interrupted (const char *line, int number, guint milliseconds, char **err)
{
    g_autoptr (GPtrArray) argv = command (line);
    g_autoptr (GError) error = NULL;
    g_autofree char *err_path = g_build_filename (dir, "stderr", NULL);
    GPid pid;
    int status;
    FILE *sink = fopen (err_path, "we");

    g_spawn_async_with_fds (dir, (char **)argv->pdata, NULL,
                            G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                            &pid, -1, -1, fileno (sink), &error);
    fclose (sink);
    g_assert_no_error (error);
    g_usleep (milliseconds * 1000);
    kill (pid, number);
    waitpid (pid, &status, 0);
    if (err)
        g_file_get_contents (err_path, err, NULL, NULL);
    return WIFEXITED (status) ? WEXITSTATUS (status) : -WTERMSIG (status);
}

static gboolean
has_checkpoint (const char *run_dir)
{
    g_autofree char *path = g_build_filename (dir, run_dir, NULL);
    g_autoptr (GDir) entries = g_dir_open (path, 0, NULL);
    const char *entry;

    while (entries && (entry = g_dir_read_name (entries)))
        if (g_str_has_prefix (entry, "checkpoint-"))
            return TRUE;
    return FALSE;
}

static void
kill_and_resume (gconstpointer optimizer)
{
    g_autofree char *whole = g_strdup_printf ("whole-%s", (const char *)optimizer);
    g_autofree char *cut = g_strdup_printf ("cut-%s", (const char *)optimizer);
    g_autofree char *line = NULL;
    g_auto (Outcome) o = {0};
    guint n_killed = 0;

    run (&o, SMALL "--optimizer=%s --steps=6000 --task.checkpoint=50 --quiet --out=%s",
         (const char *)optimizer, whole);
    g_assert_cmpint (o.code, ==, 0);
    line =
        g_strdup_printf (SMALL "--optimizer=%s --steps=6000 --task.checkpoint=50 --quiet --out=%s",
                         (const char *)optimizer, cut);
    for (guint attempt = 0; attempt < 40; attempt++) {
        g_autofree char *resume = g_strdup_printf ("resume %s --quiet", cut);
        gboolean begun = has_checkpoint (cut);
        g_autofree char *folder = g_build_filename (dir, cut, NULL);
        int code;

        // Killed before its first checkpoint, a run begins anew.
        if (!begun)
            test_remove_dir (g_strdup (folder));
        code = interrupted (begun ? resume : line, SIGKILL, 60 + 23 * attempt, NULL);
        if (code == 0)
            break;
        n_killed += code == -SIGKILL;
    }
    g_assert_cmpuint (n_killed, >, 0);
    if (n_killed == 40) {
        g_auto (Outcome) p = {0};

        run (&p, "resume %s --quiet", cut);
        g_assert_cmpint (p.code, ==, 0);
    }
    assert_same_file (whole, cut, "checkpoint-6000.safetensors");
}

static void
signal_saves (gconstpointer data)
{
    int number = GPOINTER_TO_INT (data);
    g_autofree char *line =
        g_strdup_printf (SMALL "--optimizer=sgd --steps=100000000 --quiet --out=signal%d", number);
    g_autofree char *err = NULL;

    g_assert_cmpint (interrupted (line, number, 600, &err), ==, 128 + number);
    g_assert_nonnull (strstr (err, "stopped at step"));
    g_assert_nonnull (strstr (err, "go on with: dlhost resume signal"));
}

/* Messages and exit codes. */

typedef struct {
    const char *name;
    int code;
    const char *line, *text;
} Bad;

static const Bad bad[] = {
    {"unknown-option", 2, "--optimiser=sgd",
     "unknown option --optimiser, did you mean --optimizer?"},
    {"unknown-command", 2, "lst", "unknown command 'lst'"},
    {"option-twice", 2, "--seed=1 --seed=2", "--seed is given twice"},
    {"no-value", 2, "--seed", "--seed needs a value"},
    {"seed-too-large", 2, SMALL "--optimizer=sgd --seed=18446744073709551616",
     "must be a whole number"},
    {"dtype", 2, SMALL "--optimizer=sgd --dtype=f16", "must be f32 or f64"},
    {"empty-plugin", 2, SMALL "--optimizer=", "must begin with the plugin's name"},
    {"no-equals", 2, SMALL "--optimizer=sgd,lr", "not of the form option=value"},
    {"unknown-parameter", 2, SMALL "--optimizer=kfac,dampin=1", "damping"},
    {"ill-typed", 2, SMALL "--optimizer=sgd,lr=fast", "lr"},
    {"out-of-range", 2, SMALL "--optimizer=aggmo,betas=[0,1.2]", "betas"},
    {"parameter-twice", 2, SMALL "--optimizer=sgd,lr=1,lr=2", "'lr' is given twice"},
    {"no-optimizer", 2, SMALL "--steps=1", "--optimizer=NAME"},
    {"unknown-plugin", 3, SMALL "--optimizer=kfca", "kfac"},
    {"wrong-kind", 3, SMALL "--optimizer=mlp", "mlp"},
    {"data-missing", 4, "--model=mlp --optimizer=sgd --dataset=fashion-mnist,dir=/nonexistent",
     "apt-get install dataset-fashion-mnist"},
    {"config-missing", 4, "--config=/nonexistent.json", "/nonexistent.json"},
    {"checkpoint-missing", 4, SMALL "--optimizer=sgd --steps=1 --checkpoint=/nonexistent",
     "/nonexistent"},
    {"resume-nothing", 4, "resume /nonexistent", "/nonexistent"},
    {"out-is-unwritable", 1, SMALL "--optimizer=sgd --steps=1 --out=/proc/nothing",
     "/proc/nothing"},
    {"wrong-model", 2, "--model=convnet --optimizer=sgd --dataset=synthetic --steps=1", "pictures"},
    {"diverges", 5,
     "--model=mlp,hidden=[64,64,64,64],init=lecun --dataset=synthetic,kind=blobs,dims=8 "
     "--threads=1 "
     "--optimizer=sgd,lr=1e6 --steps=500 --out=diverged",
     "loss is not finite"},
};

static void
bad_input (gconstpointer data)
{
    const Bad *b = data;
    g_auto (Outcome) o = {0};

    run (&o, "%s", b->line);
    g_assert_cmpint (o.code, ==, b->code);
    if (!strstr (o.err, b->text))
        test_fail ("'%s' is not in the message: %s", b->text, o.err);
    g_assert_true (g_str_has_prefix (o.err, "dlhost: "));
    // One line.
    g_assert_true (strchr (o.err, '\n') == o.err + strlen (o.err) - 1);
}

static void
existing_run_is_kept (void)
{
    g_auto (Outcome) o = {0};
    g_auto (Outcome) p = {0};

    run (&o, SMALL "--optimizer=sgd --steps=1 --out=kept");
    run (&p, SMALL "--optimizer=sgd --steps=1 --out=kept");
    g_assert_cmpint (p.code, ==, 2);
    g_assert_nonnull (strstr (p.err, "dlhost resume kept"));
}

static void
evaluate_scores_a_checkpoint (void)
{
    g_auto (Outcome) o = {0};
    g_auto (Outcome) p = {0};
    const char *a, *b;

    run (&o, SMALL "--optimizer=adam,lr=1e-2 --steps=100 --out=scored");
    run (&p, "--task=evaluate --model=mlp,dropout=0.2 --dataset=synthetic,kind=blobs,dims=8,n=300 "
             "--threads=1 --checkpoint=scored/checkpoint-100.safetensors --out=score");
    g_assert_cmpint (p.code, ==, 0);
    a = g_strrstr (o.out, "test/loss");
    b = strstr (p.out, "test/loss");
    g_assert_true (a && b && strncmp (a, b, strlen ("test/loss 0.1234")) == 0);
}

static void
finished_run_is_left_alone (void)
{
    gsize n, m;
    g_autofree char *before = NULL, *after = NULL;

    for (guint i = 0; i < 3; i++) {
        g_auto (Outcome) o = {0};

        if (i == 0)
            run (&o, SMALL "--optimizer=adam --steps=7 --out=finished");
        else
            run (&o, "resume finished");
        g_assert_cmpint (o.code, ==, 0);
        if (i == 0)
            before = contents ("finished", "checkpoint-7.safetensors", &n);
    }
    after = contents ("finished", "checkpoint-7.safetensors", &m);
    g_assert_true (n == m && memcmp (before, after, n) == 0);
}

// A finished run goes on when it is given more steps, and ends where one of that length ends: the
// step size is constant, so that the length itself changes nothing.
static void
longer_run_goes_on (void)
{
    g_auto (Outcome) o = {0};
    g_auto (Outcome) p = {0};
    g_auto (Outcome) q = {0};

    run (&o, SMALL "--optimizer=adam --task.schedule=constant --steps=7 --out=grown");
    run (&p, "resume grown --steps=30");
    run (&q, SMALL "--optimizer=adam --task.schedule=constant --steps=30 --out=grown-at-once");
    g_assert_cmpint (p.code, ==, 0);
    assert_same_file ("grown", "grown-at-once", "checkpoint-30.safetensors");
    assert_same_file ("grown", "grown-at-once", "config.json");
}

static void
other_model_is_refused (void)
{
    g_auto (Outcome) o = {0};
    g_auto (Outcome) p = {0};
    g_auto (Outcome) q = {0};

    run (&o, SMALL "--optimizer=adam --steps=7 --out=narrow");
    run (&p, "--task=evaluate --model=mlp,hidden=[16,16,16] "
             "--dataset=synthetic,kind=blobs,dims=8,n=300 --threads=1 "
             "--checkpoint=narrow/checkpoint-7.safetensors --out=refused");
    g_assert_cmpint (p.code, ==, 4);
    run (&q, "resume narrow --optimizer=sgd");
    g_assert_cmpint (q.code, ==, 2);
    g_assert_nonnull (strstr (q.err, "resume goes on with what the run has"));
}

static void
monitor_must_exist (void)
{
    g_auto (Outcome) o = {0};

    run (&o, SMALL "--optimizer=sgd --task.patience=2 --task.monitor=test/los --out=monitor");
    g_assert_cmpint (o.code, ==, 2);
    g_assert_nonnull (strstr (o.err, "no metric 'test/los'"));
}

// With a step size of 0 nothing ever improves: the first evaluation counts, two more are waited
// for.
static void
patience_stops_early (void)
{
    g_auto (Outcome) o = {0};
    g_auto (Outcome) p = {0};

    run (&o,
         SMALL "--dataset.valid=50 --optimizer=sgd,lr=0 --epochs=50 --task.patience=2 --out=early");
    g_assert_cmpint (o.code, ==, 0);
    g_assert_nonnull (strstr (o.out, "early stop at step 30: valid/loss has not improved for 2"));
    g_free (contents ("early", "checkpoint-30.safetensors", NULL));
    run (&p, SMALL "--optimizer=sgd --task.patience=2");
    g_assert_cmpint (p.code, ==, 2);
    g_assert_nonnull (strstr (p.err, "no validation split"));
}

static void
quiet_prints_nothing (void)
{
    g_auto (Outcome) o = {0};

    run (&o, SMALL "--optimizer=sgd --steps=3 --quiet --out=quiet");
    g_assert_cmpint (o.code, ==, 0);
    g_assert_cmpstr (o.out, ==, "");
    g_assert_cmpstr (o.err, ==, "");
}

int
main (int argc, char **argv)
{
    int code;

    test_init (&argc, &argv);
    if (argc < 2)
        g_error ("the path of dlhost is missing");
    program = g_canonicalize_filename (argv[1], NULL);
    dir = test_temp_dir ();
    g_test_add_func ("/host/folder/complete", folder_is_complete);
    g_test_add_func ("/host/config/repeats-run", config_repeats_the_run);
    g_test_add_func ("/host/seed/decides", seed_decides);
    g_test_add_func ("/host/existing-run/kept", existing_run_is_kept);
    g_test_add_func ("/host/evaluate/scores-checkpoint", evaluate_scores_a_checkpoint);
    g_test_add_func ("/host/resume/finished-is-left-alone", finished_run_is_left_alone);
    g_test_add_func ("/host/resume/longer-goes-on", longer_run_goes_on);
    g_test_add_func ("/host/checkpoint/other-model-refused", other_model_is_refused);
    g_test_add_func ("/host/patience/monitor-must-exist", monitor_must_exist);
    g_test_add_func ("/host/patience/stops-early", patience_stops_early);
    g_test_add_func ("/host/quiet/prints-nothing", quiet_prints_nothing);
    g_test_add_data_func ("/host/kill/sgd-resumes-bitwise", "sgd", kill_and_resume);
    g_test_add_data_func ("/host/kill/adam-resumes-bitwise", "adam", kill_and_resume);
    // Checkpoints every 50 steps fall into all stages of 7 steps.
    g_test_add_data_func ("/host/kill/kfac-beside-resumes-bitwise",
                          "kfac,inverses=7,inverse_delay=5", kill_and_resume);
    g_test_add_data_func ("/host/kill/aggmo-resumes-bitwise", "aggmo", kill_and_resume);
    g_test_add_data_func ("/host/kill/kfac-resumes-bitwise", "kfac,statistics=3,inverses=7",
                          kill_and_resume);
    g_test_add_data_func ("/host/signal/interrupt-saves", GINT_TO_POINTER (SIGINT), signal_saves);
    g_test_add_data_func ("/host/signal/terminate-saves", GINT_TO_POINTER (SIGTERM), signal_saves);
    for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
        g_autofree char *path = g_strdup_printf ("/host/bad-input/%s", bad[i].name);

        g_test_add_data_func (path, &bad[i], bad_input);
    }
    code = g_test_run ();
    test_remove_dir (dir);
    return code;
}
