// Autoencoder trained for reconstruction with a weakly regularized posterior.
#include <cmath>

#include "diffusion/images.h"
#include "model/vae_file.h"
#include "runtime/autocast.h"
#include "train/dataset_images.h"
#include "train/encode_latents.h"
#include "train/pixel_objective.h"
#include "train/vae_loss.h"

namespace diffit::training {

namespace {

/// Number of images from which the scale of the latents is measured whenever weights are saved.
constexpr std::int64_t kScaleImages = 1000;

void copy_weights(const ParameterList& from, const ParameterList& to) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < from.items().size(); ++i) to.items()[i].tensor.copy_(from.items()[i].tensor);
}

class VaeObjective : public PixelObjective {
 public:
  VaeObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset, at::Device device,
               at::ScalarType dtype)
      : PixelObjective(recipe, std::move(dataset), device, dtype),
        vae_(read_vae_config(recipe_.model, "model")) {
    initialise(vae_.parameters(), seed());
  }

  const ParameterList& parameters() const override { return vae_.parameters(); }

  using Objective::loss;

  /// Images [B, R, R, C] and noise of the posterior [B, L, h, w].
  Inputs next_inputs() override {
    const Batch& batch = next_batch();
    const at::Tensor images = images_of(batch);
    return {images, posterior_noise(images, batch.first)};
  }

  at::Tensor loss(const Inputs& inputs) override {
    const at::Tensor x = inputs[0].permute({0, 3, 1, 2});
    const Autocast autocast(device_.type(), dtype_);
    const at::Tensor moments = vae_.encode(x).to(at::kFloat);
    const at::Tensor z = posterior_sample(moments, inputs[1]);
    const at::Tensor reconstruction = vae_.decode(z).to(at::kFloat);
    return vae_loss(x, reconstruction, moments, recipe_.loss.l2_weight, recipe_.loss.kl_weight).all;
  }

  Image reals() const override { return {}; }  // each image is in the grid, next to its reconstruction

  Exhibit exhibit() const override {
    const auto vae = std::make_shared<Vae>(vae_.config());
    return {vae->parameters(), [this, vae] { return reconstructions(*vae); }};
  }

  /// Stores the scale that gives the latents of these weights a standard deviation of 1.
  void save(const fs::path& path, const ParameterList& parameters, const Metadata& extra) const override {
    const Vae plain(vae_.config());
    copy_weights(parameters, plain.parameters());
    VaeConfig config = vae_.config();
    config.scale = measured_scale(*dataset_, plain, kScaleImages, at::kCPU);
    const Vae scaled(config);
    copy_weights(parameters, scaled.parameters());
    save_vae(path, scaled, extra);
  }

 private:
  /// Noise [B, L, h, w] for the latents of images [B, R, R, C] first .. first + B - 1.
  at::Tensor posterior_noise(const at::Tensor& images, std::int64_t first) const {
    const VaeConfig& config = vae_.config();
    const at::Tensor e = at::empty({images.size(0), config.latent_channels, images.size(1) / config.factor(),
                                    images.size(2) / config.factor()},
                                   at::kFloat);
    fill_normal(e, Purpose::posterior, seed(), first);
    return e;
  }

  Image reconstructions(const Vae& vae) const {
    const at::NoGradGuard no_grad;
    const std::vector<std::int64_t> numbers = shown();
    std::vector<Image> images;
    for (const std::int64_t index : numbers) {
      const at::Tensor x = read_images(*dataset_, std::span(&index, 1), vae.config().in_channels);
      const at::Tensor mean = vae.encode(x).chunk(2, 1)[0];
      for (const at::Tensor& image : {x, vae.decode(mean)}) {
        images.push_back(std::move(to_images(image)[0]));
      }
    }
    const double side = std::sqrt(static_cast<double>(numbers.size()) / 2);
    return grid(images, 2 * std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(side))));
  }

  Vae vae_;
};

}  // namespace

std::unique_ptr<Objective> make_vae_objective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                                              at::Device device, at::ScalarType dtype) {
  return std::make_unique<VaeObjective>(recipe, std::move(dataset), device, dtype);
}

}  // namespace diffit::training
