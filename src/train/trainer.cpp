#include "train/trainer.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "base/error.h"
#include "diffusion/edm.h"
#include "kernels/autocast.h"

namespace diffit {

Trainer::Trainer(const Recipe& recipe, std::shared_ptr<const Dataset> dataset, at::Device device,
                 at::ScalarType dtype)
    : recipe_(recipe), dataset_(std::move(dataset)), device_(device), dtype_(dtype) {
  const auto config = std::get<ImageConfig>(read_model_config(recipe_.model, "model"));
  model_ = std::make_unique<ImageDiffiT>(config);
  initialise(model_->parameters(), static_cast<std::uint64_t>(recipe_.train.seed));
  model_->set_checkpointing(recipe_.train.checkpointing);
  for (const Parameter& p : model_->parameters()) {
    if (device_.type() != at::kCPU) const_cast<at::Tensor&>(p.tensor).set_data(p.tensor.to(device_));
    p.tensor.set_requires_grad(p.trained());
  }
  optimiser_ = std::make_unique<Optimiser>(recipe_.optimiser, model_->parameters().trained());
  emas_ = make_emas(recipe_.ema, model_->parameters());
}

const Batch& Trainer::next_batch() {
  if (!loader_) {
    loader_ =
        std::make_unique<Loader>(dataset_, Augmentation{recipe_.data.flip, recipe_.data.augment},
                                 static_cast<std::uint64_t>(recipe_.train.seed), recipe_.train.microbatch,
                                 images_, static_cast<int>(recipe_.data.threads));
  }
  loader_->next(batch_);
  return batch_;
}

StepResult Trainer::step() {
  StepResult result;
  result.lr = learning_rate(recipe_.optimiser, static_cast<double>(images_),
                            static_cast<double>(recipe_.train.images));
  optimiser_->clear_gradients();
  for (std::int64_t pass = 0; pass < recipe_.train.passes(); ++pass) result.loss += accumulate(next_batch());
  result.gradient_norm = optimiser_->gradient_norm();
  images_ += recipe_.train.batch;

  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
  if (result.skipped) {
    ++skipped_;
    ++skipped_in_a_row_;
    return result;
  }
  skipped_in_a_row_ = 0;
  optimiser_->clip(result.gradient_norm);
  optimiser_->step(result.lr);
  for (Ema& ema : emas_) ema.update(static_cast<double>(images_), static_cast<double>(recipe_.train.batch));
  return result;
}

namespace {

/// sigma and noise of training images first .. first + B - 1, each from numbers of its own.
struct TrainingNoise {
  at::Tensor sigma, n;  // [B], [B, R, R, C] of deviation sigma

  TrainingNoise(const NoiseDistribution& distribution, std::uint64_t seed, std::int64_t first,
                at::IntArrayRef shape)
      : sigma(at::empty({shape[0]}, at::kFloat)), n(at::empty(shape, at::kFloat)) {
    float* sigmas = sigma.mutable_data_ptr<float>();
    float* noise = n.mutable_data_ptr<float>();
    const std::int64_t numbers = n.numel() / shape[0];
    at::parallel_for(0, shape[0], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        Random random(seed, stream_of(Purpose::training_noise, static_cast<std::uint64_t>(first + i)));
        sigmas[i] = static_cast<float>(distribution.sigma(random));
        const std::span picture(noise + i * numbers, static_cast<std::size_t>(numbers));
        random.normal(picture);
        for (float& value : picture) value *= sigmas[i];
      }
    });
  }
};

}  // namespace

double Trainer::accumulate(const Batch& batch) {
  const ImageConfig& config = model_->config();
  const auto size = static_cast<std::int64_t>(batch.labels.size());
  const auto seed = static_cast<std::uint64_t>(recipe_.train.seed);
  const std::vector<std::int64_t> shape{size, config.resolution, config.resolution, config.in_channels};

  const TrainingNoise noise({recipe_.loss.noise_mean, recipe_.loss.noise_deviation}, seed, batch.first,
                            shape);
  Condition condition;
  if (config.classes > 0) {
    condition.labels = at::empty({size}, at::kLong);
    std::int64_t* labels = condition.labels.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < size; ++i) {
      Random random(seed, stream_of(Purpose::label_dropout, static_cast<std::uint64_t>(batch.first + i)));
      const bool drop = recipe_.train.label_dropout > 0 && random.uniform() < recipe_.train.label_dropout;
      labels[i] = drop ? config.classes : batch.labels[static_cast<std::size_t>(i)];
    }
    condition.labels = condition.labels.to(device_);
  }
  if (!batch.augment_labels.empty()) {
    condition.augment_labels =
        at::from_blob(const_cast<float*>(batch.augment_labels.data()), {size, kAugmentLabel}, at::kFloat)
            .to(device_);
  }
  const at::Tensor y =
      at::from_blob(const_cast<float*>(batch.pictures.data()), shape, at::kFloat).to(device_);

  const RawNetwork network = [&](const at::Tensor& x, const at::Tensor& c_noise) {
    const Autocast autocast(device_.type(), dtype_);
    return (*model_)(x, c_noise, condition);
  };
  const at::Tensor loss =
      edm_loss(network, {config.sigma_data}, y, noise.n.to(device_), noise.sigma.to(device_)) /
      static_cast<double>(recipe_.train.passes());
  loss.backward();
  return loss.item<double>();
}

std::vector<std::pair<std::string, at::Tensor>> Trainer::tensors() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (const Parameter& p : model_->parameters()) all.emplace_back("weights." + p.name, p.tensor.detach());
  for (auto& named : optimiser_->state()) all.push_back(std::move(named));
  for (const Ema& ema : emas_) {
    for (auto& named : ema.state()) all.push_back(std::move(named));
  }
  return all;
}

Json Trainer::counters() const {
  return {{"images", images_},
          {"optimiser_steps", optimiser_->steps()},
          {"skipped", skipped_},
          {"skipped_in_a_row", skipped_in_a_row_}};
}

void Trainer::restore_counters(const Json& counters, const std::string& where) {
  std::int64_t steps = 0;
  for (const auto& [key, target] :
       {std::pair{"images", &images_}, std::pair{"optimiser_steps", &steps}, std::pair{"skipped", &skipped_},
        std::pair{"skipped_in_a_row", &skipped_in_a_row_}}) {
    DIFFIT_CHECK(counters.contains(key) && counters[key].is_number_integer() && counters[key] >= 0,
                 "{}: the state lacks its counter '{}'", where, key);
    *target = counters[key];
  }
  optimiser_->restore_steps(steps);
  loader_.reset();
}

}  // namespace diffit
