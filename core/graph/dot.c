/* SPDX-License-Identifier: MIT */
/* Pictures of graphs and of compiled functions in Graphviz's language: boxes with shapes and cost,
 * gathered by scope, redder where more time goes.
 *
 * Times are estimated, so that a picture needs no run: at RATE and BANDWIDTH, about those of one
 * core. */
#include <math.h>
#include <string.h>

#include "exec/private.h"

#define RATE 100e9     /* operations a second */
#define BANDWIDTH 20e9 /* bytes a second */
#define MAX_OPS 4      /* names shown of a fused step */

typedef struct {
    char *id;
    const char *scope;
    char *label;
    double seconds;
    gboolean leaf;
} Box;

typedef struct {
    GArray *boxes;
    GString *edges;
    double slowest;
    guint n_clusters;
} Picture;

static void
box_clear (gpointer data)
{
    Box *b = data;

    g_free (b->id);
    g_free (b->label);
}

static void
picture_init (Picture *p)
{
    p->boxes = g_array_new (FALSE, TRUE, sizeof (Box));
    g_array_set_clear_func (p->boxes, box_clear);
    p->edges = g_string_new (NULL);
}

static void
picture_clear (Picture *p)
{
    g_array_unref (p->boxes);
    g_string_free (p->edges, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Picture, picture_clear)

/* Text. */

static void
append_quoted (GString *s, const char *text)
{
    g_string_append_c (s, '"');
    for (; *text; text++)
        if (*text == '\n')
            g_string_append (s, "\\n");
        else if (*text == '"' || *text == '\\')
            g_string_append_printf (s, "\\%c", *text);
        else
            g_string_append_c (s, *text);
    g_string_append_c (s, '"');
}

/* "1.5 M": three digits. */
static void
append_scaled (GString *s, double n, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    guint i = 0;

    for (; n >= 999.5 && i + 1 < G_N_ELEMENTS (prefixes); i++)
        n /= 1000;
    g_string_append_printf (s, "%.3g %s%s", n, prefixes[i], unit);
}

static char *
cost_label (const char *title, const char *shape, double flops, double bytes)
{
    GString *s = g_string_new (title);

    g_string_append_printf (s, "\n%s\n", shape);
    append_scaled (s, flops, "F");
    g_string_append (s, ", ");
    append_scaled (s, bytes, "B");
    return g_string_free (s, FALSE);
}

/* Drawing. */

// Scopes in the order of a tree: '/' comes before every other character.
static int
compare_scopes (gconstpointer a, gconstpointer b)
{
    const guchar *x = (const guchar *)((const Box *)a)->scope;
    const guchar *y = (const guchar *)((const Box *)b)->scope;

    while (*x && *x == *y) {
        x++;
        y++;
    }
    return (*x == '/' ? 1 : *x) - (*y == '/' ? 1 : *y);
}

static void
append_box (GString *s, const Picture *p, const Box *b, guint depth)
{
    double share = p->slowest > 0 ? b->seconds / p->slowest : 0;

    g_string_append_printf (s, "%*s%s [label=", (int)(2 * depth + 2), "", b->id);
    append_quoted (s, b->label);
    if (b->leaf)
        g_string_append (s, ", shape=ellipse, fillcolor=grey92");
    else // The root makes small shares visible; hue 0.08 is orange.
        g_string_append_printf (s, ", fillcolor=\"%.3f %.3f 1.000\"", 0.08 * (1 - share),
                                0.75 * sqrt (share));
    g_string_append (s, "];\n");
}

// Boxes begin .. end - 1 share the first @length characters of their scope, which are a whole
// scope.
static void
append_level (GString *s, Picture *p, guint begin, guint end, gsize length, guint depth)
{
    for (guint i = begin; i < end;) {
        const Box *b = &g_array_index (p->boxes, Box, i);
        gsize start = length && b->scope[length] == '/' ? length + 1 : length, n;
        g_autofree char *name = NULL;
        guint j = i;

        if (!b->scope[length]) {
            append_box (s, p, b, depth);
            i++;
            continue;
        }
        n = start + strcspn (b->scope + start, "/");
        name = g_strndup (b->scope + start, n - start);
        for (; j < end; j++) {
            const char *other = g_array_index (p->boxes, Box, j).scope;

            if (strncmp (other, b->scope, n) != 0 || (other[n] && other[n] != '/'))
                break;
        }
        g_string_append_printf (s, "%*ssubgraph cluster_%u {\n%*slabel=", (int)(2 * depth + 2), "",
                                p->n_clusters++, (int)(2 * depth + 4), "");
        append_quoted (s, name);
        g_string_append (s, ";\n");
        append_level (s, p, i, j, n, depth + 1);
        g_string_append_printf (s, "%*s}\n", (int)(2 * depth + 2), "");
        i = j;
    }
}

static char *
picture_text (Picture *p)
{
    GString *s = g_string_new ("digraph dlhost {\n"
                               "  graph [fontname=Helvetica, fontsize=11, style=rounded, "
                               "color=grey60, labeljust=l];\n"
                               "  node [shape=box, style=\"filled,rounded\", fillcolor=white, "
                               "fontname=Helvetica, fontsize=10];\n"
                               "  edge [color=grey40, arrowsize=0.6];\n");

    g_array_sort (p->boxes, compare_scopes);
    for (guint i = 0; i < p->boxes->len; i++)
        p->slowest = MAX (p->slowest, g_array_index (p->boxes, Box, i).seconds);
    append_level (s, p, 0, p->boxes->len, 0, 0);
    g_string_append (s, p->edges->str);
    return g_string_free (g_string_append (s, "}\n"), FALSE);
}

/* Nodes. */

static double
bytes_of (const DlhNode *node)
{
    return (double)dlh_shape_count (node->shape) * (double)dlh_dtype_size (node->dtype);
}

static char *
shape_text (const DlhNode *node)
{
    g_autofree char *shape = dlh_shape_to_string (node->shape);

    return g_strdup_printf ("%s %s", dlh_dtype_name (node->dtype), shape);
}

static char *
leaf_label (const DlhNode *node)
{
    g_autofree char *shape = shape_text (node);
    double value;

    if (dlh_node_constant_value (node, &value))
        return g_strdup_printf ("%g\n%s", value, shape);
    return g_strdup_printf ("%s\n%s",
                            node->variable              ? node->variable->name
                            : node->op == &dlh_op_input ? dlh_input_name (node)
                                                        : node->op->name,
                            shape);
}

static void
add_node (Picture *p, const DlhNode *node)
{
    Box box = {g_strdup_printf ("n%u", node->id), node->scope, NULL, 0, node->n_inputs == 0};
    double flops, bytes = bytes_of (node);
    g_autofree char *shape = shape_text (node), *title = NULL;

    for (guint k = 0; k < node->n_inputs; k++) {
        bytes += bytes_of (node->inputs[k]);
        g_string_append_printf (p->edges, "  n%u -> n%u;\n", node->inputs[k]->id, node->id);
    }
    if (box.leaf)
        box.label = leaf_label (node);
    else {
        flops = node->op->flops ? node->op->flops (node) : (double)dlh_shape_count (node->shape);
        title = node->variable ? g_strdup_printf ("%s\n%s", node->op->name, node->variable->name)
                               : g_strdup (node->op->name);
        box.label = cost_label (title, shape, flops, bytes);
        box.seconds = flops / RATE + bytes / BANDWIDTH;
    }
    g_array_append_val (p->boxes, box);
}

char *
dlh_graph_to_dot (DlhNode *const *roots, guint n_roots)
{
    guint n;
    g_autofree gboolean *marked = dlh_graph_ancestors (roots, n_roots, &n);
    g_auto (Picture) p = {0};

    picture_init (&p);
    for (guint id = 0; id < n; id++)
        if (marked[id])
            add_node (&p, dlh_graph_node (roots[0]->graph, id));
    return picture_text (&p);
}

/* Steps. */

/* "fused(mul,add,tanh)" -> "fused: mul, add, tanh"; of long chains the first and how many more. */
static char *
step_title (const char *name)
{
    g_auto (GStrv) ops = NULL;
    g_autofree char *inside = NULL;
    GString *s;
    guint n;

    if (!g_str_has_prefix (name, "fused("))
        return g_strdup (name);
    inside = g_strndup (name + strlen ("fused("), strlen (name) - strlen ("fused()"));
    ops = g_strsplit (inside, ",", -1);
    n = g_strv_length (ops);
    s = g_string_new ("fused: ");
    for (guint i = 0; i < MIN (n, MAX_OPS); i++)
        g_string_append_printf (s, "%s%s", i ? ", " : "", ops[i]);
    if (n > MAX_OPS)
        g_string_append_printf (s, "\nand %u more", n - MAX_OPS);
    return g_string_free (s, FALSE);
}

static void
add_link (Picture *p, const DlhLink *link, GHashTable *leaves)
{
    if (link->from >= 0) {
        g_string_append_printf (p->edges, "  s%d -> s%u;\n", link->from, link->to);
        return;
    }
    g_string_append_printf (p->edges, "  n%u -> s%u;\n", link->value->id, link->to);
    if (g_hash_table_add (leaves, link->value)) {
        Box box = {g_strdup_printf ("n%u", link->value->id), link->value->scope,
                   leaf_label (link->value), 0, TRUE};

        g_array_append_val (p->boxes, box);
    }
}

char *
dlh_function_to_dot (DlhFunction *function)
{
    g_autoptr (GHashTable) leaves = g_hash_table_new (NULL, NULL);
    g_auto (Picture) p = {0};

    picture_init (&p);
    for (guint i = 0; i < function->n_instructions; i++) {
        const DlhInstruction *in = &function->instructions[i];
        g_autofree char *title = step_title (in->name), *shape = shape_text (in->node);
        Box box = {g_strdup_printf ("s%u", i), in->node->scope,
                   cost_label (title, shape, in->flops, in->bytes),
                   in->flops / RATE + in->bytes / BANDWIDTH, FALSE};

        g_array_append_val (p.boxes, box);
    }
    for (guint i = 0; i < function->links->len; i++)
        add_link (&p, &g_array_index (function->links, DlhLink, i), leaves);
    return picture_text (&p);
}
