/* SPDX-License-Identifier: MIT */
/* Messages of a child to its parent: a letter, a name, a tab, a text, a newline. */
#pragma once

#include "check.h"

enum {
    CHILD_BEGIN = 'B',
    CHILD_DROP = 'D',
    CHILD_END = 'E', /* of the whole group */
    CHILD_FOUND = 'S',
    CHILD_NOTE = 'N',   /* what the item is at */
    CHILD_HEAVY = 'H',  /* likewise; it may be too much for the time that an item has */
    CHILD_RESULT = '0', /* + CheckStatus */
};

void child_send (Check *c, char what, const char *name, const char *text);
