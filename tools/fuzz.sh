#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/fuzz.sh SECONDS [TARGET...]
# Runs each fuzz target (default: all) for that long with libFuzzer, AddressSanitizer, UBSan and
# LeakSanitizer, one process. Needs clang. What it learns goes to build-fuzz/corpus/TARGET, what it
# finds to build-fuzz/found/; the last lines say executions, coverage and findings. Inputs are at most
# 4096 bytes, and no allocation may exceed 64 MB: what deflate makes of them is 4 MB.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build-fuzz
[ $# -ge 1 ] || { sed -n 's/^# usage: /usage: /p' "$0"; exit 2; }
seconds=$1
shift

flags=-fsanitize=fuzzer-no-link
[ -f "$build/build.ninja" ] || CC=clang meson setup "$build" "$top" -Dfuzzers=true -Dc_args=$flags \
    -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized >/dev/null
if [ $# -eq 0 ]; then
    set -- command config idx note npy npz options safetensors table text
fi

failed=0
mkdir -p "$build/found"
for target; do
    ninja -C "$build" "tests/fuzz/fuzz-$target" >"$build/ninja.log" 2>&1 || {
        tail -20 "$build/ninja.log"
        exit 1
    }
    corpus=$build/corpus/$target
    log=$build/$target.log
    mkdir -p "$corpus"
    seeds=$top/tests/fuzz/corpus/$target
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086
    if "$build/tests/fuzz/fuzz-$target" -max_total_time="$seconds" -max_len=4096 -seed=1 \
        -malloc_limit_mb=64 -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$build/found/$target-" "$corpus" $seeds >"$log" 2>&1; then
        found=0
    else
        found=1
        failed=1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -1)
    echo "$target: ${runs:-0} executions in $seconds s, $coverage, findings: $found"
done
exit $failed
