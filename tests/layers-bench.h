/* SPDX-License-Identifier: MIT */
/* A store and a graph in which layers are built. */
#pragma once

#include "test.h"

typedef struct {
    DlhStore *store;
    DlhGraph *graph;
    GPtrArray *updates;
    DlhBuild b;
} Fixture;

static inline void
fixture_clear (Fixture *f)
{
    g_ptr_array_unref (f->updates);
    dlh_graph_unref (f->graph);
    dlh_store_unref (f->store);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static inline void
fixture_init (Fixture *f, gboolean training)
{
    f->store = dlh_store_new (1, DLH_F64);
    f->graph = dlh_graph_new ();
    f->updates = g_ptr_array_new ();
    f->b = (DlhBuild){sizeof f->b, f->graph, f->store, training, f->updates};
}
