#include "nn/features/classifier.h"

#include "base/error.h"
#include "runtime/pch.h"

namespace diffit::nn {

Classifier::Classifier(const ClassifierConfig& config) : config_(config) {
  check_config(config_, "classifier");
  const std::int64_t groups = config_.norm_groups;
  stem_ = Conv2d(config_.in_channels, config_.channels.front(), 3, 2);
  stem_.add_to(parameters_, "stem");
  for (std::size_t i = 0; i < config_.channels.size(); ++i) {
    const std::int64_t width = config_.channels[i];
    ClassifierStage& stage = stages_.emplace_back();
    if (i > 0) {
      stage.down = Conv2d(config_.channels[i - 1], width, 3, 2);
      stage.down->add_to(parameters_, fmt::format("stages.{}.down", i));
    }
    for (std::int64_t k = 0; k < config_.blocks; ++k) {
      stage.blocks.emplace_back(width, width, groups)
          .add_to(parameters_, fmt::format("stages.{}.blocks.{}", i, k));
    }
  }
  norm_ = GroupNorm(config_.width(), groups, kVaeNormEps);
  norm_.add_to(parameters_, "norm");
  fc_ = Linear(config_.width(), config_.classes, /*with_bias=*/false);
  fc_.add_to(parameters_, "fc");
}

Classified Classifier::operator()(const at::Tensor& images) const {
  const std::int64_t side = config_.resolution;
  DIFFIT_CHECK(images.dim() == 4 && images.size(1) == side && images.size(2) == side &&
                   images.size(3) == config_.in_channels,
               "{} takes images [B, {}, {}, {}], got [{}]", config_.name, side, side, config_.in_channels,
               fmt::join(images.sizes(), ", "));
  at::Tensor map = stem_(images);
  for (const ClassifierStage& stage : stages_) {
    if (stage.down) map = (*stage.down)(map);
    for (const VaeResBlock& block : stage.blocks) map = block(map);
  }
  // The mean and the logits are computed in float32 or wider.
  const at::ScalarType precise = at::promote_types(map.scalar_type(), at::kFloat);
  const at::Tensor features = norm_(map, /*silu=*/true).to(precise).mean({1, 2});
  return {features, fc_(features).to(precise)};
}

}  // namespace diffit::nn
