// Sums gradients over all ranks in the order of the tree (dist/shards.h), and deals the result to the ranks
// that own the parameters (ZeRO-1: Rajbhandari, Rasley, Ruwase, He 2020).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "dist/group.h"
#include "dist/shards.h"

namespace diffit::dist {

/// Parameters are grouped into buckets of one owner, in order. Each bucket travels as one float32 tensor.
/// Every rank constructs it with the same parameters and calls the same functions in the same order. Not
/// thread-safe.
class GradientSum {
 public:
  /// `parameters`: float32 leaves on the CPU, dense in memory; they are trained on all ranks.
  GradientSum(std::shared_ptr<Group> group, std::int64_t shards, std::vector<at::Tensor> parameters);
  ~GradientSum();
  GradientSum(const GradientSum&) = delete;
  GradientSum& operator=(const GradientSum&) = delete;

  /// The shards that this rank computes.
  const ShardRange& range() const { return range_; }
  /// The rank that updates parameter i.
  int owner(std::size_t i) const { return owners_[i]; }

  /// Announces the last backward pass of this rank in this step. Buckets are sent during it, as soon as the
  /// gradients of their parameters are complete.
  void begin_last_pass();
  /// Takes the gradients of shard `shard` out of the parameters, after its backward passes.
  void end_shard(std::int64_t shard);
  /// Completes the step: waits for all transfers, then stores the sum over all shards in the gradients of the
  /// parameters that this rank owns. Throws errors of Transfer::wait().
  void finish();
  /// Sends the owned parameters to the other ranks, and receives theirs.
  void share_parameters();

 private:
  struct Bucket;
  void watch_gradients();
  void take(Bucket& bucket, std::int64_t shard);
  void send(std::size_t bucket);
  int tag(std::size_t bucket, std::size_t node) const;

  std::shared_ptr<Group> group_;
  std::int64_t shards_;
  ShardRange range_;
  std::vector<std::vector<ShardRange>> nodes_;  // of each rank
  std::vector<at::Tensor> parameters_;
  std::vector<int> owners_;
  std::vector<std::unique_ptr<Bucket>> buckets_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  bool last_pass_ = false;
};

}  // namespace diffit::dist
