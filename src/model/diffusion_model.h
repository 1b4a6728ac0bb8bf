// A diffusion model that is open for evaluation: one denoiser for image-space models (DiffiT and DDPM++) and
// latent models. What the network predicts and on which schedule is data of the model.
#pragma once

#include <memory>

#include "diffusion/parameterisation.h"
#include "model/model_file.h"
#include "nn/inference/latent_evaluator.h"
#include "runtime/runtime.h"

namespace diffit::model {

/// Not thread-safe: one evaluation at a time. Computes no gradients. Copies share the weights.
class DiffusionModel {
 public:
  /// Reads the weights to the runtime's device; its dtype is that of matrix products and convolutions.
  /// Throws Error(invalid) for a file that holds no diffusion model.
  DiffusionModel(const WeightsFile& file, const Runtime& runtime);

  const ModelConfig& config() const { return config_; }
  const Parameterisation& parameterisation() const { return parameterisation_; }
  bool is_latent() const { return latent_ != nullptr; }
  /// Of x: [channels, resolution, resolution].
  std::int64_t channels() const { return channels_; }
  std::int64_t resolution() const { return resolution_; }
  /// 0: unconditional. The label `classes()` is the null label.
  std::int64_t classes() const { return classes_; }

  /// D(x; sigma), the estimate of x_0 from x = x_0 + sigma n.
  ///   x [B, C, R, R] float32, sigma [B] float32 above 0, on any device
  ///   labels [B] int64 in 0..classes(), or undefined: the null label
  ///   augment_labels [B, augment_labels] float32, or undefined: zeros; image-space models only
  ///   raw: if not null, receives the output of the network, [B, C or 2C, R, R] float32
  /// Returns [B, C, R, R] float32 on the device of the model. A latent model is evaluated at the timestep
  /// whose noise level is nearest.
  at::Tensor denoise(const at::Tensor& x, const at::Tensor& sigma, const at::Tensor& labels,
                     const at::Tensor& augment_labels = {}, at::Tensor* raw = nullptr) const;

  /// The network alone; null for models of the other kind.
  const ImageDiffiT* image_network() const { return image_.get(); }
  LatentEvaluator* latent_network() const { return latent_.get(); }

 private:
  ModelConfig config_;
  Parameterisation parameterisation_;
  Runtime runtime_;
  std::int64_t channels_ = 0, resolution_ = 0, classes_ = 0;
  std::shared_ptr<ImageDiffiT> image_;
  std::shared_ptr<LatentEvaluator> latent_;
};

}  // namespace diffit::model
