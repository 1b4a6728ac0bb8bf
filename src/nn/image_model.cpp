#include "nn/image_model.h"

#include "base/error.h"
#include "kernels/ops.h"
#include "nn/checkpointing.h"

namespace diffit {

namespace {

constexpr double kGroupNormEps = 1e-5;

std::int64_t groups_of(std::int64_t width) {
  return std::min<std::int64_t>(32, width / 4);
}

}  // namespace

ResBlock::ResBlock(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
                   double mlp_ratio)
    : norm_weight(at::empty({width}, at::kFloat)),
      norm_bias(at::empty({width}, at::kFloat)),
      conv(width, width, 3),
      block(width, time_width, heads, window, mlp_ratio),
      groups(groups_of(width)) {}

at::Tensor ResBlock::operator()(const at::Tensor& x, const at::Tensor& time) const {
  return block(conv(group_norm(x, groups, norm_weight, norm_bias, kGroupNormEps, /*silu=*/true)), time) + x;
}

void ResBlock::add_to(ParameterList& list, const std::string& prefix) const {
  list.add(prefix + ".norm.weight", norm_weight, Start::one);
  list.add(prefix + ".norm.bias", norm_bias, Start::zero);
  conv.add_to(list, prefix + ".conv");
  block.add_to(list, prefix + ".block");
}

ImageDiffiT::ImageDiffiT(const ImageConfig& config) : config_(config) {
  check_config(config_, "model");
  const auto& width = config_.channels;
  const std::int64_t last = config_.stages() - 1, time_width = config_.time_width();

  tokenizer_ = Conv2d(config_.in_channels, width[0], 3);
  t_embedder_ = TimeEmbedder(time_width);
  if (config_.classes > 0) y_embedder_ = LabelEmbedder(config_.classes, time_width);
  if (config_.augment_labels > 0) augment_embedder_ = Linear(config_.augment_labels, time_width, false);

  const auto make_stage = [&](std::int64_t i) {
    Stage stage;
    const auto s = static_cast<std::size_t>(i);
    for (std::int64_t k = 0; k < config_.depth[s]; ++k) {
      stage.blocks.emplace_back(width[s], time_width, config_.heads_of(i), config_.window_of(i),
                                config_.mlp_ratio);
    }
    return stage;
  };
  for (std::int64_t i = 0; i <= last; ++i) {
    encoder_.push_back(make_stage(i));
    const auto s = static_cast<std::size_t>(i);
    if (i < last) encoder_.back().down = Conv2d(width[s], width[s + 1], 3, 2);
  }
  for (std::int64_t i = 0; i < last; ++i) {
    decoder_.push_back(make_stage(i));
    const auto s = static_cast<std::size_t>(i);
    decoder_.back().up = Conv2d(width[s + 1], width[s], 3);
    decoder_.back().fuse = Conv2d(2 * width[s], width[s], 1);
  }
  head_groups_ = groups_of(width[0]);
  head_norm_weight_ = at::empty({width[0]}, at::kFloat);
  head_norm_bias_ = at::empty({width[0]}, at::kFloat);
  head_conv_ = Conv2d(width[0], config_.in_channels, 3);

  tokenizer_.add_to(parameters_, "tokenizer");
  t_embedder_.add_to(parameters_, "t_embedder");
  if (config_.classes > 0) y_embedder_.add_to(parameters_, "y_embedder");
  if (config_.augment_labels > 0) augment_embedder_.add_to(parameters_, "augment_embedder", Start::zero);
  const auto add_stage = [&](const Stage& stage, const std::string& prefix) {
    if (stage.up.weight.defined()) {
      stage.up.add_to(parameters_, prefix + ".up");
      stage.fuse.add_to(parameters_, prefix + ".fuse");
    }
    for (std::size_t k = 0; k < stage.blocks.size(); ++k) {
      stage.blocks[k].add_to(parameters_, fmt::format("{}.blocks.{}", prefix, k));
    }
    if (stage.down.weight.defined()) stage.down.add_to(parameters_, prefix + ".down");
  };
  for (std::size_t i = 0; i < encoder_.size(); ++i) add_stage(encoder_[i], fmt::format("encoder.{}", i));
  for (std::size_t i = 0; i < decoder_.size(); ++i) add_stage(decoder_[i], fmt::format("decoder.{}", i));
  parameters_.add("head.norm.weight", head_norm_weight_, Start::one);
  parameters_.add("head.norm.bias", head_norm_bias_, Start::zero);
  head_conv_.add_to(parameters_, "head.conv", Start::zero);
}

at::Tensor ImageDiffiT::run(const ResBlock& block, const at::Tensor& x, const at::Tensor& time) const {
  if (!checkpointing_ || !at::GradMode::is_enabled()) return block(x, time);
  return checkpoint([&block](const at::Tensor& a, const at::Tensor& b) { return block(a, b); }, x, time);
}

at::Tensor ImageDiffiT::operator()(const at::Tensor& x, const at::Tensor& c_noise,
                                   const Condition& condition) const {
  at::Tensor time = t_embedder_(c_noise);
  if (condition.labels.defined()) time = time + y_embedder_(condition.labels);
  if (condition.augment_labels.defined()) time = time + augment_embedder_(condition.augment_labels);

  at::Tensor map = tokenizer_(x);
  std::vector<at::Tensor> skips;
  for (const Stage& stage : encoder_) {
    for (const ResBlock& block : stage.blocks) map = run(block, map, time);
    if (stage.down.weight.defined()) {
      skips.push_back(map);
      map = stage.down(map);
    }
  }
  for (std::size_t i = decoder_.size(); i-- > 0;) {
    const Stage& stage = decoder_[i];
    map = stage.fuse(at::cat({stage.up(upsample2(map)), skips[i]}, -1));
    for (const ResBlock& block : stage.blocks) map = run(block, map, time);
  }
  return head_conv_(
      group_norm(map, head_groups_, head_norm_weight_, head_norm_bias_, kGroupNormEps, /*silu=*/false));
}

}  // namespace diffit
