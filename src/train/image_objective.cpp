// Image-space model trained with the EDM loss.

#include "diffusion/generate.h"
#include "diffusion/images.h"
#include "model/model_file.h"
#include "runtime/autocast.h"
#include "train/pixel_objective.h"

namespace diffit::training {

namespace {

/// Noise levels and noise of training images first .. first + B - 1, each from a random stream of its own.
struct TrainingNoise {
  at::Tensor sigma, n;  // [B], [B, R, R, C] with standard deviation sigma

  TrainingNoise(const NoiseDistribution& distribution, std::uint64_t seed, std::int64_t first,
                at::IntArrayRef shape)
      : sigma(at::empty({shape[0]}, at::kFloat)), n(at::empty(shape, at::kFloat)) {
    float* sigmas = sigma.mutable_data_ptr<float>();
    float* noise = n.mutable_data_ptr<float>();
    const std::int64_t numbers = n.numel() / shape[0];
    for_each_image(Purpose::training_noise, seed, first, shape[0], [&](std::int64_t i, Random& random) {
      sigmas[i] = static_cast<float>(distribution.sigma(random));
      const std::span image(noise + i * numbers, static_cast<std::size_t>(numbers));
      random.normal(image);
      for (float& value : image) value *= sigmas[i];
    });
  }
};

class ImageObjective : public PixelObjective {
 public:
  ImageObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset, at::Device device,
                 at::ScalarType dtype)
      : PixelObjective(recipe, std::move(dataset), device, dtype),
        model_(std::get<ImageConfig>(read_model_config(recipe_.model, "model"))) {
    initialise(model_.parameters(), seed());
    model_.set_checkpointing(recipe_.train.checkpointing);
  }

  const ParameterList& parameters() const override { return model_.parameters(); }

  at::Tensor loss() override {
    const ImageConfig& config = model_.config();
    const Batch& batch = next_batch();
    const auto size = static_cast<std::int64_t>(batch.labels.size());
    const std::vector<std::int64_t> shape{size, config.resolution, config.resolution, config.in_channels};

    const Parameterisation parameterisation = parameterisation_of(config);
    const TrainingNoise noise(
        {recipe_.loss.noise_mean, recipe_.loss.noise_deviation, parameterisation.schedule}, seed(),
        batch.first, shape);
    Condition condition{.dropout = {config.dropout, seed(), batch.first}};
    if (config.classes > 0) {
      condition.labels =
          training_labels(batch.labels, config.classes, recipe_.train.label_dropout, seed(), batch.first)
              .to(device_);
    }
    if (!batch.augment_labels.empty()) {
      condition.augment_labels =
          at::from_blob(const_cast<float*>(batch.augment_labels.data()), {size, kAugmentLabel}, at::kFloat)
              .to(device_);
    }
    const at::Tensor y = images_of(batch);
    const RawNetwork network = [&](const at::Tensor& x, const at::Tensor& c_noise) {
      const Autocast autocast(device_.type(), dtype_);
      return model_(x, c_noise, condition);
    };
    return edm_loss(network, parameterisation, y, noise.n.to(device_), noise.sigma.to(device_));
  }

  Image reals() const override {
    const std::int64_t side = dataset_->resolution();
    std::vector<Image> images;
    for (const std::int64_t index : shown()) {
      Image& p = images.emplace_back(Image{side, side, dataset_->channels(), {}});
      p.pixels.resize(static_cast<std::size_t>(side * side * p.channels));
      dataset_->read(index, p.pixels);
    }
    return images.empty() ? Image{} : grid(images, grid_columns(model_.config().classes));
  }

  Exhibit exhibit() const override {
    const auto network = std::make_shared<ImageDiffiT>(model_.config());
    return {network->parameters(), [this, network] { return samples(*network); },
            [this, network](std::int64_t count, std::int64_t steps, const auto& sink) {
              make(*network, count, steps, [&](const at::Tensor& made) { sink(to_pixels(made)); });
            }};
  }

  Metadata label_metadata() const override { return metadata_of_classes(model_.config().classes); }

  void save(const fs::path& path, const ParameterList& parameters, const Metadata& extra) const override {
    save_model(path, parameters, model_.config(), extra);
  }

 private:
  /// Generates samples [b, C, R, R] with seeds 0 .. count - 1, in order.
  void make(const ImageDiffiT& model, std::int64_t count, std::int64_t steps,
            const std::function<void(const at::Tensor&)>& sink) const {
    ImageRequest wanted;
    wanted.steps = steps > 0 ? steps : recipe_.sample.steps;
    wanted.dtype = dtype_;
    wanted.ask_for_first(count, model.config().classes);
    generate(model, wanted, [&](std::int64_t, const at::Tensor& samples) { sink(samples); });
  }

  Image samples(const ImageDiffiT& model) const {
    std::vector<Image> images;
    make(model, recipe_.sample.images, 0, [&](const at::Tensor& made) {
      for (Image& image : to_images(made)) images.push_back(std::move(image));
    });
    return grid(images, grid_columns(model.config().classes));
  }

  ImageDiffiT model_;
};

}  // namespace

std::unique_ptr<Objective> make_image_objective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                                                at::Device device, at::ScalarType dtype) {
  return std::make_unique<ImageObjective>(recipe, std::move(dataset), device, dtype);
}

}  // namespace diffit::training
