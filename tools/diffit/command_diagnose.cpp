// diffit diagnose: known ways in which such a model fails, as measures with thresholds.
#include <limits>
#include <memory>
#include <optional>

#include "analysis/collapse.h"
#include "analysis/diagnosis.h"
#include "analysis/noise_error.h"
#include "analysis/robustness.h"
#include "base/error.h"
#include "jobs/measured_model.h"
#include "jobs/unfinished.h"
#include "metrics/feature_network.h"
#include "metrics/feature_source.h"
#include "report/analysis_page.h"
#include "report/render.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {
namespace {

struct DiagnoseOptions {
  std::string model, vae, data, against, samples, training, features, out;
  std::int64_t images = 512, levels = 10, limit = 10000, seed = 0;
};

std::vector<LevelError> level_errors(const MeasuredModel& model, const DiagnoseOptions& options,
                                     const Runtime& machine, const CommonOptions& common) {
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const MeasuredImages set = read_measured(options.data, model, options.images, seed);
  const std::vector<double> sigmas = model.known(noise_levels(0.02, model.highest_judged, options.levels));
  const at::Tensor y = model.inputs(set.images);
  ProgressLine line(common);
  const auto errors_of = [&](const MeasuredModel& which) {
    const RobustnessRequest request{.sigmas = sigmas, .likelihood_sigmas = {}, .seed = seed};
    return score_set(which.denoise, which.name, y, request,
                     [&](double share) {
                       line.show(fmt::format("{}: {:.0f}% of {} images", which.name, 100 * share,
                                             set.images.size(0)));
                     })
        .errors;
  };
  std::optional<MeasuredModel> other;
  if (!options.against.empty()) {
    other = open_measured_model(options.against, options.vae, machine);
    DIFFIT_CHECK(other->latent == model.latent && other->resolution == model.resolution &&
                     other->channels == model.channels,
                 "--against {}: wanted a model with the same input shape as {}", options.against,
                 options.model);
  }
  const at::Tensor errors = errors_of(model);
  return compare_levels(sigmas, errors, linear_errors(y, sigmas), other ? errors_of(*other) : at::Tensor());
}

struct LabelledFeatures {
  at::Tensor features, labels;
};

struct ComparedSet {
  std::unique_ptr<FeatureSource> source;
  std::int64_t count = 0;
};

/// Opened before anything is measured: what is wrong with a set is told at once.
ComparedSet open_compared(const std::string& path, const char* option, std::int64_t limit) {
  refuse_unfinished(path, option);
  auto source = open_feature_source(path);
  const std::int64_t count = std::min(limit, source->size());
  DIFFIT_CHECK(count >= 100, "{} {}: {} images are too few for a diagnosis; wanted at least 100", option,
               path, count);
  return {std::move(source), count};
}

LabelledFeatures features_of(const std::string& path, const ComparedSet& set_of,
                             const FeatureNetwork& network, ProgressLine& line) {
  const auto& [source, count] = set_of;
  std::vector<at::Tensor> features;
  std::int64_t done = 0;
  for_each_batch(*source, 64, count, [&, all = count](const at::Tensor& images, std::int64_t) {
    features.push_back(network.extract(images).pooled);
    done += images.size(0);
    line.show(fmt::format("{}: features of {}/{} images", path, done, all));
  });
  at::Tensor labels;
  if (const ImageSource& set = source->images(); set.classes() > 0) {
    labels = at::empty({count}, at::kLong);
    for (std::int64_t i = 0; i < count; ++i) labels[i] = set.label(i);
  }
  return {at::cat(features), labels};
}

/// What collapse is looked for in.
struct Compared {
  std::unique_ptr<FeatureNetwork> network;
  ComparedSet samples, held_out, training;
};

Compared open_compared(const DiagnoseOptions& options, const Runtime& machine) {
  Compared compared{load_feature_network(options.features, machine.device, machine.dtype),
                    open_compared(options.samples, "--samples", options.limit),
                    open_compared(options.data, "--data", options.limit),
                    {}};
  if (!options.training.empty()) {
    compared.training =
        open_compared(options.training, "--train-data", std::numeric_limits<std::int64_t>::max());
  }
  return compared;
}

std::vector<Signature> collapse_signatures(const DiagnoseOptions& options, const Compared& compared,
                                           const CommonOptions& common) {
  const FeatureNetwork& network = *compared.network;
  ProgressLine line(common);
  const LabelledFeatures samples = features_of(options.samples, compared.samples, network, line);
  const LabelledFeatures held_out = features_of(options.data, compared.held_out, network, line);
  std::vector<Signature> all{signature_of_duplicates(near_duplicates(samples.features, held_out.features))};
  if (!options.training.empty()) {
    const LabelledFeatures training = features_of(options.training, compared.training, network, line);
    all.push_back(signature_of_copies(copies(samples.features, training.features, held_out.features)));
  }
  if (samples.labels.defined() && held_out.labels.defined()) {
    all.push_back(signature_of_diversity(
        diversity(samples.features, samples.labels, held_out.features, held_out.labels)));
  }
  return all;
}

/// Of an image-space model; latent models are evaluated with attention that is never written down.
std::vector<Signature> step_signatures(const MeasuredModel& measured, const Runtime& machine) {
  ImageDiffiT* model = measured.image.get();
  if (model == nullptr) return {};
  constexpr std::int64_t count = 8, steps = 18;
  at::Tensor labels;
  if (const std::int64_t classes = model->config().classes; classes > 0)
    labels = at::arange(count, at::TensorOptions(at::kLong).device(machine.device)).remainder(classes);
  return {signature_of_steps(attention_over_steps(*model, count, labels, steps))};
}

void run_diagnose(const DiagnoseOptions& options, const CommonOptions& common) {
  const at::NoGradGuard no_grad;
  DIFFIT_CHECK(options.samples.empty() == options.features.empty(),
               "--samples (generated images) and --features (the network to compare them with) must be given "
               "together");
  DIFFIT_CHECK(options.training.empty() || !options.samples.empty(), "--train-data needs --samples");
  check_page_path(options.out);
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  Diagnosis diagnosis{.model = options.model, .data = options.data, .against = options.against};
  const MeasuredModel model = open_measured_model(options.model, options.vae, machine);
  std::optional<Compared> compared;
  if (!options.samples.empty()) compared = open_compared(options, machine);
  diagnosis.levels = level_errors(model, options, machine, common);
  diagnosis.signatures = signatures_of_levels(diagnosis.levels);
  for (Signature& s : step_signatures(model, machine)) diagnosis.signatures.push_back(std::move(s));
  if (compared) {
    for (Signature& s : collapse_signatures(options, *compared, common))
      diagnosis.signatures.push_back(std::move(s));
  }
  if (!options.out.empty()) write_page(diagnosis_page(diagnosis, common.typed), options.out);
  print_result(common, as_json(diagnosis), as_text(diagnosis));
}

}  // namespace

void add_diagnose_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<DiagnoseOptions>();
  CLI::App* command = add_command(
      app, common, "diagnose",
      "Check a model for known failures: error by noise level, mode collapse, copied training images");
  command->add_option("-m,--model", o->model, "model file, or the name of a bundled model")->required();
  command->add_option("--data", o->data, "held-out images: npz, zip, folder, IDX, CIFAR")->required();
  command->add_option("--vae", o->vae, "autoencoder for a latent model");
  command->add_option(
      "--against", o->against,
      "a good model with the same input shape; reports the noise levels where this model is worse");
  command->add_option("--samples", o->samples,
                      "images generated by the model; enables the check for mode collapse");
  command->add_option("--features", o->features, "feature network that the comparison uses");
  command->add_option("--train-data", o->training, "training images; enables the check for copies");
  command->add_option("-o,--out", o->out, "also write the result as an HTML page, x.html");
  command->add_option("--pictures", o->images, "number of images of --data for measuring the error")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1000000}))
      ->capture_default_str();
  command
      ->add_option("--levels", o->levels,
                   "number of noise levels between sigma 0.02 and 50 (latent models: 8)")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1000}))
      ->capture_default_str();
  command->add_option("--limit", o->limit, "maximum number of images of --samples and --data to compare")
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{1000000}))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "seed of the noise and of the choice of images")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{9000000000000000}))
      ->capture_default_str();
  command->footer(
      "\nExamples:\n"
      "  diffit diagnose -m mine.safetensors --data t10k-images-idx3-ubyte.gz --against fashion-mnist\n"
      "  diffit diagnose -m fashion-mnist --data t10k-images-idx3-ubyte.gz --samples samples.npz --features "
      "fashion-net\n"
      "      --train-data train-images-idx3-ubyte.gz");
  command->callback([o, &common] { run_diagnose(*o, common); });
}

}  // namespace diffit::cli
