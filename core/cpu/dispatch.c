/* SPDX-License-Identifier: MIT */
#include <dlhost/dlhost.h>
