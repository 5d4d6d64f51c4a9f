#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: test.sh PLUGIN.so: what dlhost expects of every plugin, then a short run that must end
# well, and twice with the same bytes.
set -eu
case $1 in
*/*) plugin=$1 ;;
*) plugin=./$1 ;;
esac
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

dlhost check "$plugin"

for run in a b; do
    dlhost --task=evolve,steps=3 --environment="$plugin" --optimizer=flipes,members=4 --model=mlp,hidden=[8] \
        --threads=1 --quiet --out="$dir/$run"
done
for checkpoint in "$dir"/a/checkpoint-*; do
    cmp "$checkpoint" "$dir/b/${checkpoint##*/}"
done
echo "point: all is well"
