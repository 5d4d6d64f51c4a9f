/* SPDX-License-Identifier: MIT */
/* Interface structs grow at their end, so a plugin built before the last growth has a smaller one
 * than the host's headers say. It is extended with NULL here, once, so that whoever reads a member
 * need not compare sizes. A larger one needs nothing: what lies beyond is not read. */
#include "plugin/interface.h"

#include <string.h>

#include <dlhost/dlhost.h>

#define MAX_ROLES 8
#define MAX_NEEDS 4

/* A function of a struct. */
typedef struct {
    gsize at; /* offset of the pointer */
    const char *name;
} Function;

/* A struct that begins with its size, and the functions that it must have. */
typedef struct {
    gsize size;
    Function needs[MAX_NEEDS]; /* ends with at == 0 */
} Table;

/* A pointer to a further struct of that sort. */
typedef struct {
    gsize at; /* offset of the pointer */
    Table table;
} Role;

typedef struct {
    Table table;
    gsize check;           /* offset of the function check, 0: none */
    Role roles[MAX_ROLES]; /* ends with at == 0 */
} Kind;

#define NEEDS(Struct, function)                                                                    \
    {                                                                                              \
        offsetof (Struct, function), #function                                                     \
    }
#define TABLE(Struct, function)                                                                    \
    {                                                                                              \
        sizeof (Struct),                                                                           \
        {                                                                                          \
            NEEDS (Struct, function)                                                               \
        }                                                                                          \
    }

static const Kind kinds[] = {
    [DLH_OPTIMIZER] = {.table = TABLE (DlhOptimizer, build),
                       .check = offsetof (DlhOptimizer, check)},
    [DLH_MODEL] = {.table = {.size = sizeof (DlhModel)},
                   .check = offsetof (DlhModel, check),
                   .roles = {{offsetof (DlhModel, supervised), TABLE (DlhSupervised, build)},
                             {offsetof (DlhModel, density), TABLE (DlhDensity, log_density)},
                             {offsetof (DlhModel, latent), TABLE (DlhLatent, decode)}}},
    [DLH_SAMPLER] = {.table = {.size = sizeof (DlhSampler)},
                     .check = offsetof (DlhSampler, check),
                     .roles = {{offsetof (DlhSampler, transition), TABLE (DlhTransition, build)}}},
    [DLH_DATASET] = {.table = TABLE (DlhDataset, load), .check = offsetof (DlhDataset, check)},
    [DLH_ENVIRONMENT] = {.table = {sizeof (DlhEnvironment),
                                   {NEEDS (DlhEnvironment, open), NEEDS (DlhEnvironment, close),
                                    NEEDS (DlhEnvironment, reset), NEEDS (DlhEnvironment, step)}},
                         .check = offsetof (DlhEnvironment, check)},
    [DLH_TASK] = {.table = TABLE (DlhTask, run), .check = offsetof (DlhTask, check)},
    [DLH_OBJECTIVE] = {.table = TABLE (DlhObjectiveRole, build)},
    [DLH_PERTURB] = {.table = {.size = sizeof (DlhPerturbation)},
                     .roles = {{offsetof (DlhPerturbation, estimator),
                                TABLE (DlhEstimator, product)},
                               {offsetof (DlhPerturbation, noise), TABLE (DlhNoise, draw)}}},
};

/* Members are of a pointer's size or aligned to it: half of one is none. */
static gsize
size_of (gconstpointer table)
{
    gsize size;

    memcpy (&size, table, sizeof size);
    return size - size % sizeof (gpointer);
}

static gconstpointer
pointer_at (gconstpointer table, gsize offset)
{
    gconstpointer pointer;

    if (size_of (table) < offset + sizeof pointer)
        return NULL;
    memcpy (&pointer, (const guint8 *)table + offset, sizeof pointer);
    return pointer;
}

static gboolean
check_table (const Table *table, gconstpointer theirs, GError **error)
{
    for (guint i = 0; i < MAX_NEEDS && table->needs[i].at; i++)
        if (!pointer_at (theirs, table->needs[i].at)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                         "its interface has no function '%s', which every plugin of its kind needs",
                         table->needs[i].name);
            return FALSE;
        }
    return TRUE;
}

gconstpointer
dlh_interface_adopt (DlhPluginKind kind, gconstpointer theirs, gpointer *copy, GError **error)
{
    const Kind *k = kind < G_N_ELEMENTS (kinds) ? &kinds[kind] : &kinds[0];
    gsize bytes = k->table.size, n = MIN (size_of (theirs), bytes);
    gboolean grows = n < bytes;
    guint8 *block;

    *copy = NULL;
    if (!check_table (&k->table, theirs, error))
        return NULL;
    for (const Role *role = k->roles; role->at; role++) {
        gconstpointer inner = pointer_at (theirs, role->at);

        if (inner && !check_table (&role->table, inner, error))
            return NULL;
        grows = grows || (inner && size_of (inner) < role->table.size);
        bytes += role->table.size;
    }
    if (!grows)
        return theirs;

    *copy = block = g_malloc0 (bytes);
    memcpy (block, theirs, n);
    bytes = k->table.size;
    for (const Role *role = k->roles; role->at; role++) {
        gconstpointer inner = pointer_at (theirs, role->at);
        gpointer ours = block + bytes;

        if (inner) {
            memcpy (ours, inner, MIN (size_of (inner), role->table.size));
            memcpy (block + role->at, &ours, sizeof ours);
        }
        bytes += role->table.size;
    }
    return block;
}

gboolean
dlh_interface_check (DlhPluginKind kind, gconstpointer interface, gconstpointer options,
                     GError **error)
{
    gboolean (*check) (gconstpointer, GError **) = NULL;
    gconstpointer pointer = NULL;

    if (kind < G_N_ELEMENTS (kinds) && kinds[kind].check)
        pointer = pointer_at (interface, kinds[kind].check);
    if (!pointer)
        return TRUE;
    memcpy (&check, &pointer, sizeof check);
    return check (options, error);
}
