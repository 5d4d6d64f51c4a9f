/* SPDX-License-Identifier: MIT */
/* What the host program reads of run folders and sweeps: lines of metrics.jsonl, the state of a
 * sweep, the texts of --grid. Folders may be cut off, edited by hand or of another program. */
#include "test.h"

#include <unistd.h>

#include <glib/gstdio.h>

#include "../tools/host/report/metrics.h"
#include "../tools/host/sweep.h"

/* Records. */

static void
append_member (const char *key, double value, const char *text, gpointer data)
{
    GString *out = data;

    if (text)
        g_string_append_printf (out, "%s=\"%s\" ", key, text);
    else
        g_string_append_printf (out, "%s=%g ", key, value);
}

typedef struct {
    const char *name, *line;
    const char *members; /* NULL: it is refused */
} Record;

static const Record records[] = {
    {"empty", "{}", ""},
    {"spaces", " { \"a\" :\t1 , \"b\":2 }\r", "a=1 b=2 "},
    {"numbers", "{\"a\":-1.5e-2,\"b\":0,\"c\":1e300}", "a=-0.015 b=0 c=1e+300 "},
    {"words", "{\"a\":null,\"b\":true,\"c\":false}", "a=nan b=nan c=nan "},
    {"texts", "{\"a\":\"x\\n\\\"\\\\\\/\\t\"}", "a=\"x\n\"\\/\t\" "},
    {"unicode", "{\"\\u00e4\":\"\\u20AC\"}", "\xc3\xa4=\"\xe2\x82\xac\" "},
    {"surrogates", "{\"a\":\"\\ud83d\\ude00\"}", "a=\"\xf0\x9f\x98\x80\" "},
    {"nested", "{\"a\":[1,[],{\"b\":\"c\",\"d\":{}}],\"e\":5}", "a=nan e=5 "},
    {"nothing", "", NULL},
    {"no-object", "[1]", NULL},
    {"cut-off-key", "{\"a", NULL},
    {"cut-off-colon", "{\"a\"", NULL},
    {"cut-off-value", "{\"a\":", NULL},
    {"cut-off-number", "{\"a\":1", NULL},
    {"cut-off-text", "{\"a\":\"b", NULL},
    {"cut-off-escape", "{\"a\":\"b\\", NULL},
    {"cut-off-hex", "{\"a\":\"\\u12", NULL},
    {"cut-off-pair", "{\"a\":\"\\ud83d", NULL},
    {"comma-at-the-end", "{\"a\":1,}", NULL},
    {"key-without-quotes", "{a:1}", NULL},
    {"value-missing", "{\"a\":}", NULL},
    {"bytes-behind", "{\"a\":1} x", NULL},
    {"plus", "{\"a\":+1}", NULL},
    {"point-first", "{\"a\":.5}", NULL},
    {"two-points", "{\"a\":1.2.3}", NULL},
    {"half-a-word", "{\"a\":nul}", NULL},
    {"nan-as-a-word", "{\"a\":NaN}", NULL},
    {"unknown-escape", "{\"a\":\"\\q\"}", NULL},
    {"wrong-hex", "{\"a\":\"\\u12g4\"}", NULL},
    {"nul", "{\"a\":\"\\u0000\"}", NULL},
    {"low-surrogate-alone", "{\"a\":\"\\ude00\"}", NULL},
    {"high-surrogate-alone", "{\"a\":\"\\ud83dabcdef\"}", NULL},
    {"high-surrogate-and-escape", "{\"a\":\"\\ud83d\\nabcdef\"}", NULL},
    {"two-high-surrogates", "{\"a\":\"\\ud83d\\ud83d\"}", NULL},
    {"pair-and-no-surrogate", "{\"a\":\"\\ud83d\\ue000\"}", NULL},
    {"pair-wrong-hex", "{\"a\":\"\\ud83d\\udexx\"}", NULL},
    {"control-character", "{\"a\":\"\n\"}", NULL},
    {"nested-key-missing", "{\"a\":{1:2}}", NULL},
    {"nested-colon-missing", "{\"a\":{\"b\" 2}}", NULL},
    {"nested-value-missing", "{\"a\":[,]}", NULL},
    {"nested-cut-off", "{\"a\":[1", NULL},
    {"deep", "{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}", NULL},
    {"long-number", "{\"a\":1000000000000000000000000000000000000000000000000000000000000000000}",
     NULL},
};

static void
record (gconstpointer data)
{
    const Record *r = data;
    g_autoptr (GString) got = g_string_new (NULL);
    gboolean ok = record_scan (r->line, strlen (r->line), append_member, got);

    g_assert_true (ok == (r->members != NULL));
    if (r->members)
        g_assert_cmpstr (got->str, ==, r->members);
}

/* A NUL is a byte like others: it ends nothing. */
static void
record_nul (void)
{
    static const char *const lines[] = {"\0{}", "{\"a\":\0}", "{\"a\":\"\\\0\"}", "{\"a\":1\0}"};
    static const gsize lengths[] = {3, 7, 9, 8};
    g_autoptr (GString) got = g_string_new (NULL);

    for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
        g_assert_false (record_scan (lines[i], lengths[i], append_member, got));
}

/* Every prefix of a line is refused but the whole. */
static void
record_prefixes (void)
{
    static const char line[] =
        "{\"event\":\"eval\",\"a\":[{\"b\":-1e5}],\"c\":\"\\ud83d\\ude00\\n\"}";
    g_autoptr (GString) got = g_string_new (NULL);

    for (gsize n = 0; n + 1 < sizeof line - 1; n++)
        g_assert_false (record_scan (line, n, append_member, got));
    g_assert_true (record_scan (line, sizeof line - 1, append_member, got));
}

/* Run folders. */

static const char config_json[] = "{\"model\":{\"plugin\":\"./m.so\"},\"seed\":3}";

static char *
run_folder (const char *config, const char *metrics, gssize n)
{
    char *dir = test_temp_dir ();

    if (config)
        g_free (test_write_file (dir, "config.json", config, -1));
    if (metrics)
        g_free (test_write_file (dir, "metrics.jsonl", metrics, n));
    return dir;
}

static void
run_refused (void)
{
    static const struct {
        const char *config, *metrics, *message;
        DlhErrorCode code;
    } cases[] = {
        {NULL, NULL, "not a run folder: it has no config.json", DLH_ERROR_DATA},
        {"[]", NULL, "config.json: not a JSON configuration", DLH_ERROR_OPTION},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (TestDir) dir = run_folder (cases[i].config, cases[i].metrics, -1);
        g_autoptr (GError) error = NULL;

        g_assert_null (run_data_read (dir, &error));
        test_assert_error (&error, cases[i].code, cases[i].message);
    }
}

/* metrics.jsonl may be missing or empty, but not a directory. */
static void
run_without_metrics (void)
{
    g_autoptr (TestDir) none = run_folder (config_json, NULL, 0);
    g_autoptr (TestDir) empty = run_folder (config_json, "", 0);
    g_autoptr (TestDir) odd = run_folder (config_json, NULL, 0);
    g_autofree char *path = g_build_filename (odd, "metrics.jsonl", NULL);
    g_autoptr (GError) error = NULL;
    g_autoptr (RunData) a = run_data_read (none, &error), b = run_data_read (empty, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (a->series->len + b->series->len, ==, 0);
    g_assert_cmpuint (a->lines + b->lines, ==, 0);
    g_assert_cmpint (a->parameters, ==, -1);
    g_assert_true (isnan (run_data_last (a, "loss")));
    g_assert_cmpint (g_mkdir (path, 0755), ==, 0);
    g_assert_null (run_data_read (odd, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "metrics.jsonl: is a directory");
}

static void
run_metrics (void)
{
    static const char lines[] =
        "{\"event\":\"eval\",\"step\":1,\"wall\":2,\"cpu\":3.5,\"loss\":5}\n"
        "not a record\n"
        "\n"
        "{\"event\":\"eval\",\"loss\":9}\n"
        "{\"event\":\"eval\",\"step\":null,\"loss\":9}\n"
        "{\"event\":7,\"step\":3,\"loss\":null,\"loss/not_finite\":\"-inf\","
        "\"lost/not_finite\":\"inf\",\"x/not_finite\":4}\n"
        "{\"step\":2,\"loss\":null,\"loss/not_finite\":\"inf\",\"text\":\"x\"}\n"
        "{\"step\":4,\"loss\":null,\"loss/not_finite\":\"nan\"}\n"
        "{\"step\":2,\"loss\":7}\n"
        "{\"event\":\"final\",\"step\":5,\"wall\":8,\"loss\":1}";
    g_autoptr (TestDir) dir = run_folder (config_json, lines, -1);
    g_autoptr (GError) error = NULL;
    g_autoptr (RunData) run = run_data_read (dir, &error);
    const double want[] = {5, 7, -INFINITY, NAN, 1};
    const Series *s;

    g_assert_no_error (error);
    g_assert_cmpuint (run->lines, ==, 9);
    g_assert_cmpuint (run->damaged, ==, 3);
    g_assert_true (run->finished);
    g_assert_cmpfloat (run->steps, ==, 5);
    g_assert_cmpfloat (run->wall, ==, 8);
    g_assert_cmpfloat (run->cpu, ==, 3.5);
    s = run_data_series (run, "loss");
    g_assert_nonnull (s);
    // Step 2 is there twice: what was written last counts.
    g_assert_cmpuint (s->points->len, ==, 5);
    g_assert_cmpfloat (g_array_index (s->points, Point, 0).cpu, ==, 3.5);
    g_assert_true (isnan (g_array_index (s->points, Point, 1).cpu));
    for (guint i = 0; i < s->points->len; i++) {
        double got = g_array_index (s->points, Point, i).value;

        g_assert_true (got == want[i] || (isnan (got) && isnan (want[i])));
    }
    g_assert_null (run_data_series (run, "text"));
}

/* The first of the best, which is the highest of an accuracy and the lowest of anything else; what
 * is not finite is none. */
static void
run_best (void)
{
    static const char lines[] =
        "{\"step\":1,\"loss\":3,\"accuracy\":0.5,\"odd\":null,\"odd/not_finite\":\"nan\"}\n"
        "{\"step\":2,\"loss\":1,\"accuracy\":null,\"accuracy/not_finite\":\"inf\"}\n"
        "{\"step\":3,\"loss\":1,\"accuracy\":0.7}\n"
        "{\"step\":4,\"loss\":2,\"accuracy\":0.7}\n"
        "{\"step\":5,\"loss\":null,\"loss/not_finite\":\"-inf\",\"accuracy\":0.6}\n";
    g_autoptr (TestDir) dir = run_folder (config_json, lines, -1);
    g_autoptr (GError) error = NULL;
    g_autoptr (RunData) run = run_data_read (dir, &error);
    double value = -1, step = -1;

    g_assert_no_error (error);
    g_assert_true (run_data_best (run, "loss", &value, &step));
    g_assert_cmpfloat (value, ==, 1);
    g_assert_cmpfloat (step, ==, 2);
    g_assert_true (run_data_best (run, "accuracy", &value, &step));
    g_assert_cmpfloat (value, ==, 0.7);
    g_assert_cmpfloat (step, ==, 3);
    g_assert_false (run_data_best (run, "odd", &value, &step));
    g_assert_false (run_data_best (run, "gone", &value, &step));
    g_assert_cmpfloat (run_data_last (run, "accuracy"), ==, 0.6);
}

/* The plugin of a kind first, its options by name; numbers in their shortest form, texts printable.
 */
static void
run_configuration (void)
{
    static const char config[] =
        "{\"model\":{\"plugin\":\"./m.so\",\"z\":0.10000000000000001,\"b\":\"1\\u001b2\",\"c\":7},"
        "\"dtype\":\"f64\",\"threads\":2,\"seed\":3}";
    static const char *const want[] = {"model.plugin", "./m.so", "model.b", "1 2", "model.c", "7",
                                       "model.z",      "0.1",    "dtype",   "f64", "threads", "2",
                                       "seed",         "3"};
    g_autoptr (TestDir) dir = run_folder (config, NULL, 0);
    g_autoptr (GError) error = NULL;
    g_autoptr (RunData) run = run_data_read (dir, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (run->keys->len, ==, G_N_ELEMENTS (want) / 2);
    for (guint i = 0; i < run->keys->len; i++) {
        g_assert_cmpstr (run->keys->pdata[i], ==, want[2 * i]);
        g_assert_cmpstr (g_hash_table_lookup (run->config, want[2 * i]), ==, want[2 * i + 1]);
    }
}

/* The newest checkpoint's variables under the model's name are counted; others and odd files not.
 */
static void
run_parameters (void)
{
    g_autoptr (TestDir) dir = run_folder (config_json, NULL, 0);
    g_autofree char *newest = g_build_filename (dir, "checkpoint-10.safetensors", NULL);
    g_autofree char *images = g_build_filename (dir, "images", NULL);
    g_autoptr (DlhTensor) six = test_tensor_random (DLH_F32, dlh_shape (2, 3), 1);
    const char *const names[] = {"m/w", "adam/m/w"};
    g_autoptr (GError) error = NULL;
    g_autoptr (RunData) run = NULL, broken = NULL;

    g_assert_true (
        dlh_safetensors_write (newest, names, (DlhTensor *[]){six, six}, 2, NULL, &error));
    g_free (test_write_file (dir, "checkpoint-9.safetensors", "older", 5));
    g_free (test_write_file (dir, "checkpoint-11.txt", "other", 5));
    g_assert_cmpint (g_mkdir (images, 0755), ==, 0);
    g_free (test_write_file (images, "step-10.png", "", 0));
    g_free (test_write_file (images, "step-9.png", "", 0));
    g_free (test_write_file (images, "note.txt", "", 0));
    g_free (test_write_file (images, "\xff.png", "", 0));
    run = run_data_read (dir, &error);
    g_assert_no_error (error);
    g_assert_cmpint (run->parameters, ==, 6);
    g_assert_cmpuint (run->images->len, ==, 2);
    g_assert_true (g_str_has_suffix (run->images->pdata[0], "/step-9.png"));
    // A damaged newest one tells nothing.
    g_free (test_write_file (dir, "checkpoint-12.safetensors", "x", 1));
    broken = run_data_read (dir, &error);
    g_assert_no_error (error);
    g_assert_cmpint (broken->parameters, ==, -1);
}

static void
names_and_numbers (void)
{
    static const struct {
        double value;
        const char *text;
    } numbers[] = {{0.1, "0.1"}, {1.0 / 3, "0.3333333333333333"}, {1e300, "1e+300"}, {-2, "-2"}};
    g_autofree char *plain = printable ("a\x1b[2J\n\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8"
                                        "\xe2\x80\xa9\xef\xbf\xbe\xef\xbf\xbf\xc3\xa4\xff");

    g_assert_cmpstr (plain, ==, "a [2J       \xc3\xa4\xef\xbf\xbd");
    for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
        g_autofree char *text = shortest_number (numbers[i].value);

        g_assert_cmpstr (text, ==, numbers[i].text);
    }
    g_assert_true (metric_higher_is_better ("test/accuracy"));
    g_assert_true (metric_higher_is_better ("ELBO"));
    g_assert_true (metric_higher_is_better ("scores/likelihood/log_p"));
    g_assert_false (metric_higher_is_better ("test/log_perplexity"));
    g_assert_false (metric_higher_is_better ("test/neg_log_lik"));
    g_assert_false (metric_higher_is_better ("accuracy/loss"));
}

/* Sweeps. */

static void
axis_refused (void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"optimizer.lr", "must be of the form optimizer.lr=[0.1,0.3]"},
        {"optimizer.lr=", "must be of the form"},
        {"optimizer.lr=1", "must be of the form"},
        {"optimizer.lr=[", "must be of the form"},
        {"optimizer.lr=..1", "must be of the form"},
        {"optimizer.lr=1..", "must be of the form"},
        {"optimizer.lr=x..1", "must be of the form"},
        {"optimizer.lr=1..x", "must be of the form"},
        {"optimizer.lr=0..1", "both ends above 0"},
        {"optimizer.lr=2..1", "must be of the form"},
        {"optimizer.lr=1..inf", "must be of the form"},
        {"optimizer.lr=[1,1]", "has a value twice"},
        {"optimizer.lr=[1,,2]", "has an empty value"},
        {"seed=[1,2]", "'seed' can not be varied: give a kind (optimizer), an option "},
        {"seed=[1,2]", "seeds are varied by --seeds"},
        {".lr=[1,2]", "'.lr' can not be varied"},
        {"optimizer.=[1,2]", "'optimizer.' can not be varied"},
        {"lr=[1,2]", "'lr' can not be varied"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (GError) error = NULL;

        g_assert_null (sweep_axis_parse (cases[i].text, &error));
        test_assert_error (&error, DLH_ERROR_OPTION, cases[i].message);
    }
}

static void
axis_read (void)
{
    SweepAxis *list = sweep_axis_parse ("mlp.hidden=[[4],[4,8]]", NULL);
    SweepAxis *range = sweep_axis_parse ("batch=8..64", NULL);
    SweepAxis *real = sweep_axis_parse ("optimizer.lr=1e-4..1", NULL);
    SweepAxis *kind = sweep_axis_parse ("optimizer=[sgd,adam]", NULL);
    SweepAxis *dtype = sweep_axis_parse ("dtype=[f32,f64]", NULL);

    g_assert_cmpuint (list->values->len, ==, 2);
    g_assert_cmpstr (list->values->pdata[1], ==, "[4,8]");
    g_assert_cmpstr (list->owner, ==, "mlp");
    g_assert_cmpstr (range->owner, ==, "task");
    g_assert_true (range->whole && !real->whole);
    g_assert_cmpfloat (range->high, ==, 64);
    g_assert_true (kind->of_kind && !kind->option);
    g_assert_true (!dtype->of_kind && !dtype->option);
    for (guint i = 0; i < 5; i++)
        sweep_axis_free ((SweepAxis *[]){list, range, real, kind, dtype}[i]);
}

/* Plans "dlhost sweep" with these options. */
static gboolean
plan (const char *const *options, Sweep *sweep, GError **error)
{
    g_autoptr (GPtrArray) argv = g_ptr_array_new ();
    g_auto (Invocation) inv = {0};

    g_ptr_array_add (argv, (gpointer) "dlhost");
    g_ptr_array_add (argv, (gpointer) "sweep");
    for (; *options; options++)
        g_ptr_array_add (argv, (gpointer)*options);
    g_ptr_array_add (argv, NULL);
    return command_line_parse (&inv, (int)argv->len - 1, (char *const *)argv->pdata, error) &&
           sweep_plan (sweep, &inv, error);
}

static void
plan_refused (void)
{
    static const struct {
        const char *options[5];
        const char *message;
    } cases[] = {
        {{"--grid=optimizer.lr=[1,2]", "--grid=optimizer.lr=[3]", "--optimizer=sgd"},
         "'optimizer.lr' is given twice"},
        {{"--grid=optimizer.lr=[1,2]", "--optimizer=sgd,lr=1"}, "and given as an option of every"},
        {{"--grid=batch=[1,2]", "--batch=4", "--optimizer=sgd"}, "and given as an option of every"},
        {{"--grid=dtype=[f32,f64]", "--dtype=f32"}, "and given as an option of every"},
        {{"--grid=optimizer.lr=1..2", "--optimizer=sgd"}, "is a range: say how many draws"},
        {{"--grid=optimizer=1..2", "--random=3"}, "is a range"},
        {{"--grid=kfac.lr=[1]", "--optimizer=sgd"}, "no run uses a plugin 'kfac'"},
        {{"--grid=lr=[1]"}, "can not be varied"},
        {{"--seeds=0"}, "--seeds: '0' must be a whole number from 1 to 10000"},
        {{"--random=x"}, "--random: 'x' must be a whole number"},
        {{"--grid=task.a=[1,2,3,4,5,6,7,8,9,10]", "--grid=task.b=[1,2,3,4,5,6,7,8,9,10]",
          "--grid=task.c=[1,2,3,4,5,6,7,8,9,10]", "--grid=task.d=[1,2,3,4,5,6,7,8,9,10]",
          "--grid=task.e=[1,2,3,4,5,6,7,8,9,10,11]"},
         "combinations"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        const char *options[6] = {NULL};
        g_auto (Sweep) sweep = {0};
        g_autoptr (GError) error = NULL;

        memcpy (options, cases[i].options, sizeof cases[i].options);
        g_assert_false (plan (options, &sweep, &error));
        test_assert_error (&error, DLH_ERROR_OPTION, cases[i].message);
    }
}

/* Draws lie in their range, whole ones are whole, and depend on the seed alone. */
static void
plan_random (void)
{
    const char *options[] = {"--optimizer=./sgd.so",
                             "--grid=optimizer.lr=1e-3..1e-1",
                             "--grid=sgd.momentum=[0,0.9]",
                             "--grid=batch=8..64",
                             "--random=20",
                             NULL};
    g_auto (Sweep) sweep = {0}, again = {0};
    g_autoptr (GError) error = NULL;

    g_assert_true (plan (options, &sweep, &error));
    g_assert_no_error (error);
    g_assert_true (plan (options, &again, &error));
    g_assert_cmpuint (sweep.runs->len, ==, 20);
    for (guint i = 0; i < 20; i++) {
        GPtrArray *settings = ((Combination *)sweep.combinations->pdata[i])->settings;

        for (guint k = 0; k < settings->len; k++) {
            const SweepSetting *s = settings->pdata[k];
            double value = g_ascii_strtod (s->value, NULL);

            if (strcmp (s->option, "lr") == 0)
                g_assert_true (value >= 1e-3 && value <= 1e-1);
            else if (strcmp (s->option, "batch") == 0)
                g_assert_true (value >= 8 && value <= 64 && value == floor (value));
            else
                g_assert_true (value == 0 || value == 0.9);
        }
        g_assert_cmpstr (((SweepRun *)sweep.runs->pdata[i])->name, ==,
                         ((SweepRun *)again.runs->pdata[i])->name);
    }
}

static void
arguments_refused (void)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"arguments\":5}",
                                        "{\"arguments\":[]}",
                                        "{\"arguments\":[1,null,[]]}",
                                        "{\"other\":[\"a\"]}",
                                        "{'arguments':[\"a\"]}"};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) good = NULL;

    g_assert_null (sweep_read_arguments (dir, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "sweep.json: there is no such file");
    for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
        g_free (test_write_file (dir, "sweep.json", texts[i], -1));
        g_assert_null (sweep_read_arguments (dir, &error));
        test_assert_error (&error, DLH_ERROR_DATA, "sweep.json: not a description of a sweep");
    }
    g_free (test_write_file (dir, "sweep.json", "{\"arguments\":[\"a\",1,\"b\"]}", -1));
    good = sweep_read_arguments (dir, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (good->len, ==, 2);
}

/* What is written is what a later sitting reads, whatever was typed. */
static void
arguments_written (void)
{
    const char *const options[] = {"--optimizer=sgd", "--grid=optimizer.lr=[1e-3,\"\xc3\xa4]",
                                   NULL};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_auto (Sweep) sweep = {0};
    g_autoptr (GPtrArray) got = NULL;
    g_autoptr (GError) error = NULL;

    g_assert_true (plan (options, &sweep, &error));
    sweep.dir = g_strdup (dir);
    sweep.arguments = g_ptr_array_new_with_free_func (g_free);
    for (guint i = 0; options[i]; i++)
        g_ptr_array_add (sweep.arguments, g_strdup (options[i]));
    g_assert_true (sweep_write_arguments (&sweep, &error));
    got = sweep_read_arguments (dir, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (got->len, ==, 2);
    for (guint i = 0; i < got->len; i++)
        g_assert_cmpstr (got->pdata[i], ==, options[i]);
}

/* A folder as "--after" takes it: what it lacks is told. */
static void
folder_read (void)
{
    static const char *const bad[] = {"{\"arguments\":[\"--grid=rubbish\"]}", "{}"};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "state.jsonl", NULL);
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
        g_auto (Sweep) sweep = {0};

        g_free (test_write_file (dir, "sweep.json", bad[i], -1));
        g_assert_false (sweep_read_folder (&sweep, dir, &error));
        g_assert_nonnull (error);
        g_clear_error (&error);
    }
    g_free (test_write_file (dir, "sweep.json",
                             "{\"arguments\":[\"--optimizer=sgd\",\"--seeds=2\"]}", -1));
    {
        g_auto (Sweep) sweep = {0};

        g_assert_true (sweep_read_folder (&sweep, dir, &error));
        g_assert_no_error (error);
        g_assert_cmpuint (sweep.runs->len, ==, 2);
    }
    {
        g_auto (Sweep) sweep = {0};

        g_assert_cmpint (g_mkdir (path, 0755), ==, 0);
        g_assert_false (sweep_read_folder (&sweep, dir, &error));
        g_assert_nonnull (error);
    }
}

/* Kinds are varied first, and a plugin's own options only with that plugin. */
static void
plan_kinds (void)
{
    const char *options[] = {"--grid=optimizer=[sgd,kfac]",
                             "--grid=kfac.damping=[1,2]",
                             "--grid=dtype=[f32,f64]",
                             "--model=./mlp.so",
                             "--seeds=2",
                             NULL};
    g_auto (Sweep) sweep = {0};
    g_autoptr (GError) error = NULL;
    guint n_kfac = 0;

    g_assert_true (plan (options, &sweep, &error));
    g_assert_no_error (error);
    // 1 of sgd, 2 of kfac, each in 2 element types with 2 seeds.
    g_assert_cmpuint (sweep.combinations->len, ==, 6);
    g_assert_cmpuint (sweep.runs->len, ==, 12);
    for (guint i = 0; i < 6; i++) {
        const Combination *c = sweep.combinations->pdata[i];

        n_kfac += strstr (c->label, "kfac") != NULL;
        if (strstr (c->label, "sgd"))
            g_assert_null (strstr (c->label, "damping"));
    }
    g_assert_cmpuint (n_kfac, ==, 4);
}

static SweepRun *
nth (const Sweep *sweep, guint i)
{
    return sweep->runs->pdata[i];
}

/* Lines that are cut off, of unknown runs, or without a whole exit code change nothing. */
static void
state_read (void)
{
    const char *const options[] = {"--optimizer=sgd", "--seeds=4", NULL};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_auto (Sweep) sweep = {0};
    g_autoptr (GString) text =
        g_string_new ("{\"run\":\"who\",\"code\":0}\n{\"run\":5}\n\nrubbish\n"
                      "{\"code\":0,\"more\":1}\n");
    g_autoptr (GError) error = NULL;
    g_autofree char *path = g_build_filename (dir, "state.jsonl", NULL);

    g_assert_true (plan (options, &sweep, &error));
    sweep.dir = g_strdup (dir);
    g_assert_true (sweep_read_state (&sweep, FALSE, &error));
    g_assert_cmpint (nth (&sweep, 0)->state, ==, RUN_MISSING);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *folder = g_build_filename (dir, nth (&sweep, i)->name, NULL);

        g_assert_cmpint (g_mkdir (folder, 0755), ==, 0);
    }
    for (guint i = 0; i < 4; i++)
        g_string_append_printf (text, "{\"run\":\"%s\",\"code\":%s}\n", nth (&sweep, i)->name,
                                ((const char *[]){"0", "3", "0.5", "0"})[i]);
    g_string_append_printf (text, "{\"run\":\"%s\",\"co", nth (&sweep, 1)->name);
    g_free (test_write_file (dir, "state.jsonl", text->str, (gssize)text->len));
    g_assert_true (sweep_read_state (&sweep, FALSE, &error));
    g_assert_cmpint (nth (&sweep, 0)->state, ==, RUN_DONE);
    g_assert_cmpint (nth (&sweep, 1)->state, ==, RUN_FAILED);
    g_assert_cmpint (nth (&sweep, 1)->code, ==, 3);
    g_assert_cmpint (nth (&sweep, 2)->state, ==, RUN_STOPPED);
    g_assert_cmpint (nth (&sweep, 3)->state, ==, RUN_MISSING); // its folder is gone
    g_assert_true (sweep_read_state (&sweep, TRUE, &error));
    g_assert_cmpint (nth (&sweep, 1)->state, ==, RUN_STOPPED);
    // What is recorded is read back, behind the line that was cut off.
    nth (&sweep, 2)->code = -9;
    g_assert_true (sweep_record (&sweep, nth (&sweep, 2), &error));
    g_assert_true (sweep_read_state (&sweep, FALSE, &error));
    g_assert_cmpint (nth (&sweep, 2)->state, ==, RUN_FAILED);
    g_assert_cmpint (nth (&sweep, 2)->code, ==, -9);
    g_assert_no_error (error);
    g_assert_cmpint (g_remove (path), ==, 0);
    g_assert_cmpint (g_mkdir (path, 0755), ==, 0);
    g_assert_false (sweep_read_state (&sweep, FALSE, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "state.jsonl: is a directory");
    g_assert_false (sweep_record (&sweep, nth (&sweep, 2), &error));
    test_assert_error (&error, DLH_ERROR_IO, "state.jsonl: cannot write: Is a directory");
}

/* The command line, where commands are no runs. */
static void
options_twice (void)
{
    static const struct {
        const char *options[4];
        const char *message;
    } cases[] = {
        {{"--seeds=1", "--seeds=2"}, "--seeds is given twice"},
        {{"--plugin-path=a", "--plugin-path=b"}, "--plugin-path is given twice"},
        {{"--config=a", "--config=b"}, "--config is given twice"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Sweep) sweep = {0};
        g_autoptr (GError) error = NULL;

        g_assert_false (plan (cases[i].options, &sweep, &error));
        test_assert_error (&error, DLH_ERROR_OPTION, cases[i].message);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (records); i++) {
        g_autofree char *path = g_strdup_printf ("/host-files/record/%s", records[i].name);

        g_test_add_data_func (path, &records[i], record);
    }
    g_test_add_func ("/host-files/record/nul-bytes", record_nul);
    g_test_add_func ("/host-files/record/every-prefix-refused", record_prefixes);
    g_test_add_func ("/host-files/run/refused", run_refused);
    g_test_add_func ("/host-files/run/without-metrics", run_without_metrics);
    g_test_add_func ("/host-files/run/metrics-read", run_metrics);
    g_test_add_func ("/host-files/run/best-is-first", run_best);
    g_test_add_func ("/host-files/run/configuration-told", run_configuration);
    g_test_add_func ("/host-files/run/parameters-counted", run_parameters);
    g_test_add_func ("/host-files/names/printable", names_and_numbers);
    g_test_add_func ("/host-files/axis/refused", axis_refused);
    g_test_add_func ("/host-files/axis/read", axis_read);
    g_test_add_func ("/host-files/plan/refused", plan_refused);
    g_test_add_func ("/host-files/plan/random-draws", plan_random);
    g_test_add_func ("/host-files/arguments/refused", arguments_refused);
    g_test_add_func ("/host-files/arguments/written", arguments_written);
    g_test_add_func ("/host-files/plan/kinds-first", plan_kinds);
    g_test_add_func ("/host-files/state/damaged-lines", state_read);
    g_test_add_func ("/host-files/folder/read-whole", folder_read);
    g_test_add_func ("/host-files/options/given-twice", options_twice);
    return g_test_run ();
}
