/* SPDX-License-Identifier: MIT */
/* The kernels of one instruction set; LEVEL is set by the build. */
#include <math.h>
#include "cpu/loops.h"
#include "cpu/mixture.h"

#define LANES 64
#define PIECE 512
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_ (a, b)
#define LOOPS PASTE (dlh_loops_, LEVEL)

#define T float
#define DTYPE DLH_F32
#define LOWEST -80.0f
#define NOTHING 2e-35f
#define FN(name) name##_f32
#include "cpu/mixture-type.h"
#undef T
#undef DTYPE
#undef LOWEST
#undef NOTHING
#undef FN

#define T double
#define DTYPE DLH_F64
#define LOWEST -700.0
#define NOTHING 1e-304
#define FN(name) name##_f64
#include "cpu/mixture-type.h"

const DlhMixtureKernels PASTE (dlh_mixture_, LEVEL)[2] = {
    {terms_f32, weigh_f32, back_f32, logsumexp_f32},
    {terms_f64, weigh_f64, back_f64, logsumexp_f64},
};
