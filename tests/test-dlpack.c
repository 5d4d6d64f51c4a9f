/* SPDX-License-Identifier: MIT */
/* Tensors handed to and taken from another library. The declarations are a second copy, written
 * from the interface's page in its own names, as a program that includes <dlpack/dlpack.h> has
 * them. */
#include <stdint.h>

typedef struct {
    uint32_t major, minor;
} DLPackVersion;

typedef struct {
    int32_t device_type, device_id;
} DLDevice;

typedef struct {
    uint8_t code, bits;
    uint16_t lanes;
} DLDataType;

typedef struct DLTensor {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} DLTensor;

typedef struct DLManagedTensorVersioned {
    DLPackVersion version;
    void *manager_ctx;
    void (*deleter) (struct DLManagedTensorVersioned *self);
    uint64_t flags;
    DLTensor dl_tensor;
} DLManagedTensorVersioned;

#include "test.h"

enum { CPU = 1, CUDA = 2 };
enum { INT = 0, UINT = 1, FLOAT = 2, BFLOAT = 4, COMPLEX = 5, BOOL = 6 };

typedef struct {
    const char *name;
    DlhDType dtype;
    uint8_t code, bits;
} Exported;

static const Exported exported[] = {
    {"f32", DLH_F32, FLOAT, 32}, {"f64", DLH_F64, FLOAT, 64}, {"i32", DLH_I32, INT, 32},
    {"i64", DLH_I64, INT, 64},   {"bool", DLH_BOOL, BOOL, 8},
};

static void
count_release (gpointer counter)
{
    ++*(int *)counter;
}

static void
export_shares (gconstpointer data)
{
    const Exported *e = data;
    gint64 memory[6] = {1, 0, 1, 0, 1, 0};
    int released = 0;
    DlhTensor *tensor =
        dlh_tensor_new_take (e->dtype, dlh_shape (2, 1, 3), memory, count_release, &released);
    DLManagedTensorVersioned *m = dlh_tensor_to_dlpack (tensor, 0, NULL);

    dlh_tensor_unref (tensor);
    g_assert_cmpint (released, ==, 0);
    g_assert_cmpuint (m->version.major, ==, 1);
    g_assert_cmpuint (m->flags, ==, 0);
    g_assert_true (m->dl_tensor.data == memory);
    g_assert_cmpuint (m->dl_tensor.byte_offset, ==, 0);
    g_assert_cmpint (m->dl_tensor.device.device_type, ==, CPU);
    g_assert_cmpint (m->dl_tensor.device.device_id, ==, 0);
    g_assert_cmpuint (m->dl_tensor.dtype.code, ==, e->code);
    g_assert_cmpuint (m->dl_tensor.dtype.bits, ==, e->bits);
    g_assert_cmpuint (m->dl_tensor.dtype.lanes, ==, 1);
    g_assert_cmpint (m->dl_tensor.ndim, ==, 3);
    g_assert_cmpmem (m->dl_tensor.shape, 24, ((int64_t[]){2, 1, 3}), 24);
    g_assert_cmpmem (m->dl_tensor.strides, 24, ((int64_t[]){3, 3, 1}), 24);
    m->deleter (m);
    g_assert_cmpint (released, ==, 1);
}

static void
export_flags (void)
{
    g_autoptr (DlhTensor) tensor = test_tensor (DLH_F32, dlh_shape (2), 1, 2);
    DLManagedTensorVersioned *same = dlh_tensor_to_dlpack (tensor, DLH_DLPACK_READ_ONLY, NULL);
    DLManagedTensorVersioned *copy = dlh_tensor_to_dlpack (tensor, DLH_DLPACK_COPY, NULL);

    g_assert_cmpuint (same->flags, ==, 1);
    g_assert_cmpuint (copy->flags, ==, 2);
    g_assert_true (same->dl_tensor.data == dlh_tensor_get_data (tensor));
    g_assert_true (copy->dl_tensor.data != dlh_tensor_get_data (tensor));
    g_assert_cmpmem (copy->dl_tensor.data, 8, dlh_tensor_get_data (tensor), 8);
    same->deleter (same);
    copy->deleter (copy);
}

/* Back again: the same memory, and one reference that goes with the last tensor. */
static void
round_trip (void)
{
    float memory[2] = {1, 2};
    int released = 0;
    DlhTensor *tensor =
        dlh_tensor_new_take (DLH_F32, dlh_shape (2), memory, count_release, &released);
    DlhTensor *back = dlh_tensor_from_dlpack (dlh_tensor_to_dlpack (tensor, 0, NULL), NULL);

    dlh_tensor_unref (tensor);
    g_assert_cmpint (released, ==, 0);
    g_assert_true (back && dlh_tensor_get_data (back) == memory);
    dlh_tensor_unref (back);
    g_assert_cmpint (released, ==, 1);
}

/* A tensor of another library, which counts how often it is deleted. */
typedef struct {
    DLManagedTensorVersioned managed;
    int deleted;
} Foreign;

static void
foreign_delete (DLManagedTensorVersioned *m)
{
    ++((Foreign *)m->manager_ctx)->deleted;
}

static DLManagedTensorVersioned *
foreign (Foreign *f, uint8_t code, uint8_t bits, gpointer data, int32_t ndim, int64_t *shape,
         int64_t *strides)
{
    *f = (Foreign){
        {{1, 7}, f, foreign_delete, 0, {data, {CPU, 0}, ndim, {code, bits, 1}, shape, strides, 0}},
        0};
    return &f->managed;
}

static void
import_shares (void)
{
    double memory[7] = {9, 0, 1, 2, 3, 4, 5};
    Foreign f;
    DLManagedTensorVersioned *m =
        foreign (&f, FLOAT, 64, memory, 3, (int64_t[]){2, 1, 3}, (int64_t[]){3, -77, 1});
    DlhTensor *tensor;

    // An axis of size 1 may have any stride.
    m->dl_tensor.byte_offset = 8;
    tensor = dlh_tensor_from_dlpack (m, NULL);
    g_assert_nonnull (tensor);
    g_assert_true (dlh_tensor_get_data (tensor) == memory + 1);
    g_assert_cmpint (dlh_tensor_get_dtype (tensor), ==, DLH_F64);
    g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (tensor), dlh_shape (2, 1, 3)));
    g_assert_cmpint (f.deleted, ==, 0);
    dlh_tensor_unref (tensor);
    g_assert_cmpint (f.deleted, ==, 1);
}

typedef struct {
    const char *name;
    uint8_t code, bits;
    int32_t ndim;
    int64_t shape[3], strides[3]; /* shape 2, 3: of memory that counts up from 0 */
    uint64_t byte_offset, flags;
    DlhDType dtype;
    double want[6];
} Copied;

/* clang-format off */
static const Copied copied[] = {
    {"transposed", INT, 32, 2, {2, 3}, {1, 2}, 0, 0, DLH_I32, {0, 2, 4, 1, 3, 5}},
    {"backwards", INT, 32, 2, {2, 3}, {3, -1}, 8, 0, DLH_I32, {2, 1, 0, 5, 4, 3}},
    {"repeated", INT, 32, 2, {2, 3}, {0, 1}, 4, 0, DLH_I32, {1, 2, 3, 1, 2, 3}},
    {"read-only", INT, 32, 2, {2, 3}, {3, 1}, 0, 1, DLH_I32, {0, 1, 2, 3, 4, 5}},
    {"i8", INT, 8, 2, {2, 3}, {12, 4}, 4, 0, DLH_I32, {1, 2, 3, 4, 5, 6}},
    {"u8", UINT, 8, 2, {2, 3}, {12, 4}, 4, 0, DLH_I32, {1, 2, 3, 4, 5, 6}},
    {"i16", INT, 16, 2, {2, 3}, {6, 2}, 4, 0, DLH_I32, {1, 2, 3, 4, 5, 6}},
    {"u16", UINT, 16, 2, {2, 3}, {6, 2}, 4, 0, DLH_I32, {1, 2, 3, 4, 5, 6}},
    {"u32", UINT, 32, 2, {2, 3}, {3, 1}, 4, 0, DLH_I64, {1, 2, 3, 4, 5, 6}},
    {"f16", FLOAT, 16, 1, {2}, {2}, 4, 0, DLH_F32, {0x1p-24, 0x1p-23}},
    {"bf16", BFLOAT, 16, 1, {2}, {2}, 4, 0, DLH_F32, {0x1p-133, 0x1p-132}},
    {"misaligned", INT, 32, 1, {2}, {1}, 1, 0, DLH_I32, {1 << 24, 2 << 24}},
    {"bool", BOOL, 8, 1, {2}, {4}, 0, 0, DLH_BOOL, {0, 1}},
};
/* clang-format on */

static void
import_copies (gconstpointer data)
{
    const Copied *c = data;
    gint32 memory[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    Foreign f;
    DLManagedTensorVersioned *m =
        foreign (&f, c->code, c->bits, memory, c->ndim, (int64_t *)c->shape, (int64_t *)c->strides);
    g_autoptr (DlhTensor) tensor = NULL;
    g_autoptr (GError) error = NULL;

    m->dl_tensor.byte_offset = c->byte_offset;
    m->flags = c->flags;
    tensor = dlh_tensor_from_dlpack (m, &error);
    g_assert_no_error (error);
    g_assert_cmpint (f.deleted, ==, 1);
    if (!tensor)
        return;
    memset (memory, 255, sizeof memory);
    g_assert_cmpint (dlh_tensor_get_dtype (tensor), ==, c->dtype);
    test_assert_tensor (tensor, c->want, (gsize)dlh_tensor_count (tensor), 0);
}

static void
import_without_elements (void)
{
    Foreign f;
    DLManagedTensorVersioned *m = foreign (&f, FLOAT, 32, NULL, 2, (int64_t[]){3, 0}, NULL);
    g_autoptr (DlhTensor) none = dlh_tensor_from_dlpack (m, NULL);
    g_autoptr (DlhTensor) scalar = NULL;
    double value = 2.5;

    g_assert_cmpint (f.deleted, ==, 1);
    g_assert_true (none && dlh_shape_equal (dlh_tensor_get_shape (none), dlh_shape (3, 0)));
    scalar = dlh_tensor_from_dlpack (foreign (&f, FLOAT, 64, &value, 0, NULL, NULL), NULL);
    g_assert_true (scalar && dlh_tensor_get_data (scalar) == &value);
}

typedef struct {
    const char *name;
    DLManagedTensorVersioned m; /* major 0: 1; device 0: CPU; lanes 0: 1; no shape: NULL */
    gboolean no_data;
    const char *message;
} Refused;

#define TENSOR(...) .m = {.dl_tensor = {.ndim = 1, __VA_ARGS__}}
#define F32 .dtype = {FLOAT, 32, 1}
#define SHAPE(...)                                                                                 \
    .shape = (int64_t[])                                                                           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define STRIDES(...)                                                                               \
    .strides = (int64_t[])                                                                         \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* clang-format off */
static const Refused refused[] = {
    {"version-0", .m = {.version = {0, 8}}, .message = "is of DLPack version 0.8, 1.x is wanted"},
    {"version-2", .m = {.version = {2, 0}}, .message = "is of DLPack version 2.0, 1.x is wanted"},
    {"cuda", TENSOR (F32, SHAPE (2), .device = {CUDA, 0}),
     .message = "is on device type 2, 1 (CPU) is wanted"},
    {"lanes", TENSOR (.dtype = {FLOAT, 32, 4}, SHAPE (2)), .message = "vectors of 4 lanes"},
    {"no-lanes", TENSOR (.dtype = {FLOAT, 32, 0}, SHAPE (2)), .message = "vectors of 0 lanes"},
    {"complex", TENSOR (.dtype = {COMPLEX, 64, 1}, SHAPE (2)),
     .message = "has elements of type code 5 with 64 bits"},
    {"f8", TENSOR (.dtype = {FLOAT, 8, 1}, SHAPE (2)), .message = "type code 2 with 8 bits"},
    {"i4", TENSOR (.dtype = {INT, 4, 1}, SHAPE (2)), .message = "type code 0 with 4 bits"},
    {"unknown-code", TENSOR (.dtype = {200, 32, 1}, SHAPE (2)), .message = "type code 200"},
    {"nine-axes", .m = {.dl_tensor = {.ndim = 9, F32, SHAPE (1, 1, 1, 1, 1, 1, 1, 1, 1)}},
     .message = "has 9 axes, 0 to 8 are wanted"},
    {"negative-axes", .m = {.dl_tensor = {.ndim = -1, F32}}, .message = "has -1 axes"},
    {"no-shape", TENSOR (F32), .message = "has no shape"},
    {"negative-size", TENSOR (F32, SHAPE (-2)), .message = "shape [-2] has a negative size"},
    {"large-size", TENSOR (F32, SHAPE (G_MAXINT64)), .message = "or too many elements"},
    {"large-stride", TENSOR (F32, SHAPE (3), STRIDES (G_MAXINT64 / 4)),
     .message = "leads out of memory"},
    {"large-reach", TENSOR (F32, SHAPE (3), STRIDES (G_MAXINT64 / 8)),
     .message = "leads out of memory"},
    {"smallest-stride", TENSOR (F32, SHAPE (3), STRIDES (G_MININT64)),
     .message = "stride -9223372036854775808 of axis 0 leads out of memory"},
    {"large-offset", TENSOR (F32, SHAPE (2), .byte_offset = G_MAXUINT64),
     .message = "byte offset 18446744073709551615 leads out of memory"},
    {"no-data", TENSOR (F32, SHAPE (2)), TRUE, "has no data"},
    {"bool-of-2", TENSOR (.dtype = {BOOL, 8, 1}, SHAPE (3)),
     .message = "DLPack tensor: element 2 of type BOOL is 2, not 0 or 1"},
    {"u64-beyond-i64", TENSOR (.dtype = {UINT, 64, 1}, SHAPE (2)), .message = "too large for i64"},
};
/* clang-format on */

static void
import_refuses (gconstpointer data)
{
    const Refused *r = data;
    guint8 memory[16] = {0, 1, 2, [15] = 0x80};
    Foreign f = {r->m, 0};
    g_autoptr (GError) error = NULL;

    f.managed.manager_ctx = &f;
    f.managed.deleter = foreign_delete;
    if (!f.managed.version.major && !f.managed.version.minor)
        f.managed.version.major = 1;
    if (!f.managed.dl_tensor.device.device_type)
        f.managed.dl_tensor.device.device_type = CPU;
    f.managed.dl_tensor.data = r->no_data ? NULL : memory;
    g_assert_null (dlh_tensor_from_dlpack (&f.managed, &error));
    g_assert_cmpint (f.deleted, ==, 1);
    test_assert_error (&error, DLH_ERROR_DATA, r->message);
}

/* A producer that keeps its memory for ever sets no deleter. */
static void
import_without_deleter (void)
{
    float value = 3;
    Foreign f;
    DLManagedTensorVersioned *m = foreign (&f, FLOAT, 32, &value, 0, NULL, NULL);
    DlhTensor *tensor;

    m->deleter = NULL;
    tensor = dlh_tensor_from_dlpack (m, NULL);
    g_assert_true (tensor && dlh_tensor_get (tensor, 0) == 3);
    dlh_tensor_unref (tensor);
}

#define ADD_TABLE(table, format, body)                                                             \
    for (guint i = 0; i < G_N_ELEMENTS (table); i++) {                                             \
        g_autofree char *path = g_strdup_printf (format, table[i].name);                           \
                                                                                                   \
        g_test_add_data_func (path, &table[i], body);                                              \
    }

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    ADD_TABLE (exported, "/dlpack/export-%s/shares-memory", export_shares)
    ADD_TABLE (copied, "/dlpack/import-%s/copied", import_copies)
    ADD_TABLE (refused, "/dlpack/import-%s/refused", import_refuses)
    g_test_add_func ("/dlpack/export/flags", export_flags);
    g_test_add_func ("/dlpack/export-and-import/same-memory", round_trip);
    g_test_add_func ("/dlpack/import/shares-memory", import_shares);
    g_test_add_func ("/dlpack/import-of-no-elements/read", import_without_elements);
    g_test_add_func ("/dlpack/import-without-deleter/read", import_without_deleter);
    return g_test_run ();
}
