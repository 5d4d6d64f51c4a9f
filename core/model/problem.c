/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <dlhost/model.h>

void
dlh_problem_describe (DlhData *data, DlhProblem *problem)
{
    gsize size = problem->size;
    DlhProblem p = {.size = sizeof p,
                    .input_shape = dlh_data_input_shape (data),
                    .target_shape = dlh_data_target_shape (data),
                    .target_kind = dlh_data_target_kind (data),
                    .n_classes = dlh_data_n_classes (data),
                    .vocabulary = dlh_data_vocabulary (data),
                    .target_std = dlh_data_target_std (data),
                    .n_examples = dlh_data_has_split (data, DLH_SPLIT_TRAIN)
                                      ? dlh_data_count (data, DLH_SPLIT_TRAIN)
                                      : 0};

    memset (problem, 0, size);
    memcpy (problem, &p, MIN (size, sizeof p));
    problem->size = size;
}
