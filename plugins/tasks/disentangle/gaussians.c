/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "gaussians.h"

typedef double Vector __attribute__ ((vector_size (LANES * sizeof (double))));
typedef double Unaligned
    __attribute__ ((vector_size (LANES * sizeof (double)), aligned (sizeof (double)), may_alias));
typedef gint64 Whole __attribute__ ((vector_size (LANES * sizeof (double))));

#define LOG2E 1.44269504088896340736
#define LN2_HIGH 0x1.62e42fefa0000p-1
#define LN2_LOW 0x1.cf79abc9e3b3ap-40
#define MAGIC 0x1.8p52 /* adding it rounds to a whole number, which is then in the low bits */
#define LIMIT 700.0    /* beyond it results would not be normal numbers */

/* out = exp (in) to 1e-12, |in| up to LIMIT, clamped there: 2^k times a Taylor series of ln 2 / 2
 * at most. */
#define EXP(out, in)                                                                               \
    do {                                                                                           \
        Vector x_ = (in), k_, r_, p_;                                                              \
        Whole below_ = (Whole)(x_ < -LIMIT), above_ = (Whole)(x_ > LIMIT);                         \
                                                                                                   \
        x_ = (Vector)(((Whole)x_ & ~below_) | ((Whole)(Vector){LOW_} & below_));                   \
        x_ = (Vector)(((Whole)x_ & ~above_) | ((Whole)(Vector){HIGH_} & above_));                  \
        k_ = x_ * LOG2E + MAGIC;                                                                   \
        r_ = k_ - MAGIC;                                                                           \
        x_ -= r_ * LN2_HIGH;                                                                       \
        x_ -= r_ * LN2_LOW;                                                                        \
        p_ = x_ * (1 / 3628800.0) + 1 / 362880.0;                                                  \
        p_ = p_ * x_ + 1 / 40320.0;                                                                \
        p_ = p_ * x_ + 1 / 5040.0;                                                                 \
        p_ = p_ * x_ + 1 / 720.0;                                                                  \
        p_ = p_ * x_ + 1 / 120.0;                                                                  \
        p_ = p_ * x_ + 1 / 24.0;                                                                   \
        p_ = p_ * x_ + 1 / 6.0;                                                                    \
        p_ = p_ * x_ + 0.5;                                                                        \
        p_ = p_ * x_ + 1.0;                                                                        \
        p_ = p_ * x_ + 1.0;                                                                        \
        (out) = p_ * (Vector)((((Whole)k_) << 52) + ((gint64)1023 << 52));                         \
    } while (0)
#define LOW_ -LIMIT, -LIMIT, -LIMIT, -LIMIT, -LIMIT, -LIMIT, -LIMIT, -LIMIT
#define HIGH_ LIMIT, LIMIT, LIMIT, LIMIT, LIMIT, LIMIT, LIMIT, LIMIT

#define LEVEL baseline
#define TARGET
#include "gaussians-type.h"
#undef LEVEL
#undef TARGET

#ifdef __x86_64__
#define LEVEL avx2
#define TARGET __attribute__ ((target ("avx2,fma")))
#include "gaussians-type.h"
#undef LEVEL
#undef TARGET

#define LEVEL avx512
#define TARGET __attribute__ ((target ("avx512f,avx512dq,fma")))
#include "gaussians-type.h"
#undef LEVEL
#undef TARGET
#endif

const Gaussians *
gaussians_get (void)
{
#ifdef __x86_64__
    if (strcmp (dlh_cpu_level (), "avx512") == 0)
        return &gaussians_avx512;
    if (strcmp (dlh_cpu_level (), "avx2") == 0)
        return &gaussians_avx2;
#endif
    return &gaussians_baseline;
}
