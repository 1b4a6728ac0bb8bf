#include "train/plan.h"

#include <algorithm>

#include "nn/vae/vae_structure.h"

namespace diffit::training {

namespace {

/// Number of values kept per image with checkpointed blocks: the inputs of the blocks, and the inner
/// activations of the block being recomputed.
double kept_with_checkpointing(const ImageConfig& config) {
  double inputs = 0, largest_block = 0;
  for (std::int64_t i = 0; i < config.stages(); ++i) {
    const auto s = static_cast<std::size_t>(i);
    if (config.depth[s] == 0) continue;
    const double side = static_cast<double>(config.resolution_of(i));
    const double sides = i + 1 < config.stages() ? 2 : 1;
    inputs += sides * static_cast<double>(config.depth[s] * config.channels[s]) * side * side;
    for (const PartCost& part : cost_of(config)) {
      if (part.part != fmt::format("encoder.{}", i)) continue;
      largest_block = std::max(largest_block, part.activations / static_cast<double>(config.depth[s]));
    }
  }
  return inputs + largest_block;
}

double kept_with_checkpointing(const LatentConfig& config) {
  const auto tokens = static_cast<double>(config.grid() * config.grid());
  double kept = static_cast<double>(config.depth * config.hidden) * tokens;
  for (const PartCost& part : cost_of(config)) {
    const bool blocks = part.part == "blocks" && config.depth > 0;
    kept += blocks ? part.activations / static_cast<double>(config.depth) : part.activations;
  }
  return kept;
}

std::vector<PartCost> parts_of(const Recipe& recipe, std::int64_t resolution) {
  switch (recipe.kind()) {
    case ModelKind::vae:
      return cost_of(read_vae_config(recipe.model, "model"), resolution);
    case ModelKind::classifier:
      return cost_of(read_classifier_config(recipe.model, "model"));
    case ModelKind::image:
    case ModelKind::latent:
      break;
  }
  return cost_of(read_model_config(recipe.model, "model"));
}

}  // namespace

TrainingPlan plan_training(const Recipe& recipe, std::int64_t resolution, int element_bytes) {
  TrainingPlan plan;
  plan.network = total(parts_of(recipe, resolution));
  const double macs = plan.network.layer_macs + plan.network.attention_macs;
  const auto images = static_cast<double>(recipe.train.images);
  plan.flops_per_image = (recipe.train.checkpointing ? 4 : 3) * 2 * macs;
  plan.flops = plan.flops_per_image * images;
  plan.steps = (recipe.train.images + recipe.train.batch - 1) / recipe.train.batch;

  const double weights = static_cast<double>(plan.network.parameters) * 4;
  const auto averages = static_cast<double>(1 + recipe.ema.power.size());
  plan.weights_bytes = weights * (4 + averages);
  plan.snapshot_bytes = weights * (1 + averages);
  plan.state_bytes = weights * (3 + averages);
  plan.snapshots = 1;
  if (recipe.train.snapshot_images > 0) {
    plan.snapshots = (recipe.train.images + recipe.train.snapshot_images - 1) / recipe.train.snapshot_images;
  }

  double kept = plan.network.activations;
  if (recipe.train.checkpointing) {
    kept = std::min(kept, std::visit([](const auto& c) { return kept_with_checkpointing(c); },
                                     read_model_config(recipe.model, "model")));
  }
  plan.activations_bytes = kept * static_cast<double>(recipe.train.microbatch) * element_bytes;
  return plan;
}

}  // namespace diffit::training
