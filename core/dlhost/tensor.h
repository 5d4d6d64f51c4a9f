/* SPDX-License-Identifier: MIT */
/* A tensor: a contiguous row-major array in host memory, 64-byte aligned when dlhost allocates it.
 * It is what goes into a function, comes out of one, and fills a data set. */
#pragma once

#include <dlhost/shape.h>

G_BEGIN_DECLS

typedef struct _DlhTensor DlhTensor; /* an array, counted by reference */

/**
 * dlh_tensor_new:
 * Returns: (transfer full): a tensor of zeros, or NULL with DLH_ERROR_SHAPE or DLH_ERROR_MEMORY.
 */
DLH_EXPORT DlhTensor *dlh_tensor_new (DlhDType dtype, DlhShape shape, GError **error);
/**
 * dlh_tensor_new_take:
 * @data: memory that holds the elements
 * @free_data: (nullable): called with @owner when the last reference goes
 * Returns: (transfer full): a tensor over @data, not a copy.
 */
DLH_EXPORT DlhTensor *dlh_tensor_new_take (DlhDType dtype, DlhShape shape, gpointer data,
                                           GDestroyNotify free_data, gpointer owner);
/**
 * dlh_tensor_rows:
 * Returns: (transfer full): rows @first .. @first + @n - 1 along axis 0, sharing @tensor's memory.
 */
DLH_EXPORT DlhTensor *dlh_tensor_rows (DlhTensor *tensor, gint64 first, gint64 n);
/** dlh_tensor_copy: (transfer full): with memory of its own, or NULL with DLH_ERROR_MEMORY. */
DLH_EXPORT DlhTensor *dlh_tensor_copy (const DlhTensor *tensor, GError **error);
/** dlh_tensor_ref, dlh_tensor_unref: unreferencing NULL does nothing. */
DLH_EXPORT DlhTensor *dlh_tensor_ref (DlhTensor *tensor);
DLH_EXPORT void dlh_tensor_unref (DlhTensor *tensor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhTensor, dlh_tensor_unref)

/** dlh_tensor_get_dtype, dlh_tensor_get_shape, dlh_tensor_count, dlh_tensor_bytes: never change. */
DLH_EXPORT DlhDType dlh_tensor_get_dtype (const DlhTensor *tensor);
DLH_EXPORT DlhShape dlh_tensor_get_shape (const DlhTensor *tensor);
/** dlh_tensor_get_data: Returns: (transfer none): the elements, valid while the tensor lives. */
DLH_EXPORT gpointer dlh_tensor_get_data (const DlhTensor *tensor);
DLH_EXPORT gint64 dlh_tensor_count (const DlhTensor *tensor);
DLH_EXPORT gsize dlh_tensor_bytes (const DlhTensor *tensor);

/** dlh_tensor_get, dlh_tensor_set: one element by flat index, whatever the element type. */
DLH_EXPORT double dlh_tensor_get (const DlhTensor *tensor, gint64 index);
DLH_EXPORT void dlh_tensor_set (DlhTensor *tensor, gint64 index, double value);

G_END_DECLS
