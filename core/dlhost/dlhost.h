/* SPDX-License-Identifier: MIT */
/* All of libdlhost's interface. */
#pragma once

#include <dlhost/arrange.h>
#include <dlhost/conv.h>
#include <dlhost/dataset.h>
#include <dlhost/diagnostics.h>
#include <dlhost/distribution.h>
#include <dlhost/dlpack.h>
#include <dlhost/elementwise.h>
#include <dlhost/error.h>
#include <dlhost/factors.h>
#include <dlhost/figure.h>
#include <dlhost/function.h>
#include <dlhost/graph.h>
#include <dlhost/io.h>
#include <dlhost/layers.h>
#include <dlhost/macros.h>
#include <dlhost/matrix.h>
#include <dlhost/mixture.h>
#include <dlhost/model.h>
#include <dlhost/op.h>
#include <dlhost/optimizer.h>
#include <dlhost/option.h>
#include <dlhost/perturb.h>
#include <dlhost/plugin.h>
#include <dlhost/random.h>
#include <dlhost/reduce.h>
#include <dlhost/registry.h>
#include <dlhost/sample.h>
#include <dlhost/sampler.h>
#include <dlhost/sampling.h>
#include <dlhost/shape.h>
#include <dlhost/store.h>
#include <dlhost/task.h>
#include <dlhost/tensor.h>
#include <dlhost/training.h>
