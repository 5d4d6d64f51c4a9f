/* SPDX-License-Identifier: MIT */
/* What a host is given of a task's figure, and what never reaches it. */
#include "test.h"

static guint n_given;
static DlhFigure given;

static gboolean
take (gpointer host, const DlhFigure *figure, GError **error)
{
    n_given++;
    given = *figure;
    if (host)
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "disk full");
    return !host;
}

static DlhRun *
drawing_run (gsize size, gpointer host)
{
    const DlhHost functions = {.size = size, .figure = take};
    g_autoptr (DlhStore) store = dlh_store_new (0, DLH_F64);

    n_given = 0;
    return dlh_run_new (&functions, host, store);
}

static const double numbers[] = {1, 2, NAN, 4};

static DlhCurve
plain_curve (void)
{
    return (DlhCurve){.label = "c", .x = numbers, .y = numbers, .n = 4};
}

static DlhFigure
plain_figure (const DlhCurve *curve)
{
    return (DlhFigure){.size = sizeof (DlhFigure),
                       .name = "loss-1.a_b",
                       .title = "Loss",
                       .x_label = "step",
                       .y_label = "loss",
                       .curves = curve,
                       .n_curves = 1};
}

static void
given_whole (void)
{
    const DlhCurve curve = plain_curve ();
    const DlhFigure figure = plain_figure (&curve);
    g_autoptr (DlhRun) run = drawing_run (sizeof (DlhHost), NULL);
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_run_figure (run, &figure, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (n_given, ==, 1);
    g_assert_true (memcmp (&given, &figure, sizeof figure) == 0);
}

// Another version's struct may end sooner or later.
static void
other_sizes (void)
{
    const DlhCurve curve = plain_curve ();
    g_autoptr (DlhRun) run = drawing_run (sizeof (DlhHost), NULL);
    g_autoptr (GError) error = NULL;
    struct {
        DlhFigure figure;
        guint8 tail[64];
    } longer = {plain_figure (&curve), {0xa5}};

    longer.figure.size = sizeof longer;
    g_assert_true (dlh_run_figure (run, &longer.figure, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (given.size, ==, sizeof (DlhFigure));
    longer.figure.size = G_STRUCT_OFFSET (DlhFigure, n_curves);
    g_assert_false (dlh_run_figure (run, &longer.figure, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "0 curves");
}

static void
host_without (void)
{
    const DlhCurve curve = plain_curve ();
    const DlhFigure figure = plain_figure (&curve);
    g_autoptr (DlhRun) run = drawing_run (G_STRUCT_OFFSET (DlhHost, figure), NULL);
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_run_figure (run, &figure, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (n_given, ==, 0);
}

static void
host_fails (void)
{
    const DlhCurve curve = plain_curve ();
    const DlhFigure figure = plain_figure (&curve);
    g_autoptr (DlhRun) run = drawing_run (sizeof (DlhHost), &n_given);
    g_autoptr (GError) error = NULL;

    g_assert_false (dlh_run_figure (run, &figure, &error));
    test_assert_error (&error, DLH_ERROR_IO, "disk full");
}

static void
refuse (const DlhFigure *figure, DlhErrorCode code, const char *text)
{
    g_autoptr (DlhRun) run = drawing_run (sizeof (DlhHost), NULL);
    g_autoptr (GError) error = NULL;

    g_assert_false (dlh_run_figure (run, figure, &error));
    test_assert_error (&error, code, text);
    g_assert_cmpuint (n_given, ==, 0);
}

static void
names_refused (void)
{
    static const char *const names[] = {NULL,  "",     ".hidden", "-rf",      "a/b",  "../up",
                                        "a b", "a\nb", "\xff",    "\xc3\xa4", "a\"b", "a:b"};
    const DlhCurve curve = plain_curve ();
    DlhFigure figure = plain_figure (&curve);
    g_autofree char *longest = g_strnfill (101, 'a');

    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        figure.name = names[i];
        refuse (&figure, DLH_ERROR_OPTION, "letters, digits");
    }
    figure.name = longest;
    refuse (&figure, DLH_ERROR_OPTION, "1 to 100 letters");
}

static void
words_refused (void)
{
    const DlhCurve curve = plain_curve ();
    const DlhCurve bad = {.label = "\xff", .x = numbers, .y = numbers, .n = 4};
    g_autofree char *endless = g_strnfill (10001, 'a');
    DlhFigure figure = plain_figure (&curve);

    figure.title = NULL;
    refuse (&figure, DLH_ERROR_OPTION, "'loss-1.a_b': the title is missing");
    figure = plain_figure (&curve);
    figure.x_label = "";
    refuse (&figure, DLH_ERROR_OPTION, "x_label is missing");
    figure = plain_figure (&curve);
    figure.y_label = "\xfe";
    refuse (&figure, DLH_ERROR_OPTION, "y_label is not UTF-8");
    figure = plain_figure (&curve);
    figure.caption = endless;
    refuse (&figure, DLH_ERROR_OPTION, "the caption is longer than 10000 bytes");
    figure = plain_figure (&bad);
    refuse (&figure, DLH_ERROR_OPTION, "the label of curve 0 is not UTF-8");
}

static void
curves_refused (void)
{
    const double high[] = {1, 2, 3, 3};
    DlhCurve curve = plain_curve ();
    DlhFigure figure = plain_figure (&curve);

    curve.y = NULL;
    refuse (&figure, DLH_ERROR_SHAPE, "curve 0 of 4 points needs x and y");
    curve = plain_curve ();
    curve.low = numbers;
    refuse (&figure, DLH_ERROR_SHAPE, "low and high together or neither");
    curve.high = high;
    refuse (&figure, DLH_ERROR_SHAPE, "from low 4 to high 3 at point 3");
    curve = plain_curve ();
    curve.style = (DlhCurveStyle)7;
    refuse (&figure, DLH_ERROR_OPTION, "curve 0 has style 7");
    curve = plain_curve ();
    curve.n = 1000001;
    refuse (&figure, DLH_ERROR_SHAPE, "more than 1000000 points");
    curve = plain_curve ();
    figure.kind = (DlhFigureKind)9;
    refuse (&figure, DLH_ERROR_OPTION, "kind 9 is not known");
    figure = plain_figure (&curve);
    figure.n_curves = 257;
    refuse (&figure, DLH_ERROR_SHAPE, "257 curves, must be 1 to 256");
    figure.n_curves = 0;
    refuse (&figure, DLH_ERROR_SHAPE, "0 curves");
    figure = plain_figure (NULL);
    refuse (&figure, DLH_ERROR_SHAPE, "0 curves");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/figure/host/given-whole", given_whole);
    g_test_add_func ("/figure/other-sizes/read-as-far-as-known", other_sizes);
    g_test_add_func ("/figure/host-without/dropped", host_without);
    g_test_add_func ("/figure/host-fails/passed-on", host_fails);
    g_test_add_func ("/figure/names/refused", names_refused);
    g_test_add_func ("/figure/words/refused", words_refused);
    g_test_add_func ("/figure/curves/refused", curves_refused);
    return g_test_run ();
}
