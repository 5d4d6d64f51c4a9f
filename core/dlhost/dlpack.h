/* SPDX-License-Identifier: MIT */
/* DLPack (dmlc/dlpack, version 1): tensors shared with other libraries in one process, as NumPy's
 * and PyTorch's from_dlpack() do. The struct is declared here and defined by <dlpack/dlpack.h>, of
 * which any 1.x goes with this header; neither needs the other. */
#pragma once

#include <dlhost/tensor.h>

G_BEGIN_DECLS

struct DLManagedTensorVersioned;

/* How a tensor is handed over. */
typedef enum {
    DLH_DLPACK_READ_ONLY = 1 << 0, /* tells the consumer not to write */
    DLH_DLPACK_COPY = 1 << 1,      /* memory of its own, which nobody else writes */
} DlhDlpackFlags;

/**
 * dlh_tensor_to_dlpack:
 * @flags: DlhDlpackFlags
 * Returns: (transfer full): @tensor's memory, not a copy, in row-major order. It holds a reference
 * until its deleter is called; calling that is the receiver's duty. NULL with DLH_ERROR_MEMORY when
 * a copy does not fit.
 */
DLH_EXPORT struct DLManagedTensorVersioned *dlh_tensor_to_dlpack (DlhTensor *tensor, guint flags,
                                                                  GError **error);
/**
 * dlh_tensor_from_dlpack:
 * @managed: (transfer full): taken in every case: its deleter is called when the tensor goes, when
 * a copy was made, or when it is refused Returns: (transfer full): over the same memory if that is
 * row-major, may be written and holds a type of dlhost; else a copy: f16 and bf16 as f32; i8, u8,
 * i16 and u16 as i32; u32 and u64 as i64. DLH_ERROR_DATA for another major version, memory of
 * another device, vectors, unknown types, a broken description.
 */
DLH_EXPORT DlhTensor *dlh_tensor_from_dlpack (struct DLManagedTensorVersioned *managed,
                                              GError **error);

G_END_DECLS
