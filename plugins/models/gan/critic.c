/* SPDX-License-Identifier: MIT */
#include "critic.h"

DlhNode *
critic_score (DlhBuild *b, const Players *p, DlhNode *x)
{
    const DlhInit init = dlh_init_named ("glorot");
    DlhNode *h = x;

    dlh_graph_push_scope (b->graph, "discriminator");
    for (gsize i = 0; i < p->discriminator.n; i++) {
        g_autofree char *name = g_strdup_printf ("layer%" G_GSIZE_FORMAT, i + 1);

        h = dlh_activation (dlh_dense (b, name, h, p->discriminator.values[i], init, TRUE),
                            p->discriminator_activation);
        if (p->dropout > 0)
            h = dlh_dropout (b, name, h, p->dropout);
    }
    h = dlh_dense (b, "output", h, 1, init, TRUE);
    dlh_graph_pop_scope (b->graph);
    return dlh_index (h, 1, 0);
}

void
critic_set_paces (DlhBuild *b, const Players *p)
{
    dlh_pace (b, "generator", (DlhPace){p->generator_rate, p->generator_period});
    dlh_pace (b, "discriminator", (DlhPace){p->discriminator_rate, 1});
}
