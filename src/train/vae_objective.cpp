// The autoencoder: reconstruction, and a weakly regularised posterior.
#include <cmath>

#include "diffusion/pictures.h"
#include "kernels/autocast.h"
#include "train/encode_latents.h"
#include "train/objective.h"
#include "train/vae_file.h"
#include "train/vae_loss.h"

namespace diffit {

namespace {

/// Pictures from which the scale of the latents is measured whenever weights are written.
constexpr std::int64_t kScalePictures = 1000;

void copy_weights(const ParameterList& from, const ParameterList& to) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < from.items().size(); ++i) to.items()[i].tensor.copy_(from.items()[i].tensor);
}

class VaeObjective : public Objective {
 public:
  VaeObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset, at::Device device,
               at::ScalarType dtype)
      : recipe_(recipe),
        dataset_(std::move(dataset)),
        device_(device),
        dtype_(dtype),
        vae_(read_vae_config(recipe_.model, "model")) {
    initialise(vae_.parameters(), seed());
  }

  const ParameterList& parameters() const override { return vae_.parameters(); }

  void seek(std::int64_t images) override {
    next_image_ = images;
    loader_.reset();
  }

  at::Tensor loss() override {
    const Batch& batch = next_batch();
    const auto size = static_cast<std::int64_t>(batch.labels.size());
    const std::int64_t side = dataset_->resolution();
    const at::Tensor x = at::from_blob(const_cast<float*>(batch.pictures.data()),
                                       {size, side, side, vae_.config().in_channels}, at::kFloat)
                             .to(device_)
                             .permute({0, 3, 1, 2});
    const Autocast autocast(device_.type(), dtype_);
    const at::Tensor moments = vae_.encode(x).to(at::kFloat);
    const at::Tensor z = posterior_sample(moments, posterior_noise(moments, batch.first));
    const at::Tensor reconstruction = vae_.decode(z).to(at::kFloat);
    return vae_loss(x, reconstruction, moments, recipe_.loss.l2_weight, recipe_.loss.kl_weight).all;
  }

  Picture reals() const override { return {}; }  // each stands in the grid, beside its reconstruction

  Exhibit exhibit() const override {
    const auto vae = std::make_shared<Vae>(vae_.config());
    return {vae->parameters(), [this, vae] { return reconstructions(*vae); }};
  }

  /// With the scale that gives these weights' latents a deviation of 1.
  void save(const fs::path& path, const ParameterList& parameters, const Metadata& extra) const override {
    const Vae plain(vae_.config());
    copy_weights(parameters, plain.parameters());
    VaeConfig config = vae_.config();
    config.scale = measured_scale(*dataset_, plain, kScalePictures, at::kCPU);
    const Vae scaled(config);
    copy_weights(parameters, scaled.parameters());
    save_vae(path, scaled, extra);
  }

 private:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(recipe_.train.seed); }

  const Batch& next_batch() {
    if (!loader_) {
      loader_ = std::make_unique<Loader>(dataset_, Augmentation{.flip = recipe_.data.flip}, seed(),
                                         recipe_.train.microbatch, next_image_,
                                         static_cast<int>(recipe_.data.threads));
    }
    loader_->next(batch_);
    return batch_;
  }

  /// [B, L, h, w] for moments [B, 2L, h, w] of images first .. first + B - 1.
  at::Tensor posterior_noise(const at::Tensor& moments, std::int64_t first) const {
    const std::int64_t size = moments.size(0);
    const at::Tensor e = at::empty({size, moments.size(1) / 2, moments.size(2), moments.size(3)}, at::kFloat);
    fill_normal(e, Purpose::posterior, seed(), first);
    return e.to(device_);
  }

  Picture reconstructions(const Vae& vae) const {
    const at::NoGradGuard no_grad;
    const std::vector<std::int64_t> shown =
        shown_pictures(dataset_->size(), dataset_->classes(), recipe_.sample.pictures,
                       [this](std::int64_t i) { return dataset_->label(i); });
    std::vector<Picture> pictures;
    for (const std::int64_t index : shown) {
      const at::Tensor x = read_pictures(*dataset_, std::span(&index, 1), vae.config().in_channels);
      const at::Tensor mean = vae.encode(x).chunk(2, 1)[0];
      for (const at::Tensor& picture : {x, vae.decode(mean)}) {
        pictures.push_back(std::move(to_pictures(picture)[0]));
      }
    }
    const double side = std::sqrt(static_cast<double>(shown.size()) / 2);
    return grid(pictures, 2 * std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(side))));
  }

  Recipe recipe_;
  std::shared_ptr<const Dataset> dataset_;
  at::Device device_;
  at::ScalarType dtype_;
  Vae vae_;
  std::int64_t next_image_ = 0;
  std::unique_ptr<Loader> loader_;
  Batch batch_;
};

}  // namespace

std::unique_ptr<Objective> make_vae_objective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                                              at::Device device, at::ScalarType dtype) {
  return std::make_unique<VaeObjective>(recipe, std::move(dataset), device, dtype);
}

}  // namespace diffit
