/* SPDX-License-Identifier: MIT */
/* The dataset plugin npy: arrays of a user's own, as a task gets them. */
#include "test.h"

typedef struct {
    const char *name;
    DlhTensor *tensor; /* taken */
} Array;

/* Writes the arrays to an npz and loads it with "name=value name=value". */
static DlhData *
load (const Array *arrays, guint n, const char *settings, DlhDType dtype, GError **error)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.npz", NULL);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_auto (GStrv) words = g_strsplit (settings, " ", -1);
    g_autoptr (DlhComponent) component = NULL;
    g_autoptr (DlhData) data = dlh_data_new ();
    const DlhDataset *dataset;
    const char *names[8];
    DlhTensor *tensors[8];

    for (guint i = 0; i < n; i++) {
        names[i] = arrays[i].name;
        tensors[i] = arrays[i].tensor;
    }
    g_assert_true (dlh_npz_write (path, names, tensors, n, TRUE, NULL));
    for (guint i = 0; i < n; i++)
        dlh_tensor_unref (tensors[i]);
    g_hash_table_insert (table, (gpointer) "path", path);
    for (guint i = 0; words[i] && *words[i]; i++) {
        char *equals = strchr (words[i], '=');

        *equals = '\0';
        g_hash_table_insert (table, words[i], equals + 1);
    }
    component = dlh_registry_load (registry, DLH_DATASET, "npy", table, error);
    if (!component)
        return NULL;
    dataset = dlh_component_interface (component);
    if (!dataset->load (data, dtype, dlh_component_options (component), error))
        return NULL;
    return g_steal_pointer (&data);
}

static void
assert_split (DlhData *data, DlhSplit split, DlhShape shape, const double *x, const double *y)
{
    const DlhTensor *inputs = dlh_data_inputs (data, split);
    DlhShape got = dlh_tensor_get_shape (inputs);

    g_assert_true (dlh_shape_equal (got, shape));
    if (dlh_shape_equal (got, shape))
        test_assert_tensor (inputs, x, (gsize)dlh_shape_count (shape), 0);
    if (y)
        test_assert_tensor (dlh_data_targets (data, split), y, (gsize)shape.dims[0], 0);
}

/* Bytes as a picture has them, and the names that most files use. */
static void
classes_by_default_names (void)
{
    const Array arrays[] = {
        {"x_train", test_tensor (DLH_I32, dlh_shape (3, 2), 0, 2, 4, 255, 6, 8)},
        {"y_train", test_tensor (DLH_I64, dlh_shape (3), 1, 0, 4)},
        {"x_test", test_tensor (DLH_I32, dlh_shape (1, 2), 10, 12)},
        {"y_test", test_tensor (DLH_I32, dlh_shape (1, 1), 2)},
    };
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data = load (arrays, 4, "scale=0.5 valid=1", DLH_F32, &error);

    g_assert_no_error (error);
    if (!data)
        return;
    g_assert_cmpint (dlh_data_target_kind (data), ==, DLH_TARGET_CLASS);
    g_assert_cmpint (dlh_data_n_classes (data), ==, 5);
    g_assert_cmpint (dlh_tensor_get_dtype (dlh_data_inputs (data, DLH_SPLIT_TRAIN)), ==, DLH_F32);
    assert_split (data, DLH_SPLIT_TRAIN, dlh_shape (2, 2), (double[]){0, 1, 2, 127.5},
                  (double[]){1, 0});
    assert_split (data, DLH_SPLIT_VALID, dlh_shape (1, 2), (double[]){3, 4}, (double[]){4});
    assert_split (data, DLH_SPLIT_TEST, dlh_shape (1, 2), (double[]){5, 6}, (double[]){2});
}

// What the examples were made from follows them into the splits.
static void
factors (void)
{
    const Array arrays[] = {
        {"x_train", test_tensor (DLH_F64, dlh_shape (3, 1), 1, 2, 3)},
        {"latents", test_tensor (DLH_I32, dlh_shape (3, 2), 0, 2, 4, 1, 1, 0)},
    };
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data =
        load (arrays, 2, "targets=none x_test= factors=latents valid=1", DLH_F64, &error);

    g_assert_no_error (error);
    if (!data)
        return;
    g_assert_cmpuint (dlh_data_n_factors (data), ==, 2);
    g_assert_cmpstr (dlh_data_factor (data, 1)->name, ==, "factor2");
    g_assert_cmpint (dlh_data_factor (data, 0)->n_values, ==, 5);
    g_assert_cmpint (dlh_data_factor (data, 1)->n_values, ==, 3);
    test_assert_tensor (dlh_data_factor_values (data, DLH_SPLIT_TRAIN), ((double[]){0, 2, 4, 1}), 4,
                        0);
    test_assert_tensor (dlh_data_factor_values (data, DLH_SPLIT_VALID), ((double[]){1, 0}), 2, 0);
}

static void
wrong_factors (void)
{
    const Array few[] = {{"x_train", test_tensor (DLH_F64, dlh_shape (3, 1), 1, 2, 3)},
                         {"f", test_tensor (DLH_I64, dlh_shape (2, 1), 1, 2)}};
    const Array real[] = {{"x_train", test_tensor (DLH_F64, dlh_shape (1, 1), 1)},
                          {"f", test_tensor (DLH_F32, dlh_shape (1, 1), 1)}};
    const Array negative[] = {{"x_train", test_tensor (DLH_F64, dlh_shape (1, 1), 1)},
                              {"f", test_tensor (DLH_I64, dlh_shape (1, 1), -1)}};
    const Array huge[] = {{"x_train", test_tensor (DLH_F64, dlh_shape (1, 1), 1)},
                          {"f", test_tensor (DLH_I64, dlh_shape (1, 1), 1e15)}};
    const char *settings = "targets=none x_test= factors=f";
    g_autoptr (GError) error = NULL;

    g_assert_null (load (few, 2, settings, DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "npy: training data: factor values are i64 [2,1], i64 [3,1] is wanted");
    g_assert_null (load (real, 2, settings, DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "[n,1] to [n,32] of whole numbers is wanted");
    g_assert_null (load (negative, 2, settings, DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "factor 'factor1' of example 0 is -1");
    g_assert_null (load (huge, 2, settings, DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "must be in 0 .. 65535");
}

static void
reals_by_given_names (void)
{
    const Array arrays[] = {
        {"t", test_tensor (DLH_F32, dlh_shape (2), 0.5, -3)},
        {"in/a", test_tensor (DLH_F64, dlh_shape (2, 1), 1.0 / 3, 7)},
        {"in/b", test_tensor (DLH_BOOL, dlh_shape (1, 1), 1)},
        {"tb", test_tensor (DLH_I32, dlh_shape (1, 1), 9)},
    };
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data = load (
        arrays, 4, "targets=real x_train=in/a y_train=t x_valid=in/b y_valid=tb x_test=", DLH_F64,
        &error);

    g_assert_no_error (error);
    if (!data)
        return;
    g_assert_cmpint (dlh_data_target_kind (data), ==, DLH_TARGET_REAL);
    assert_split (data, DLH_SPLIT_TRAIN, dlh_shape (2, 1), (double[]){1.0 / 3, 7},
                  (double[]){0.5, -3});
    assert_split (data, DLH_SPLIT_VALID, dlh_shape (1, 1), (double[]){1}, (double[]){9});
    g_assert_false (dlh_data_has_split (data, DLH_SPLIT_TEST));
}

static void
inputs_alone (void)
{
    const Array arrays[] = {{"x_train", test_tensor (DLH_I64, dlh_shape (3, 1), 1, 2, 6)}};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data =
        load (arrays, 1, "targets=none x_test= limit=2 normalize=standard", DLH_F64, &error);

    g_assert_no_error (error);
    if (!data)
        return;
    g_assert_null (dlh_data_targets (data, DLH_SPLIT_TRAIN));
    assert_split (data, DLH_SPLIT_TRAIN, dlh_shape (2, 1), (double[]){-1, 1}, NULL);
}

/* Two pictures of 1 x 2 with three channels, 10 i + 3 p + c: channels come before pixels. */
static void
layouts (void)
{
    static const double x[] = {0, 3, 1, 4, 2, 5, 10, 13, 11, 14, 12, 15};
    const Array hwc[] = {{"x_train", test_tensor (DLH_I32, dlh_shape (2, 1, 2, 3), 0, 1, 2, 3, 4, 5,
                                                  10, 11, 12, 13, 14, 15)}};
    const Array hw[] = {{"x_train", test_tensor (DLH_F32, dlh_shape (1, 2, 3), 0, 1, 2, 3, 4, 5)}};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) a = load (hwc, 1, "layout=hwc targets=none x_test=", DLH_F32, &error);
    g_autoptr (DlhData) b = load (hw, 1, "layout=hw targets=none x_test=", DLH_F64, &error);

    g_assert_no_error (error);
    if (!a || !b)
        return;
    assert_split (a, DLH_SPLIT_TRAIN, dlh_shape (2, 3, 1, 2), x, NULL);
    assert_split (b, DLH_SPLIT_TRAIN, dlh_shape (1, 1, 2, 3), (double[]){0, 1, 2, 3, 4, 5}, NULL);
}

typedef struct {
    const char *name, *settings;
    DlhDType x_type, y_type;
    DlhShape x, y; /* zeros */
    const char *message;
} Refusal;

/* clang-format off */
static const Refusal refusals[] = {
    {"no-such-array", "x_train=data", DLH_F32, DLH_I64, {2, {2, 1}}, {1, {2}},
     "has no array 'data', it has 'x_train', 'y_train'"},
    {"no-test-array", "", DLH_F32, DLH_I64, {2, {2, 1}}, {1, {2}}, "has no array 'x_test'"},
    {"float-classes", "x_test=", DLH_F32, DLH_F32, {2, {2, 1}}, {1, {2}},
     "array 'y_train' has f32, whole numbers are wanted for classes: save it as i8, or set "
     "targets=real"},
    {"wide-classes", "x_test=", DLH_F32, DLH_I64, {2, {2, 1}}, {2, {2, 3}},
     "array 'y_train' has shape [2,3], [n] or [n,1] of class numbers is wanted"},
    {"deep-reals", "x_test= targets=real", DLH_F32, DLH_F32, {2, {2, 1}}, {3, {2, 1, 1}},
     "array 'y_train' has shape [2,1,1], [n] or [n,d] of real targets is wanted"},
    {"scalar-inputs", "x_test=", DLH_F32, DLH_I64, {0}, {1, {2}},
     "array 'x_train' has shape [], [n,...]"},
    {"flat-inputs", "x_test=", DLH_F32, DLH_I64, {1, {2}}, {1, {2}},
     "array 'x_train' has shape [2], [n,...]"},
    {"flat-pictures", "x_test= layout=hw", DLH_F32, DLH_I64, {2, {2, 6}}, {1, {2}},
     "[n,height,width] for layout=hw is wanted"},
    {"no-channels", "x_test= layout=hwc", DLH_F32, DLH_I64, {3, {2, 2, 3}}, {1, {2}},
     "[n,height,width,channels] for layout=hwc is wanted"},
    {"other-count", "x_test=", DLH_F32, DLH_I64, {2, {3, 1}}, {1, {2}},
     "training data: inputs [3,1] with targets [2] do not fit"},
};
/* clang-format on */

static void
refuse (gconstpointer testdata)
{
    const Refusal *r = testdata;
    const Array arrays[] = {{"x_train", dlh_tensor_new (r->x_type, r->x, NULL)},
                            {"y_train", dlh_tensor_new (r->y_type, r->y, NULL)}};
    g_autoptr (GError) error = NULL;

    g_assert_null (load (arrays, 2, r->settings, DLH_F32, &error));
    if (error)
        g_assert_true (g_str_has_prefix (error->message, "npy: "));
    test_assert_error (&error, DLH_ERROR_DATA, r->message);
}

static void
labels_out_of_range (void)
{
    for (guint i = 0; i < 2; i++) {
        const Array arrays[] = {{"x_train", test_tensor (DLH_F32, dlh_shape (2, 1), 1, 2)},
                                {"y_train", test_tensor (DLH_I64, dlh_shape (2), 3, i ? -1.0 : 1)}};
        g_autoptr (GError) error = NULL;

        g_assert_null (load (arrays, 2, i ? "x_test=" : "x_test= classes=3", DLH_F32, &error));
        test_assert_error (&error, DLH_ERROR_DATA,
                           i ? "class -1 of example 1 is not in 0 .. 3"
                             : "class 3 of example 0 is not in 0 .. 2");
    }
}

static void
no_path (void)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (load (NULL, 0, "path=", DLH_F32, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "npy: no file is given");
    g_assert_null (load (NULL, 0, "path=/nonexistent/a.npz", DLH_F32, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "npy: /nonexistent/a.npz: there is no such file");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/npy-dataset/factors/follow-the-splits", factors);
    g_test_add_func ("/npy-dataset/factors/refused", wrong_factors);
    g_test_add_func ("/npy-dataset/default-names/classes", classes_by_default_names);
    g_test_add_func ("/npy-dataset/given-names/reals", reals_by_given_names);
    g_test_add_func ("/npy-dataset/inputs-alone/limited-and-standardised", inputs_alone);
    g_test_add_func ("/npy-dataset/layouts/channels-first", layouts);
    for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
        g_autofree char *path = g_strdup_printf ("/npy-dataset/%s/refused", refusals[i].name);

        g_test_add_data_func (path, &refusals[i], refuse);
    }
    g_test_add_func ("/npy-dataset/labels-out-of-range/refused", labels_out_of_range);
    g_test_add_func ("/npy-dataset/no-path/refused", no_path);
    return g_test_run ();
}
