/* SPDX-License-Identifier: MIT */
/* Layers: compositions of ops that make their own parameters in a store. Each opens the scope
 * @name, so its parameters are "<scope>/<name>/weight", "<scope>/<name>/bias" and so on. */
#pragma once

#include <dlhost/conv.h>
#include <dlhost/random.h>

G_BEGIN_DECLS

/* Where a model is being built, and how. */
typedef struct {
    gsize size;
    DlhGraph *graph;
    DlhStore *store;
    gboolean training;  /* dropout drops, batch norm uses and updates batch statistics */
    GPtrArray *updates; /* (element-type DlhNode): assignments to run with a training step */
    GPtrArray *notes;   /* (nullable) (element-type utf8): lines for the run's log */
} DlhBuild;

/** dlh_dense: (.., n_in) to (.., @n_out): weight (n_out, n_in), bias (n_out) zeros. */
DLH_EXPORT DlhNode *dlh_dense (DlhBuild *b, const char *name, DlhNode *x, gint64 n_out,
                               DlhInit init, gboolean bias);
/** dlh_conv_layer: weight (n_out, C / groups, kh, kw), bias (n_out) zeros. */
DLH_EXPORT DlhNode *dlh_conv_layer (DlhBuild *b, const char *name, DlhNode *x, gint64 n_out,
                                    gint64 kernel_height, gint64 kernel_width, DlhConv conv,
                                    DlhInit init, gboolean bias);
/** dlh_lstm: @x (T, B, n_in) to all hidden states (T, B, @n_hidden); gates i f g o stacked in
 * "input/weight" (4h, n_in), "hidden/weight" (4h, h), "input/bias" (4h), forget bias 1.
 * @h0, @c0: (nullable): (B, h), zeros when NULL; @h_last, @c_last: (out) (optional). */
DLH_EXPORT DlhNode *dlh_lstm (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden,
                              DlhNode *h0, DlhNode *c0, DlhNode **h_last, DlhNode **c_last);
/** dlh_gru: as dlh_lstm(), and "hidden/bias" (3h); gates r z n, n = tanh (W x + b + r * (U h +
 * bh)), h <- (1 - z) n + z h. */
DLH_EXPORT DlhNode *dlh_gru (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden,
                             DlhNode *h0, DlhNode **h_last);
/** dlh_rnn: as dlh_gru(): h <- phi (W x + b + U h + c), phi an @activation of dlh_activation();
 * both products have a bias, "input/bias" and "hidden/bias". */
DLH_EXPORT DlhNode *dlh_rnn (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden,
                             const char *activation, DlhNode *h0, DlhNode **h_last);

/* What a recurrence loses in training; each share is in [0, 1). Evaluation takes the means. */
typedef struct {
    gsize size;
    double variational;    /* of the state in the product, one mask a sequence (arXiv 1512.05287) */
    double update;         /* of g, GRU: n, drawn anew for each step (arXiv 1603.05118) */
    double zoneout_cell;   /* of c: stays what it was (arXiv 1606.01305); GRU: must be 0 */
    double zoneout_hidden; /* of h */
} DlhRecurrentDropout;

/** dlh_lstm_dropped, dlh_gru_dropped: those layers with @drop (nullable). */
DLH_EXPORT DlhNode *dlh_lstm_dropped (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden,
                                      const DlhRecurrentDropout *drop, DlhNode *h0, DlhNode *c0,
                                      DlhNode **h_last, DlhNode **c_last);
DLH_EXPORT DlhNode *dlh_gru_dropped (DlhBuild *b, const char *name, DlhNode *x, gint64 n_hidden,
                                     const DlhRecurrentDropout *drop, DlhNode *h0,
                                     DlhNode **h_last);
/** dlh_batch_norm: over all axes but @axis; "scale", "shift", running "mean" and "variance"
 * (unbiased), which training moves by running <- (1 - momentum) running + momentum batch. */
DLH_EXPORT DlhNode *dlh_batch_norm (DlhBuild *b, const char *name, DlhNode *x, int axis,
                                    double momentum, double epsilon);
/** dlh_layer_norm: over the last axis. */
DLH_EXPORT DlhNode *dlh_layer_norm (DlhBuild *b, const char *name, DlhNode *x, double epsilon);
/** dlh_dropout: keeps with probability 1 - @rate and scales by its inverse; identity unless
 * training. */
DLH_EXPORT DlhNode *dlh_dropout (DlhBuild *b, const char *name, DlhNode *x, double rate);
/** dlh_dropout_locked: with one mask for all of @axis, which may be that of time. */
DLH_EXPORT DlhNode *dlh_dropout_locked (DlhBuild *b, const char *name, DlhNode *x, double rate,
                                        int axis);

/* Several players in one loss: the sum of their losses, each kept from the others' parameters.
 *
 *     fake  = generator (b, z);
 *     real  = discriminator (b, x);
 *     loss of the discriminator: of real and discriminator (b, dlh_stop_gradient (fake))
 *     loss of the generator:     of dlh_freeze (b, "discriminator", discriminator (b, fake))
 */

/** dlh_freeze: @y without gradient to the parameters below scope @name of the present one ("": of
 * the present one itself). What @y and its unfrozen twin have in common is computed once. */
DLH_EXPORT DlhNode *dlh_freeze (DlhBuild *b, const char *name, DlhNode *y);
/** dlh_pace: sets the pace of the parameters that have been made below scope @name. */
DLH_EXPORT void dlh_pace (DlhBuild *b, const char *name, DlhPace pace);

G_END_DECLS
