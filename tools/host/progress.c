/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "progress.h"

#define TERMINAL_INTERVAL 100000 /* microseconds between redraws */
#define PLAIN_INTERVAL 10000000
#define MOST_VALUES 32 /* of a record in a line: one with more shows its first */
#define SHOWN_VALUES 6
#define BAR_LEAST 10 /* columns */
#define BAR_MOST 40

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define CYAN "\033[36m"
#define NORMAL "\033[0m"
#define ERASE "\r\033[K" /* to the start of the line, and to its end */

// The user's character set, without making the process's locale other than "C": numbers are written
// with a point everywhere.
static gboolean
charset_is_utf8 (void)
{
    locale_t locale = newlocale (LC_CTYPE_MASK, "", 0);
    gboolean utf8;

    if (!locale)
        return FALSE;
    utf8 = g_ascii_strcasecmp (nl_langinfo_l (CODESET, locale), "UTF-8") == 0;
    freelocale (locale);
    return utf8;
}

void
progress_init (Progress *p, gboolean quiet)
{
    const char *term = g_getenv ("TERM"), *no_color = g_getenv ("NO_COLOR");

    memset (p, 0, sizeof *p);
    p->quiet = quiet;
    p->terminal = isatty (STDOUT_FILENO) && term && *term && strcmp (term, "dumb") != 0;
    p->colour = p->terminal && !(no_color && *no_color);
    p->utf8 = charset_is_utf8 ();
    p->values = g_ptr_array_new_with_free_func (g_free);
}

// Not stdio: what could not be written must not be tried again at the exit.
static void
put (Progress *p, const char *text)
{
    gsize left = strlen (text);

    while (left && !p->lost) {
        gssize n = write (STDOUT_FILENO, text, left);

        if (n >= 0) {
            text += n;
            left -= (gsize)n;
        } else if (errno == EAGAIN) {
            poll (&(struct pollfd){STDOUT_FILENO, POLLOUT, 0}, 1, -1);
        } else if (errno != EINTR) {
            p->lost = TRUE;
            fprintf (stderr, "dlhost: standard output: %s; the run goes on without it\n",
                     g_strerror (errno));
        }
    }
}

void
progress_clear (Progress *p)
{
    if (p->drawn)
        put (p, ERASE);
    p->drawn = FALSE;
    g_clear_pointer (&p->values, g_ptr_array_unref);
}

// Text from elsewhere may hold what moves the cursor or rings the bell.
static char *
printable (const Progress *p, const char *text)
{
    char *s = g_utf8_make_valid (text, -1);

    if (!p->terminal)
        return s;
    for (char *c = s; *c; c = g_utf8_next_char (c))
        // U+0080 to U+009f are controls, too.
        if (g_ascii_iscntrl (*c))
            *c = ' ';
        else if ((guchar)c[0] == 0xc2 && (guchar)c[1] < 0xa0)
            c[0] = c[1] = ' ';
    return s;
}

static char *
number (const char *format, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    return g_strdup (g_ascii_formatd (text, sizeof text, format, value));
}

void
progress_values (Progress *p, const char *const *names, const double *values, guint n)
{
    g_ptr_array_set_size (p->values, 0);
    for (guint i = 0; i < n; i++) {
        const char *slash = strrchr (names[i], '/');
        g_autofree char *name = printable (p, slash ? slash + 1 : names[i]);
        g_autofree char *value = number ("%.4g", values[i]);

        // One column a character, whatever the name.
        for (char *c = name; *c && p->terminal; c++)
            if (*c & '\x80')
                *c = '?';
        g_ptr_array_add (p->values, g_strdup_printf ("%s %s", name, value));
    }
}

static char *
duration (double seconds)
{
    guint64 s = (guint64)CLAMP (seconds + 0.5, 0, 1e10);
    guint minutes = (guint)(s / 60 % 60), hours = (guint)(s / 3600);

    if (hours >= 100)
        return g_strdup_printf ("%u d %u h", hours / 24, hours % 24);
    if (hours)
        return g_strdup_printf ("%u:%02u:%02u", hours, minutes, (guint)(s % 60));
    return g_strdup_printf ("%u:%02u", minutes, (guint)(s % 60));
}

static guint
terminal_width (void)
{
    struct winsize size;
    const char *columns = g_getenv ("COLUMNS");
    guint64 n;

    if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        return size.ws_col;
    if (columns && g_ascii_string_to_unsigned (columns, 10, 1, 10000, &n, NULL))
        return (guint)n;
    return 80;
}

/* The line's pieces, in the order that they are shown in. What does not fit is left out, the
 * highest rank first. */
typedef struct {
    char *text;
    guint rank;
    gboolean shown;
} Piece;

static void
piece_clear (gpointer piece)
{
    g_free (((Piece *)piece)->text);
}

static void
add_piece (GArray *pieces, guint rank, char *text)
{
    g_array_append_vals (pieces, &(Piece){.text = text, .rank = rank}, 1);
}

static GArray *
line_pieces (const Progress *p, gint64 now)
{
    GArray *pieces = g_array_new (FALSE, TRUE, sizeof (Piece));
    gint64 steps = p->done - p->first_done;
    g_autofree char *rate = number (p->rate >= 10 ? "%.0f" : "%.2g", p->rate);
    g_autofree char *left = duration (steps > 0 ? (double)(now - p->start) * 1e-6 / (double)steps *
                                                      (double)(p->total - p->done)
                                                : 0);

    g_array_set_clear_func (pieces, piece_clear);
    add_piece (pieces, 2,
               g_strdup_printf ("step %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, p->done, p->total));
    add_piece (pieces, 0,
               g_strdup_printf ("%d%%", (int)(100 * (double)p->done / (double)MAX (p->total, 1))));
    for (guint i = 0; i < p->values->len; i++)
        add_piece (pieces, 3 + i, g_strdup (p->values->pdata[i]));
    if (p->rate > 0)
        add_piece (pieces, 3 + p->values->len, g_strdup_printf ("%s examples/s", rate));
    add_piece (pieces, 1, g_strdup_printf ("%s left", left));
    return pieces;
}

// Chooses the pieces for @room columns. Returns: the columns that remain.
static guint
fit (GArray *pieces, guint room)
{
    for (guint rank = 0; rank < pieces->len; rank++)
        for (guint i = 0; i < pieces->len; i++) {
            Piece *piece = &g_array_index (pieces, Piece, i);
            guint need = (guint)strlen (piece->text) + (rank ? 2 : 0);

            if (piece->rank == rank && need <= room) {
                piece->shown = TRUE;
                room -= need;
            }
        }
    return room;
}

static void
append_bar (const Progress *p, GString *line, guint width)
{
    guint inner = p->utf8 ? width : width - 2; // without its brackets
    guint full = (guint)(inner * CLAMP ((double)p->done / (double)MAX (p->total, 1), 0, 1));

    g_string_append (line, p->utf8 ? "" : "[");
    g_string_append (line, p->colour ? CYAN : "");
    for (guint i = 0; i < inner; i++) {
        if (i == full && p->colour)
            g_string_append (line, NORMAL DIM);
        // Thick and thin horizontal lines.
        g_string_append (line, p->utf8 ? i < full ? "\u2501" : "\u2500" : i < full ? "#" : "-");
    }
    g_string_append (line, p->colour ? NORMAL : "");
    g_string_append (line, p->utf8 ? "" : "]");
}

static char *
terminal_line (const Progress *p, GArray *pieces, guint width)
{
    GString *line = g_string_new (NULL);
    guint room = width - 1; // a character in the last column may wrap
    guint bar = room >= 50 ? BAR_LEAST + 2 : 0;
    guint rest = fit (pieces, room - bar);

    if (bar)
        append_bar (p, line, MIN (BAR_LEAST + rest, BAR_MOST));
    for (guint i = 0; i < pieces->len; i++) {
        const Piece *piece = &g_array_index (pieces, Piece, i);

        if (piece->shown)
            g_string_append_printf (line, "%s%s", line->len ? "  " : "", piece->text);
    }
    return g_string_free (line, FALSE);
}

// step 30/100 (30%)  loss 0.4123  8123 examples/s  0:12 left
static char *
plain_line (GArray *pieces)
{
    GString *line = g_string_new (NULL);

    for (guint i = 0; i < pieces->len; i++) {
        const char *text = g_array_index (pieces, Piece, i).text;

        if (i == 1)
            g_string_append_printf (line, " (%s)", text);
        else
            g_string_append_printf (line, "%s%s", i ? "  " : "", text);
    }
    return g_string_free (line, FALSE);
}

static void
draw (Progress *p, gint64 now)
{
    g_autoptr (GArray) pieces = line_pieces (p, now);
    g_autofree char *line =
        p->terminal ? terminal_line (p, pieces, terminal_width ()) : plain_line (pieces);
    g_autofree char *text =
        p->terminal ? g_strconcat (ERASE, line, NULL) : g_strconcat (line, "\n", NULL);

    put (p, text);
    p->drawn = p->terminal;
}

void
progress_step (Progress *p, gint64 done, gint64 total, double examples)
{
    gint64 now = g_get_monotonic_time ();

    if (p->quiet)
        return;
    if (!p->start) {
        // The first step compiles: the rate counts from its end.
        p->start = p->last = now;
        p->first_done = done;
        p->first_examples = examples;
    }
    p->done = done;
    p->total = total;
    if (now - p->last < (p->terminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL))
        return;
    p->last = now;
    p->rate = (examples - p->first_examples) / ((double)(now - p->start) * 1e-6);
    draw (p, now);
}

static void
put_line (Progress *p, const char *text)
{
    g_autofree char *line = g_strconcat (p->drawn ? ERASE : "", text, "\n", NULL);

    put (p, line);
    p->drawn = FALSE;
}

void
progress_line (Progress *p, const char *text)
{
    g_autofree char *line = printable (p, text);

    if (!p->quiet)
        put_line (p, line);
}

void
progress_record (Progress *p, const char *event, gint64 step, const char *const *names,
                 const double *values, guint n, double seconds)
{
    g_autoptr (GString) text = g_string_new (NULL);
    g_autofree char *wall = number ("%.1f", seconds);
    const char *normal = p->colour ? NORMAL : "";
    const guint shown = n > MOST_VALUES ? SHOWN_VALUES : n;

    g_string_append_printf (text, "%s%s%s  step %" G_GINT64_FORMAT, p->colour ? BOLD : "", event,
                            normal, step);
    for (guint i = 0; i < shown; i++) {
        g_autofree char *name = printable (p, names[i]);
        // Four decimals, unless they would hide what is there.
        gboolean tiny = values[i] != 0 && fabs (values[i]) < 5e-4;
        g_autofree char *value = number (tiny ? "%.2g" : "%.4f", values[i]);

        g_string_append_printf (text, "  %s %s", name, value);
    }
    if (shown < n)
        g_string_append_printf (text, "  and %u more in metrics.jsonl", n - shown);
    g_string_append_printf (text, "  %s(%s s)%s", p->colour ? DIM : "", wall, normal);
    if (!p->quiet)
        put_line (p, text->str);
}
