/* SPDX-License-Identifier: MIT */
/* Symbol visibility and the version of the interface. */
#pragma once

#include <glib.h>

/* Of the library that these headers came with. */
#define DLH_VERSION "1.0.0"

/* The binary interface. A plugin with another major number is refused; a minor number only grows,
 * when fields are added at the end of structs or functions are added. See docs/abi.md. */
#define DLH_ABI_MAJOR 1
#define DLH_ABI_MINOR 0

/* Marks what leaves a library that is built with -fvisibility=hidden. */
#define DLH_EXPORT __attribute__ ((visibility ("default")))
