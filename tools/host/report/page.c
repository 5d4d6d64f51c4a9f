/* SPDX-License-Identifier: MIT */
/* The page: one file that needs no network and no script. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "report.h"

#define MAX_PICTURES 6 /* of a configuration: the last ones */
#define MAX_PICTURE_BYTES (4 << 20)

static const char css[] =
    ":root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--paper:#fff;--line:#d9dee3;"
    "--grid:#e3e6ea;--mark:#fff3d6;--best:#e4f3ea}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e2e6ea;--soft:#a3adb8;--paper:#16191d;"
    "--line:#353b42;--grid:#2c3238;--mark:#43370f;--best:#143524}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:78rem;padding:1.5rem 1.25rem 3rem;color:var(--ink);"
    "background:var(--paper);font:16px/1.5 system-ui,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0;overflow-wrap:anywhere}\n"
    "h2{font-size:1.2rem;margin:2rem 0 .6rem}h3{font-size:1rem;margin:1rem 0 .4rem}\n"
    ".lead,.note,figcaption,footer{color:var(--soft);font-size:.875rem}\n"
    ".lead{font-size:1rem;margin:.2rem 0 1rem}\n"
    ".wide{overflow-x:auto;max-width:100%}\n"
    "table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.35rem .6rem;text-align:left;border-bottom:1px solid var(--line);"
    "vertical-align:top}\n"
    "thead th{color:var(--soft);font-weight:600;border-bottom:2px solid var(--line);"
    "vertical-align:bottom}\n"
    "tbody th{font-weight:600}.n{text-align:right;white-space:nowrap}"
    // Where there is little room a mean's error goes to a line of its own.
    ".m,thead .n{white-space:normal}.m span{white-space:nowrap}\n"
    "td{max-width:26rem;overflow-wrap:break-word}tbody th{white-space:nowrap}\n"
    "@media(max-width:80rem){th,td{padding:.3rem .28rem}table{font-size:.78rem}}\n"
    ".best{background:var(--best);font-weight:600}.diff{background:var(--mark)}\n"
    ".star{color:#009e73}\n"
    ".key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.5em;"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,31rem),1fr));"
    "gap:1.25rem}\n"
    "figure{margin:0;min-width:0;overflow-x:auto}.figures figure{border:1px solid "
    "var(--line);border-radius:6px;"
    "padding:.75rem}\n"
    "svg.plot{display:block;width:100%;min-width:28rem;height:auto;color:var(--ink)}\n"
    "svg.plot text{font-family:system-ui,'DejaVu Sans',sans-serif}\n"
    "svg.plot [fill=\"rgb(64,64,64)\"]{fill:var(--ink)}\n"
    "svg.plot [stroke=\"rgb( 64,  64,  64)\"]{stroke:var(--ink)}"
    "svg.plot [color=black]{color:var(--ink)}"
    "svg.plot .gridline{stroke:var(--grid)}\n"
    ".pictures{display:flex;flex-wrap:wrap;gap:1rem}\n"
    ".pictures img{display:block;max-width:100%;min-width:8rem;image-rendering:pixelated;"
    "border:1px solid var(--line)}\n"
    "summary{cursor:pointer;font-weight:600;margin:1rem 0}\n"
    "footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.75rem}\n"
    "@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--paper:#fff;--line:#bbb;"
    "--grid:#ddd;--mark:#fff3d6;--best:#e4f3ea}body{max-width:none;padding:0;font-size:10pt}"
    "figure,tr{break-inside:avoid}h2,h3{break-after:avoid}.wide{overflow:visible}"
    "table{font-size:7pt}th,td{padding:.2rem .3rem}"
    "td,th,.n,tbody th{overflow-wrap:anywhere;white-space:normal}figure{overflow:visible}"
    ".figures{grid-template-columns:1fr 1fr;gap:.6rem}svg.plot{min-width:0}"
    ".best,.diff{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n";

static void
append_figures (GString *out, GPtrArray *figures, GPtrArray *drawings)
{
    if (!figures->len)
        return;
    g_string_append (out, "<section><h2>Figures</h2>\n<div class=figures>\n");
    for (guint i = 0; i < figures->len; i++) {
        const Figure *f = figures->pdata[i];
        g_autofree char *svg = svg_inline (((Drawing *)drawings->pdata[i])->svg, f, i);

        g_string_append_printf (out, "<figure>%s", svg);
        if (f->caption && *f->caption) {
            g_string_append (out, "<figcaption>");
            append_escaped (out, f->caption);
            g_string_append (out, "</figcaption>");
        }
        g_string_append (out, "</figure>\n");
    }
    g_string_append (out, "</div></section>\n");
}

/* Pictures that runs left. */

static gboolean
append_picture (GString *out, const char *path)
{
    static const char signature[] = "\x89PNG\r\n\x1a\n";
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_PICTURE_BYTES, NULL);
    g_autofree char *base = g_path_get_basename (path);
    g_autofree char *code = NULL;
    gconstpointer data;
    gsize n = 0;

    data = bytes ? g_bytes_get_data (bytes, &n) : NULL;
    if (n < strlen (signature) || memcmp (data, signature, strlen (signature)) != 0)
        return FALSE;
    code = g_base64_encode (data, n);
    base[strlen (base) - strlen (".png")] = '\0';
    g_string_append (out, "<figure><img alt=\"Picture ");
    append_escaped (out, base);
    g_string_append_printf (out, "\" src=\"data:image/png;base64,%s\"><figcaption>", code);
    append_escaped (out, base);
    g_string_append (out, "</figcaption></figure>\n");
    return TRUE;
}

static void
append_pictures_of (GString *out, const Group *group, const RunData *run)
{
    guint n = run->images->len, first = n > MAX_PICTURES ? n - MAX_PICTURES : 0, refused = 0;

    g_string_append (out, "<h3>");
    append_escaped (out, group->label);
    g_string_append (out, "</h3>\n<div class=pictures>\n");
    for (guint i = first; i < n; i++)
        refused += !append_picture (out, run->images->pdata[i]);
    g_string_append (out, "</div>\n");
    if (first || refused)
        g_string_append_printf (out,
                                "<p class=note>%u earlier pictures are not shown, %u are damaged "
                                "or too large.</p>\n",
                                first, refused);
}

static void
append_pictures (GString *out, GPtrArray *groups)
{
    gboolean any = FALSE;

    for (guint i = 0; i < groups->len; i++) {
        const Group *g = groups->pdata[i];

        for (guint r = 0; r < g->runs->len; r++)
            if (((RunData *)g->runs->pdata[r])->images->len) {
                g_string_append (out, any ? "" : "<section><h2>Pictures</h2>\n");
                append_pictures_of (out, g, g->runs->pdata[r]);
                any = TRUE;
                break; // one seed stands for its group
            }
    }
    g_string_append (out, any ? "</section>\n" : "");
}

/* Settings: what differs first. */

static void
append_settings (GString *out, GPtrArray *groups)
{
    g_autoptr (GPtrArray) differ = groups_differing_keys (groups);
    g_autoptr (GPtrArray) all = g_ptr_array_new ();
    g_autoptr (Table) table = NULL;

    for (guint i = 0; i < groups->len; i++) {
        GPtrArray *keys = ((RunData *)((Group *)groups->pdata[i])->runs->pdata[0])->keys;

        for (guint k = 0; k < keys->len; k++)
            if (!g_ptr_array_find_with_equal_func (all, keys->pdata[k], g_str_equal, NULL))
                g_ptr_array_add (all, keys->pdata[k]);
    }
    if (differ->len) {
        g_autoptr (Table) top = settings_table ("What differs", groups, differ, differ);

        table_append_html (top, out);
        g_string_append (out, "<details><summary>All settings</summary>\n");
    }
    table = settings_table ("Configuration", groups, all, differ);
    table_append_html (table, out);
    g_string_append (out, differ->len ? "</details>\n" : "");
}

char *
page_html (GPtrArray *groups, GPtrArray *tables, GPtrArray *figures, GPtrArray *drawings,
           const char *title)
{
    GString *out = g_string_new ("<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
                                 "<meta name=viewport "
                                 "content=\"width=device-width,initial-scale=1\">\n"
                                 // Nothing is loaded and nothing runs, whatever a name says.
                                 "<meta http-equiv=Content-Security-Policy content=\"default-src "
                                 "'none';style-src 'unsafe-inline';img-src data:\">\n<title>");
    guint n_runs = 0;

    for (guint i = 0; i < groups->len; i++)
        n_runs += ((Group *)groups->pdata[i])->runs->len;
    append_escaped (out, title);
    g_string_append_printf (out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>",
                            css);
    append_escaped (out, title);
    g_string_append_printf (out, "</h1>\n<p class=lead>%u %s of %u %s.</p>\n", n_runs,
                            n_runs == 1 ? "run" : "runs", groups->len,
                            groups->len == 1 ? "configuration" : "configurations");
    table_append_html (tables->pdata[0], out);
    append_figures (out, figures, drawings);
    append_pictures (out, groups);
    for (guint i = 1; i < tables->len; i++)
        table_append_html (tables->pdata[i], out);
    append_settings (out, groups);
    g_string_append (out, "</main>\n<footer>dlhost " DLH_VERSION
                          "; figures by gnuplot.</footer>\n</body>\n</html>\n");
    return g_string_free (out, FALSE);
}
