// The fixed order in which gradients are added, for any number of ranks.
//
// The images of a batch are divided into V virtual shards, V a power of two. The gradient of the batch is the
// sum over a binary tree whose leaves are the shards: node (first, size) adds node (first, size/2) and node
// (first + size/2, size/2), in this order. Each rank computes a range of shards and adds up the largest nodes
// that lie within its range; the nodes of all ranks then meet and are added by the same rule. So the result
// depends on V and not on the number of ranks, bit for bit.
#pragma once

#include <cstdint>
#include <vector>

namespace diffit::dist {

/// Shards first .. first + size - 1.
struct ShardRange {
  std::int64_t first = 0, size = 0;
  std::int64_t end() const { return first + size; }
  friend bool operator==(const ShardRange&, const ShardRange&) = default;
};

/// The shards of rank `rank` of `ranks`, which must not be more than `shards`. All ranks have the same number
/// of shards if `ranks` divides `shards`, else numbers that differ by one.
ShardRange shards_of_rank(std::int64_t shards, int rank, int ranks);

/// The largest nodes of the tree within a range, in order. Their sizes are powers of two.
std::vector<ShardRange> nodes_within(const ShardRange& range);

/// Returns true if `left` and the node that follows it in order are the two children of a node.
bool are_siblings(const ShardRange& left, const ShardRange& right);

/// Adds nodes by the rule above, with `low += high`. Nodes must be pushed in order, without gaps.
template <class Value>
class TreeSum {
 public:
  struct Node {
    ShardRange range;
    Value value;
  };

  void push(const ShardRange& range, Value value) {
    nodes_.push_back({range, std::move(value)});
    while (nodes_.size() >= 2 && are_siblings(nodes_[nodes_.size() - 2].range, nodes_.back().range)) {
      Node& low = nodes_[nodes_.size() - 2];
      low.value += nodes_.back().value;
      low.range.size *= 2;
      nodes_.pop_back();
    }
  }

  /// The nodes that have no sibling yet: a single one once all shards were pushed.
  std::vector<Node>& nodes() { return nodes_; }

 private:
  std::vector<Node> nodes_;
};

/// Partitions parameters with the given numbers of elements among ranks, in order and evenly by elements.
/// Returns the owner of each. A rank may own none.
std::vector<int> owners_of(const std::vector<std::int64_t>& elements, int ranks);

}  // namespace diffit::dist
