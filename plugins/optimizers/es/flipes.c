/* SPDX-License-Identifier: MIT */
// FlipES (arXiv 1803.04386, section 3.3, eq. 5): the candidates of a worker share one draw D and
// have signs of their own, D o (s_n r_n'), so that all of them are one matrix product; and the
// estimate is D o (S' diag (F) R), for which no candidate's matrix is formed.
#include "es.h"

static gboolean
flipes_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const EsOptions *opt = options;

    if (opt->members < 2) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'members' is 1, must be 2 or more: signs tell candidates of a draw apart; "
                     "for one candidate a draw take --optimizer=es,perturbation=shared");
        return FALSE;
    }
    return es_build (u, opt, DLH_SPREAD_SIGNS, opt->members, error);
}

static const DlhOptimizer flipes = {.size = sizeof (DlhOptimizer), .build = flipes_build};

DLH_PLUGIN_DEFINE (DLH_OPTIMIZER, flipes, EsOptions, DLH_OPTIONS (ES_OPTIONS (1, 40)),
                   .name = "flipes", .version = "1.0", .paper = "1803.04386",
                   .summary = "Evolution strategies without gradients, many candidates a product");
