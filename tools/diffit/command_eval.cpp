// diffit eval: the figures of samples against a reference.
#include <algorithm>
#include <memory>

#include "base/bundled.h"
#include "base/error.h"
#include "base/text.h"
#include "jobs/evaluate_job.h"
#include "tools/diffit/command.h"
#include "tools/diffit/measure_options.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/robustness.h"

namespace diffit::cli {
namespace {

struct EvalOptions {
  EvaluateSpec spec;
  std::string metrics;
  bool no_intervals = false;
  RobustnessSpec robustness;
};

std::string numbers_of(const MetricResult& f) {
  const auto count = [](std::int64_t n) {
    return n > 0 ? std::to_string(n) : std::string("an unknown number of");
  };
  if (!f.metric->uses_reference) return fmt::format("{} images", count(f.samples));
  return fmt::format("{} images against {}", count(f.samples), count(f.reference));
}

std::string line_of(const MetricResult& f, double confidence) {
  std::string text = fmt::format("{:<16}{:>12.6g}", f.label, f.value);
  text += f.interval
              ? fmt::format("  [{:.6g}, {:.6g}] {:g}%", f.interval->low, f.interval->high, 100 * confidence)
              : std::string("  no interval");
  text += "  " + numbers_of(f) + "\n";
  if (f.details.contains("infinity")) {
    const Json& line = f.details["infinity"];
    text += fmt::format(
        "{:<16}{:>12.6g}  {} extrapolated to infinitely many samples, by a line in 1/N from {} samples, "
        "residual {:.3g}\n",
        f.label + " infinity", line["value"].get<double>(), f.label,
        line["smallest_subset"].get<std::int64_t>(), line["residual"].get<double>());
  }
  if (f.details.value("blocks", std::int64_t{0}) > 1) {
    text += fmt::format("{:<16}{:>12.6g}  standard deviation over {} blocks\n", "",
                        f.details["block_deviation"].get<double>(), f.details["blocks"].get<std::int64_t>());
  }
  return text;
}

std::string side_of(const char* what, const FeatureSide& side) {
  const StatisticsInfo& info = side.info();
  std::string text = fmt::format("{:<16}{}", what, side.path());
  if (side.is_statistics()) text += ": statistics";
  if (info.images > 0) text += fmt::format(" of {} images", info.images);
  if (info.height > 0) text += fmt::format(", {} x {} x {}", info.width, info.height, info.channels);
  return text + "\n";
}

void print_evaluation(const CommonOptions& common, const Evaluation& e) {
  std::string text = side_of("samples", *e.samples) + side_of("reference", *e.reference) +
                     fmt::format("{:<16}{} ({})\n\n", "network", e.network.name, e.network.identity);
  bool intervals = false;
  for (const MetricResult& f : e.metrics) {
    text += line_of(f, e.confidence);
    intervals = intervals || f.interval.has_value();
    for (const std::string& warning : f.warnings) text += "  warning: " + warning + "\n";
  }
  for (const std::string& note : e.notes) text += "warning: " + note + "\n";
  if (intervals) {
    text +=
        "\n"
        "Intervals cover the variation between sets of samples of the same model and size, with the "
        "reference fixed; for\n"
        "recall, the variation between sets of reference images. They do not include the bias of a Frechet "
        "distance, which\n"
        "shrinks as the number of images grows.\n";
  }
  print_result(common, e.json(), text);
}

void run_eval(const CommonOptions& common, EvalOptions options) {
  if (!options.metrics.empty()) options.spec.metrics = split(options.metrics, ',');
  if (options.no_intervals) options.spec.bootstrap = 0;
  TerminalMonitor monitor(common);
  print_evaluation(common, run_evaluation(options.spec, common, monitor));
}

}  // namespace

void add_eval_command(CLI::App& app, CommonOptions& common) {
  CLI::App* command = add_command(
      app, common, "eval", "Compute FID, sFID, IS, precision/recall and KID with confidence intervals");
  const auto o = std::make_shared<EvalOptions>();
  command->add_option("SAMPLES", o->spec.samples,
                      "samples: npz (arr_0), zip, folder of images, or statistics (mu, sigma)");
  command->add_option(
      "REF", o->spec.reference,
      "reference: images, or statistics by diffit stats, ADM (mu, sigma, mu_s, sigma_s, arr_0) or EDM");
  command->add_option("--metrics", o->metrics,
                      fmt::format("comma-separated list of {}; default: all that the feature network and the "
                                  "reference allow",
                                  metric_names()));
  command
      ->add_option("--bootstrap", o->spec.bootstrap,
                   "number of bootstrap resamples per interval; 0: no intervals")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1000000}))
      ->capture_default_str();
  command->add_option("--confidence", o->spec.confidence, "confidence level of the intervals")
      ->check(CLI::Range(0.01, 0.9999))
      ->capture_default_str();
  command->add_flag("--no-intervals", o->no_intervals,
                    "compute the metrics only; memory for FID then does not grow with the number of images");
  command->add_flag(
      "--extrapolate", o->spec.extrapolate,
      "also extrapolate the Frechet distance to infinitely many samples (Chong and Forsyth 2020)");
  command->add_flag("--fp16-neighbours", o->spec.half,
                    "compute precision and recall from float16 distances, as ADM's evaluator does");
  command->add_option("--seed", o->spec.seed, "seed of resamples, subsets and noise")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{9000000000000000}))
      ->capture_default_str();
  add_measure_options(*command, "SAMPLES", o->spec.features, o->spec.limit, o->spec.batch);
  command->footer(
      "\nExamples:\n"
      "  diffit eval samples.npz VIRTUAL_imagenet256_labeled.npz --features "
      "pt_inception-2015-12-05-6726825d.pth\n"
      "  diffit eval samples.npz test.zip --features fashion-net --metrics fid,precision,recall\n"
      "  diffit eval -m fashion-mnist --robustness t10k-images-idx3-ubyte.gz train-images-idx3-ubyte.gz");
  add_robustness_options(*command, o->robustness);
  command->callback([&common, o] {
    if (!o->robustness.data.empty()) {
      DIFFIT_CHECK(o->spec.samples.empty() && o->spec.features.empty(),
                   "--robustness measures a model on images; it takes no SAMPLES, REF or --features");
      o->robustness.seed = o->spec.seed;
      return print_robustness(o->robustness, common);
    }
    DIFFIT_CHECK(
        !o->spec.samples.empty() && !o->spec.reference.empty() && !o->spec.features.empty(),
        "wanted SAMPLES, REF and --features FILE; or --robustness DATA... with -m MODEL (see diffit eval "
        "--help)");
    run_eval(common, *o);
  });
}

}  // namespace diffit::cli
