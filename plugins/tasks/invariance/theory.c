/* SPDX-License-Identifier: MIT */
/* What is known of an optimizer, by its name and options, for the maps that are drawn:
 *
 *   a step -lr V becomes Ph^-1 V Ombar^-1 in the twin's coordinates, the twin's own gradient is
 *   Ph' V Ombar': they agree when Ph and Om are orthogonal and om = 0 (tau is free), and so do all
 *   methods that combine such steps linearly. A = Ombar A Ombar', G' = Ph' G Ph make G^-1 V A^-1
 *   agree for every map. A multiple of the identity added to either is kept by orthogonal maps
 *   alone, and so are an eigenbasis with other eigenvalues. What is done element by element is kept
 *   by none of the families. Weight decay pulls W towards 0, which is another point for the twin.
 */
#include <string.h>
#include "invariance.h"

// Option @name as text, "" when there is none.
static char *
setting (DlhComponent *c, const char *name)
{
    const DlhOption *table = dlh_component_option_table (c);

    for (guint i = 0; i < dlh_component_manifest (c)->n_options; i++)
        if (strcmp (table[i].name, name) == 0)
            return dlh_component_option_text (c, i);
    return g_strdup ("");
}

static double
number (DlhComponent *c, const char *name)
{
    g_autofree char *text = setting (c, name);

    return g_ascii_strtod (text, NULL);
}

static gboolean
is_set_to (DlhComponent *c, const char *name, const char *value)
{
    g_autofree char *text = setting (c, name);

    return strcmp (text, value) == 0;
}

// EK-FAC right after a refresh of its basis has K-FAC's eigenvalues.
static gboolean
measures_eigenvalues (DlhComponent *c)
{
    return is_set_to (c, "inverse", "ekfac") && number (c, "inverses") > 1;
}

static gboolean
some_short (Layers *layers, gint64 batch)
{
    for (guint i = 0; i < layers->len; i++)
        if (layer_is_short (layers->pdata[i], batch))
            return TRUE;
    return FALSE;
}

static Verdict
kfac (DlhComponent *c, gboolean isometric, gboolean singular, const char **why)
{
    if (number (c, "damping") != 0) { // -1 is the default, above 0
        *why = isometric ? "orthogonal maps keep the identity that damping adds to the curvature"
                         : "damping adds the identity of one set of coordinates to the curvature";
        return isometric ? THEORY_INVARIANT : THEORY_DIFFERENT;
    }
    if (measures_eigenvalues (c)) {
        *why = isometric ? "orthogonal maps turn the eigenbases of EK-FAC with the factors"
                         : "the eigenbases of EK-FAC are orthogonal in one set of coordinates only";
        return isometric ? THEORY_INVARIANT : THEORY_DIFFERENT;
    }
    if (singular && !isometric) {
        *why = "a layer's second moment is singular, and its pseudo-inverse depends on coordinates";
        return THEORY_NONE;
    }
    *why =
        "A' = Ombar A Ombar', G' = Ph' G Ph: the update is the same linear map in new coordinates";
    return THEORY_INVARIANT;
}

Verdict
theory_of (DlhComponent *optimizer, const InvarianceOptions *opt, Layers *layers, gint64 batch,
           const char **why)
{
    const char *name = dlh_component_name (optimizer);
    const gboolean isometric =
        strcmp (opt->preset, "none") == 0 && strcmp (opt->maps, "orthogonal") == 0;

    *why = "no statement about this optimizer is known";
    if (strcmp (name, "kfac") != 0 && strcmp (name, "sgd") != 0 && strcmp (name, "aggmo") != 0 &&
        strcmp (name, "adam") != 0)
        return THEORY_NONE;
    if (number (optimizer, "weight_decay") > 0) {
        *why = "weight decay pulls towards 0, which is another function for the other coordinates";
        return THEORY_DIFFERENT;
    }
    if (strcmp (name, "kfac") == 0)
        return kfac (optimizer, isometric, some_short (layers, batch), why);
    if (strcmp (name, "adam") == 0) {
        *why = "element-wise scaling depends on the axes";
        return THEORY_DIFFERENT;
    }
    *why = isometric ? "orthogonal maps keep the inner product that makes gradients of derivatives"
                     : "the gradient is the derivative under the inner product of one set of "
                       "coordinates";
    return isometric ? THEORY_INVARIANT : THEORY_DIFFERENT;
}
