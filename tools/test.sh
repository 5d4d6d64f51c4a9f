#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the packages, builds with gcc and clang (warnings are errors), runs every test, and runs
# them again under the address and undefined-behaviour sanitizers; measures what the tests of loader
# and parsers reach. The last line is "N passed, N failed, N skipped", counting each case of each test
# program; fails if one failed.
set -eu
cd "$(dirname "$0")/.."

tools/install-packages.sh
export PATH="/usr/bin:$PATH"    # Debian's meson, whatever else is installed
failed_builds=0
logs=

# build DIRECTORY COMPILER [OPTION...]
build () {
    directory=$1
    compiler=$2
    shift 2
    echo "test: building $directory/ with $compiler"
    if [ -f "$directory/build.ninja" ]; then
        meson configure "$directory" -Dwerror=true "$@" >/dev/null
    else
        CC=$compiler meson setup "$directory" -Dwerror=true "$@" >"$directory.log" 2>&1 || {
            cat "$directory.log"
            rm -f "$directory.log"
            return 1
        }
        rm -f "$directory.log"
    fi
    ninja -C "$directory"
}

# check DIRECTORY [OPTION...]: counts later, so a failing suite does not end the script.
check () {
    directory=$1
    shift
    rm -f "$directory/meson-logs/testlog.json"
    logs="$logs $directory/meson-logs/testlog.json"
    # Some wait for a process or a clock most of the time: one more than there are processors.
    meson test -C "$directory" --no-rebuild --print-errorlogs \
        --num-processes $(($(nproc) + 1)) "$@" || true
}

# Left out under the sanitizers: programs that embed the library without their run time (door), and what
# takes all memory, counts blocks or compares what is written to standard error (check, host, slow); and
# what draws for long (sampling).
# LeakSanitizer needs ptrace, which some containers forbid.
leaks_can_be_checked () {
    scratch=$(mktemp -d)
    echo 'int main (void) { return 0; }' >"$scratch/probe.c"
    result=0
    gcc -fsanitize=address "$scratch/probe.c" -o "$scratch/probe" && "$scratch/probe" 2>/dev/null ||
        result=1
    rm -r "$scratch"
    return $result
}

if build build gcc; then
    check build
else
    failed_builds=$((failed_builds + 1))
fi

if build build-asan gcc -Db_sanitize=address,undefined -Doptimization=1; then
    leaks=1
    leaks_can_be_checked || {
        leaks=0
        echo "test: this machine forbids ptrace: leaks are not checked (valgrind's suite does)"
    }
    ASAN_OPTIONS="detect_leaks=$leaks:detect_stack_use_after_return=1:strict_string_checks=1" \
    UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1" \
        check build-asan --timeout-multiplier 5 --no-suite valgrind --no-suite sources \
        --no-suite check --no-suite door --no-suite host --no-suite slow --no-suite sampling
else
    failed_builds=$((failed_builds + 1))
fi

echo "test: coverage of what reads foreign bytes"
tools/coverage.sh --gate || failed_builds=$((failed_builds + 1))

# Not run, so its code need not be fast.
build build-clang clang -Doptimization=1 || failed_builds=$((failed_builds + 1))

# shellcheck disable=SC2086
exec python3 tools/count-tests.py "$failed_builds" $logs
