#include "nn/diffit/image_model.h"

#include "base/error.h"
#include "kernels/ops.h"
#include "nn/layers/checkpointing.h"

namespace diffit::nn {

ImageDiffiT::ImageDiffiT(const ImageConfig& config) : config_(config) {
  check_config(config_, "model");
  path_ = config_.time;
  encoder_kind_ = config_.encoder;
  decoder_kind_ = config_.decoder;
  const std::int64_t time_width = config_.time_width();

  if (path_ != TimePath::none) {
    t_embedder_ = TimeEmbedder(time_width, config_.time_embedding);
  }
  if (config_.classes > 0) y_embedder_ = LabelEmbedder(config_.classes, time_width);
  if (config_.augment_labels > 0) augment_embedder_ = Linear(config_.augment_labels, time_width, false);
  if (config_.is_ddpmpp()) {
    ddpmpp_.emplace(config_);
  } else {
    make_encoder();
    make_decoder();
    head_norm_ = GroupNorm(config_.channels.front(), groups_of(config_.channels.front()), kGroupNormEps);
    head_conv_ = Conv2d(config_.channels.front(), config_.in_channels, 3);
  }
  std::int64_t place = 0;
  for (std::vector<Stage>* side : {&encoder_, &decoder_}) {
    for (Stage& stage : *side) {
      stage.first_place = place;
      place += static_cast<std::int64_t>(stage.blocks.size());
    }
  }
  list_parameters();
}

Stage ImageDiffiT::make_stage(std::int64_t stage, std::int64_t blocks, const std::string& name,
                              bool diffit) const {
  Stage made;
  made.name = name;
  for (std::int64_t k = 0; k < blocks; ++k) {
    made.blocks.emplace_back(config_.channels[static_cast<std::size_t>(stage)], config_.time_width(),
                             config_.heads_of(stage), config_.window_of(stage), config_.mlp_ratio,
                             diffit ? path_ : TimePath::tokens, /*convolution=*/diffit);
  }
  return made;
}

void ImageDiffiT::make_encoder() {
  const auto& width = config_.channels;
  const std::int64_t last = config_.stages() - 1;
  if (encoder_kind_ == Encoder::vit) {
    patches_ = PatchEmbedding(config_.in_channels, width.back(), std::int64_t{1} << last,
                              config_.resolution_of(last));
    encoder_.push_back(make_stage(last, config_.vit_depth(), "encoder.0", /*diffit=*/false));
    return;
  }
  tokenizer_ = Conv2d(config_.in_channels, width[0], 3);
  for (std::int64_t i = 0; i <= last; ++i) {
    const auto s = static_cast<std::size_t>(i);
    encoder_.push_back(
        make_stage(i, config_.depth[s], fmt::format("encoder.{}", i), encoder_kind_ == Encoder::diffit));
    if (i < last) encoder_.back().down = Down(width[s], width[s + 1], config_.sampling);
  }
}

void ImageDiffiT::make_decoder() {
  const auto& width = config_.channels;
  if (decoder_kind_ == Decoder::setr_mla) {
    const bool vit = encoder_kind_ == Encoder::vit;
    mla_ = MlaDecoder(vit ? std::vector(width.size(), width.back()) : width, width.front(),
                      vit ? std::int64_t{1} << (config_.stages() - 1) : 1);
    return;
  }
  for (std::int64_t i = 0; i + 1 < config_.stages(); ++i) {
    const auto s = static_cast<std::size_t>(i);
    decoder_.push_back(
        make_stage(i, config_.depth[s], fmt::format("decoder.{}", i), decoder_kind_ == Decoder::diffit));
    decoder_.back().up = Up(width[s + 1], width[s], config_.sampling);
    decoder_.back().fuse = Conv2d(2 * width[s], width[s], 1);
  }
}

void ImageDiffiT::list_parameters() {
  if (tokenizer_.weight.defined()) tokenizer_.add_to(parameters_, "tokenizer");
  if (patches_.position.defined()) patches_.add_to(parameters_, "patches");
  if (path_ != TimePath::none) t_embedder_.add_to(parameters_, "t_embedder");
  if (config_.classes > 0) y_embedder_.add_to(parameters_, "y_embedder");
  if (config_.augment_labels > 0)
    augment_embedder_.add_to(parameters_, "augment_embedder", Initializer::zero);
  if (ddpmpp_) return ddpmpp_->add_to(parameters_);
  for (const Stage& stage : encoder_) stage.add_to(parameters_);
  for (const Stage& stage : decoder_) stage.add_to(parameters_);
  if (decoder_kind_ == Decoder::setr_mla) mla_.add_to(parameters_, "decoder");
  head_norm_.add_to(parameters_, "head.norm");
  head_conv_.add_to(parameters_, "head.conv", Initializer::zero);
}

at::Tensor ImageDiffiT::run(const Stage& stage, std::size_t k, const at::Tensor& x, const at::Tensor& time,
                            const Dropout& dropout) const {
  const ResBlock& block = stage.blocks[k];
  Dropout here = dropout;
  here.place = stage.first_place + static_cast<std::int64_t>(k);
  if (observer_) {
    const at::Tensor map = block.convolved(x, time, here);
    observer_({fmt::format("{}.blocks.{}", stage.name, k), block.block.attn.window, time,
               [&](const at::Tensor& token) { return block.block.attention_parts(map, token); }});
  }
  if (!checkpointing_ || !at::GradMode::is_enabled()) return block(x, time, here);
  return checkpoint([&block, here](const at::Tensor& a, const at::Tensor& b) { return block(a, b, here); }, x,
                    time);
}

at::Tensor ImageDiffiT::run(const Stage& stage, at::Tensor map, const at::Tensor& time,
                            const Dropout& dropout) const {
  for (std::size_t k = 0; k < stage.blocks.size(); ++k) map = run(stage, k, map, time, dropout);
  return map;
}

at::Tensor ImageDiffiT::time_token(const at::Tensor& c_noise, const Condition& condition) const {
  if (path_ == TimePath::none) return at::zeros({c_noise.size(0), config_.time_width()}, c_noise.options());
  at::Tensor time = t_embedder_(c_noise);
  if (condition.labels.defined()) time = time + y_embedder_(condition.labels);
  if (condition.augment_labels.defined()) time = time + augment_embedder_(condition.augment_labels);
  return time;
}

std::vector<at::Tensor> ImageDiffiT::encode(const at::Tensor& x, const at::Tensor& time,
                                            const Dropout& dropout) const {
  std::vector<at::Tensor> levels;
  if (encoder_kind_ == Encoder::vit) {
    const std::size_t count = encoder_.front().blocks.size(), wanted = config_.channels.size();
    at::Tensor map = patches_(x);
    for (std::size_t k = 0; k < count; ++k) {
      map = run(encoder_.front(), k, map, time, dropout);
      // The levels are equally spaced; the last one follows the last block.
      if (k + 1 == (levels.size() + 1) * count / wanted) levels.push_back(map);
    }
    return levels;
  }
  at::Tensor map = tokenizer_(x);
  for (const Stage& stage : encoder_) {
    map = run(stage, std::move(map), time, dropout);
    levels.push_back(map);
    if (stage.down.defined()) map = stage.down(map);
  }
  return levels;
}

at::Tensor ImageDiffiT::decode(const std::vector<at::Tensor>& levels, const at::Tensor& time,
                               const Dropout& dropout) const {
  if (decoder_kind_ == Decoder::setr_mla) return mla_(levels, config_.resolution);
  at::Tensor map = levels.back();
  for (std::size_t i = decoder_.size(); i-- > 0;) {
    const Stage& stage = decoder_[i];
    map = run(stage, stage.fuse(at::cat({stage.up(map), levels[i]}, -1)), time, dropout);
  }
  return map;
}

at::Tensor ImageDiffiT::operator()(const at::Tensor& x, const at::Tensor& c_noise,
                                   const Condition& condition) const {
  const at::Tensor time = time_token(c_noise, condition);
  if (ddpmpp_) return (*ddpmpp_)(x, time, condition.dropout, checkpointing_, observer_);
  const at::Tensor map = decode(encode(x, time, condition.dropout), time, condition.dropout);
  return head_conv_(head_norm_(map, /*silu=*/false));
}

}  // namespace diffit::nn
