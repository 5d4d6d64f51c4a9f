#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/update-examples.sh [PROGRAM]: writes tests/third-party/ again after a change of
# tools/templates/; PROGRAM is build/tools/dlhost unless given.
set -eu
cd "$(dirname "$0")/.."
program=${1:-build/tools/dlhost}

while read -r kind name; do
    rm -rf "tests/third-party/$kind"
    "$program" new "$kind" "$name" --dir="tests/third-party/$kind"
done <<'EXAMPLES'
dataset rings
environment point
model skip-net
op softsign-net
optimizer heavy-ball
sampler random-walk
task by-heart
EXAMPLES
