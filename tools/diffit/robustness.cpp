#include "tools/diffit/robustness.h"

#include "jobs/robustness_job.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {
namespace {

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

void print_robustness(RobustnessSpec spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  spec.command = common.typed;
  const Robustness result = run_robustness(spec, common, monitor);
  print_result(common, result.json(), table_of(result.request, result.sets, result.latent));
}

void add_robustness_options(CLI::App& eval, RobustnessSpec& o) {
  const std::string group = "Robustness (inputs that the model was not trained on)";
  eval.add_option("--robustness", o.data,
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
