// Image-space model trained with the EDM loss.

#include "diffusion/generate.h"
#include "diffusion/images.h"
#include "kernels/device_noise.h"
#include "model/model_file.h"
#include "runtime/autocast.h"
#include "train/pixel_objective.h"

namespace diffit::training {

namespace {

/// Draws the standard deviation of the noise of training images first .. first + B - 1, [B], each from a
/// random stream of its own, which `rest` may go on with.
at::Tensor draw_sigmas(const NoiseDistribution& distribution, std::uint64_t seed, std::int64_t first,
                       std::int64_t count,
                       const std::function<void(std::int64_t i, float sigma, Random&)>& rest) {
  const at::Tensor sigma = at::empty({count}, at::kFloat);
  float* const sigmas = sigma.mutable_data_ptr<float>();
  for_each_image(Purpose::training_noise, seed, first, count, [&](std::int64_t i, Random& random) {
    sigmas[i] = static_cast<float>(distribution.sigma(random));
    rest(i, sigmas[i], random);
  });
  return sigma;
}

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

  using Objective::loss;

  /// Images y [B, R, R, C], noise n [B, R, R, C], its standard deviation sigma [B], then labels [B] of models
  /// with classes and augmentation labels [B, 9] of augmented images.
  Inputs next_inputs() override {
    const ImageConfig& config = model_.config();
    const Batch& batch = next_batch();
    first_image_ = batch.first;
    const auto size = static_cast<std::int64_t>(batch.labels.size());
    const std::vector<std::int64_t> shape{size, config.resolution, config.resolution, config.in_channels};

    const NoiseDistribution distribution{recipe_.loss.noise_mean, recipe_.loss.noise_deviation,
                                         parameterisation_of(config).schedule};
    Inputs inputs{images_of(batch)};
    if (makes_noise()) {
      inputs.push_back(at::full({}, batch.first, at::kLong));
      inputs.push_back(draw_sigmas(distribution, seed(), batch.first, size, [](auto&&...) {}));
    } else {
      const at::Tensor n = at::empty(shape, at::kFloat);
      float* const noise = n.mutable_data_ptr<float>();
      const std::int64_t numbers = n.numel() / size;
      inputs.push_back(n);
      inputs.push_back(draw_sigmas(
          distribution, seed(), batch.first, size, [&](std::int64_t i, float sigma, Random& random) {
            const std::span image(noise + i * numbers, static_cast<std::size_t>(numbers));
            random.normal(image);
            for (float& value : image) value *= sigma;
          }));
    }
    if (config.classes > 0) {
      inputs.push_back(
          training_labels(batch.labels, config.classes, recipe_.train.label_dropout, seed(), batch.first));
    }
    if (!batch.augment_labels.empty()) {
      inputs.push_back(
          at::from_blob(const_cast<float*>(batch.augment_labels.data()), {size, kAugmentLabel}, at::kFloat));
    }
    return inputs;
  }

  at::Tensor loss(const Inputs& inputs) override {
    const ImageConfig& config = model_.config();
    Condition condition{.dropout = {config.dropout, seed(), first_image_}};
    auto next = inputs.begin() + 3;
    if (config.classes > 0) condition.labels = *next++;
    if (next != inputs.end()) condition.augment_labels = *next++;
    const RawNetwork network = [&](const at::Tensor& x, const at::Tensor& c_noise) {
      const Autocast autocast(device_.type(), dtype_);
      return model_(x, c_noise, condition);
    };
    const Parameterisation parameterisation = parameterisation_of(config);
    const at::Tensor &y = inputs[0], &sigma = inputs[2];
    if (!makes_noise()) return edm_loss(network, parameterisation, y, inputs[1], sigma);
    const DrawnBefore before =
        parameterisation.schedule == Schedule::edm ? DrawnBefore::normal : DrawnBefore::uniform;
    const at::Tensor n = device_noise(y.sizes(), seed(), Purpose::training_noise, inputs[1], sigma, before);
    return edm_loss(network, parameterisation, y, n, sigma);
  }

  /// The masks of dropout are drawn by the number of the image.
  bool is_function_of_inputs() const override { return model_.config().dropout == 0; }

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

  /// vp_linear draws its noise level from a number of words that is not known in advance.
  bool makes_noise() const {
    return has_device_noise(device_) && parameterisation_of(model_.config()).schedule != Schedule::vp_linear;
  }

  ImageDiffiT model_;
  std::int64_t first_image_ = 0;  // of the last inputs
};

}  // namespace

std::unique_ptr<Objective> make_image_objective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                                                at::Device device, at::ScalarType dtype) {
  return std::make_unique<ImageObjective>(recipe, std::move(dataset), device, dtype);
}

}  // namespace diffit::training
