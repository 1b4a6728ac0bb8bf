// diffit eval: the figures of samples against a reference.
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "metrics/evaluate.h"
#include "tools/diffit/feature_side.h"
#include "tools/diffit/machine.h"
#include "tools/diffit/robustness.h"

namespace diffit::cli {
namespace {

struct EvalOptions {
  std::string samples, reference, features, metrics;
  MeasureOptions measure;
  std::int64_t bootstrap = 1000, seed = 0;
  double confidence = 0.95;
  bool no_intervals = false, half = false, extrapolate = false;
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

void print_figures(const CommonOptions& common, const EvalOptions& options, const FeatureInfo& network,
                   const FeatureSide& samples, const FeatureSide& reference,
                   const std::vector<Figure>& figures, const std::vector<std::string>& notes) {
  Json object = Json::object(), intervals = Json::object(), errors = Json::object(), details = Json::object();
  Json warnings = notes;
  std::string text = side_of("samples", samples) + side_of("reference", reference) +
                     fmt::format("{:<16}{} ({})\n\n", "network", network.name, network.identity);
  for (const Figure& f : figures) {
    object[f.key] = f.value;
    if (f.interval) {
      intervals[f.key] = {f.interval->low, f.interval->high};
      errors[f.key] = f.interval->deviation;
    }
    details[f.key] = f.details;
    details[f.key]["samples"] = f.samples;
    details[f.key]["reference"] = f.reference;
    text += line_of(f, options.confidence);
    for (const std::string& warning : f.warnings) {
      warnings.push_back(warning);
      text += "  warning: " + warning + "\n";
    }
  }
  for (const std::string& note : notes) text += "warning: " + note + "\n";
  if (!intervals.empty()) {
    text +=
        "\nIntervals: what other samples of the same model and number would give, the reference as it is; of "
        "recall, "
        "other\nreference pictures. They do not hold the bias of a Frechet distance, which falls with the "
        "number of "
        "pictures.\n";
  }
  object["network"] = {{"name", network.name}, {"identity", network.identity}};
  object["samples"] = samples.describe();
  object["reference"] = reference.describe();
  object["intervals"] = intervals;
  object["standard_errors"] = errors;
  object["confidence"] = options.confidence;
  object["details"] = details;
  object["warnings"] = warnings;
  print_result(common, object, text);
}

void run_eval(const CommonOptions& common, const EvalOptions& options) {
  const Machine machine = open_machine(common, /*prefer_bf16=*/false);
  EvaluationOptions wanted;
  if (!options.metrics.empty()) wanted.metrics = read_metrics(options.metrics);
  const auto network = load_feature_network(options.features, machine.device, machine.dtype);
  const FeatureSide samples(options.samples, network->info(), "SAMPLES");
  const FeatureSide reference(options.reference, network->info(), "REF");
  check_same_images(samples, reference);

  wanted.bootstrap = {options.bootstrap, options.confidence, static_cast<std::uint64_t>(options.seed)};
  wanted.intervals = !options.no_intervals && options.bootstrap >= 2;
  wanted.half = options.half;
  wanted.extrapolate = options.extrapolate;
  wanted.seed = static_cast<std::uint64_t>(options.seed);
  std::vector<std::string> notes;
  Available of_samples = samples.available();
  const Available of_reference = reference.available();
  if (options.measure.limit > 0) of_samples.images = std::min(of_samples.images, options.measure.limit);
  if (wanted.metrics.empty()) {
    wanted.metrics = possible_metrics(network->info(), of_samples, of_reference);
    notes = too_few_images(network->info(), of_samples, of_reference);
    DIFFIT_CHECK(!wanted.metrics.empty(), "no metric can be computed of {} and {}{}", options.samples,
                 options.reference, notes.empty() ? "" : ": " + notes.front());
  } else {
    notes = remove_too_few_images(wanted.metrics, network->info(), of_samples, of_reference);
  }
  check_metrics(wanted.metrics, network->info(), of_samples, of_reference);
  for (const FeatureSide* side : {&samples, &reference}) {
    for (std::string& note : side->notes()) notes.push_back(std::move(note));
  }
  DIFFIT_CHECK(!wanted.extrapolate || samples.has_images(),
               "--extrapolate: takes SAMPLES as pictures; {} is a file of statistics", options.samples);

  const FeatureSums sums = sums_of_reference(wanted);
  if (reference.has_images() && !reference.is_statistics()) {
    print_note(
        common,
        fmt::format("{}: its {} pictures are measured now, and would be each time; `diffit stats {} -o "
                    "ref.npz --features {}` keeps what eval needs",
                    options.reference, reference.images(), options.reference, options.features));
  }
  if (reference.is_statistics() && reference.info().identity.empty()) {
    notes.push_back(fmt::format("{} does not tell its network: that it is {} is taken on trust",
                                options.reference, network->info().name));
  }
  if (machine.dtype != at::kFloat) notes.push_back("features in bfloat16: published figures are of float32");

  const FeatureSet real = reference.measure(*network, sums, {options.measure.batch, 0, &common});
  const FeatureSet made = samples.measure(*network, sums_of_samples(wanted),
                                          {options.measure.batch, options.measure.limit, &common});
  std::vector<Figure> figures;
  {
    ProgressLine progress(common);
    wanted.progress = [&](const std::string& what, double share) {
      progress.show(fmt::format("{}: {:.0f}%", what, 100 * share));
    };
    figures = evaluate(network->info(), made, real, wanted);
  }
  print_figures(common, options, network->info(), samples, reference, figures, notes);
}

}  // namespace

void add_eval_command(CLI::App& app, CommonOptions& common) {
  CLI::App* command =
      add_command(app, common, "eval",
                  "FID and its kin of samples against a reference, with intervals and what to beware of");
  const auto o = std::make_shared<EvalOptions>();
  command->add_option("SAMPLES", o->samples,
                      "npz (arr_0), zip, folder of pictures, or statistics (mu, sigma)");
  command->add_option(
      "REF", o->reference,
      "statistics: of diffit stats, ADM (mu, sigma, mu_s, sigma_s, arr_0) or EDM; or pictures");
  command->add_option(
      "--metrics", o->metrics,
      "of fid, sfid, is, precision, recall, kid; default: all that network and reference can give");
  command->add_option("--bootstrap", o->bootstrap, "resamples behind an interval; 0: no intervals")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1000000}))
      ->capture_default_str();
  command->add_option("--confidence", o->confidence, "of the intervals")
      ->check(CLI::Range(0.01, 0.9999))
      ->capture_default_str();
  command->add_flag("--no-intervals", o->no_intervals,
                    "the figures alone; FID then takes no memory per picture");
  command->add_flag("--extrapolate", o->extrapolate,
                    "the Frechet distance to infinitely many samples too (Chong and Forsyth 2020)");
  command->add_flag("--fp16-neighbours", o->half,
                    "precision and recall from float16 distances, as ADM's evaluator");
  command->add_option("--seed", o->seed, "of resamples, subsets and noise")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{9000000000000000}))
      ->capture_default_str();
  add_measure_options(*command, "SAMPLES", o->features, o->measure);
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
          o->samples.empty() && o->features.empty(),
          "--robustness: measures a model on pictures; it takes neither SAMPLES, REF nor --features");
      o->robustness.seed = o->seed;
      return run_robustness(o->robustness, common);
    }
    DIFFIT_CHECK(
        !o->samples.empty() && !o->reference.empty() && !o->features.empty(),
        "wanted SAMPLES, REF and --features FILE; or --robustness DATA... with -m MODEL (see diffit eval "
        "--help)");
    run_eval(common, *o);
  });
}

}  // namespace diffit::cli
