#include "jobs/explain_job.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

void print_explanation(const ExplainSpec& spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  const Explanation explanation = run_explain(spec, common, monitor);
  print_result(common, explanation.json(), time_markdown(explanation));
}

}  // namespace

void add_explain_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<ExplainSpec>();
  CLI::App* command = add_command(app, common, "explain", "Show how attention changes with the noise level");
  command->add_option("-m,--model", o->model, "model file, or the name of a bundled model")->required();
  const std::string time =
      "measure how far attention, q, k and v of each layer move with the time token, in the trained and an "
      "untrained network; the default";
  command->add_flag("--time", time);
  command->add_option("--data", o->data, "images to use; default the model's own samples");
  command->add_option("--vae", o->vae, "autoencoder that encodes --data for a latent model");
  command->add_option("-n,--pictures", o->images, "number of images")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--levels", o->levels, "number of noise levels, equally spaced in ln sigma")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  command->add_option("--sigma-min", o->sigma_min, "lowest noise level")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--sigma-max", o->sigma_max, "highest noise level")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("-o,--out", o->out,
                      "output: x.html, a page with a table and plots; x.svg or x.png, the plot of attention");
  command->footer(
      "\n"
      "Example:\n"
      "  diffit explain -m fashion-mnist --time -o time.html\n"
      "  diffit explain -m diffit_256.safetensors --time -n 2 --levels 4 -o time.html\n"
      "docs/ablations.md explains the numbers.");
  command->callback([o, &common] { print_explanation(*o, common); });
}

}  // namespace diffit::cli
