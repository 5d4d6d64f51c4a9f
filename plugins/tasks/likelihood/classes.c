/* SPDX-License-Identifier: MIT */
/* Modes that a model lacks, where the data have classes: a class whose examples draws of their
 * posteriors do not reconstruct, and one that draws of the prior hardly ever look like
 * (arXiv 1611.04273, section 5.4). The second needs a classifier: the nearest of the classes' mean
 * examples, whose share of right answers on the data themselves is told with it. */
#include <math.h>
#include <string.h>
#include <dlhost/figure.h>
#include "likelihood.h"

#define BLOCK 500         /* examples, or draws, at once */
#define MOST 10000        /* examples behind the mean ones */
#define MOST_CLASSES 1000 /* each has a mean example in memory */
#define FACTOR 1.5   /* a class is missed when its error is so many times that of the others, */
#define DEVIATIONS 4 /* and so many standard errors above it */
#define RARE 0.1     /* a class is rare when the prior has so little of its share of the data, */
#define LEAST_WANTED 20. /* and as many draws of it as this were to be expected */

typedef struct {
    double n, log_p, error, squares; /* of the scored examples: sums */
    double of_data, of_prior;        /* counts */
    gboolean missed, rare;
} ClassCount;

typedef struct {
    Likelihood *l;
    gint64 k, width; /* classes, elements of an example */
    ClassCount *classes;
    double *means; /* (k, width) */
    double right, n_data;
} Classes;

static void
classes_clear (Classes *c)
{
    g_free (c->classes);
    g_free (c->means);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Classes, classes_clear)

/* By reconstruction. */

static void
count_errors (Classes *c, const double *log_p, const double *errors)
{
    for (gint64 e = 0; e < c->l->n; e++) {
        ClassCount *k = &c->classes[(gint64)dlh_tensor_get (c->l->targets, e)];

        k->n++;
        k->log_p += log_p[e];
        k->error += errors[e];
        k->squares += errors[e] * errors[e];
    }
}

// Of the mean; @squares: their sum.
static double
square_of_error (double n, double sum, double squares)
{
    return fmax (squares - sum * sum / n, 0) / (n - 1) / n;
}

static void
judge_errors (Classes *c)
{
    double n = 0, sum = 0, squares = 0;

    for (gint64 k = 0; k < c->k; k++) {
        n += c->classes[k].n;
        sum += c->classes[k].error;
        squares += c->classes[k].squares;
    }
    for (gint64 k = 0; k < c->k; k++) {
        ClassCount *of = &c->classes[k];
        double rest = n - of->n, mean, others, spread;

        if (of->n < 2 || rest < 2)
            continue;
        mean = of->error / of->n;
        others = (sum - of->error) / rest;
        spread = sqrt (square_of_error (of->n, of->error, of->squares) +
                       square_of_error (rest, sum - of->error, squares - of->squares));
        of->missed = mean > FACTOR * others && mean - others > DEVIATIONS * spread;
        if (of->missed)
            dlh_run_message (c->l->run,
                             "class %" G_GINT64_FORMAT
                             " looks like a mode that the model lacks: the squared error of an "
                             "element is %.5f, of the other classes %.5f",
                             k, mean, others);
    }
}

/* By draws of the prior. */

// The class whose mean is nearest to row @row of @x.
static gint64
nearest (const Classes *c, const DlhTensor *x, gint64 row)
{
    double least = INFINITY;
    gint64 best = 0;

    for (gint64 k = 0; k < c->k; k++) {
        double sum = 0;

        if (!(c->classes[k].of_data > 0))
            continue;
        for (gint64 i = 0; i < c->width; i++) {
            double r = dlh_tensor_get (x, row * c->width + i) - c->means[k * c->width + i];

            sum += r * r;
        }
        if (sum < least) {
            least = sum;
            best = k;
        }
    }
    return best;
}

// Twice over the examples: for the means, then for how often they are right.
static gboolean
learn (Classes *c, DlhData *data, DlhSplit split, GError **error)
{
    gint64 n = MIN (dlh_data_count (data, split), MOST);

    for (guint pass = 0; pass < 2; pass++) {
        for (gint64 first = 0; first < n; first += BLOCK) {
            gint64 m = MIN (BLOCK, n - first);
            g_autoptr (DlhTensor) x = dlh_data_rows (data, split, first, m, error);

            if (!x)
                return FALSE;
            for (gint64 e = 0; e < m; e++) {
                gint64 k = (gint64)dlh_tensor_get (c->l->targets, first + e);

                if (pass) {
                    c->right += nearest (c, x, e) == k;
                    continue;
                }
                c->classes[k].of_data++;
                for (gint64 i = 0; i < c->width; i++)
                    c->means[k * c->width + i] += dlh_tensor_get (x, e * c->width + i);
            }
        }
        for (gint64 k = 0; k < c->k && !pass; k++)
            for (gint64 i = 0; i < c->width && c->classes[k].of_data > 0; i++)
                c->means[k * c->width + i] /= c->classes[k].of_data;
    }
    c->n_data = (double)n;
    return TRUE;
}

// The mean of p (x | z) at draws of the prior, (BLOCK, input).
static DlhFunction *
build_draws (Likelihood *l, GError **error)
{
    const DlhLatent *role = ((const DlhModel *)dlh_component_interface (l->model))->latent;
    gconstpointer options = dlh_component_options (l->model);
    DlhStore *store = dlh_run_store (l->run);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    DlhNode *z, *mean;

    dlh_graph_push_scope (graph, dlh_component_name (l->model));
    z = dlh_sample_from (role->prior (&b, &l->problem, options, BLOCK),
                         dlh_store_stream (store, "likelihood/classes"));
    mean = dlh_distribution_mean (role->decode (&b, &l->problem, options, z));
    dlh_graph_pop_scope (graph);
    return dlh_graph_check (graph, error) ? dlh_graph_compile (graph, &mean, 1, error) : NULL;
}

static gboolean
count_draws (Classes *c, GError **error)
{
    g_autoptr (DlhFunction) f = build_draws (c->l, error);
    gint64 n = c->l->opt->draws;

    if (!f)
        return FALSE;
    for (gint64 first = 0; first < n; first += BLOCK) {
        if (!dlh_function_run (f, NULL, 0, error))
            return FALSE;
        for (gint64 i = 0; i < MIN (BLOCK, n - first); i++)
            c->classes[nearest (c, dlh_function_output (f, 0), i)].of_prior++;
    }
    return TRUE;
}

static void
judge_draws (Classes *c)
{
    double n = (double)c->l->opt->draws;

    for (gint64 k = 0; k < c->k; k++) {
        ClassCount *of = &c->classes[k];
        double wanted = n * of->of_data / c->n_data;

        of->rare = wanted >= LEAST_WANTED && of->of_prior < RARE * wanted;
        if (of->rare)
            dlh_run_message (c->l->run,
                             "class %" G_GINT64_FORMAT
                             " is rare among draws of the prior: %.0f of %.0f, %.0f are to be "
                             "expected by the data (by the nearest class mean, which is right for "
                             "%.1f%% of the data)",
                             k, of->of_prior, n, wanted, 100 * c->right / c->n_data);
    }
}

/* What is left of it. */

static gboolean
draw_shares (Classes *c, GError **error)
{
    g_autofree double *x = g_new (double, c->k), *y = g_new (double, 2 * c->k);
    g_autofree char *caption =
        g_strdup_printf ("By the nearest class mean, which is right for %.1f%% of the data",
                         100 * c->right / c->n_data);
    DlhCurve curves[] = {
        {.label = "data", .x = x, .y = y, .n = (gsize)c->k, .style = DLH_CURVE_POINTS},
        {.label = "draws of the prior",
         .x = x,
         .y = y + c->k,
         .n = (gsize)c->k,
         .style = DLH_CURVE_POINTS},
    };
    const DlhFigure figure = {.size = sizeof figure,
                              .name = "classes",
                              .title = "Classes of the data and of draws of the prior",
                              .caption = caption,
                              .x_label = "class",
                              .y_label = "share",
                              .curves = curves,
                              .n_curves = G_N_ELEMENTS (curves)};

    for (gint64 k = 0; k < c->k; k++) {
        x[k] = (double)k;
        y[k] = c->classes[k].of_data / c->n_data;
        y[c->k + k] = c->classes[k].of_prior / (double)c->l->opt->draws;
    }
    return dlh_run_figure (c->l->run, &figure, error);
}

// A line for each class that is scored.
static gboolean
save (const Classes *c, GError **error)
{
    const char *folder = dlh_run_folder (c->l->run);
    g_autoptr (GString) text =
        g_string_new ("class,examples,log_p,reconstruction,data_share,prior_share,missed,rare\n");
    g_autofree char *path = folder ? g_build_filename (folder, "classes.csv", NULL) : NULL;

    for (gint64 k = 0; k < c->k; k++) {
        const ClassCount *of = &c->classes[k];
        double values[] = {of->log_p / of->n, of->error / of->n, of->of_data / c->n_data,
                           of->of_prior / (double)c->l->opt->draws};

        if (!(of->n > 0))
            continue;
        g_string_append_printf (text, "%" G_GINT64_FORMAT ",%.0f", k, of->n);
        for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
            char b[G_ASCII_DTOSTR_BUF_SIZE] = "";

            if (isfinite (values[i]))
                g_ascii_formatd (b, sizeof b, "%.10g", values[i]);
            g_string_append_printf (text, ",%s", b);
        }
        g_string_append_printf (text, ",%d,%d\n", of->missed, of->rare);
    }
    return !path || dlh_file_write (path, text->str, text->len, error);
}

gboolean
likelihood_classes (Likelihood *l, const double *log_p, const double *errors, gint64 *n_missed,
                    gint64 *n_rare, GError **error)
{
    g_auto (Classes) c = {.l = l, .k = l->problem.n_classes};
    DlhData *data = dlh_run_data (l->run, error);

    *n_missed = *n_rare = -1;
    if (!data)
        return FALSE;
    if (c.k > MOST_CLASSES) {
        dlh_run_message (l->run,
                         "%" G_GINT64_FORMAT
                         " classes are more than are compared, %d: modes that are missing are not "
                         "looked for",
                         c.k, MOST_CLASSES);
        return TRUE;
    }
    c.width = dlh_shape_count (l->problem.input_shape);
    c.classes = g_new0 (ClassCount, c.k);
    c.means = g_new0 (double, c.k *c.width);
    count_errors (&c, log_p, errors);
    judge_errors (&c);
    if (l->opt->draws > 0) {
        if (!learn (&c, data, likelihood_split (l), error) || !count_draws (&c, error))
            return FALSE;
        judge_draws (&c);
        if (!draw_shares (&c, error))
            return FALSE;
    }
    *n_missed = *n_rare = 0;
    for (gint64 k = 0; k < c.k; k++) {
        *n_missed += c.classes[k].missed;
        *n_rare += c.classes[k].rare;
    }
    return save (&c, error);
}
