// diffit stats: the statistics of a set of images, as ADM's evaluator and `diffit eval` read them.
#include "diffit/statistics.h"

#include "jobs/result_json.h"
#include "tools/diffit/measure_options.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {
namespace {

void print_statistics(const CommonOptions& common, const StatisticsSpec& spec) {
  TerminalMonitor monitor(common);
  const StatisticsResult r = compute_statistics(spec, common, monitor);
  std::string text = fmt::format(
      "{}: mu and sigma{} of {} images, {} x {} x {}, computed by {} ({}); features of {} images for "
      "precision, recall and KID\n",
      spec.output, r.spatial_features > 0 ? ", mu_s and sigma_s" : "", r.images, r.width, r.height,
      r.channels, r.network, r.identity, r.kept_features);
  for (const std::string& warning : r.warnings) text += "warning: " + warning + "\n";
  Json object = {{"output", spec.output}};
  object.update(selected(json_of(r), {{"pictures", "images"},
                                      {"network", "network/name"},
                                      {"identity", "network/identity"},
                                      {"features", "features"},
                                      {"spatial_features", "spatial_features"},
                                      {"kept_features", "kept_features"},
                                      {"height", "height"},
                                      {"width", "width"},
                                      {"channels", "channels"},
                                      {"warnings", "warnings"}}));
  print_result(common, object, text);
}

}  // namespace

void add_stats_command(CLI::App& app, CommonOptions& common) {
  CLI::App* command = add_command(
      app, common, "stats",
      "Compute the statistics of a set of images: a reference file for eval and for ADM's evaluator");
  const auto o = std::make_shared<StatisticsSpec>();
  command->add_option("DATA", o->data, "images: npz (arr_0), zip, folder, IDX(.gz) or CIFAR")->required();
  command->add_option("-o,--output", o->output, "the .npz file to write: mu, sigma, mu_s, sigma_s")
      ->required();
  command
      ->add_option(
          "--keep", o->keep,
          "number of randomly chosen images whose features are stored for precision, recall and KID; 0: none")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{10000000}))
      ->capture_default_str();
  add_measure_options(*command, "images", o->features, o->limit, o->batch)->required();
  command->footer(
      "\nExamples:\n"
      "  diffit stats train.zip -o ref.npz --features pt_inception-2015-12-05-6726825d.pth\n"
      "  diffit eval samples.npz ref.npz --features pt_inception-2015-12-05-6726825d.pth");
  command->callback([&common, o] { print_statistics(common, *o); });
}

}  // namespace diffit::cli
