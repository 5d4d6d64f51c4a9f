#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what building, testing and the main job need on Debian 12. Safe to run again: it installs
# only what is missing and then touches nothing.
set -eu

# dpkg-dev: Meson asks its dpkg-architecture for Debian's library directory, without which
# `meson install` would put the library where neither ld.so nor pkg-config looks.
packages="
abigail-tools
clang
dataset-fashion-mnist
dpkg-dev
fonts-dejavu-core
g++
gcc
gcovr
git
gnuplot-nox
graphviz
libclang-rt-14-dev
libdnnl-dev
libglib2.0-dev
libjson-glib-dev
libopenblas-openmp-dev
libpng-dev
make
mandoc
meson
ninja-build
pkg-config
python3
python3-numpy
valgrind
zlib1g-dev
"

missing=
for package in $packages; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
    *" ok installed") ;;
    *) missing="$missing $package" ;;
    esac
done

if [ -z "$missing" ]; then
    echo "packages: all $(echo $packages | wc -w) are installed"
    exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root="env"
elif command -v sudo >/dev/null; then
    as_root="sudo env"
else
    echo "packages: missing:$missing" >&2
    echo "packages: run this as root, or install sudo" >&2
    exit 1
fi
echo "packages: installing$missing"
$as_root DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086
$as_root DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
