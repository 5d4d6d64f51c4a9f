#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/abi-update.sh [BUILD]: stores the binary interface of BUILD (build unless given) in
# tests/abi/. Run it after additions, so that they are kept from then on, and after a break that is
# meant: then DLH_ABI_MAJOR grows as well, see docs/abi.md.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}

store() {
    tests/abi/describe.sh core/dlhost "$1" | gzip -9n >"tests/abi/$2"
}

store "$build/core/libdlhost.so" libdlhost.abi.gz
store "$build/tests/libabi-interfaces.so" interfaces.abi.gz
ls -l tests/abi/*.abi.gz
