// The job behind diffit/robustness.h.
#include "jobs/robustness_job.h"

#include <algorithm>
#include <cmath>

#include "analysis/noise_error.h"
#include "config/json_text.h"
#include "jobs/advance.h"
#include "jobs/guard.h"
#include "jobs/measured_model.h"
#include "jobs/no_monitor.h"
#include "jobs/page_path.h"
#include "report/analysis_page.h"
#include "report/render.h"

namespace diffit::jobs {

namespace {

std::vector<double> rising_sigmas(const MeasuredModel& model, std::int64_t steps) {
  if (steps == 0) return {};
  // A level of 8 bits is 0.0078: below it there is nothing to see, and latents' schedule begins at 0.01.
  std::vector<double> sigmas = model.known(karras_sigmas(steps + 1, 0.01, 80));
  sigmas.erase(std::remove(sigmas.begin(), sigmas.end(), 0.0), sigmas.end());
  std::sort(sigmas.begin(), sigmas.end());
  sigmas.erase(std::unique(sigmas.begin(), sigmas.end()), sigmas.end());
  return sigmas;
}

void check_spec(const RobustnessSpec& spec) {
  DIFFIT_CHECK(!spec.data.empty() || !spec.held_out.empty(), "`data`: wanted a data set, got none");
  DIFFIT_CHECK(!spec.model.empty(), "`robustness` needs the model to test, `model` MODEL");
  DIFFIT_CHECK(spec.corruptions == "all" || spec.corruptions == "none",
               "`corruptions`: wanted all or none, got '{}'", spec.corruptions);
  DIFFIT_CHECK(
      spec.images >= 1 && spec.levels >= 1 && spec.likelihood_steps >= 0 && spec.seed >= 0,
      "wanted at least one of `images` and `levels`, and `likelihood_steps` and a `seed` of at least 0");
  check_page_path(spec.out);
}

}  // namespace

Json Robustness::json() const {
  Json object = robustness_json(request, sets);
  object["model"] = model;
  return object;
}

Robustness run_robustness(const RobustnessSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const at::NoGradGuard no_grad;
  check_spec(spec);
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  const MeasuredModel model = open_measured_model(spec.model, spec.vae, runtime);
  const auto seed = static_cast<std::uint64_t>(spec.seed);
  RobustnessRequest request{.sigmas = model.known(noise_levels(0.02, model.highest_judged, spec.levels)),
                            .likelihood_sigmas = rising_sigmas(model, spec.likelihood_steps),
                            .levels = !model.latent,
                            .seed = seed};
  std::vector<std::string> paths = spec.data;
  if (!spec.held_out.empty()) paths.insert(paths.begin(), spec.held_out);
  // Every set is opened and read before the first is measured.
  std::vector<std::pair<std::string, at::Tensor>> sets;
  for (const std::string& path : paths) {
    MeasuredImages set = read_measured(path, model, spec.images, seed);
    sets.emplace_back(path, set.images);
  }
  if (spec.corruptions == "all") {
    const at::Tensor held_out = sets.front().second;
    for (const Corruption& corruption : all_corruptions()) {
      sets.emplace_back("held-out, " + corruption.name(), corrupted(held_out, corruption, seed, 0));
    }
  }
  std::vector<SetScores> scores;
  for (const auto& [name, images] : sets) {
    const std::string what = fmt::format("% of {} ({} of {})", name, scores.size() + 1, sets.size());
    scores.push_back(score_set(model.denoise, name, model.inputs(images), request, [&](double share) {
      advance(monitor, {std::lround(100 * share), 100, what}, "interrupted; nothing was written");
    }));
  }
  if (!spec.out.empty()) write_page(robustness_page(spec.model, request, scores, spec.command), spec.out);
  return {spec.model, model.latent, std::move(request), std::move(scores)};
}

namespace {

RobustnessResult result_of(const Robustness& r) {
  const auto interval = [](const at::Tensor& values) {
    const MeanInterval m = mean_interval(values);
    return Estimate{m.mean, m.low, m.high};
  };
  RobustnessResult result{.sigmas = r.request.sigmas, .sets = {}, .json = json_text(r.json())};
  for (const SetScores& set : r.sets) {
    RobustnessResult::Set& to = result.sets.emplace_back();
    to.name = set.name;
    to.images = set.size();
    for (std::int64_t k = 0; k < set.errors.size(0); ++k) to.errors.push_back(interval(set.errors[k]));
    if (!set.bits.defined()) continue;
    to.bits = interval(set.bits);
    to.separation = separation(r.sets.front().bits, set.bits);
  }
  return result;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

RobustnessResult robustness(const RobustnessSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::result_of(jobs::run_robustness(spec, runtime, monitor)); });
}

RobustnessResult robustness(const RobustnessSpec& spec, const RuntimeOptions& runtime) {
  return robustness(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit
