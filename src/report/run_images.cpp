#include "report/run_images.h"

#include "base/error.h"
#include "diffusion/generate.h"
#include "diffusion/images.h"
#include "diffusion/latent_generate.h"
#include "diffusion/vp_as_ve.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "nn/inference/latent_evaluator.h"
#include "runtime/autocast.h"
#include "train/training_data.h"

namespace diffit::report {

namespace {

/// Wraps an exception of the progress callback, so that it passes through the handlers here.
struct Stopped {
  std::exception_ptr why;
};

class RunImageBuilder {
 public:
  RunImageBuilder(const RunRecord& run, const RunImagesOptions& options) : run_(run), options_(options) {}

  RunImages operator()() {
    attempt(made_.no_trajectories, [&] { trace_all(); });
    if (options_.neighbours > 0) attempt(made_.no_neighbours, [&] { search(); });
    return std::move(made_);
  }

 private:
  template <class F>
  static void attempt(std::string& why_not, const F& f) {
    try {
      f();
    } catch (const Stopped& stopped) {
      std::rethrow_exception(stopped.why);
    } catch (const Error& error) {
      why_not = error.what();
    } catch (const c10::Error& error) {
      why_not = error.what_without_backtrace();
    }
  }

  void progress(const char* what, std::int64_t done, std::int64_t all) const {
    if (!options_.progress) return;
    try {
      options_.progress(fmt::format("{}: {}", run_.name, what), static_cast<double>(done),
                        static_cast<double>(all));
    } catch (...) {
      throw Stopped{std::current_exception()};
    }
  }

  void trace_all() {
    const at::NoGradGuard no_grad;
    DIFFIT_CHECK(run_.snapshot, "the run folder contains no snapshot-*-ema.safetensors yet");
    const WeightsFile file(*run_.snapshot);
    const ModelConfig config = config_of(file);
    std::visit([&](const auto& c) { trace_with(file, c); }, config);
  }

  void trace_with(const WeightsFile& file, const ImageConfig& config) {
    const LoadedModel loaded = load_model(file, options_.device);
    const auto& model = std::get<ImageDiffiT>(loaded);
    choose(config.classes, options_.images);
    Condition condition;
    if (config.classes > 0) condition.labels = labels_;
    const Denoiser denoise = [&](const at::Tensor& x, double sigma) {
      const Autocast autocast(options_.device.type(), options_.dtype);
      const at::Tensor input = x.to(at::kFloat);
      return denoise_images(model, input, at::full({x.size(0)}, sigma, input.options()), condition)
          .to(at::kDouble);
    };
    run_sampler(denoise, {config.in_channels, config.resolution, config.resolution},
                karras_sigmas(options_.steps), options_.levels,
                [](const at::Tensor& samples) { return to_images(samples); });
  }

  void trace_with(const WeightsFile& file, const LatentConfig& config) {
    open_vae();
    LatentEvaluator evaluator(config, file.tensors(), file.path().string(), options_.dtype, options_.device);
    // Decoding is expensive: use fewer images and fewer levels.
    choose(config.classes, std::min<std::int64_t>(options_.images, 5));
    const at::Tensor labels = config.classes > 0 ? labels_ : at::full({size()}, config.classes, at::kLong);
    const Json sample = run_.config.value("sample", Json::object());
    if (config.classes > 0 && sample.is_object() && sample.contains("guidance") &&
        sample["guidance"].is_number())
      made_.guidance = sample["guidance"].get<double>();
    const Guidance guidance{.scale = made_.guidance};
    const VpSchedule schedule = timesteps_of(parameterisation_of(config).schedule);
    const std::int64_t channels = config.in_channels;
    const LatentNetwork network = noise_network(
        [&](const at::Tensor& x, double t, const at::Tensor& y) { return evaluator(x, t, y); }, config);
    const auto eps = [&](const at::Tensor& x, std::int64_t t, const at::Tensor& y) {
      return network(x.to(at::kFloat), static_cast<double>(t), y).to(at::kDouble).narrow(1, 0, channels);
    };
    const NoisePredictor predictor = [&](const at::Tensor& x, std::int64_t t) {
      const at::Tensor main = eps(x, t, labels);
      if (!guidance.on()) return NoisePrediction{main, {}};
      const at::Tensor weak = eps(x, t, at::full_like(labels, config.classes));
      return NoisePrediction{guided(guidance, main, weak, at::full({1}, guidance.scale, main.options())), {}};
    };
    const ToImages decode_all = [this](const at::Tensor& latents) {
      std::vector<Image> images;
      for (const at::Tensor& latent : latents.split(1)) images.push_back(decode(latent));
      return images;
    };
    run_sampler(as_denoiser(predictor, schedule), {channels, config.input_size, config.input_size},
                karras_sigmas_of(schedule, options_.steps, 0.002, 80, 7),
                std::min<std::size_t>(options_.levels, 7), decode_all);
  }

  void open_vae() {
    const Json sample = run_.config.value("sample", Json::object());
    const bool named = sample.is_object() && sample.contains("vae") && sample["vae"].is_string();
    const std::string path = named ? sample["vae"].get<std::string>() : std::string();
    DIFFIT_CHECK(!path.empty(),
                 "config.toml of the run has no sample.vae, so its latents cannot be decoded into images");
    vae_.emplace(load_vae(path, options_.device));
  }

  /// Decodes a scaled latent [1, L, h, w] to an image.
  Image decode(const at::Tensor& latent) const {
    const at::Tensor z = latent.to(options_.device) / vae_->config().scale;
    return std::move(to_images(vae_->decode(z).to(at::kCPU).to(at::kFloat))[0]);
  }

  /// Chooses seeds and labels: one image per class, evenly spread over the classes.
  void choose(std::int64_t classes, std::int64_t images) {
    const auto count = static_cast<std::size_t>(std::max<std::int64_t>(1, images));
    std::vector<std::size_t> chosen = classes > 0 ? spread(static_cast<std::size_t>(classes), count)
                                                  : std::vector<std::size_t>(std::min<std::size_t>(count, 6));
    const std::optional<ClassNames> names =
        classes > 0 && options_.class_names ? options_.class_names(run_, classes) : std::nullopt;
    labels_ = at::empty({static_cast<std::int64_t>(chosen.size())}, at::kLong);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const auto label = static_cast<std::int64_t>(chosen[i]);
      labels_.mutable_data_ptr<std::int64_t>()[i] = label;
      made_.labels.push_back(classes == 0                     ? fmt::format("seed {}", options_.seed + i)
                             : names && label < names->size() ? names->name(label)
                                                              : fmt::format("class {}", label));
    }
    labels_ = labels_.to(options_.device);
  }

  std::int64_t size() const { return static_cast<std::int64_t>(made_.labels.size()); }

  void run_sampler(const Denoiser& denoise, const std::vector<std::int64_t>& shape,
                   const std::vector<double>& sigmas, std::size_t levels, const ToImages& images) {
    std::vector<at::Tensor> noise;
    for (std::int64_t i = 0; i < size(); ++i)
      noise.push_back(initial_noise(options_.seed + static_cast<std::uint64_t>(i), shape));
    made_.trajectories = trace(denoise, at::stack(noise).to(options_.device), sigmas, levels, images,
                               [&](std::int64_t done, std::int64_t all) { progress("sampling", done, all); });
  }

  void search() {
    DIFFIT_CHECK(made_.trajectories, "there are no samples to compare");
    DIFFIT_CHECK(!run_.config.empty(),
                 "config.toml of the run is missing, so the location of its data is unknown");
    const std::string where = (run_.folder / "config.toml").string();
    const Recipe recipe = read_recipe(run_.config, where);
    const TrainingData data = open_training_data(recipe, where);
    const SearchProgress report = [this](std::int64_t done, std::int64_t all) {
      progress("nearest neighbours", done, all);
    };
    if (const auto* latents = std::get_if<std::shared_ptr<const LatentDataset>>(&data)) {
      made_.neighbours = find_neighbours(
          **latents, made_.trajectories->samples, options_.neighbours, options_.controls,
          [this](const at::Tensor& latent) { return decode(latent); }, report);
      made_.space = kLatentSpace;
      made_.unit = kLatentUnit;
      return;
    }
    const ImageSpace space = options_.space ? *options_.space : pixel_space();
    made_.neighbours =
        find_neighbours(*std::get<std::shared_ptr<const Dataset>>(data), made_.trajectories->results,
                        options_.neighbours, options_.controls, space, report);
    made_.space = space.name;
    made_.unit = space.unit;
  }

  const RunRecord& run_;
  const RunImagesOptions& options_;
  RunImages made_;
  at::Tensor labels_;       // [B] int64
  std::optional<Vae> vae_;  // latent runs only
};

}  // namespace

RunImages make_images(const RunRecord& run, const RunImagesOptions& options) {
  return RunImageBuilder(run, options)();
}

}  // namespace diffit::report
