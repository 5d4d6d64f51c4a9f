/* SPDX-License-Identifier: MIT */
// Evolution strategies with plain perturbations, which flipes is measured against: a draw for each
// candidate, whose matrices are in memory for one worker at a time; or shared, one draw and one
// candidate (with its mirror image) a worker.
#include <string.h>
#include "es.h"

static gboolean
es_plain_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const EsOptions *opt = options;
    const gboolean shared = strcmp (opt->perturbation, "shared") == 0;

    return es_build (u, opt, DLH_SPREAD_INDEPENDENT, shared ? 1 : opt->members, error);
}

static const DlhOptimizer es = {.size = sizeof (DlhOptimizer), .build = es_plain_build};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, es, EsOptions,
    DLH_OPTIONS (ES_OPTIONS (1, 40),
                 DLH_CHOICE (EsOptions, perturbation, "independent", "independent|shared",
                             "A draw for each candidate of a worker, or one candidate a worker")),
    .name = "es", .version = "1.0", .paper = "1703.03864",
    .summary = "Evolution strategies without gradients, a draw for each candidate");
