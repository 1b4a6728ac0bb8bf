// Images of a data set as tensors in the order of the data set, for evaluation. Training reads batches with a
// Loader (data/dataset.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "data/dataset.h"

namespace diffit::training {

/// Returns the indices first .. first + count - 1.
std::vector<std::int64_t> index_range(std::int64_t first, std::int64_t count);

/// Reads images [B, R, R, C] uint8 on the CPU. Throws Error(invalid) for malformed images.
at::Tensor image_bytes(const Dataset& images, std::span<const std::int64_t> indices);

/// Returns class labels [B] int64; -1 if the data set has no labels.
at::Tensor image_labels(const Dataset& images, std::span<const std::int64_t> indices);

/// Reads images [B, C, R, R] float32 in [-1, 1] on the CPU. Gray images are repeated to `channels` channels.
at::Tensor read_images(const Dataset& images, std::span<const std::int64_t> indices, std::int64_t channels);

}  // namespace diffit::training
