/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "boost.h"

#define TREES 100
#define DEPTH 3
#define RATE 0.1
#define NODES (1 << DEPTH) /* leaves; inner nodes are 1 .. NODES - 1, children 2 i and 2 i + 1 */

static int
compare (gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void
boost_cuts (const double *x, gint64 n, double *cuts)
{
    g_autofree double *sorted = g_memdup2 (x, (gsize)n * sizeof *x);

    qsort (sorted, (gsize)n, sizeof *sorted, compare);
    for (gint64 i = 1; i < BOOST_BINS; i++)
        cuts[i - 1] = sorted[i * n / BOOST_BINS];
}

// How many cuts are at @x or below.
guint8
boost_bin (const double *cuts, double x)
{
    guint low = 0, high = BOOST_BINS - 1;

    while (low < high) {
        guint middle = (low + high) / 2;

        if (cuts[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return (guint8)low;
}

typedef struct {
    guint feature[NODES];
    guint8 last[NODES]; /* bins up to it go left */
    double value[2 * NODES];
} Tree;

typedef struct {
    double sum[BOOST_BINS];
    gint64 count[BOOST_BINS];
} Histogram;

// What splitting off the first bins would take from the squared error.
static void
best_split (const Histogram *h, guint feature, Tree *tree, guint node, double *best)
{
    double total = 0, left = 0;
    gint64 n = 0, n_left = 0;

    for (guint b = 0; b < BOOST_BINS; b++) {
        total += h->sum[b];
        n += h->count[b];
    }
    for (guint b = 0; b + 1 < BOOST_BINS; b++) {
        double gain, right;

        left += h->sum[b];
        n_left += h->count[b];
        if (n_left == 0 || n_left == n)
            continue;
        right = total - left;
        gain = left * left / (double)n_left + right * right / (double)(n - n_left) -
               total * total / (double)n;
        if (gain > *best * (1 + 1e-12)) {
            *best = gain;
            tree->feature[node] = feature;
            tree->last[node] = (guint8)b;
        }
    }
}

// One level deeper: @node (n) of each example becomes a child of it.
static void
grow_level (const guint8 *bins, gint64 n_train, gint64 n, guint d, const double *r, guint level,
            guint8 *node, Tree *tree, double *importance)
{
    guint first = 1u << level;
    g_autofree Histogram *h = g_new (Histogram, first);
    double best[NODES] = {0};

    for (guint i = first; i < 2 * first; i++) {
        tree->feature[i] = 0;
        tree->last[i] = BOOST_BINS - 1; // all go left
    }
    for (guint j = 0; j < d; j++) {
        memset (h, 0, first * sizeof *h);
        for (gint64 i = 0; i < n_train; i++) {
            Histogram *at = &h[node[i] - first];
            guint8 b = bins[i * d + j];

            at->sum[b] += r[i];
            at->count[b]++;
        }
        for (guint i = 0; i < first; i++)
            best_split (&h[i], j, tree, first + i, &best[i]);
    }
    for (guint i = 0; i < first; i++)
        importance[tree->feature[first + i]] += best[i];
    for (gint64 i = 0; i < n; i++)
        node[i] =
            (guint8)(2 * node[i] + (bins[i * d + tree->feature[node[i]]] > tree->last[node[i]]));
}

static void
set_leaves (Tree *tree, const guint8 *node, gint64 n_train, const double *r)
{
    double sum[2 * NODES] = {0};
    gint64 count[2 * NODES] = {0};

    for (gint64 i = 0; i < n_train; i++) {
        sum[node[i]] += r[i];
        count[node[i]]++;
    }
    for (guint i = NODES; i < 2 * NODES; i++)
        tree->value[i] = count[i] ? RATE * sum[i] / (double)count[i] : 0;
}

void
boost_fit (const guint8 *bins, gint64 n_train, gint64 n_test, guint d, const double *y,
           double *importance, double *prediction)
{
    gint64 n = n_train + n_test;
    g_autofree guint8 *node = g_new (guint8, n);
    g_autofree double *r = g_new (double, n_train), *taken = g_new0 (double, d);
    double mean = 0, total = 0;

    for (gint64 i = 0; i < n_train; i++)
        mean += y[i] / (double)n_train;
    for (gint64 i = 0; i < n; i++)
        prediction[i] = mean;
    for (guint t = 0; t < TREES; t++) {
        Tree tree;

        for (gint64 i = 0; i < n_train; i++)
            r[i] = y[i] - prediction[i];
        memset (node, 1, (gsize)n);
        for (guint level = 0; level < DEPTH; level++)
            grow_level (bins, n_train, n, d, r, level, node, &tree, taken);
        set_leaves (&tree, node, n_train, r);
        for (gint64 i = 0; i < n; i++)
            prediction[i] += tree.value[node[i]];
    }
    for (guint j = 0; j < d; j++)
        total += taken[j];
    for (guint j = 0; j < d && total > 0; j++)
        importance[j] += taken[j] / total;
}
