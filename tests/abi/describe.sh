#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: describe.sh HEADERS LIBRARY: the binary interface as XML, without what tells nothing of it.
exec abidw --headers-dir "$1" --drop-private-types --drop-undefined-syms --exported-interfaces-only \
    --no-comp-dir-path --no-corpus-path --no-elf-needed --no-parameter-names --no-show-locs \
    --no-write-default-sizes "$2"
