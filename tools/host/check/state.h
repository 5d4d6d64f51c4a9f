/* SPDX-License-Identifier: MIT */
/* What a process shares among its parts and a plugin must leave as it was. */
#pragma once

#include "check.h"

typedef struct _State State;

State *state_take (void);
void state_free (State *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (State, state_free)
/* Reports what differs now, "state/umask" and so on. */
void state_compare (Check *c, const State *before);
/* Parent: an ok or FAIL line for each of them, and for the output. */
void state_report (Check *c);
