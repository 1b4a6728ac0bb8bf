// Cache of the contributions of timesteps and labels to each layer, computed for many keys at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>

#include "base/layers.h"

namespace diffit::nn {

/// Caches rows that depend on an integer key alone. Holds at most `limit` bytes unless one request alone
/// needs more. If a request does not fit, the whole cache is cleared first, so that a batch always finds its
/// own rows. Not thread-safe.
class ConditionCache {
 public:
  /// Maps keys [K] to their rows [K, ...], all of the same shape.
  using Compute = std::function<at::Tensor(std::span<const std::int64_t> keys)>;

  ConditionCache() = default;
  /// `bytes_per_row`: size of one row in bytes; `limit`: capacity in bytes.
  ConditionCache(std::int64_t bytes_per_row, std::int64_t limit, Compute compute);

  /// Returns the rows of these keys, [K, ...]. Missing rows are computed in one call.
  at::Tensor rows(std::span<const std::int64_t> keys);
  /// Number of rows in the cache.
  std::int64_t size() const { return static_cast<std::int64_t>(rows_.size()); }
  /// Maximum number of rows in the cache.
  std::int64_t capacity() const { return capacity_; }

 private:
  void compute(std::span<const std::int64_t> keys);

  std::int64_t capacity_ = 1;
  Compute compute_;
  std::unordered_map<std::int64_t, at::Tensor> rows_;
};

}  // namespace diffit::nn
