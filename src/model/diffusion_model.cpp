#include "model/diffusion_model.h"

#include "diffusion/generate.h"
#include "runtime/autocast.h"

namespace diffit::model {

DiffusionModel::DiffusionModel(const WeightsFile& file, const Runtime& runtime)
    : config_(config_of(file)), runtime_(runtime) {
  if (const auto* config = std::get_if<LatentConfig>(&config_)) {
    parameterisation_ = parameterisation_of(*config);
    channels_ = config->in_channels;
    resolution_ = config->input_size;
    classes_ = config->classes;
    check_size(file, config_);
    latent_ = std::make_shared<LatentEvaluator>(*config, file.tensors(), file.path().string(), runtime.dtype,
                                                runtime.device,
                                                [&file](const TensorView& view) { file.done_with(view); });
  } else {
    const auto& image = std::get<ImageConfig>(config_);
    parameterisation_ = parameterisation_of(image);
    channels_ = image.in_channels;
    resolution_ = image.resolution;
    classes_ = image.classes;
    image_ = std::make_shared<ImageDiffiT>(std::get<ImageDiffiT>(load_model(file, runtime.device)));
  }
}

at::Tensor DiffusionModel::denoise(const at::Tensor& x, const at::Tensor& sigma, const at::Tensor& labels,
                                   const at::Tensor& augment_labels, at::Tensor* raw) const {
  const at::NoGradGuard no_grad;
  const at::Tensor input = x.to(runtime_.device), levels = sigma.to(runtime_.device);
  at::Tensor given = labels;
  if (!given.defined() && (latent_ || classes_ > 0))
    given = at::full({x.size(0)}, classes_, at::TensorOptions(at::kLong));
  if (given.defined()) given = given.to(runtime_.device);
  if (image_) {
    Condition condition;
    condition.labels = given;
    if (augment_labels.defined()) condition.augment_labels = augment_labels.to(runtime_.device);
    const Autocast autocast(runtime_.device.type(), runtime_.dtype);
    return denoise_images(*image_, input, levels, condition, raw).to(at::kFloat);
  }
  const RawNetwork network = [&](const at::Tensor& scaled, const at::Tensor& timestep) {
    const at::Tensor output = (*latent_)(scaled, timestep, given);
    if (raw != nullptr) *raw = output;
    return output.narrow(1, 0, channels_);
  };
  return denoised(network, parameterisation_, input, levels);
}

}  // namespace diffit::model
