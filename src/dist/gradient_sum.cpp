#include "dist/gradient_sum.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <functional>

#include "base/error.h"

namespace diffit::dist {

namespace {

/// Buckets larger than this gain little, and smaller ones cost messages.
constexpr std::int64_t kBucketElements = std::int64_t{2} << 20;

/// Calls a function whenever a gradient has been accumulated.
class GradientHook : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit GradientHook(std::function<void()> call) : call_(std::move(call)) {}
  void operator()(const torch::autograd::Variable&) override { call_(); }

 private:
  std::function<void()> call_;
};

}  // namespace

struct GradientSum::Bucket {
  int owner = 0;
  std::vector<std::size_t> parameters;  // positions in parameters_
  std::vector<std::int64_t> offsets;    // of each in the flat tensor
  std::int64_t elements = 0;
  TreeSum<at::Tensor> sum;                        // of this rank's shards
  std::vector<std::vector<at::Tensor>> received;  // by rank and node; if this rank owns the bucket
  std::size_t awaited = 0;                        // gradients that the last pass has not completed
  bool sent = false;

  /// Part `i` of a flat tensor, in the memory layout of the parameter.
  at::Tensor part(const at::Tensor& flat, std::size_t i, const at::Tensor& parameter) const {
    return flat.as_strided(parameter.sizes(), parameter.strides(), offsets[i]);
  }
};

GradientSum::GradientSum(std::shared_ptr<Group> group, std::int64_t shards,
                         std::vector<at::Tensor> parameters)
    : group_(std::move(group)),
      shards_(shards),
      range_(shards_of_rank(shards, group_->rank(), group_->size())),
      parameters_(std::move(parameters)) {
  std::vector<std::int64_t> elements;
  for (const at::Tensor& p : parameters_) {
    DIFFIT_CHECK(p.is_non_overlapping_and_dense() && p.scalar_type() == at::kFloat,
                 "gradients over several processes: wanted dense float32 parameters, got {} [{}]",
                 toString(p.scalar_type()), fmt::join(p.sizes(), ", "));
    elements.push_back(p.numel());
  }
  owners_ = owners_of(elements, group_->size());
  for (int r = 0; r < group_->size(); ++r)
    nodes_.push_back(nodes_within(shards_of_rank(shards, r, group_->size())));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (buckets_.empty() || buckets_.back()->owner != owners_[i] ||
        buckets_.back()->elements >= kBucketElements) {
      buckets_.push_back(std::make_unique<Bucket>());
      buckets_.back()->owner = owners_[i];
    }
    Bucket& bucket = *buckets_.back();
    bucket.parameters.push_back(i);
    bucket.offsets.push_back(bucket.elements);
    bucket.elements += elements[i];
  }
  watch_gradients();
}

GradientSum::~GradientSum() {
  for (const at::Tensor& p : parameters_) torch::autograd::impl::set_post_acc_grad_hooks(p, nullptr);
}

void GradientSum::watch_gradients() {
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    for (const std::size_t i : buckets_[b]->parameters) {
      torch::autograd::impl::set_post_acc_grad_hooks(
          parameters_[i], std::make_unique<GradientHook>([this, b] {
            Bucket& bucket = *buckets_[b];
            if (!last_pass_ || bucket.awaited == 0 || --bucket.awaited > 0) return;
            take(bucket, range_.end() - 1);
            send(b);
          }));
    }
  }
}

int GradientSum::tag(std::size_t bucket, std::size_t node) const {
  constexpr std::size_t kMostNodes = 128;  // more than twice the depth of any tree
  return static_cast<int>(bucket * kMostNodes + node);
}

void GradientSum::begin_last_pass() {
  last_pass_ = true;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    Bucket& bucket = *buckets_[b];
    bucket.awaited = bucket.parameters.size();
    bucket.sent = false;
    if (bucket.owner != group_->rank()) continue;
    bucket.received.assign(static_cast<std::size_t>(group_->size()), {});
    for (int r = 0; r < group_->size(); ++r) {
      if (r == group_->rank()) continue;
      for (std::size_t n = 0; n < nodes_[static_cast<std::size_t>(r)].size(); ++n) {
        const at::Tensor flat = at::empty({bucket.elements}, at::kFloat);
        bucket.received[static_cast<std::size_t>(r)].push_back(flat);
        transfers_.push_back(group_->receive(flat, r, tag(b, n)));
      }
    }
  }
}

void GradientSum::take(Bucket& bucket, std::int64_t shard) {
  const at::NoGradGuard no_grad;
  at::Tensor flat = at::empty({bucket.elements}, at::kFloat);
  for (std::size_t k = 0; k < bucket.parameters.size(); ++k) {
    const at::Tensor& p = parameters_[bucket.parameters[k]];
    const at::Tensor part = bucket.part(flat, k, p);
    if (p.grad().defined()) {
      part.copy_(p.grad());
    } else {
      part.zero_();
    }
    p.mutable_grad().reset();
  }
  bucket.sum.push({shard, 1}, std::move(flat));
}

void GradientSum::send(std::size_t b) {
  Bucket& bucket = *buckets_[b];
  bucket.sent = true;
  if (bucket.owner == group_->rank()) return;
  auto& nodes = bucket.sum.nodes();
  for (std::size_t n = 0; n < nodes.size(); ++n)
    transfers_.push_back(group_->send(nodes[n].value, bucket.owner, tag(b, n)));
}

void GradientSum::end_shard(std::int64_t shard) {
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    Bucket& bucket = *buckets_[b];
    if (last_pass_ && bucket.sent) continue;
    take(bucket, shard);
    if (last_pass_) send(b);
  }
}

void GradientSum::finish() {
  const at::NoGradGuard no_grad;
  last_pass_ = false;
  for (const auto& transfer : transfers_) transfer->wait();
  transfers_.clear();
  for (const auto& owned : buckets_) {
    Bucket& bucket = *owned;
    TreeSum<at::Tensor> own = std::exchange(bucket.sum, {});
    if (bucket.owner != group_->rank()) continue;
    TreeSum<at::Tensor> all;
    for (std::size_t r = 0; r < nodes_.size(); ++r) {
      const bool here = static_cast<int>(r) == group_->rank();
      for (std::size_t n = 0; n < nodes_[r].size(); ++n)
        all.push(nodes_[r][n], here ? own.nodes()[n].value : bucket.received[r][n]);
    }
    bucket.received.clear();
    const at::Tensor& flat = all.nodes().at(0).value;
    for (std::size_t k = 0; k < bucket.parameters.size(); ++k) {
      const at::Tensor& p = parameters_[bucket.parameters[k]];
      p.mutable_grad() = bucket.part(flat, k, p);
    }
  }
}

void GradientSum::share_parameters() {
  if (group_->size() == 1) return;
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> flats;
  std::vector<std::unique_ptr<Transfer>> transfers;
  for (const auto& bucket : buckets_) {
    at::Tensor flat = at::empty({bucket->elements}, at::kFloat);
    if (bucket->owner == group_->rank()) {
      for (std::size_t k = 0; k < bucket->parameters.size(); ++k) {
        const at::Tensor p = parameters_[bucket->parameters[k]].detach();
        bucket->part(flat, k, p).copy_(p);
      }
    }
    transfers.push_back(group_->broadcast(flat, bucket->owner));
    flats.push_back(std::move(flat));
  }
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    transfers[b]->wait();
    const Bucket& bucket = *buckets_[b];
    if (bucket.owner == group_->rank()) continue;
    for (std::size_t k = 0; k < bucket.parameters.size(); ++k) {
      const at::Tensor p = parameters_[bucket.parameters[k]].detach();
      p.copy_(bucket.part(flats[b], k, p));
    }
  }
}

}  // namespace diffit::dist
