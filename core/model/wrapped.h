/* SPDX-License-Identifier: MIT */
/* What components that wrap a model share: the supervised role is theirs, and the model's other
 * roles, which ask for the model's options and not for the wrapper's data, are handed on. */
#pragma once

#include <dlhost/model.h>
#include <dlhost/registry.h>

typedef struct _DlhWrapped DlhWrapped;

/* The data of such a component begin with this. */
struct _DlhWrapped {
    DlhComponent *model; /* held by the component */
    /* (nullable): replaces @nodes, all that one function of the latent role has made. */
    void (*change) (DlhWrapped *w, DlhBuild *build, const DlhProblem *problem, DlhNode **nodes,
                    guint n);
    DlhModel interface; /* the component's */
    DlhLatent latent;
    DlhDensity density;
};

/* @supervised beside the roles that @model offers. Without a density where there is @change, which
 * knows no problem for it. */
void dlh_wrapped_init (DlhWrapped *w, DlhComponent *model, const DlhSupervised *supervised);
