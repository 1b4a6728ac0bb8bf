#include "diffit/report.h"

#include <algorithm>

#include "base/text.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

void print_report(ReportSpec spec, const CommonOptions& common) {
  spec.command = common.typed;
  StoppableMonitor monitor(common);
  const ReportResult result = write_report(spec, common, monitor);
  const auto drawn = std::count_if(result.plots.begin(), result.plots.end(),
                                   [](const std::string& path) { return path.ends_with(".svg"); });
  const std::string plots = drawn == 0 ? "" : fmt::format(", {} plots in {}", drawn, spec.plots);
  print_result(common,
               {{"page", spec.out},
                {"bytes", result.bytes},
                {"runs", result.runs},
                {"plots", result.plots},
                {"notes", result.notes}},
               fmt::format("{} ({}, {} run{}{})", spec.out, human_bytes(static_cast<double>(result.bytes)),
                           result.runs, result.runs == 1 ? "" : "s", plots));
}

}  // namespace

void add_report_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<ReportSpec>();
  CLI::App* command =
      add_command(app, common, "report", "Write an HTML report of a training, or a comparison of several");
  command
      ->add_option("runs", o->runs,
                   "run folders, or folders that contain run folders (such as an experiment's)")
      ->required();
  command->add_option("-o,--out", o->out, "the HTML file to write, x.html; it is self-contained")->required();
  command->add_option("--plots", o->plots, "also write each plot to this folder as NAME.svg and NAME.png");
  command->add_option("--title", o->title, "title of the page; default the names of the runs");
  command->add_flag("--no-samples", o->no_samples, "compute no trajectories and no nearest neighbours");
  command->add_option("--pictures", o->images, "number of sampling trajectories, one per class")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command->add_option("--steps", o->steps, "steps of Heun's method for the trajectories")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "seed of the first trajectory")->capture_default_str();
  command
      ->add_option("--neighbours", o->neighbours,
                   "number of nearest training images shown per sample; 0: do not open the data")
      ->check(CLI::Range(0, 20))
      ->capture_default_str();
  command->add_option("--features", o->features,
                      "feature network (a file or the name of a bundled one) in which nearest neighbours are "
                      "searched; default: pixel distance");
  command->footer(
      "\n"
      "Examples:\n"
      "  diffit report runs/mine -o mine.html\n"
      "  diffit report runs/a runs/b -o compared.html --plots figures\n"
      "  diffit report runs/mine --no-samples -o quick.html\n"
      "A run that is not finished is reported as far as it has come. Trajectories use the newest EMA weights "
      "(ema.half_life).");
  command->callback([o, &common] { print_report(*o, common); });
}

}  // namespace diffit::cli
