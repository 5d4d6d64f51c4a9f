/* SPDX-License-Identifier: MIT */
/* What a data set may say besides its tensors: factors, weights, examples that are made on demand.
 */
#include "test.h"

static const DlhFactor two[] = {{.name = "a", .n_values = 2}, {.name = "b", .n_values = 3}};

static DlhData *
six_examples (void)
{
    DlhData *data = dlh_data_new ();
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (6, 1), 0, 1, 2, 3, 4, 5);

    g_assert_true (dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, NULL, NULL));
    return data;
}

static void
factors_follow (void)
{
    g_autoptr (DlhData) data = six_examples ();
    g_autoptr (DlhTensor) values =
        test_tensor (DLH_I64, dlh_shape (6, 2), 0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2);
    g_autoptr (DlhTensor) weights = test_tensor (DLH_F64, dlh_shape (6), 1, 2, 3, 4, 5, 6);
    g_autoptr (GError) error = NULL;

    g_assert_cmpuint (dlh_data_n_factors (data), ==, 0);
    g_assert_null (dlh_data_factor_values (data, DLH_SPLIT_TRAIN));
    g_assert_null (dlh_data_weights (data, DLH_SPLIT_TRAIN));
    dlh_data_set_factors (data, two, 2);
    g_assert_true (dlh_data_set_factor_values (data, DLH_SPLIT_TRAIN, values, &error));
    g_assert_true (dlh_data_set_weights (data, DLH_SPLIT_TRAIN, weights, &error));
    g_assert_true (dlh_data_hold_out (data, 2, &error));
    test_assert_tensor (dlh_data_factor_values (data, DLH_SPLIT_VALID), ((double[]){1, 1, 1, 2}), 4,
                        1);
    test_assert_tensor (dlh_data_weights (data, DLH_SPLIT_VALID), ((double[]){5, 6}), 2, 6);
    dlh_data_limit (data, 1);
    test_assert_tensor (dlh_data_weights (data, DLH_SPLIT_TRAIN), ((double[]){1}), 1, 1);
    test_assert_tensor (dlh_data_factor_values (data, DLH_SPLIT_TRAIN), ((double[]){0, 0}), 2, 1);
    // Described anew, and copied.
    dlh_data_set_factors (data, two + 1, 1);
    g_assert_cmpstr (dlh_data_factor (data, 0)->name, ==, "b");
    g_assert_true (dlh_data_factor (data, 0)->name != two[1].name);
}

static void
refusals (void)
{
    g_autoptr (DlhData) data = six_examples ();
    g_autoptr (DlhTensor) few = test_tensor (DLH_I64, dlh_shape (1, 2), 0, 0);
    g_autoptr (DlhTensor) beyond =
        test_tensor (DLH_I64, dlh_shape (6, 2), 0, 0, 0, 1, 0, 3, 1, 0, 1, 1, 1, 2);
    g_autoptr (DlhTensor) negative = test_tensor (DLH_F64, dlh_shape (6), 1, 1, 1, -1, 1, 1);
    g_autoptr (DlhTensor) none = dlh_tensor_new (DLH_F64, dlh_shape (6), NULL);
    g_autoptr (DlhTensor) single = dlh_tensor_new (DLH_F32, dlh_shape (6), NULL);
    g_autoptr (GError) error = NULL;

    dlh_data_set_factors (data, two, 2);
    g_assert_false (dlh_data_set_factor_values (data, DLH_SPLIT_TRAIN, few, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "training data: factor values are i64 [1,2], i64 [6,2] is wanted");
    g_assert_false (dlh_data_set_factor_values (data, DLH_SPLIT_TRAIN, beyond, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "factor 'b' of example 2 is 3, must be in 0 .. 2");
    g_assert_false (dlh_data_set_factor_values (data, DLH_SPLIT_TEST, few, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "test data: factor values");
    g_assert_false (dlh_data_set_weights (data, DLH_SPLIT_TRAIN, negative, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "the weight of example 3 is -1");
    g_assert_false (dlh_data_set_weights (data, DLH_SPLIT_TRAIN, none, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "weights add up to 0");
    g_assert_false (dlh_data_set_weights (data, DLH_SPLIT_TRAIN, single, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "weights are f32 [6], f64 [6] is wanted");
    g_assert_null (dlh_data_weights (data, DLH_SPLIT_TRAIN));
}

// Without weights an epoch is a permutation; an example of weight 0 never comes with them.
static void
epochs (void)
{
    g_autoptr (DlhData) data = six_examples ();
    g_autoptr (DlhTensor) weights = test_tensor (DLH_F64, dlh_shape (6), 0, 1, 0, 1, 1, 0);
    gint64 order[6], want[6];

    dlh_data_epoch (data, DLH_SPLIT_TRAIN, 4, "order", 2, order);
    dlh_random_permutation (4, "order", 2, want, 6);
    g_assert_cmpmem (order, sizeof order, want, sizeof want);
    g_assert_true (dlh_data_set_weights (data, DLH_SPLIT_TRAIN, weights, NULL));
    for (guint64 epoch = 0; epoch < 50; epoch++) {
        dlh_data_epoch (data, DLH_SPLIT_TRAIN, 4, "order", epoch, order);
        for (guint i = 0; i < 6; i++)
            g_assert_true (order[i] == 1 || order[i] == 3 || order[i] == 4);
    }
}

static void
count (gpointer source, const gint64 *rows, gsize n, gpointer out)
{
    (void)source;
    for (gsize i = 0; i < n; i++)
        ((double *)out)[i] = (double)rows[i];
}

static void
set_gone (gpointer source)
{
    *(gint *)source += 1;
}

// Examples that are made and those in memory are taken by the same calls; the source goes once.
static void
made_or_kept (void)
{
    gint gone = 0;
    const DlhExamples examples = {.size = sizeof examples,
                                  .n = 1000,
                                  .dtype = DLH_F64,
                                  .shape = dlh_shape (1),
                                  .fill = count,
                                  .source = &gone,
                                  .free_source = set_gone};
    const gint64 rows[] = {5, 2, 2, 0};
    g_autoptr (DlhData) kept = six_examples ();
    g_autoptr (DlhTensor) a = dlh_tensor_new (DLH_F64, dlh_shape (4, 1), NULL);
    g_autoptr (DlhTensor) b = dlh_tensor_new (DLH_F64, dlh_shape (4, 1), NULL);
    g_autoptr (GError) error = NULL;
    DlhData *made = dlh_data_new ();

    g_assert_true (dlh_data_set_examples (made, DLH_SPLIT_TRAIN, &examples, NULL, &error));
    g_assert_cmpint (dlh_data_count (made, DLH_SPLIT_TRAIN), ==, 1000);
    dlh_data_gather (made, DLH_SPLIT_TRAIN, rows, a);
    dlh_data_gather (kept, DLH_SPLIT_TRAIN, rows, b);
    test_assert_tensors_equal (a, b);
    g_assert_true (dlh_data_hold_out (made, 10, &error));
    g_assert_true (dlh_data_hold_out (made, 20, &error));
    // The second part comes before the first.
    g_assert_cmpfloat (dlh_tensor_get (dlh_data_inputs (made, DLH_SPLIT_VALID), 0), ==, 970);
    g_assert_cmpint (gone, ==, 0);
    dlh_data_unref (made);
    g_assert_cmpint (gone, ==, 1);
    // Refused, and gone as well.
    g_assert_false (dlh_data_set_examples (kept, DLH_SPLIT_TEST, &examples, a, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "test data: inputs [1000,1] with targets");
    g_assert_cmpint (gone, ==, 2);
}

static void
too_large (void)
{
    gint gone = 0;
    const DlhExamples examples = {.size = sizeof examples,
                                  .n = 1000000000000,
                                  .dtype = DLH_F64,
                                  .shape = dlh_shape (1000),
                                  .fill = count,
                                  .source = &gone,
                                  .free_source = set_gone};
    g_autoptr (DlhData) data = dlh_data_new ();

    g_assert_true (dlh_data_set_examples (data, DLH_SPLIT_TRAIN, &examples, NULL, NULL));
    g_assert_null (dlh_data_inputs (data, DLH_SPLIT_TRAIN));
    g_assert_true (dlh_data_has_split (data, DLH_SPLIT_TRAIN));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/factors/values/follow-their-examples", factors_follow);
    g_test_add_func ("/factors/refused/what-is-wrong", refusals);
    g_test_add_func ("/factors/epochs/by-weight", epochs);
    g_test_add_func ("/factors/examples/made-or-kept", made_or_kept);
    g_test_add_func ("/factors/examples/too-large", too_large);
    return g_test_run ();
}
