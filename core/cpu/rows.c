/* SPDX-License-Identifier: MIT */
/* The kernels of one instruction set; LEVEL is set by the build. */
#include <math.h>
#include <string.h>
#include "cpu/loops.h"
#include "cpu/rows.h"

#define WIDTH DLH_ROWS_WIDTH
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_ (a, b)
#define LOOPS PASTE (dlh_loops_, LEVEL)

#define IS_FLOAT 1
#define T float
#define DTYPE DLH_F32
#define FN(name) name##_f32
#include "cpu/rows-type.h"
#undef T
#undef DTYPE
#undef FN

#define T double
#define DTYPE DLH_F64
#define FN(name) name##_f64
#include "cpu/rows-type.h"
#undef T
#undef DTYPE
#undef FN
#undef IS_FLOAT

#define IS_FLOAT 0
#define T gint32
#define FN(name) name##_i32
#include "cpu/rows-type.h"
#undef T
#undef FN

#define T gint64
#define FN(name) name##_i64
#include "cpu/rows-type.h"

#define FLOATS(name)                                                                               \
    {                                                                                              \
        name##_f32, name##_f64                                                                     \
    }
#define NUMBERS(name)                                                                              \
    {                                                                                              \
        name##_f32, name##_f64, name##_i32, name##_i64                                             \
    }

const DlhRows PASTE (dlh_rows_, LEVEL) = {
    .kernels =
        {
            [DLH_ROWS_SOFTMAX] = FLOATS (softmax),
            [DLH_ROWS_LOG_SOFTMAX] = FLOATS (log_softmax),
            [DLH_ROWS_LOGSUMEXP] = FLOATS (logsumexp),
            [DLH_ROWS_MAX] = NUMBERS (max),
            [DLH_ROWS_MIN] = NUMBERS (min),
            [DLH_ROWS_ARGMAX] = NUMBERS (argmax),
            [DLH_ROWS_ARGMIN] = NUMBERS (argmin),
            [DLH_ROWS_CUMSUM] = FLOATS (cumsum),
            [DLH_ROWS_CUMSUM_REVERSE] = FLOATS (cumsum_reverse),
        },
};
