/* SPDX-License-Identifier: MIT */
/* The convolutional encoder and decoder for 64x64 pictures. */
#pragma once

#include "network.h"

/* x (B, C, 64, 64) or (B, 64, 64) to (B, 512). */
DlhNode *vae_conv_encoder (DlhBuild *b, DlhNode *x, DlhInit init);
/* z (B, d) to (B, channels, 64, 64). */
DlhNode *vae_conv_decoder (DlhBuild *b, DlhNode *z, gint64 channels, DlhInit init);
/* Whether pictures of @shape, without the batch, fit; @channels: (out). */
gboolean vae_conv_fits (DlhShape shape, gint64 *channels);
