/* SPDX-License-Identifier: MIT */
/* Reading and writing data files. Readers believe nothing: sizes are checked before memory is
 * taken, a message names file, position and what was expected. */
#pragma once

#include <dlhost/tensor.h>

G_BEGIN_DECLS

/** dlh_file_read: the whole regular file, inflated when it is gzip; DLH_ERROR_DATA when it is more
 * than @max_bytes. Returns: (transfer full). */
DLH_EXPORT GBytes *dlh_file_read (const char *path, gsize max_bytes, GError **error);
/** dlh_file_locate: Returns: (transfer full): the path of @name in @dir, or of @name.gz where only
 * that exists. */
DLH_EXPORT char *dlh_file_locate (const char *dir, const char *name);
/** dlh_file_write: all of it or nothing: temporary sibling, fsync, rename, fsync of the directory.
 * A symbolic link at @path is replaced; a directory, pipe or device is refused. */
DLH_EXPORT gboolean dlh_file_write (const char *path, gconstpointer data, gsize n, GError **error);

/** dlh_idx_read: an idx file of unsigned bytes as @dtype; @scale multiplies each value.
 * Returns: (transfer full). */
DLH_EXPORT DlhTensor *dlh_idx_read (const char *path, DlhDType dtype, double scale, GError **error);
/**
 * dlh_idx_read_pair:
 * @prefix: "train" for train-images-idx3-ubyte and train-labels-idx1-ubyte in @dir, with or without
 * ".gz"
 * @images: (out) (transfer full): @dtype (n, 1, height, width), multiplied by @scale
 * @labels: (out) (transfer full): i64 (n)
 */
DLH_EXPORT gboolean dlh_idx_read_pair (const char *dir, const char *prefix, DlhDType dtype,
                                       double scale, DlhTensor **images, DlhTensor **labels,
                                       GError **error);
/** dlh_table_read: finite numbers separated by white space or commas; @header_rows lines are
 * skipped, empty ones too; every row as long as the first. Returns: (transfer full): f64 (rows,
 * columns). */
DLH_EXPORT DlhTensor *dlh_table_read (const char *path, guint header_rows, GError **error);

/* NumPy's formats: npy (versions 1.0 to 3.0), one array; npz, a zip archive of them. f2 is read as
 * f32; i1, i2, u1 and u2 as i32; u4 and u8 as i64; either byte order and either order of axes.
 * Objects, records, text, dates and complex numbers are refused. Memory is at most 1032 (deflate's
 * limit) times 6 times what the array takes in the file, 6 times where it is not deflated. */

/** dlh_npy_read: Returns: (transfer full). */
DLH_EXPORT DlhTensor *dlh_npy_read (const char *path, GError **error);
/** dlh_npy_write: version 1.0, written as dlh_file_write() does. */
DLH_EXPORT gboolean dlh_npy_write (const char *path, const DlhTensor *tensor, GError **error);

typedef struct _DlhNpz DlhNpz; /* arrays by name */

/** dlh_npz_open: reads and checks the directory; arrays follow one by one. The file stays open. */
DLH_EXPORT DlhNpz *dlh_npz_open (const char *path, GError **error);
/** dlh_npz_free: NULL is allowed. */
DLH_EXPORT void dlh_npz_free (DlhNpz *npz);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhNpz, dlh_npz_free)
/** dlh_npz_names: (element-type utf8) (transfer none): in the file's order, without ".npy". */
DLH_EXPORT GPtrArray *dlh_npz_names (DlhNpz *npz);
/** dlh_npz_read: Returns: (transfer full): an array; its checksum was right. */
DLH_EXPORT DlhTensor *dlh_npz_read (DlhNpz *npz, const char *name, GError **error);
/* Rows @first .. of an array of shape @whole, valid during the call; FALSE with an error ends it. */
typedef gboolean (*DlhNpzPiece) (const DlhTensor *rows, DlhShape whole, gint64 first,
                                 gpointer user_data, GError **error);

/** dlh_npz_read_pieces: an array that would not fit in memory, @n rows after @n rows of its first
 * axis. Its checksum is known at the end only: on FALSE forget what was taken. Arrays in Fortran's
 * order or without an axis are refused. */
DLH_EXPORT gboolean dlh_npz_read_pieces (DlhNpz *npz, const char *name, gint64 n, DlhNpzPiece take,
                                         gpointer user_data, GError **error);
/** dlh_npz_write: @names and @tensors have @n entries. Same arrays, same bytes. */
DLH_EXPORT gboolean dlh_npz_write (const char *path, const char *const *names,
                                   DlhTensor *const *tensors, guint n, gboolean deflate,
                                   GError **error);

/* safetensors (huggingface/safetensors, format of 2022): a JSON header, raw little-endian data. */
typedef struct _DlhSafetensors DlhSafetensors;

/** dlh_safetensors_read, dlh_safetensors_free: (transfer full): the whole file, checked in full, or
 * NULL with DLH_ERROR_DATA or DLH_ERROR_IO. Freeing NULL does nothing. */
DLH_EXPORT DlhSafetensors *dlh_safetensors_read (const char *path, GError **error);
/** dlh_safetensors_read_lenient: passes over bytes after the last tensor, which the format forbids
 * and some files have. @n_stray: (out) (optional): how many. */
DLH_EXPORT DlhSafetensors *dlh_safetensors_read_lenient (const char *path, guint64 *n_stray,
                                                         GError **error);
DLH_EXPORT void dlh_safetensors_free (DlhSafetensors *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhSafetensors, dlh_safetensors_free)
/** dlh_safetensors_names: (element-type utf8) (transfer none): in the file's order. */
DLH_EXPORT GPtrArray *dlh_safetensors_names (DlhSafetensors *file);
/** dlh_safetensors_get: (nullable) (transfer none). F16 and BF16 come as f32, integers as i32 or
 * i64. */
DLH_EXPORT DlhTensor *dlh_safetensors_get (DlhSafetensors *file, const char *name);
/** dlh_safetensors_type: (nullable) (transfer none): the element type in the file: "BF16". */
DLH_EXPORT const char *dlh_safetensors_type (DlhSafetensors *file, const char *name);
/** dlh_safetensors_metadata: (element-type utf8 utf8) (transfer none). */
DLH_EXPORT GHashTable *dlh_safetensors_metadata (DlhSafetensors *file);
/** dlh_safetensors_count_nonfinite: how many elements are NaN or infinite: they are no error. */
DLH_EXPORT guint64 dlh_safetensors_count_nonfinite (DlhSafetensors *file);
/** dlh_safetensors_write: @names and @tensors have @n entries; written as dlh_file_write() does. */
DLH_EXPORT gboolean dlh_safetensors_write (const char *path, const char *const *names,
                                           DlhTensor *const *tensors, guint n, GHashTable *metadata,
                                           GError **error);

G_END_DECLS
