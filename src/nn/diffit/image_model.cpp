#include "nn/diffit/image_model.h"

#include "base/error.h"
#include "nn/diffit/unet_backbone.h"
#include "nn/diffit/vit_backbone.h"
#include "nn/unet/ddpmpp.h"

namespace diffit::nn {

std::unique_ptr<Backbone> make_backbone(const ImageConfig& config) {
  if (config.encoder == Encoder::ddpmpp) return std::make_unique<DdpmPlusPlus>(config);
  if (config.encoder == Encoder::vit) return std::make_unique<VitBackbone>(config);
  return std::make_unique<UnetBackbone>(config);
}

ImageDiffiT::ImageDiffiT(const ImageConfig& config) : config_(config) {
  check_config(config_, "model");
  const std::int64_t time_width = config_.time_width();
  if (config_.time != TimePath::none) t_embedder_ = TimeEmbedder(time_width, config_.time_embedding);
  if (config_.classes > 0) y_embedder_ = LabelEmbedder(config_.classes, time_width);
  if (config_.augment_labels > 0) augment_embedder_ = Linear(config_.augment_labels, time_width, false);
  backbone_ = make_backbone(config_);

  backbone_->add_input_to(parameters_);
  if (t_embedder_) t_embedder_->add_to(parameters_, "t_embedder");
  if (y_embedder_) y_embedder_->add_to(parameters_, "y_embedder");
  if (augment_embedder_) augment_embedder_->add_to(parameters_, "augment_embedder", Initializer::zero);
  backbone_->add_to(parameters_);
}

at::Tensor ImageDiffiT::time_token(const at::Tensor& c_noise, const Condition& condition) const {
  if (!t_embedder_) return at::zeros({c_noise.size(0), config_.time_width()}, c_noise.options());
  at::Tensor time = (*t_embedder_)(c_noise);
  if (condition.labels.defined()) {
    DIFFIT_CHECK(y_embedder_.has_value(), "labels were given, but the model has no classes");
    time = time + (*y_embedder_)(condition.labels);
  }
  if (condition.augment_labels.defined()) {
    DIFFIT_CHECK(augment_embedder_.has_value(),
                 "augmentation labels were given, but the model has none (augment_labels = 0)");
    time = time + (*augment_embedder_)(condition.augment_labels);
  }
  return time;
}

at::Tensor ImageDiffiT::operator()(const at::Tensor& x, const at::Tensor& c_noise,
                                   const Condition& condition) const {
  const RunOptions options{
      .dropout = condition.dropout, .checkpointing = checkpointing_, .observer = observer_};
  return (*backbone_)(x, time_token(c_noise, condition), options);
}

}  // namespace diffit::nn
