// Pictures of a data set as tensors, in its order: for measuring. Training reads by a Loader
// (data/dataset.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "data/dataset.h"

namespace diffit {

/// first .. first + count - 1.
std::vector<std::int64_t> index_range(std::int64_t first, std::int64_t count);

/// Pictures [B, R, R, C] uint8 on the CPU.
at::Tensor picture_bytes(const Dataset& pictures, std::span<const std::int64_t> indices);

/// Their classes [B] int64; -1 in a set without.
at::Tensor picture_labels(const Dataset& pictures, std::span<const std::int64_t> indices);

/// Pictures [B, C, R, R] float32 in [-1, 1] on the CPU; grey ones are repeated for a network of 3 channels.
at::Tensor read_pictures(const Dataset& pictures, std::span<const std::int64_t> indices,
                         std::int64_t channels);

}  // namespace diffit
