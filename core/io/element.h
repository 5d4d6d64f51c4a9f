/* SPDX-License-Identifier: MIT */
/* Element types of files and of other libraries, and what each is read as. One list serves every
 * format, so that none of them converts in a way of its own. */
#pragma once

#include <dlhost/tensor.h>

typedef enum {
    DLH_ELEMENT_BOOL = 1,
    DLH_ELEMENT_F16,
    DLH_ELEMENT_BF16,
    DLH_ELEMENT_F32,
    DLH_ELEMENT_F64,
    DLH_ELEMENT_I8,
    DLH_ELEMENT_U8,
    DLH_ELEMENT_I16,
    DLH_ELEMENT_U16,
    DLH_ELEMENT_I32,
    DLH_ELEMENT_U32,
    DLH_ELEMENT_I64,
    DLH_ELEMENT_U64,
} DlhElement;

/* Bytes of one element. */
gsize dlh_element_size (DlhElement element);
/* What it is read as: the smallest type of dlhost that holds every value (u64: but the largest). */
DlhDType dlh_element_dtype (DlhElement element);
/* Whether the bytes are the same in both. */
gboolean dlh_element_is_exact (DlhElement element);
/* The element that has the same bytes as @dtype. */
DlhElement dlh_element_of (DlhDType dtype);

/* @n elements in this machine's byte order, to the type of dlh_element_dtype(). */
void dlh_element_convert (DlhElement element, gconstpointer raw, gpointer out, gsize n);
/* Turns the bytes of each of @n elements of @size bytes around. */
void dlh_element_swap (gpointer raw, gsize size, gsize n);
/* Copies elements of @size bytes to row-major order. @raw: element (0, ..., 0); @strides: bytes
 * from one element to the next along each axis, which may be negative or 0. */
void dlh_element_gather (const char *raw, gsize size, DlhShape shape, const gint64 *strides,
                         gpointer out);
/* What the element type allows but @tensor, which came from it, does not: a BOOL above 1, a u64
 * beyond i64. DLH_ERROR_DATA. */
gboolean dlh_element_check (DlhElement element, const DlhTensor *tensor, GError **error);
