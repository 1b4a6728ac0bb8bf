// What the layers of a network add for a timestep or a label, computed many at a time and kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>

namespace diffit {

/// Rows that are functions of a key. At most `limit` bytes are kept; where more are asked for, all that is
/// kept is dropped first, so that a batch always finds its own rows. For one thread.
class ConditionCache {
 public:
  /// keys [K] -> their rows [K, ...], all of one size.
  using Compute = std::function<at::Tensor(std::span<const std::int64_t> keys)>;

  ConditionCache() = default;
  ConditionCache(std::int64_t bytes_a_row, std::int64_t limit, Compute compute);

  /// The rows of these keys, [K, ...]; those that are missing are computed in one call.
  at::Tensor rows(std::span<const std::int64_t> keys);
  std::int64_t size() const { return static_cast<std::int64_t>(kept_.size()); }
  /// Rows that are kept at most.
  std::int64_t most() const { return most_; }

 private:
  void compute(std::span<const std::int64_t> keys);

  std::int64_t most_ = 1;
  Compute compute_;
  std::unordered_map<std::int64_t, at::Tensor> kept_;
};

}  // namespace diffit
