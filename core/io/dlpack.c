/* SPDX-License-Identifier: MIT */
/* Tensors from and for other libraries. The structs below are the binary interface of DLPack 1, in
 * names of our own but for the one tag that the public header shares with every other. */
#include <dlhost/dlpack.h>
#include "io/element.h"

#define MAJOR 1
#define CPU 1 /* device type */

enum { INT = 0, UINT = 1, FLOAT = 2, BFLOAT = 4, BOOL = 6 }; /* type codes */
enum { READ_ONLY = 1 << 0, IS_COPIED = 1 << 1 };             /* flags */

typedef struct {
    guint8 code, bits;
    guint16 lanes;
} Type;

typedef struct {
    gpointer data;
    gint32 device_type, device_id;
    gint32 ndim;
    Type type;
    gint64 *shape, *strides; /* strides: in elements; NULL: row-major */
    guint64 byte_offset;
} Description;

struct DLManagedTensorVersioned {
    guint32 major, minor;
    gpointer context;
    void (*deleter) (struct DLManagedTensorVersioned *self);
    guint64 flags;
    Description tensor;
};

typedef struct DLManagedTensorVersioned Managed;

G_STATIC_ASSERT (sizeof (gpointer) != 8 || sizeof (Managed) == 80);
G_STATIC_ASSERT (sizeof (gpointer) != 8 || G_STRUCT_OFFSET (Managed, tensor) == 32);

static void
managed_delete (Managed *managed)
{
    if (managed && managed->deleter)
        managed->deleter (managed);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Managed, managed_delete)

static const struct {
    Type type;
    DlhElement element;
} types[] = {
    {{FLOAT, 16, 1}, DLH_ELEMENT_F16}, {{BFLOAT, 16, 1}, DLH_ELEMENT_BF16},
    {{FLOAT, 32, 1}, DLH_ELEMENT_F32}, {{FLOAT, 64, 1}, DLH_ELEMENT_F64},
    {{INT, 8, 1}, DLH_ELEMENT_I8},     {{UINT, 8, 1}, DLH_ELEMENT_U8},
    {{INT, 16, 1}, DLH_ELEMENT_I16},   {{UINT, 16, 1}, DLH_ELEMENT_U16},
    {{INT, 32, 1}, DLH_ELEMENT_I32},   {{UINT, 32, 1}, DLH_ELEMENT_U32},
    {{INT, 64, 1}, DLH_ELEMENT_I64},   {{UINT, 64, 1}, DLH_ELEMENT_U64},
    {{BOOL, 8, 1}, DLH_ELEMENT_BOOL},
};

/* What an exported tensor needs until it is deleted. */
typedef struct {
    Managed managed;
    DlhTensor *tensor;
    gint64 shape[DLH_MAX_RANK], strides[DLH_MAX_RANK];
} Export;

static void
export_delete (Managed *managed)
{
    Export *export = managed->context;

    dlh_tensor_unref (export->tensor);
    g_free (export);
}

static void
row_major_strides (DlhShape shape, gint64 *strides)
{
    gint64 stride = 1;

    for (guint i = shape.rank; i-- > 0;) {
        strides[i] = stride;
        stride *= MAX (shape.dims[i], 1);
    }
}

Managed *
dlh_tensor_to_dlpack (DlhTensor *tensor, guint flags, GError **error)
{
    gboolean copied = (flags & DLH_DLPACK_COPY) != 0;
    DlhTensor *kept = copied ? dlh_tensor_copy (tensor, error) : dlh_tensor_ref (tensor);
    DlhShape shape = dlh_tensor_get_shape (tensor);
    Export *export;

    if (!kept)
        return NULL;
    export = g_new0 (Export, 1);
    export->tensor = kept;
    for (guint i = 0; i < shape.rank; i++)
        export->shape[i] = shape.dims[i];
    row_major_strides (shape, export->strides);
    export->managed = (Managed){
        .major = MAJOR,
        .context = export,
        .deleter = export_delete,
        .flags = (flags & DLH_DLPACK_READ_ONLY ? READ_ONLY : 0) | (copied ? IS_COPIED : 0),
        .tensor = {.data = dlh_tensor_get_data (kept),
                   .device_type = CPU,
                   .ndim = (gint32)shape.rank,
                   .shape = export->shape,
                   .strides = export->strides},
    };
    for (guint i = 0; i < G_N_ELEMENTS (types); i++)
        if (types[i].element == dlh_element_of (dlh_tensor_get_dtype (tensor)))
            export->managed.tensor.type = types[i].type;
    return &export->managed;
}

/* A tensor to be imported, checked. */
typedef struct {
    DlhElement element;
    DlhShape shape;
    gint64 strides[DLH_MAX_RANK]; /* bytes */
    char *first;                  /* element (0, ..., 0) */
    gboolean row_major;
} Import;

G_GNUC_PRINTF (2, 3)
static gboolean
fail (GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "DLPack tensor: %s", text);
    return FALSE;
}

static gboolean
import_type (const Managed *m, Import *in, GError **error)
{
    Type t = m->tensor.type;

    if (m->tensor.device_type != CPU)
        return fail (error, "is on device type %d, %d (CPU) is wanted: copy it there first",
                     m->tensor.device_type, CPU);
    if (t.lanes != 1)
        return fail (error, "has vectors of %u lanes as elements, 1 is wanted", t.lanes);
    for (guint i = 0; i < G_N_ELEMENTS (types); i++)
        if (types[i].type.code == t.code && types[i].type.bits == t.bits) {
            in->element = types[i].element;
            return TRUE;
        }
    return fail (
        error,
        "has elements of type code %u with %u bits; floats of 16, 32 and 64 bits, bfloat16, "
        "whole numbers of 8 to 64 bits and bools are read",
        t.code, t.bits);
}

static gboolean
import_shape (const Managed *m, Import *in, GError **error)
{
    g_autofree char *text = NULL;

    if (m->tensor.ndim < 0 || m->tensor.ndim > DLH_MAX_RANK)
        return fail (error, "has %d axes, 0 to %d are wanted", m->tensor.ndim, DLH_MAX_RANK);
    if (m->tensor.ndim > 0 && !m->tensor.shape)
        return fail (error, "has no shape");
    in->shape = dlh_shape_make ((guint)m->tensor.ndim, m->tensor.shape);
    if (dlh_shape_valid (in->shape))
        return TRUE;
    text = dlh_shape_to_string (in->shape);
    return fail (error, "shape %s has a negative size or too many elements", text);
}

// Strides in bytes. No element may lie further off than a pointer reaches.
static gboolean
import_strides (const Managed *m, Import *in, GError **error)
{
    gint64 size = (gint64)dlh_element_size (in->element), reach = size, want[DLH_MAX_RANK];

    row_major_strides (in->shape, want);
    in->row_major = TRUE;
    for (guint i = 0; i < in->shape.rank; i++) {
        gint64 n = in->shape.dims[i], stride = m->tensor.strides ? m->tensor.strides[i] : want[i];
        gint64 step, way;

        if (n <= 1)
            stride = want[i]; // never taken
        if (stride < -G_MAXINT64 || __builtin_mul_overflow (stride, size, &step) ||
            __builtin_mul_overflow (ABS (step), MAX (n - 1, 0), &way) ||
            __builtin_add_overflow (reach, way, &reach) || reach > G_MAXINT64 / 2)
            return fail (error, "stride %" G_GINT64_FORMAT " of axis %u leads out of memory",
                         stride, i);
        in->strides[i] = step;
        in->row_major &= stride == want[i];
    }
    return TRUE;
}

static gboolean
import_data (const Managed *m, Import *in, GError **error)
{
    if (dlh_shape_count (in->shape) > 0 && !m->tensor.data)
        return fail (error, "has no data");
    if (m->tensor.byte_offset > (guint64)G_MAXINT64)
        return fail (error, "byte offset %" G_GUINT64_FORMAT " leads out of memory",
                     m->tensor.byte_offset);
    // NULL + 0 for an empty tensor; computed as a number, which has no bounds to leave.
    in->first = (char *)((guintptr)m->tensor.data + (guintptr)m->tensor.byte_offset);
    return TRUE;
}

// (transfer full): what cannot be shared.
static DlhTensor *
import_copy (const Import *in, GError **error)
{
    g_autoptr (DlhTensor) tensor =
        dlh_tensor_new (dlh_element_dtype (in->element), in->shape, error);
    gsize n = (gsize)dlh_shape_count (in->shape), size = dlh_element_size (in->element);
    g_autofree gpointer raw = NULL;

    if (!tensor || n == 0)
        return g_steal_pointer (&tensor);
    if (dlh_element_is_exact (in->element)) {
        dlh_element_gather (in->first, size, in->shape, in->strides, dlh_tensor_get_data (tensor));
        return g_steal_pointer (&tensor);
    }
    raw = g_try_malloc (n * size);
    if (!raw) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "DLPack tensor: cannot allocate %zu bytes for its copy", n * size);
        return NULL;
    }
    dlh_element_gather (in->first, size, in->shape, in->strides, raw);
    dlh_element_convert (in->element, raw, dlh_tensor_get_data (tensor), n);
    return g_steal_pointer (&tensor);
}

DlhTensor *
dlh_tensor_from_dlpack (Managed *managed, GError **error)
{
    g_autoptr (Managed) m = managed;
    g_autoptr (DlhTensor) tensor = NULL;
    Import in = {0};
    gboolean shared;

    g_return_val_if_fail (managed != NULL, NULL);
    // Of another major version only the version, the context and the deleter may be touched.
    if (m->major != MAJOR) {
        fail (error, "is of DLPack version %u.%u, %d.x is wanted", m->major, m->minor, MAJOR);
        return NULL;
    }
    if (!import_type (m, &in, error) || !import_shape (m, &in, error) ||
        !import_strides (m, &in, error) || !import_data (m, &in, error))
        return NULL;
    // Tensors may be written, and kernels expect elements where the type may lie.
    shared = in.row_major && !(m->flags & READ_ONLY) && dlh_element_is_exact (in.element) &&
             (guintptr)in.first % dlh_element_size (in.element) == 0 &&
             dlh_shape_count (in.shape) > 0;
    tensor = shared ? dlh_tensor_new_take (dlh_element_dtype (in.element), in.shape, in.first,
                                           (GDestroyNotify)managed_delete, g_steal_pointer (&m))
                    : import_copy (&in, error);
    if (!tensor)
        return NULL;
    if (!dlh_element_check (in.element, tensor, error)) {
        g_prefix_error (error, "DLPack tensor: ");
        return NULL;
    }
    return g_steal_pointer (&tensor);
}
