/* SPDX-License-Identifier: MIT */
/* K-FAC: natural gradient under a metric that is, block by block, a Kronecker product of two small
 * matrices; the coordinate-free form of arXiv 1808.10340 (Luk and Grosse).
 *
 *   blocks.c      which parameters make a block, and of which kind
 *   curvature.c   what is back-propagated: the metric on the outputs
 *   hessian.c     the Gauss-Newton metric where it is not the Fisher
 *   factors.c     statistics of each block
 *   inverse.c     Kronecker blocks: damped inverses, eigenbases, EK-FAC
 *   rows.c        the batch's rows preconditioned instead of its gradient, where that is cheaper
 *   recurrent.c   Kronecker blocks with correlations in time
 *   chains.c      which layers follow each other
 *   tridiagonal.c Kronecker blocks with correlations between neighbouring layers
 *   damping.c     lambda and gamma, fixed and adapted
 *   recovery.c    steps that are taken back
 *   quadratic.c   the model of the loss around the parameters
 *   step.c        preconditioning, trust region, step size and momentum
 *   kfac.c        options, and what is done when
 *
 * Letters are the papers':
 *
 *   A  second moment of a product's input, with a trailing 1 for the bias   (A_{l-1}, Omega)
 *   G  second moment of the pseudo-gradient at its output                   (G_l, Gamma)
 *   r  rows of the product a case of the batch: 1, output positions, time steps
 *   V  gradient of a block, (n_out, n_in + bias); U = F^-1 V
 *   lambda damping, pi how it is split between the factors (1503.05671, 6.3)
 */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    double lr, momentum, damping, damping_min, damping_max, decay, kl_clip, weight_decay;
    double damping_factor, damping_steps, damping_total, damping_floor, model_fraction,
        statistics_fraction;
    DlhDoubles damping_milestones;
    const char *damping_schedule;
    gint64 statistics, inverses, inverse_delay, burn_in, samples, damping_period, gamma_period,
        kl_period;
    const char *step, *fisher, *inverse, *precondition, *precondition_precision, *recurrent,
        *structure;
    gboolean strict, double_factors, damping_in_model;
} KfacOptions;

typedef enum {
    BLOCK_PRODUCT = 1, /* the weight of linear, conv2d or conv_transpose2d nodes: A kron G */
    BLOCK_TABLE,       /* an embedding: A is the diagonal of the indices' frequencies */
    BLOCK_DENSE,       /* scales and shifts: the Fisher itself, from each case's gradient */
    BLOCK_DIAGONAL,    /* whatever else */
} BlockKind;

/* One node in which a block's parameters act. */
typedef struct {
    DlhNode *node;
    guint input;  /* where the parameter enters */
    GPtrArray *g; /* DlhNode*: pseudo-gradients at the node, one a column or sample */
} Use;

typedef struct _KfacInverse KfacInverse;

/* One block of the metric: a weight with its bias, or a lone parameter. */
typedef struct {
    BlockKind kind;
    int weight, bias;         /* parameter numbers; bias -1 for none */
    GArray *uses;             /* Use, in the order of the graph: of the cases that are measured */
    GArray *whole;            /* Use: of a product, of all cases of the batch */
    gint64 groups;            /* of a convolution: as many blocks, done as one batch */
    gint64 n_in, n_out;       /* of a group, without the trailing 1 */
    gboolean swapped;         /* the weight is stored (n_in, n_out) */
    gint64 steps;             /* in time that share the weight; 1: none */
    double rows_per_case;     /* r */
    int previous, next;       /* layers of its chain, block numbers; -1 for none */
    const char *diagonal_for; /* BLOCK_DIAGONAL: why */
    const char *apart; /* (nullable): what keeps it from those before it, or from any chain */
    const KfacInverse *inverse;
    DlhNode *a, *g;   /* states: moving averages of A and G */
    DlhNode *a1, *g1; /* and of the moments with the step before, or with the layer after */
    DlhNode *scales;  /* and of the squared gradients in the eigenbasis (EK-FAC) */
    DlhNode *held[6]; /* states of the inverse, in a meaning of its own */
    DlhNode *fisher;  /* BLOCK_DENSE: its state; BLOCK_DIAGONAL: the diagonal */
    gboolean by_rows; /* U comes from the batch's rows: there is uv and no v (rows.c) */
    DlhNode *v, *u;   /* V (groups, n_out, n_in + bias) or as the parameter, and U */
    DlhNode *uv;      /* <U, V> */
} Block;

typedef struct {
    DlhUpdate *update;
    const KfacOptions *opt;
    GArray *blocks;
    DlhDType dtype; /* of factors and inverses */
    DlhDType model_dtype;
    double n_cases;
    DlhNode *keep;     /* weight of the old statistics in the moving averages */
    DlhNode *damping;  /* f64: what the inverses add to the curvature */
    gboolean damped;   /* whether that is above 0 */
    DlhNode *lambda;   /* f64: of the quadratic model; a state when it is adapted */
    DlhNode *boost;    /* (nullable) f64 state: what recoveries multiplied a lambda by that is not
                          adapted */
    DlhNode *gamma;    /* (nullable) f64 state: when searched, damping is its square */
    double eta;        /* L2 coefficient in all */
    double loss_scale; /* of the log-likelihood in the loss */
    const DlhObjective *measured;      /* what the model makes of the cases of the statistics */
    const DlhObjective *part;          /* what the model makes of the cases that F is taken from */
    DlhNode **nabla;                   /* gradients of the loss with its L2 term, not clipped */
    DlhNode **u;                       /* U of each parameter */
    GPtrArray *held;                   /* DlhNode*: states of inverses, */
    GPtrArray *fresh;                  /* and what the phase "inverses" assigns to each */
    DlhNode *hessian_root, *part_root; /* (nullable) (cases, d, d): of fisher=gauss_newton where it
                                          is not the Fisher */
    DlhNode *raised; /* (nullable): how many factors needed more damping than asked for */
} Kfac;

/* How a Kronecker block is inverted: prepare() declares states, adds what they are assigned in the
 * phases "statistics" and "inverses"; apply() gives U for b->v. */
struct _KfacInverse {
    const char *name; /* as the note shows it */
    void (*prepare) (Kfac *k, Block *b);
    DlhNode *(*apply) (Kfac *k, Block *b);
};

extern const KfacInverse kfac_cholesky, kfac_eigen, kfac_ekfac, kfac_option1, kfac_option2,
    kfac_chain;

/* blocks.c */
gboolean kfac_find_blocks (Kfac *k, GError **error);
void kfac_block_clear (gpointer block);
const char *kfac_block_name (Kfac *k, const Block *b);
/* A state "<optimizer>/<weight>/@name". */
DlhNode *kfac_block_state (Kfac *k, const Block *b, const char *name, DlhDType dtype,
                           DlhShape shape, DlhInitKind init);

/* curvature.c: fills the uses' g. */
gboolean kfac_propagate (Kfac *k, GError **error);
/* d, how many numbers z has for a case; and the unit vector of number @j for all cases. */
gint64 kfac_output_size (const DlhObjective *objective);
DlhNode *kfac_unit_output (const DlhObjective *objective, gint64 j);

/* hessian.c: sets hessian_root, and part_root of k->part. */
gboolean kfac_find_hessian (Kfac *k, GError **error);
DlhNode *kfac_part_hessian_multiply (Kfac *k, DlhNode *v);

/* factors.c */
void kfac_add_statistics (Kfac *k, Block *b);
/* Rows of all uses as (groups, rows, n): inputs with @ones a trailing 1, and pseudo-gradients of
 * column or sample @j. */
DlhNode *kfac_input_rows (const Block *b, gboolean ones);
DlhNode *kfac_output_rows (const Block *b, guint j);
/* The same of gradients at the uses' nodes, one a use. */
DlhNode *kfac_rows_of (const Block *b, DlhNode *const *gs);
guint kfac_n_columns (const Block *b);
/* What the sum over columns or samples is multiplied by: samples are averaged. */
double kfac_column_weight (const Kfac *k, const Block *b);
DlhNode *kfac_moving_average (Kfac *k, DlhNode *state, DlhNode *value);

/* inverse.c */
/* pi, a scalar for each group (groups, 1, 1); 1 where a trace is not positive. */
DlhNode *kfac_trace_ratio (DlhNode *a, DlhNode *g);
/* The damping as a scalar of @dtype. */
DlhNode *kfac_damping (const Kfac *k, DlhDType dtype);
/* sqrt (damping / r), the share of each factor before pi. */
DlhNode *kfac_factor_damping (const Kfac *k, const Block *b);
/* op(@x) op(@y) of a preconditioner: its operands may be rounded where that is asked for. */
DlhNode *kfac_product (const Kfac *k, DlhNode *x, gboolean tx, DlhNode *y, gboolean ty);
/* Whether U of the block is made by such products, and they may be rounded. */
gboolean kfac_is_rounded (const Kfac *k, const Block *b);
/* What inverse.c and its like give in the phase "inverses": the only way to assign there. */
void kfac_assign_inverse (Kfac *k, DlhNode *state, DlhNode *value);

/* quadratic.c */
typedef struct {
    DlhNode *const *v; /* one a parameter */
    DlhNode *outputs;  /* J v */
    DlhNode *metric;   /* F_R J v, so that u' F v = <J u, F_R J v> / cases */
    DlhNode *slope;    /* <nabla, v> */
} KfacDirection;
/* M over the plane of two directions, or one: M (alpha, mu) - M (0) has these slopes and this
 * curvature. */
typedef struct {
    DlhNode *slope1, *slope2, *b11, *b12, *b22;
    DlhNode *alpha, *mu; /* where M is least */
} KfacModel;
DlhNode *kfac_inner (Kfac *k, DlhNode *const *u, DlhNode *const *v);
/* @v must live as long as the direction. */
KfacDirection kfac_direction (Kfac *k, DlhNode *const *v);
KfacModel kfac_model (Kfac *k, const KfacDirection *proposal, const KfacDirection *previous);
/* M (delta) - M (0). */
DlhNode *kfac_model_change (const KfacModel *m, DlhNode *alpha, DlhNode *mu);

/* damping.c */
gboolean kfac_is_quadratic (const Kfac *k);
gboolean kfac_adapts (const Kfac *k);
/* What options contradict each other. */
gboolean kfac_check_damping (const KfacOptions *opt, GError **error);
gboolean kfac_begin_damping (Kfac *k, GError **error);
/* Compares the loss at theta + @delta with what the model says, @change. */
void kfac_adapt_damping (Kfac *k, DlhNode *const *delta, DlhNode *change);
/* An f64 scalar state; @damping between its least and its most. */
DlhNode *kfac_number (Kfac *k, const char *name, double value);
DlhNode *kfac_within_limits (const Kfac *k, DlhNode *damping);
void kfac_search_gamma (Kfac *k, const KfacDirection *previous);

/* recovery.c */
/* When a step is not finite or the loss leaps: takes the step before back, @last one a parameter,
 * zeroes @states, and raises the damping. */
void kfac_recover (Kfac *k, DlhNode *const *last, DlhNode *const *states);

/* step.c */
#define KFAC_KL_CLIP 5e-3
void kfac_step (Kfac *k);

/* rows.c */
/* Whether the block's U shall be made of rows. */
gboolean kfac_by_rows (Kfac *k, const Block *b);
/* Sets u and uv. */
void kfac_precondition_rows (Kfac *k, Block *b);

/* recurrent.c */
/* A and G with the damping of factors, (1, n, n) each. */
void kfac_damped_factors (Kfac *k, const Block *b, DlhNode **a0, DlhNode **g0);
/* m^power of a symmetric positive matrix, power < 0. Eigenvalues below what rounding leaves count
 * as that, or without damping as directions of no extent, which stay without. */
DlhNode *kfac_matrix_power (const Kfac *k, DlhNode *m, double power);
/* A state of the model's type that "inverses" sets to @value. */
DlhNode *kfac_hold (Kfac *k, Block *b, const char *name, DlhNode *value);

/* chains.c: sets previous, next and the inverse of blocks in chains; none unless
 * structure=tridiagonal. */
gboolean kfac_find_chains (Kfac *k, GError **error);
/* (transfer full): what the note of @b says of its chain. */
char *kfac_chain_text (const Kfac *k, const Block *b);

/* tridiagonal.c */
void kfac_add_cross_statistics (Kfac *k, Block *b);
