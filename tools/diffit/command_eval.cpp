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
  RobustnessOptions robustness;
};

std::string numbers_of(const Figure& f) {
  const auto count = [](std::int64_t n) {
    return n > 0 ? std::to_string(n) : std::string("an untold number of");
  };
  if (f.metric == Metric::inception_score) return fmt::format("{} pictures", count(f.samples));
  return fmt::format("{} pictures against {}", count(f.samples), count(f.reference));
}

std::string line_of(const Figure& f, double confidence) {
  std::string text = fmt::format("{:<16}{:>12.6g}", f.label, f.value);
  text += f.interval
              ? fmt::format("  [{:.6g}, {:.6g}] {:g}%", f.interval->low, f.interval->high, 100 * confidence)
              : std::string("  without interval");
  text += "  " + numbers_of(f) + "\n";
  if (f.details.contains("infinity")) {
    const Json& line = f.details["infinity"];
    text += fmt::format(
        "{:<16}{:>12.6g}  {} to infinitely many samples, by a line in 1/N from {} on, off by {:.3g}\n",
        f.label + " infinity", line["value"].get<double>(), f.label,
        line["smallest_subset"].get<std::int64_t>(), line["residual"].get<double>());
  }
  if (f.metric == Metric::inception_score && f.details["blocks"].get<std::int64_t>() > 1) {
    text += fmt::format("{:<16}{:>12.6g}  deviation over {} blocks\n", "",
                        f.details["block_deviation"].get<double>(), f.details["blocks"].get<std::int64_t>());
  }
  return text;
}

std::string side_of(const char* what, const FeatureSide& side) {
  const StatisticsInfo& info = side.info();
  std::string text = fmt::format("{:<16}{}", what, side.path());
  if (side.is_statistics()) text += ": statistics";
  if (info.images > 0) text += fmt::format(" of {} pictures", info.images);
  if (info.height > 0) text += fmt::format(", {} x {} x {}", info.width, info.height, info.channels);
  return text + "\n";
}

void print_evaluation(const CommonOptions& common, const Evaluation& e) {
  std::string text = side_of("samples", *e.samples) + side_of("reference", *e.reference) +
                     fmt::format("{:<16}{} ({})\n\n", "network", e.network.name, e.network.identity);
  bool intervals = false;
  for (const Figure& f : e.metrics) {
    text += line_of(f, e.confidence);
    intervals = intervals || f.interval.has_value();
    for (const std::string& warning : f.warnings) text += "  warning: " + warning + "\n";
  }
  for (const std::string& note : e.notes) text += "warning: " + note + "\n";
  if (intervals) {
    text +=
        "\nIntervals: what other samples of the same model and number would give, the reference as it is; of "
        "recall, other\nreference pictures. They do not hold the bias of a Frechet distance, which falls "
        "with "
        "the number of pictures.\n";
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
  CLI::App* command =
      add_command(app, common, "eval",
                  "FID and its kin of samples against a reference, with intervals and what to beware of");
  const auto o = std::make_shared<EvalOptions>();
  command->add_option("SAMPLES", o->spec.samples,
                      "npz (arr_0), zip, folder of pictures, or statistics (mu, sigma)");
  command->add_option(
      "REF", o->spec.reference,
      "statistics: of diffit stats, ADM (mu, sigma, mu_s, sigma_s, arr_0) or EDM; or pictures");
  command->add_option(
      "--metrics", o->metrics,
      "of fid, sfid, is, precision, recall, kid; default: all that network and reference can give");
  command->add_option("--bootstrap", o->spec.bootstrap, "resamples behind an interval; 0: no intervals")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1000000}))
      ->capture_default_str();
  command->add_option("--confidence", o->spec.confidence, "of the intervals")
      ->check(CLI::Range(0.01, 0.9999))
      ->capture_default_str();
  command->add_flag("--no-intervals", o->no_intervals,
                    "the figures alone; FID then takes no memory per picture");
  command->add_flag("--extrapolate", o->spec.extrapolate,
                    "the Frechet distance to infinitely many samples too (Chong and Forsyth 2020)");
  command->add_flag("--fp16-neighbours", o->spec.half,
                    "precision and recall from float16 distances, as ADM's evaluator");
  command->add_option("--seed", o->spec.seed, "of resamples, subsets and noise")
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
    if (!o->robustness.sets.empty()) {
      DIFFIT_CHECK(
          o->spec.samples.empty() && o->spec.features.empty(),
          "--robustness: measures a model on pictures; it takes neither SAMPLES, REF nor --features");
      o->robustness.seed = o->spec.seed;
      return run_robustness(o->robustness, common);
    }
    DIFFIT_CHECK(
        !o->spec.samples.empty() && !o->spec.reference.empty() && !o->spec.features.empty(),
        "wanted SAMPLES, REF and --features FILE; or --robustness DATA... with -m MODEL (see diffit eval "
        "--help)");
    run_eval(common, *o);
  });
}

}  // namespace diffit::cli
