#include "dist/shards.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace diffit::dist {

ShardRange shards_of_rank(std::int64_t shards, int rank, int ranks) {
  DIFFIT_CHECK(ranks >= 1 && rank >= 0 && rank < ranks && ranks <= shards,
               "wanted at most {} ranks, one per shard, got rank {} of {}", shards, rank, ranks);
  const std::int64_t first = shards * rank / ranks;
  return {first, shards * (rank + 1) / ranks - first};
}

std::vector<ShardRange> nodes_within(const ShardRange& range) {
  std::vector<ShardRange> nodes;
  for (std::int64_t first = range.first; first < range.end();) {
    std::int64_t size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= range.end()) size *= 2;
    nodes.push_back({first, size});
    first += size;
  }
  return nodes;
}

bool are_siblings(const ShardRange& left, const ShardRange& right) {
  return left.size == right.size && left.end() == right.first && left.first % (2 * left.size) == 0;
}

std::vector<int> owners_of(const std::vector<std::int64_t>& elements, int ranks) {
  const std::int64_t all =
      std::max<std::int64_t>(1, std::accumulate(elements.begin(), elements.end(), std::int64_t{0}));
  std::vector<int> owners;
  std::int64_t before = 0;
  for (const std::int64_t count : elements) {
    const std::int64_t middle = before + count / 2;
    owners.push_back(static_cast<int>(std::min<std::int64_t>(ranks - 1, middle * ranks / all)));
    before += count;
  }
  return owners;
}

}  // namespace diffit::dist
