#!/bin/sh
# SPDX-License-Identifier: MIT
# From a clean clone to a trained network: installs the packages, builds, and trains the convnet on
# Fashion-MNIST with K-FAC. Arguments go to dlhost: tools/quickstart.sh --epochs=1
set -eu
cd "$(dirname "$0")/.."

tools/install-packages.sh
export PATH="/usr/bin:$PATH"    # Debian's meson, whatever else is installed
if [ ! -f build/build.ninja ]; then
    echo "quickstart: configuring build/"
    meson setup build --buildtype=debugoptimized
fi
echo "quickstart: building"
ninja -C build

export DLHOST_PLUGIN_PATH="$PWD/build/plugins"
echo "quickstart: dlhost --optimizer=kfac.so --model=convnet.so $*"
exec build/tools/dlhost --optimizer=kfac.so --model=convnet.so "$@"
