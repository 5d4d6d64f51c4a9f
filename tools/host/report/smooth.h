/* SPDX-License-Identifier: MIT */
#pragma once

#include "curves.h"

/* (transfer full): Dot: @dots smoothed; the gaps stay. */
GArray *dots_smooth (const GArray *dots, double smooth);
