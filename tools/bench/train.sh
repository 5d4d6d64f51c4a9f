#!/bin/sh
# SPDX-License-Identifier: MIT
# Training steps beside PyTorch's, interleaved: train.sh BUILD_DIR [THREADS] [ROUNDS]
# Jobs are those of PyTorch's side in peer_train.py. Needs Debian's python3-torch for the peer.
set -eu
here=$(dirname "$0")
build=${1:?usage: train.sh BUILD_DIR [THREADS] [ROUNDS]}
threads=${2:-1}
rounds=${3:-3}
export DLHOST_PLUGIN_PATH="$build/plugins"

ours () {
    case $1 in
    mlp-small) "$build/tools/bench/bench-train" 'mlp;hidden=[64]' sgd 64 10 784 "$threads" ;;
    mlp-50) "$build/tools/bench/bench-train" 'mlp;hidden=[50]' sgd 32 2 8 "$threads" ;;
    autoencoder) "$build/tools/bench/bench-train" autoencoder sgd 500 0 784 "$threads" ;;
    lenet) "$build/tools/bench/bench-train" convnet sgd 128 10 1x28x28 "$threads" ;;
    conv6) "$build/tools/bench/bench-train" \
        'convnet;channels=[32,32,64,64,128,128];kernel=3;padding=same;pool_every=2;hidden=[256]' \
        sgd 128 10 3x32x32 "$threads" ;;
    esac
}

# The smallest nets as a C programmer would write them on OpenBLAS.
by_hand () {
    case $1 in
    mlp-small) "$build/tools/bench/bench-floor" 64 784 64 10 "$threads" ;;
    mlp-50) "$build/tools/bench/bench-floor" 32 8 50 2 "$threads" ;;
    esac
}

for job in mlp-small mlp-50 autoencoder lenet conv6; do
    for round in $(seq "$rounds"); do
        ours "$job"
        by_hand "$job"
        if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
            /usr/bin/python3 "$here/peer_train.py" "$job" "$threads"
        fi
    done
done
