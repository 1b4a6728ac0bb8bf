// Standard normal noise made where it is used, the same numbers as base/random.h gives.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/random.h"

namespace diffit::kernels {

/// What was drawn from a stream before its noise.
enum class DrawnBefore {
  nothing,
  normal,   // one number of a pair: the noise begins with the other one
  uniform,  // one word
};

/// Whether the device has the kernel.
bool has_device_noise(at::Device device);

/// Returns numbers [B, ...] of `shape`, float32. Row i holds scale[i] times the standard normal numbers that
/// Random(seed, stream_of(purpose, first + i)) gives, up to rounding. first [] int64 and scale [B] float32
/// are on the device and are read by the kernel, so that a recorded graph reads new ones at each replay.
at::Tensor device_noise(at::IntArrayRef shape, std::uint64_t seed, Purpose purpose, const at::Tensor& first,
                        const at::Tensor& scale, DrawnBefore before);

}  // namespace diffit::kernels
