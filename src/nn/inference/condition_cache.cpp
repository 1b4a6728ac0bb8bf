#include "nn/inference/condition_cache.h"

#include <algorithm>
#include <vector>

namespace diffit::nn {

ConditionCache::ConditionCache(std::int64_t bytes_per_row, std::int64_t limit, Compute compute)
    : capacity_(std::max<std::int64_t>(1, limit / std::max<std::int64_t>(1, bytes_per_row))),
      compute_(std::move(compute)) {}

void ConditionCache::compute(std::span<const std::int64_t> keys) {
  std::vector<std::int64_t> missing;
  for (const std::int64_t key : keys) {
    if (!rows_.contains(key)) missing.push_back(key);
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (missing.empty()) return;
  if (size() + static_cast<std::int64_t>(missing.size()) > capacity_ && size() > 0) {
    rows_.clear();
    return compute(keys);
  }
  const at::Tensor rows = compute_(missing);
  for (std::size_t i = 0; i < missing.size(); ++i) {
    rows_[missing[i]] = rows.select(0, static_cast<std::int64_t>(i));
  }
}

at::Tensor ConditionCache::rows(std::span<const std::int64_t> keys) {
  compute(keys);
  std::vector<at::Tensor> found;
  for (const std::int64_t key : keys) found.push_back(rows_.at(key));
  return at::stack(found);
}

}  // namespace diffit::nn
