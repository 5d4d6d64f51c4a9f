#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/coverage.sh [--gate]
# Builds with gcc's counters in build-coverage/ (build-gate/), runs the tests and prints the share of lines and
# branches that they reach: by directory and for each file of the gate, which is tools/coverage.py's
# list of loader, registry and parsers. Fails when one of those is below 95 % of lines or 90 % of
# branches. With --gate only the tests of those files are built and run, and only their table is
# printed.
set -eu
cd "$(dirname "$0")/.."
export PATH="/usr/bin:$PATH"    # Debian's meson and gcovr, whatever else is installed
gate=${1-}
build="build-coverage"
[ "$gate" != --gate ] || build="build-gate"

# Counters that threads share are kept right: lost updates would leave negative ones.
[ -f $build/build.ninja ] ||
    CC=${CC:-gcc} meson setup $build -Db_coverage=true -Doptimization=0 \
        -Dc_args=-fprofile-update=atomic >/dev/null
# gcovr stumbles over objects that are older than their sources, so each folder builds all of its own:
# meson builds what the tests of the gate need.
[ "$gate" = --gate ] || ninja -C $build >/dev/null
find $build -name '*.gcda' -delete
result=0
if [ "$gate" = --gate ]; then
    set -- abi bad-inputs checkpoint checkpoints commands component datasets dlpack fuzz-io fuzz-plugin host-files interface invariance io io-faults npy \
        npy-dataset npz options plugin run-folder safetensors text
    meson test -C $build --print-errorlogs --timeout-multiplier 5 "$@" >$build/tests.log 2>&1 ||
        result=$?
    mode=--gate
else
    # Those that look at what a plugin exports and allocates see the counters; the slow ones repeat
    # what others reach.
    meson test -C $build --print-errorlogs --timeout-multiplier 5 --no-suite check \
        --no-suite door --no-suite slow --no-suite sources --no-suite valgrind >$build/tests.log 2>&1 || result=$?
    mode=
fi
[ $result -eq 0 ] || {
    grep -a '^not ok' $build/meson-logs/testlog.txt || true
    echo "coverage: tests failed, see $build/meson-logs/testlog.txt"
}
# Not counted are branches that nobody wrote: GLib's macros for a caller's bug and for what cannot
# happen, and the ways out of a block that its automatic clean-up distinguishes.
gcovr --root . --object-directory $build --filter core/ --filter plugins/ --filter tools/host/ \
    --exclude-throw-branches --exclude-unreachable-branches \
    --exclude-branches-by-pattern '^\s*(g_return_|g_assert|G_DEFINE_AUTO|g_clear_pointer|g_auto(ptr|free|)\b[^?]*$)' \
    --json-summary $build/coverage.json
# shellcheck disable=SC2086
python3 tools/coverage.py $build/coverage.json $mode || result=1
exit $result
