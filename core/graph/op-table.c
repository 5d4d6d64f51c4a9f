/* SPDX-License-Identifier: MIT */
/* The op table: the families, each a NULL-terminated list at the end of its file. */
#include "graph/private.h"
#include "graph/rows.h"

typedef const DlhOp *const Family[];

extern Family dlh_ops_leaf, dlh_ops_elementwise, dlh_ops_reduce, dlh_ops_extremum, dlh_ops_softmax,
    dlh_ops_arrange, dlh_ops_slice, dlh_ops_index, dlh_ops_diag, dlh_ops_matmul, dlh_ops_matrix,
    dlh_ops_linalg, dlh_ops_conv, dlh_ops_mixture, dlh_ops_patches, dlh_ops_pool, dlh_ops_random;

static const DlhOp *const *const families[] = {
    dlh_ops_leaf,    dlh_ops_elementwise, dlh_ops_reduce, dlh_ops_extremum, dlh_ops_softmax,
    dlh_ops_arrange, dlh_ops_slice,       dlh_ops_index,  dlh_ops_diag,     dlh_ops_matmul,
    dlh_ops_matrix,  dlh_ops_linalg,      dlh_ops_conv,   dlh_ops_mixture,  dlh_ops_patches,
    dlh_ops_pool,    dlh_ops_random,
};

const DlhOp *const *
dlh_op_table (void)
{
    static const DlhOp *table[256];
    static gsize ready;

    if (g_once_init_enter (&ready)) {
        guint n = 0;

        for (guint f = 0; f < G_N_ELEMENTS (families); f++)
            for (guint i = 0; families[f][i]; i++)
                table[n++] = families[f][i];
        g_assert (n < G_N_ELEMENTS (table));
        g_once_init_leave (&ready, 1);
    }
    return table;
}

const DlhOpRows *
dlh_op_rows (const DlhOp *op)
{
    static const DlhOpRows *const lists[] = {dlh_rows_matmul, dlh_rows_matrix, dlh_rows_softmax};

    for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
        for (const DlhOpRows *rows = lists[i]; rows->op; rows++)
            if (rows->op == op)
                return rows;
    return NULL;
}
