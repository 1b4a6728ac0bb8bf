// diffit stats: the statistics of a set of images, as ADM's evaluator and `diffit eval` read them.
#include <memory>

#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "base/random.h"
#include "jobs/feature_side.h"
#include "jobs/unfinished.h"
#include "metrics/feature_source.h"
#include "tools/diffit/command.h"
#include "tools/diffit/measure_options.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {
namespace {

struct StatsOptions {
  std::string data, output, features;
  MeasureOptions measure;
  std::int64_t keep = 10000;
};

/// Collects the features of `keep` of `all` images, drawn without replacement and left in their order.
class Keeper {
 public:
  Keeper(std::int64_t keep, std::int64_t all)
      : keep_(static_cast<std::uint64_t>(keep)), all_(static_cast<std::uint64_t>(all)) {}

  void add(std::int64_t first, const at::Tensor& features) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < features.size(0); ++i) {
      const std::uint64_t place =
          permuted(static_cast<std::uint64_t>(first + i), all_, 0, stream_of(Purpose::subset, 0));
      if (place < keep_) rows.push_back(i);
    }
    if (!rows.empty()) kept_.push_back(features.index_select(0, at::tensor(rows, at::kLong)));
  }
  at::Tensor features() const { return kept_.empty() ? at::Tensor() : at::cat(kept_); }

 private:
  std::uint64_t keep_, all_;
  std::vector<at::Tensor> kept_;
};

void run_stats(const CommonOptions& common, const StatsOptions& options) {
  DIFFIT_CHECK(fs::path(options.output).extension() == ".npz", "-o {}: wanted a name that ends in .npz",
               options.output);
  check_output_file(options.output, "-o");
  refuse_unfinished(options.data, "DATA");
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  const auto network = load_feature_network(options.features, machine.device, machine.dtype);
  const FeatureInfo& info = network->info();
  const auto source = open_feature_source(options.data);
  const std::int64_t count =
      options.measure.limit > 0 ? std::min(options.measure.limit, source->size()) : source->size();
  DIFFIT_CHECK(count >= 2, "{}: a covariance needs at least two images, got {}", options.data, count);

  TerminalMonitor monitor(common);
  FeatureSum sum(info, {.pooled = true, .spatial = true}, count);
  Keeper keeper(options.keep, count);
  for_each_measured(*source, {options.measure.batch, options.measure.limit, &monitor}, options.data,
                    [&](std::int64_t first, const at::Tensor& images) {
                      const Features features = network->extract(images);
                      sum.add(features);
                      if (options.keep > 0) keeper.add(first, features.pooled);
                    });
  const FeatureSet set = sum.finish();
  Statistics statistics;
  statistics.info = {set.images,      info.name,          info.identity,     source->height(),
                     source->width(), source->channels(), source->describe()};
  statistics.pooled = set.pooled;
  statistics.spatial = set.spatial;
  statistics.features = keeper.features();
  write_statistics(options.output, statistics);

  const std::int64_t kept = statistics.features.defined() ? statistics.features.size(0) : 0;
  Json object = {
      {"output", options.output},       {"pictures", set.images},     {"network", info.name},
      {"identity", info.identity},      {"features", info.width},     {"spatial_features", info.spatial},
      {"kept_features", kept},          {"height", source->height()}, {"width", source->width()},
      {"channels", source->channels()}, {"warnings", Json::array()}};
  std::string text = fmt::format(
      "{}: mu and sigma{} of {} images, {} x {} x {}, computed by {} ({}); features of {} images for "
      "precision, recall and KID\n",
      options.output, set.spatial ? ", mu_s and sigma_s" : "", set.images, source->width(), source->height(),
      source->channels(), info.name, info.identity, kept);
  if (set.images <= info.width) {
    const std::string warning = fmt::format(
        "{} images with {} features: the covariance does not have full rank, so distances to it are not "
        "meaningful",
        set.images, info.width);
    object["warnings"].push_back(warning);
    text += "warning: " + warning + "\n";
  }
  for (const std::string& warning : source->images().facts().warnings) {
    object["warnings"].push_back(warning);
    text += "warning: " + warning + "\n";
  }
  print_result(common, object, text);
}

}  // namespace

void add_stats_command(CLI::App& app, CommonOptions& common) {
  CLI::App* command = add_command(
      app, common, "stats",
      "Compute the statistics of a set of images: a reference file for eval and for ADM's evaluator");
  const auto o = std::make_shared<StatsOptions>();
  command->add_option("DATA", o->data, "images: npz (arr_0), zip, folder, IDX(.gz) or CIFAR")->required();
  command->add_option("-o,--output", o->output, "the .npz file to write: mu, sigma, mu_s, sigma_s")
      ->required();
  command
      ->add_option(
          "--keep", o->keep,
          "number of randomly chosen images whose features are stored for precision, recall and KID; 0: none")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{10000000}))
      ->capture_default_str();
  add_measure_options(*command, "images", o->features, o->measure.limit, o->measure.batch)->required();
  command->footer(
      "\nExamples:\n"
      "  diffit stats train.zip -o ref.npz --features pt_inception-2015-12-05-6726825d.pth\n"
      "  diffit eval samples.npz ref.npz --features pt_inception-2015-12-05-6726825d.pth");
  command->callback([&common, o] { run_stats(common, *o); });
}

}  // namespace diffit::cli
