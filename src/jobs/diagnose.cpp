// The job behind diffit/diagnose.h.
#include "jobs/diagnose_job.h"

#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "analysis/collapse.h"
#include "analysis/noise_error.h"
#include "analysis/robustness.h"
#include "config/json_text.h"
#include "jobs/advance.h"
#include "jobs/guard.h"
#include "jobs/measured_model.h"
#include "jobs/no_monitor.h"
#include "jobs/page_path.h"
#include "jobs/unfinished.h"
#include "metrics/feature_network.h"
#include "metrics/feature_source.h"
#include "report/analysis_page.h"
#include "report/render.h"

namespace diffit::jobs {

namespace {

constexpr const char* kInterrupted = "interrupted; nothing was written";

std::vector<LevelError> level_errors(const MeasuredModel& model, const DiagnoseSpec& spec,
                                     const Runtime& runtime, Monitor& monitor) {
  const auto seed = static_cast<std::uint64_t>(spec.seed);
  const MeasuredImages set = read_measured(spec.data, model, spec.images, seed);
  const std::vector<double> sigmas = model.known(noise_levels(0.02, model.highest_judged, spec.levels));
  const at::Tensor y = model.inputs(set.images);
  const auto errors_of = [&](const MeasuredModel& which) {
    const RobustnessRequest request{.sigmas = sigmas, .likelihood_sigmas = {}, .seed = seed};
    return score_set(which.denoise, which.name, y, request,
                     [&](double share) {
                       const std::int64_t all = set.images.size(0);
                       advance(monitor,
                               {std::lround(share * static_cast<double>(all)), all,
                                fmt::format("images denoised by {}", which.name)},
                               kInterrupted);
                     })
        .errors;
  };
  std::optional<MeasuredModel> other;
  if (!spec.against.empty()) {
    other = open_measured_model(spec.against, spec.vae, runtime);
    DIFFIT_CHECK(other->latent == model.latent && other->resolution == model.resolution &&
                     other->channels == model.channels,
                 "`against` {}: wanted a model with the same input shape as {}", spec.against, spec.model);
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
ComparedSet open_compared(const std::string& path, const char* field, std::int64_t limit) {
  refuse_unfinished(path, field);
  auto source = open_feature_source(path);
  const std::int64_t count = std::min(limit, source->size());
  DIFFIT_CHECK(count >= 100, "{} {}: {} images are too few for a diagnosis; wanted at least 100", field, path,
               count);
  return {std::move(source), count};
}

LabelledFeatures features_of(const std::string& path, const ComparedSet& set_of,
                             const FeatureNetwork& network, Monitor& monitor) {
  const auto& [source, count] = set_of;
  std::vector<at::Tensor> features;
  std::int64_t done = 0;
  for_each_batch(*source, 64, count, [&, all = count](const at::Tensor& images, std::int64_t) {
    features.push_back(network.extract(images).pooled);
    done += images.size(0);
    advance(monitor, {done, all, fmt::format("images of {} measured", path)}, kInterrupted);
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

Compared open_compared(const DiagnoseSpec& spec, const Runtime& runtime) {
  Compared compared{load_feature_network(spec.features, runtime.device, runtime.dtype),
                    open_compared(spec.samples, "`samples`", spec.limit),
                    open_compared(spec.data, "`data`", spec.limit),
                    {}};
  if (!spec.train_data.empty()) {
    compared.training =
        open_compared(spec.train_data, "`train_data`", std::numeric_limits<std::int64_t>::max());
  }
  return compared;
}

std::vector<Signature> collapse_signatures(const DiagnoseSpec& spec, const Compared& compared,
                                           Monitor& monitor) {
  const FeatureNetwork& network = *compared.network;
  const LabelledFeatures samples = features_of(spec.samples, compared.samples, network, monitor);
  const LabelledFeatures held_out = features_of(spec.data, compared.held_out, network, monitor);
  std::vector<Signature> all{signature_of_duplicates(near_duplicates(samples.features, held_out.features))};
  if (!spec.train_data.empty()) {
    const LabelledFeatures training = features_of(spec.train_data, compared.training, network, monitor);
    all.push_back(signature_of_copies(copies(samples.features, training.features, held_out.features)));
  }
  if (samples.labels.defined() && held_out.labels.defined()) {
    all.push_back(signature_of_diversity(
        diversity(samples.features, samples.labels, held_out.features, held_out.labels)));
  }
  return all;
}

/// Of an image-space model; latent models are evaluated with attention that is never written down.
std::vector<Signature> step_signatures(const MeasuredModel& measured, const Runtime& runtime) {
  ImageDiffiT* model = measured.image.get();
  if (model == nullptr) return {};
  constexpr std::int64_t count = 8, steps = 18;
  at::Tensor labels;
  if (const std::int64_t classes = model->config().classes; classes > 0)
    labels = at::arange(count, at::TensorOptions(at::kLong).device(runtime.device)).remainder(classes);
  return {signature_of_steps(attention_over_steps(*model, count, labels, steps))};
}

void check_spec(const DiagnoseSpec& spec) {
  DIFFIT_CHECK(spec.samples.empty() == spec.features.empty(),
               "`samples` (generated images) and `features` (the network to compare them with) must be given "
               "together");
  DIFFIT_CHECK(spec.train_data.empty() || !spec.samples.empty(), "`train_data` needs `samples`");
  DIFFIT_CHECK(
      spec.images >= 2 && spec.levels >= 2 && spec.limit >= 100 && spec.seed >= 0,
      "wanted at least 2 `images` and `levels`, a `limit` of at least 100 and a `seed` of at least 0");
  check_page_path(spec.out);
}

}  // namespace

Diagnosis run_diagnosis(const DiagnoseSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const at::NoGradGuard no_grad;
  check_spec(spec);
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  Diagnosis diagnosis{.model = spec.model, .data = spec.data, .against = spec.against};
  const MeasuredModel model = open_measured_model(spec.model, spec.vae, runtime);
  std::optional<Compared> compared;
  if (!spec.samples.empty()) compared = open_compared(spec, runtime);
  diagnosis.levels = level_errors(model, spec, runtime, monitor);
  diagnosis.signatures = signatures_of_levels(diagnosis.levels);
  for (Signature& s : step_signatures(model, runtime)) diagnosis.signatures.push_back(std::move(s));
  if (compared) {
    for (Signature& s : collapse_signatures(spec, *compared, monitor))
      diagnosis.signatures.push_back(std::move(s));
  }
  if (!spec.out.empty()) write_page(diagnosis_page(diagnosis, spec.command), spec.out);
  return diagnosis;
}

}  // namespace diffit::jobs

namespace diffit {

DiagnoseResult diagnose(const DiagnoseSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] {
    const analysis::Diagnosis d = jobs::run_diagnosis(spec, runtime, monitor);
    DiagnoseResult result;
    for (const analysis::LevelError& level : d.levels) {
      LevelDiagnosis& to = result.levels.emplace_back();
      to.sigma = level.sigma;
      to.error = level.error;
      to.linear = level.linear;
      to.share = {level.share, level.share_low, level.share_high};
      if (level.rival > 0) to.ratio = Estimate{level.ratio, level.ratio_low, level.ratio_high};
    }
    for (const analysis::Signature& s : d.signatures) {
      result.findings.push_back(
          {s.name, {s.value, s.low, s.high}, s.expected, s.threshold, s.raised, s.measure, s.reason});
    }
    result.json = config::json_text(analysis::as_json(d));
    result.text = analysis::as_text(d);
    return result;
  });
}

DiagnoseResult diagnose(const DiagnoseSpec& spec, const RuntimeOptions& runtime) {
  return diagnose(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit
