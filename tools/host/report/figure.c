/* SPDX-License-Identifier: MIT */
/* The style of figures, and gnuplot as a child process.
 *
 * Text from outside (names of runs and metrics) reaches gnuplot with all but letters as octal
 * escapes: nothing is left that could end the string, or be a command in backquotes, a macro or
 * markup. Doubled single quotes would not do: gnuplot 5.4 reads ''' as an empty string and the
 * start of another. Digits are escaped because it takes more than three of them into an escape.
 * Every terminal is told `noenhanced`.
 */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <dlhost/dlhost.h>
#include "figure.h"
#include "metrics.h"

#define WIDTH 640
#define HEIGHT 380    /* without the legend */
#define LEGEND_ROW 24 /* pixels */
#define LEGEND_GAP 14 /* between the axis and the legend */
// Characters of labels of which two and four stand side by side: gnuplot puts fewer in a row where
// they do not fit, and takes the room from the plot.
#define SHORT_LABEL 24
#define TINY_LABEL 10
#define FEW_DOTS 40 /* are marked one by one */

// Okabe and Ito's colours, without black and yellow: told apart by colour-blind readers, and seen
// on white as on dark grey.
const char *const palette[N_COLOURS] = {"#0072B2", "#D55E00", "#009E73",
                                        "#CC79A7", "#E69F00", "#56B4E9"};

static const char *const dashes[] = {"solid", "(12,5)", "(3,4)", "(12,4,3,4)"};
static const guint marks[] = {6, 4, 8, 12}; // circle, square, triangle, diamond: not filled

static void
curve_free (gpointer data)
{
    Curve *c = data;

    g_free (c->label);
    g_array_unref (c->dots);
    g_array_unref (c->crosses);
    g_free (c);
}

Figure *
figure_new (const char *stem, const char *title)
{
    Figure *f = g_new0 (Figure, 1);

    f->stem = g_strdup (stem);
    f->title = g_strdup (title);
    f->curves = g_ptr_array_new_with_free_func (curve_free);
    return f;
}

void
figure_free (Figure *f)
{
    g_free (f->stem);
    g_free (f->title);
    g_free (f->caption);
    g_free (f->alt);
    g_free (f->x_label);
    g_free (f->y_label);
    g_ptr_array_unref (f->curves);
    g_free (f);
}

Curve *
figure_add_curve (Figure *figure, const char *label, guint style)
{
    Curve *c = g_new0 (Curve, 1);

    c->label = g_strdup (label);
    c->style = style;
    c->dots = g_array_new (FALSE, FALSE, sizeof (Dot));
    c->crosses = g_array_new (FALSE, FALSE, sizeof (Dot));
    g_ptr_array_add (figure->curves, c);
    return c;
}

/* The script. */

static void
append_quoted (GString *s, const char *text)
{
    g_autofree char *clean = printable (text);

    g_string_append_c (s, '"');
    for (const char *p = clean; *p; p++)
        if (g_ascii_isalpha (*p) || *p == ' ')
            g_string_append_c (s, *p);
        else
            g_string_append_printf (s, "\\%03o", (guchar)*p);
    g_string_append_c (s, '"');
}

static void
append_number (GString *s, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (isfinite (value))
        g_string_append (s, g_ascii_formatd (text, sizeof text, "%.10g", value));
    else
        g_string_append (s, "NaN");
}

static gboolean
can_stand (const Figure *f, const Dot *dot)
{
    return isfinite (dot->y) && isfinite (dot->x) && (!f->log_y || dot->y > 0) &&
           (!f->log_x || dot->x > 0);
}

static void
append_dots (GString *s, const Figure *f, const GArray *dots, guint id, char letter)
{
    g_string_append_printf (s, "$%c%u << EOD\n", letter, id);
    for (guint i = 0; i < dots->len; i++) {
        const Dot *dot = &g_array_index (dots, Dot, i);
        double low = isfinite (dot->low) ? dot->low : dot->y;
        double high = isfinite (dot->high) ? dot->high : dot->y;

        // A blank line is a gap.
        if (can_stand (f, dot)) {
            append_number (s, dot->x);
            g_string_append_c (s, ' ');
            append_number (s, dot->y);
            g_string_append_c (s, ' ');
            append_number (s, f->log_y && low <= 0 ? dot->y * 1e-3 : low);
            g_string_append_c (s, ' ');
            append_number (s, high);
        }
        g_string_append_c (s, '\n');
    }
    g_string_append (s, "EOD\n");
}

static guint
n_standing (const Figure *f, const GArray *dots)
{
    guint n = 0;

    for (guint i = 0; i < dots->len; i++)
        n += can_stand (f, &g_array_index (dots, Dot, i));
    return n;
}

static void
append_curve (GString *s, const Figure *f, guint id, gboolean bands)
{
    const Curve *c = f->curves->pdata[id];
    const char *colour = palette[c->style % N_COLOURS];
    const char *dash = dashes[c->style / N_COLOURS % G_N_ELEMENTS (dashes)];
    guint n = n_standing (f, c->dots);

    if (bands) {
        if (c->band && n > 1)
            g_string_append_printf (s,
                                    "$d%u using 1:3:4 with filledcurves fc rgb '%s' fs transparent "
                                    "solid 0.20 noborder notitle, \\\n",
                                    id, colour);
        return;
    }
    if (n) {
        if (c->bars)
            g_string_append_printf (s,
                                    "$d%u using 1:2:3:4 with yerrorbars lc rgb '%s' lw 1.5 pt 7 "
                                    "ps 0.1 notitle, \\\n",
                                    id, colour);
        if (c->points)
            g_string_append_printf (s, "$d%u using 1:2 with points lc rgb '%s%s' pt %u ps %s lw 2 ",
                                    id, c->faint ? "#A0" : "", c->faint ? colour + 1 : colour,
                                    marks[c->style / N_COLOURS % G_N_ELEMENTS (marks)],
                                    c->faint ? "0.4" : "0.7");
        else
            g_string_append_printf (s, "$d%u using 1:2 with %s lc rgb '%s%s' lw %s dt %s%s ", id,
                                    c->faint        ? "lines"
                                    : n <= FEW_DOTS ? "linespoints"
                                                    : "lines",
                                    c->faint ? "#A0" : "", c->faint ? colour + 1 : colour,
                                    c->faint ? "1" : "2", dash,
                                    c->faint        ? ""
                                    : n <= FEW_DOTS ? " pt 7 ps 0.55"
                                                    : "");
    } else
        // It has a place in the legend all the same.
        g_string_append_printf (s, "NaN with lines lc rgb '%s' lw 2 dt %s ", colour, dash);
    if (c->label && !c->faint) {
        g_string_append (s, "title ");
        append_quoted (s, c->label);
    } else
        g_string_append (s, "notitle");
    g_string_append (s, ", \\\n");
    if (n_standing (f, c->crosses))
        g_string_append_printf (
            s, "$c%u using 1:2 with points pt 2 ps 1.1 lw 2 lc rgb '%s' notitle, \\\n", id, colour);
}

static guint
legend_rows (const Figure *f)
{
    guint n = 0;
    glong longest = 0;

    for (guint i = 0; i < f->curves->len; i++) {
        const Curve *c = f->curves->pdata[i];

        if (c->faint || !c->label)
            continue;
        n++;
        longest = MAX (longest, g_utf8_strlen (c->label, -1));
    }
    return longest <= TINY_LABEL ? (n + 3) / 4 : longest <= SHORT_LABEL ? (n + 1) / 2 : n;
}

static void
append_terminal (GString *s, const Figure *f, guint id, gboolean png)
{
    guint rows = legend_rows (f), height = HEIGHT + (rows ? LEGEND_GAP : 0) + LEGEND_ROW * rows;

    if (png)
        g_string_append_printf (s,
                                "set terminal pngcairo size %d,%u noenhanced font 'DejaVu Sans,12' "
                                "fontscale 1.7 linewidth 2 pointscale 2 background '#ffffff'\n"
                                "set output '%u.png'\n",
                                2 * WIDTH, 2 * height, id);
    else
        g_string_append_printf (s,
                                "set terminal svg size %d,%u dynamic noenhanced font 'DejaVu "
                                "Sans,14' background '#ffffff'\nset output '%u.svg'\n",
                                WIDTH, height, id);
}

// The least value that is drawn, bands included.
static double
lowest (const Dot *dot)
{
    return isfinite (dot->low) ? fmin (dot->low, dot->y) : dot->y;
}

// A flat curve has no range of its own. What is never negative and comes near 0 begins there: the
// next tick below would suggest values that cannot be.
static void
append_range (GString *s, const Figure *f)
{
    double low = INFINITY, high = -INFINITY, left = INFINITY, right = -INFINITY;
    double margin, floor = INFINITY;

    for (guint i = 0; i < f->curves->len; i++) {
        const Curve *c = f->curves->pdata[i];

        for (guint k = 0; k < c->dots->len; k++) {
            const Dot *dot = &g_array_index (c->dots, Dot, k);

            if (!can_stand (f, dot))
                continue;
            low = fmin (low, dot->y);
            floor = fmin (floor, lowest (dot));
            high = fmax (high, dot->y);
            left = fmin (left, dot->x);
            right = fmax (right, dot->x);
        }
    }
    if (!(low <= high)) {
        g_string_append (s, "set xrange [1:10]\nset yrange [1:10]\n"
                            "set label 1 'no finite values' at graph 0.5,0.5 center\n");
        return;
    }
    if (low == high) {
        margin = f->log_y || low == 0 ? 1 : fabs (low) * 0.1;
        g_string_append (s, "set yrange [");
        append_number (s, f->log_y ? low / 10 : low - margin);
        g_string_append_c (s, ':');
        append_number (s, f->log_y ? high * 10 : high + margin);
        g_string_append (s, "]\n");
    } else if (!f->log_y && floor >= 0 && floor < 0.1 * (high - floor))
        g_string_append (s, "set yrange [0:*]\n");
    if (left == right) {
        margin = f->log_x || left == 0 ? 1 : fabs (left) * 0.1;
        g_string_append (s, "set xrange [");
        append_number (s, f->log_x ? left / 10 : left - margin);
        g_string_append_c (s, ':');
        append_number (s, f->log_x ? right * 10 : right + margin);
        g_string_append (s, "]\n");
    }
}

static const char style[] =
    "reset\nset encoding utf8\nset datafile missing 'NaN'\n"
    "set border 3 lc rgb '#404040' lw 1\n"
    "set tics out nomirror scale 0.6 textcolor rgb '#404040'\n"
    "set grid xtics ytics lt 1 lw 0.6 dt solid lc rgb '#dddddd'\n"
    "set format '%.4g'\n"
    "set key bmargin center horizontal Left reverse samplen 2.2 spacing 1.4 height 0.5 "
    "textcolor rgb "
    "'#404040'\n"
    "set autoscale xfix\nset offsets graph 0.02, graph 0.02, graph 0.04, graph 0.03\n";

static void
append_figure (GString *s, const Figure *f, guint id, gboolean png)
{
    g_string_append (s, style);
    for (guint i = 0; i < f->curves->len; i++) {
        append_dots (s, f, ((Curve *)f->curves->pdata[i])->dots, i, 'd');
        append_dots (s, f, ((Curve *)f->curves->pdata[i])->crosses, i, 'c');
    }
    g_string_append_printf (s, "%s%sset key maxrows %u\n", f->log_x ? "set logscale x\n" : "",
                            f->log_y ? "set logscale y\nset offsets graph 0.02, graph 0.02, 0, 0\n"
                                     : "",
                            MAX (legend_rows (f), 1));
    append_range (s, f);
    g_string_append (s, "set title ");
    append_quoted (s, f->title);
    g_string_append (s, " font ',16' textcolor rgb '#404040'\nset xlabel ");
    append_quoted (s, f->x_label);
    g_string_append (s, " offset 0,0.3 textcolor rgb '#404040'\nset ylabel ");
    append_quoted (s, f->y_label);
    g_string_append (s, " textcolor rgb '#404040'\n");
    for (guint format = 0; format <= (png ? 1 : 0); format++) {
        append_terminal (s, f, id, format == 1);
        g_string_append (s, "plot ");
        for (guint i = 0; i < f->curves->len; i++)
            append_curve (s, f, i, TRUE);
        for (guint i = 0; i < f->curves->len; i++)
            if (((Curve *)f->curves->pdata[i])->faint)
                append_curve (s, f, i, FALSE);
        for (guint i = 0; i < f->curves->len; i++)
            if (!((Curve *)f->curves->pdata[i])->faint)
                append_curve (s, f, i, FALSE);
        g_string_append (s, "NaN notitle\nunset output\n");
    }
    g_string_append (s, "unset label\n");
}

/* The child process. */

gboolean
figures_can_draw (GError **error)
{
    g_autofree char *path = g_find_program_in_path ("gnuplot");

    if (path)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_IO,
                 "figures are drawn by gnuplot, which is not installed: apt-get install "
                 "gnuplot-nox");
    return FALSE;
}

// Between fork and exec. A group of its own: a signal to the whole group, as Ctrl-C and timeout(1)
// send it, asks dlhost to stop after its step, and must not cost the figure.
static void
leave_group (gpointer data)
{
    (void)data;
    setpgid (0, 0);
    prctl (PR_SET_PDEATHSIG, SIGTERM);
}

// (transfer full): what gnuplot said, and how it ended; NULL when it ended well.
static char *
failure (GSubprocess *child, GBytes *messages)
{
    const gboolean exited = g_subprocess_get_if_exited (child);
    gsize n = 0;
    const char *data = messages ? g_bytes_get_data (messages, &n) : NULL;
    g_autofree char *text = g_strndup (data ? data : "", MIN (n, 600));
    g_autofree char *line = printable (text);

    if (exited && g_subprocess_get_exit_status (child) == 0)
        return NULL;
    g_strstrip (line);
    return exited ? g_strdup_printf ("%s%sexit code %d", line, *line ? "; " : "",
                                     g_subprocess_get_exit_status (child))
                  : g_strdup_printf ("%s%skilled by signal %d", line, *line ? "; " : "",
                                     g_subprocess_get_term_sig (child));
}

static gboolean
run_gnuplot (const char *dir, const GString *script, GError **error)
{
    g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr (GSubprocess) child = NULL;
    g_autofree char *path = g_build_filename (dir, "script", NULL);
    g_autoptr (GBytes) messages = NULL;
    g_autoptr (GError) cause = NULL;
    g_autofree char *reason = NULL;

    // Not through a pipe: of a gnuplot that ends early only "broken pipe" would be known.
    if (!g_file_set_contents (path, script->str, (gssize)script->len, error))
        return FALSE;
    g_subprocess_launcher_set_cwd (launcher, dir);
    g_subprocess_launcher_setenv (launcher, "LC_ALL", "C.UTF-8", TRUE);
    g_subprocess_launcher_set_child_setup (launcher, leave_group, NULL, NULL);
    // No start-up file of the user's changes the figures.
    child = g_subprocess_launcher_spawn (launcher, &cause, "gnuplot", "-d", "script", NULL);
    if (!child || !g_subprocess_communicate (child, NULL, NULL, NULL, &messages, &cause)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "gnuplot: %s", cause->message);
        return FALSE;
    }
    if ((reason = failure (child, messages))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "gnuplot failed: %s", reason);
        return FALSE;
    }
    return TRUE;
}

static GBytes *
take_file (const char *dir, guint id, const char *suffix, GError **error)
{
    g_autofree char *name = g_strdup_printf ("%u.%s", id, suffix);
    g_autofree char *path = g_build_filename (dir, name, NULL);
    char *text;
    gsize n;

    if (!g_file_get_contents (path, &text, &n, error)) {
        g_prefix_error (error, "gnuplot left no figure: ");
        return NULL;
    }
    return g_bytes_new_take (text, n);
}

static void
drawing_free (gpointer data)
{
    Drawing *d = data;

    g_free (d->svg);
    g_clear_pointer (&d->png, g_bytes_unref);
    g_free (d);
}

static void
remove_temporary (const char *dir)
{
    g_autoptr (GDir) entries = g_dir_open (dir, 0, NULL);
    const char *entry;

    while (entries && (entry = g_dir_read_name (entries))) {
        g_autofree char *path = g_build_filename (dir, entry, NULL);

        g_unlink (path);
    }
    g_rmdir (dir);
}

static GPtrArray *
take_drawings (const char *dir, guint n, gboolean png, GError **error)
{
    g_autoptr (GPtrArray) drawings = g_ptr_array_new_with_free_func (drawing_free);

    for (guint i = 0; i < n; i++) {
        Drawing *d = g_new0 (Drawing, 1);
        g_autoptr (GBytes) svg = NULL;
        gsize length;

        g_ptr_array_add (drawings, d);
        if (!(svg = take_file (dir, i, "svg", error)) ||
            (png && !(d->png = take_file (dir, i, "png", error))))
            return NULL;
        d->svg = g_strndup (g_bytes_get_data (svg, &length), g_bytes_get_size (svg));
    }
    return g_steal_pointer (&drawings);
}

GPtrArray *
figures_draw (GPtrArray *figures, gboolean png, GError **error)
{
    g_autoptr (GString) script = g_string_new (NULL);
    g_autofree char *dir = NULL;
    GPtrArray *drawings = NULL;

    if (!figures_can_draw (error) || !(dir = g_dir_make_tmp ("dlhost-figures-XXXXXX", error)))
        return NULL;
    for (guint i = 0; i < figures->len; i++)
        append_figure (script, figures->pdata[i], i, png);
    if (run_gnuplot (dir, script, error))
        drawings = take_drawings (dir, figures->len, png, error);
    remove_temporary (dir);
    return drawings;
}
