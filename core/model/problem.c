/* SPDX-License-Identifier: MIT */
#include <dlhost/model.h>

DlhProblem
dlh_problem_of (DlhData *data)
{
    DlhProblem p = {.size = sizeof p,
                    .input_shape = dlh_data_input_shape (data),
                    .target_shape = dlh_data_target_shape (data),
                    .target_kind = dlh_data_target_kind (data),
                    .n_classes = dlh_data_n_classes (data),
                    .vocabulary = dlh_data_vocabulary (data),
                    .target_std = dlh_data_target_std (data)};

    return p;
}
