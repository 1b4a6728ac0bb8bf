#include "tools/diffit/robustness.h"

#include <algorithm>

#include "analysis/noise_error.h"
#include "analysis/robustness.h"
#include "base/error.h"
#include "jobs/measured_model.h"
#include "report/analysis_page.h"
#include "report/render.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {
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

std::string short_name(const std::string& name) {
  return name.size() > 33 ? "..." + name.substr(name.size() - 30) : name;
}

std::string table_of(const RobustnessRequest& request, const std::vector<SetScores>& sets, bool latent) {
  const bool bits = sets.front().bits.defined();
  std::string text = fmt::format("{:<34}{:>9}", "set", "pictures");
  if (bits)
    text += fmt::format("{:>20}{:>12}", latent ? "bits per value" : "bits per value, <=", "separation");
  text += "\n";
  for (const SetScores& set : sets) {
    text += fmt::format("{:<34}{:>9}", short_name(set.name), set.size());
    if (bits) {
      const MeanInterval m = mean_interval(set.bits);
      text += fmt::format("{:>11.3f} +- {:<5.3f}{:>12.3f}", m.mean, (m.high - m.low) / 2,
                          separation(sets.front().bits, set.bits));
    }
    text += "\n";
  }
  text += fmt::format("\n{:<34}", "error / first set's error, sigma");
  for (const double sigma : request.sigmas) text += fmt::format("{:>8.3g}", sigma);
  text += "\n";
  const at::Tensor base = sets.front().errors.mean(1);
  for (const SetScores& set : sets) {
    text += fmt::format("{:<34}", short_name(set.name));
    const at::Tensor ratio = set.errors.mean(1) / base;
    for (std::int64_t k = 0; k < ratio.numel(); ++k) text += fmt::format("{:>8.2f}", ratio[k].item<double>());
    text += "\n";
  }
  return text;
}

}  // namespace

void run_robustness(const RobustnessOptions& options, const CommonOptions& common) {
  const at::NoGradGuard no_grad;
  DIFFIT_CHECK(!options.model.empty(), "--robustness needs the model to test, -m MODEL");
  DIFFIT_CHECK(options.corruptions == "all" || options.corruptions == "none",
               "--corruptions: wanted all or none, got '{}'", options.corruptions);
  check_page_path(options.out);
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  const MeasuredModel model = open_measured_model(options.model, options.vae, machine);
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const RobustnessRequest request{
      .sigmas = model.known(noise_levels(0.02, model.highest_judged, options.levels)),
      .likelihood_sigmas = rising_sigmas(model, options.likelihood_steps),
      .levels = !model.latent,
      .seed = seed};
  std::vector<std::string> paths = options.sets;
  if (!options.held_out.empty()) paths.insert(paths.begin(), options.held_out);
  // Every set is opened and read before the first is measured.
  std::vector<std::pair<std::string, at::Tensor>> sets;
  for (const std::string& path : paths) {
    MeasuredImages set = read_measured(path, model, options.images, seed);
    sets.emplace_back(path, set.images);
  }
  if (options.corruptions == "all") {
    const at::Tensor held_out = sets.front().second;
    for (const Corruption& corruption : all_corruptions()) {
      sets.emplace_back("held-out, " + corruption.name(), corrupted(held_out, corruption, seed, 0));
    }
  }
  ProgressLine line(common);
  std::vector<SetScores> scores;
  for (const auto& [name, images] : sets) {
    const std::string what = fmt::format("{} ({} of {})", name, scores.size() + 1, sets.size());
    scores.push_back(score_set(model.denoise, name, model.inputs(images), request, [&](double share) {
      line.show(fmt::format("{}: {:.0f}%", what, 100 * share));
    }));
  }
  if (!options.out.empty()) {
    write_page(robustness_page(options.model, request, scores, common.typed), options.out);
  }
  Json object = robustness_json(request, scores);
  object["model"] = options.model;
  print_result(common, object, table_of(request, scores, model.latent));
}

void add_robustness_options(CLI::App& eval, RobustnessOptions& o) {
  const std::string group = "Robustness (inputs that the model was not trained on)";
  eval.add_option("--robustness", o.sets,
                  "data sets on which to measure -m MODEL: denoising error by noise level and a bound on "
                  "bits per value, instead of metrics of SAMPLES")
      ->group(group);
  eval.add_option("-o,--out", o.out, "also write the result as an HTML page, x.html")->group(group);
  eval.add_option("-m,--model", o.model, "model to test")->group(group);
  eval.add_option("--vae", o.vae, "autoencoder for a latent model")->group(group);
  eval.add_option("--held-out", o.held_out,
                  "data set that the others are compared with; default the first of --robustness")
      ->group(group);
  eval.add_option("--corruptions", o.corruptions,
                  "all: also measure corruptions of the held-out set (blur, noise, contrast, ...); none")
      ->group(group)
      ->capture_default_str();
  eval.add_option("--pictures", o.images, "number of images per set")
      ->group(group)
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1000000}))
      ->capture_default_str();
  eval.add_option("--levels", o.levels, "number of noise levels between sigma 0.02 and 50 (latent models: 8)")
      ->group(group)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000}))
      ->capture_default_str();
  eval.add_option("--likelihood-steps", o.likelihood_steps,
                  "steps of the probability-flow ODE for the likelihood bound; 0: no bound")
      ->group(group)
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{10000}))
      ->capture_default_str();
}

}  // namespace diffit::cli
