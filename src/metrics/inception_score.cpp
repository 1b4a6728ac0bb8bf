#include "metrics/inception_score.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace diffit::metrics {

void InceptionScoreSum::add(const at::Tensor& probabilities) {
  if (!rows_.defined()) rows_ = at::empty({block_, probabilities.size(1)}, at::kFloat);
  for (std::int64_t first = 0; first < probabilities.size(0);) {
    const std::int64_t taken = std::min(block_ - held_, probabilities.size(0) - first);
    rows_.narrow(0, held_, taken).copy_(probabilities.narrow(0, first, taken));
    held_ += taken;
    first += taken;
    if (held_ == block_) close_block();
  }
}

void InceptionScoreSum::close_block() {
  const at::Tensor p = rows_.narrow(0, 0, held_).to(at::kDouble);
  const at::Tensor marginal = p.mean(0);
  // KL(p || marginal) for each image: sum p ln p - sum p ln marginal.
  const at::Tensor divergence = at::special_xlogy(p, p).sum(1) - at::special_xlogy(p, marginal).sum(1);
  const double mean = divergence.mean().item<double>(), score = std::exp(mean);
  scores_.push_back(score);
  // The marginal also depends on the weight of an image, but its first-order contribution is zero.
  pieces_.push_back((divergence - mean) * (score / static_cast<double>(held_)));
  held_ = 0;
}

InceptionScore InceptionScoreSum::finish() {
  if (held_ > 0) close_block();
  DIFFIT_CHECK(!scores_.empty(), "an inception score needs at least one image, got none");
  InceptionScore result;
  result.blocks = static_cast<std::int64_t>(scores_.size());
  const at::Tensor scores = at::tensor(scores_, at::kDouble);
  result.value = scores.mean().item<double>();
  result.deviation = scores.std(0, /*unbiased=*/false).item<double>();
  const at::Tensor all = at::cat(pieces_);
  result.influence = all * (static_cast<double>(all.size(0)) / static_cast<double>(result.blocks));
  return result;
}

}  // namespace diffit::metrics
