// Latent model trained with the hybrid loss of the VP process.

#include "base/error.h"
#include "data/class_names.h"
#include "diffusion/images.h"
#include "diffusion/latent_generate.h"
#include "diffusion/vp_loss.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "runtime/autocast.h"
#include "train/init_from.h"
#include "train/objective.h"
#include "train/vae_loss.h"

namespace diffit::training {

namespace {

/// Timesteps and noise of training images first .. first + B - 1, each from a random stream of its own.
struct TrainingNoise {
  at::Tensor t, noise;  // [B] int64 in 0..steps-1, [B, L, S, S]

  TrainingNoise(std::int64_t steps, std::uint64_t seed, std::int64_t first, at::IntArrayRef shape)
      : t(at::empty({shape[0]}, at::kLong)), noise(at::empty(shape, at::kFloat)) {
    std::int64_t* times = t.mutable_data_ptr<std::int64_t>();
    float* values = noise.mutable_data_ptr<float>();
    const std::int64_t numbers = noise.numel() / shape[0];
    for_each_image(Purpose::training_noise, seed, first, shape[0], [&](std::int64_t i, Random& random) {
      times[i] = random.below(static_cast<std::uint32_t>(steps));
      random.normal({values + i * numbers, static_cast<std::size_t>(numbers)});
    });
  }
};

class LatentObjective : public Objective {
 public:
  LatentObjective(const Recipe& recipe, std::shared_ptr<const LatentDataset> dataset, at::Device device,
                  at::ScalarType dtype)
      : recipe_(recipe),
        dataset_(std::move(dataset)),
        device_(device),
        dtype_(dtype),
        model_(std::get<LatentConfig>(read_model_config(recipe_.model, "model"))),
        parameterisation_(parameterisation_of(model_.config())),
        schedule_(timesteps_of(parameterisation_.schedule)),
        tables_(parameterisation_, schedule_, at::empty({0}, at::TensorOptions(device).dtype(at::kFloat))) {
    initialise(model_.parameters(), seed());
    model_.set_checkpointing(recipe_.train.checkpointing);
    if (recipe_.sample.vae.empty() || recipe_.sample.images == 0) return;
    vae_ = std::make_unique<Vae>(load_vae(recipe_.sample.vae, device_));
    DIFFIT_CHECK(vae_identity(*vae_) == recipe_.data.vae,
                 "{}: sample.vae: this is the VAE {}, but the latents were encoded by {}", recipe_.sample.vae,
                 vae_identity(*vae_), recipe_.data.vae);
  }

  const ParameterList& parameters() const override { return model_.parameters(); }
  void seek(std::int64_t images) override {
    start_ = images;
    read_ = 0;
  }
  void set_portion(const Portion& portion) override { portion_ = portion; }

  using Objective::loss;

  /// Latents x_0 [B, L, S, S], their indices in the schedule t [B], noise [B, L, S, S], labels [B].
  Inputs next_inputs() override {
    const std::int64_t size = recipe_.train.microbatch;
    read_batch(*dataset_, recipe_.data.flip, seed(), portion_.image(start_, read_), size, batch_);
    read_ += size;
    const at::Tensor x0 = latents();
    const TrainingNoise drawn(schedule_.size(), seed(), batch_.first, x0.sizes());
    return {x0, drawn.t, drawn.noise,
            training_labels(batch_.labels, model_.config().classes, recipe_.train.label_dropout, seed(),
                            batch_.first)};
  }

  at::Tensor loss(const Inputs& inputs) override {
    const at::Tensor &x0 = inputs[0], &t = inputs[1], &noise = inputs[2], &y = inputs[3];
    const at::Tensor x_t = noised(tables_.signal, tables_.deviation, x0, noise, t);
    at::Tensor output;
    {
      const Autocast autocast(device_.type(), dtype_);
      output = model_(x_t, t.to(at::kFloat), y);
    }
    return hybrid_loss(parameterisation_, tables_, output.to(at::kFloat), x0, noise, t,
                       recipe_.loss.vlb_weight)
        .mean;
  }

  std::vector<std::string> notes() const override {
    const LatentInfo& info = dataset_->info();
    std::vector<std::string> notes;
    notes.push_back(fmt::format(
        "latents: mean {:.4f}, standard deviation {:.4f} after scaling by {:.6g}, encoded by the VAE {}",
        info.mean, info.deviation, info.scale, info.vae));
    if (info.deviation < 0.5 || info.deviation > 2) {
      notes.push_back(
          fmt::format("warning: the noise schedule expects a standard deviation near 1, got {:.3g}; check "
                      "the scale of the VAE",
                      info.deviation));
    }
    return notes;
  }

  Image reals() const override {
    const LatentInfo& info = dataset_->info();
    if (!vae_) return {};
    std::vector<Image> shown;
    for (const std::int64_t index : shown_images(dataset_->size(), info.classes, recipe_.sample.images,
                                                 [this](std::int64_t i) { return dataset_->label(i); })) {
      const at::Tensor moments = at::empty({2 * info.channels, info.height, info.width}, at::kFloat);
      dataset_->read(index, /*mirrored=*/false,
                     {moments.mutable_data_ptr<float>(), static_cast<std::size_t>(moments.numel())});
      shown.push_back(decoded(moments.chunk(2)[0] * info.scale));
    }
    return shown.empty() ? Image{} : grid(shown, grid_columns(model_.config().classes));
  }

  Exhibit exhibit() const override {
    const auto network = std::make_shared<LatentDiffiT>(model_.config());
    if (!vae_) return {network->parameters(), {}};
    return {network->parameters(), [this, network] { return samples(*network); },
            [this, network](std::int64_t count, std::int64_t steps, const auto& sink) {
              make(*network, count, steps,
                   [&](const at::Tensor& latent) { sink(to_pixels(images_of(latent))); });
            }};
  }

  Metadata label_metadata() const override {
    return class_metadata(dataset_->info().class_names, dataset_->class_counts(), model_.config().classes);
  }

  void save(const fs::path& path, const ParameterList& parameters, const Metadata& extra) const override {
    Metadata metadata = extra;
    metadata[kVaeIdentityKey] = recipe_.data.vae;
    metadata[kLatentScaleKey] = fmt::format("{}", recipe_.data.scale);
    save_model(path, parameters, model_.config(), metadata);
  }

 private:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(recipe_.train.seed); }

  /// Latents of the batch, sampled from the posterior anew for each training image: [B, L, S, S].
  at::Tensor latents() const {
    const LatentInfo& info = dataset_->info();
    const auto size = static_cast<std::int64_t>(batch_.labels.size());
    const at::Tensor moments = at::from_blob(const_cast<float*>(batch_.moments.data()),
                                             {size, 2 * info.channels, info.height, info.width}, at::kFloat);
    const at::Tensor e = at::empty({size, info.channels, info.height, info.width}, at::kFloat);
    fill_normal(e, Purpose::posterior, seed(), batch_.first);
    return posterior_sample(moments, e) * info.scale;
  }

  /// Decodes a scaled latent [L, S, S] to an image.
  Image decoded(const at::Tensor& latent) const { return to_images(images_of(latent))[0]; }

  /// Decodes a scaled latent [L, S, S] to [1, C, H, W] on the CPU.
  at::Tensor images_of(const at::Tensor& latent) const {
    const at::NoGradGuard no_grad;
    const at::Tensor z = latent.unsqueeze(0).to(device_) / recipe_.data.scale;
    return vae_->decode(z).to(at::kCPU);
  }

  /// Generates latents [L, S, S] with seeds 0 .. count - 1, in order.
  void make(const LatentDiffiT& model, std::int64_t count, std::int64_t steps,
            const std::function<void(const at::Tensor&)>& sink) const {
    const LatentConfig& config = model.config();
    LatentRequest wanted;
    wanted.sampler = LatentSampler::dpmpp2m;
    wanted.steps = steps > 0 ? steps : recipe_.sample.steps;
    wanted.guidance.scale = recipe_.sample.guidance;
    wanted.dtype = dtype_;
    wanted.ask_for_first(count, config.classes);
    prepare(model.parameters(), device_);
    generate(latent_network(model, dtype_), config, device_, wanted,
             [&](std::int64_t, const at::Tensor& latents) {
               for (const at::Tensor& latent : latents.unbind(0)) sink(latent);
             });
  }

  Image samples(const LatentDiffiT& model) const {
    std::vector<Image> images;
    make(model, recipe_.sample.images, 0,
         [&](const at::Tensor& latent) { images.push_back(decoded(latent)); });
    return grid(images, grid_columns(model.config().classes));
  }

  Recipe recipe_;
  std::shared_ptr<const LatentDataset> dataset_;
  at::Device device_;
  at::ScalarType dtype_;
  LatentDiffiT model_;
  Parameterisation parameterisation_;
  VpSchedule schedule_;
  VpLossTables tables_;                // float32 on the device
  std::unique_ptr<Vae> vae_;           // decodes the sample grids; null: no grids
  std::int64_t start_ = 0, read_ = 0;  // the batch that reading began with; images read since
  Portion portion_;
  LatentBatch batch_;
};

}  // namespace

std::unique_ptr<Objective> make_latent_objective(const Recipe& recipe,
                                                 std::shared_ptr<const LatentDataset> dataset,
                                                 at::Device device, at::ScalarType dtype) {
  return std::make_unique<LatentObjective>(recipe, std::move(dataset), device, dtype);
}

}  // namespace diffit::training
