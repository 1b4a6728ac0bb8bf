#include <algorithm>

#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "base/text.h"
#include "io/tensors/weights_file.h"
#include "jobs/describe_runtime.h"
#include "metrics/feature_network.h"
#include "report/render.h"
#include "report/run_page.h"
#include "tools/diffit/command.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/stop.h"

namespace diffit::cli {

namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string out, plots, title, features;
  bool no_samples = false;
  std::int64_t steps = 18, images = 10, neighbours = 4;
  std::uint64_t seed = 0;
};

/// Runs above this number get no images of their own: the page would be long, and long in the making.
constexpr std::size_t kMostTraced = 4;

/// Small letters and digits alone: "CIFAR-10" and "cifar10" are alike.
std::string plain(const std::string& text) {
  std::string kept;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      kept += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return kept;
}

/// What the snapshot's metadata says; else the table whose name the path of the data holds.
std::optional<ClassNames> names_of(const RunRecord& run, std::int64_t classes) {
  const fs::path folder = home() / "presets/classes";
  const WeightsFile file(*run.snapshot);
  if (auto stated = class_names_of(file.path(), file.metadata(), classes, folder)) return stated;
  const Json data = run.config.value("data", Json::object());
  const std::string path = plain(data.is_object() ? data.value("path", std::string()) : std::string());
  for (const std::string& table : stems(folder, ".txt")) {
    if (path.find(plain(table)) == std::string::npos) continue;
    ClassNames names = read_class_names(folder / (table + ".txt"));
    if (names.size() == classes) return names;
  }
  return {};
}

/// Where neighbours are near: the features of a network, or pixels.
ImageSpace space_of(const FeatureNetwork* network) {
  if (network == nullptr) return pixel_space();
  return {network->info().name, "of its features, Euclidean",
          [network](const at::Tensor& images) { return network->extract(images).pooled; }};
}

RunImages images_of(const RunRecord& run, const ReportOptions& options, const Runtime& machine,
                    const FeatureNetwork* network, const std::atomic<bool>& stop, ProgressLine& line) {
  RunImagesOptions wanted;
  wanted.device = machine.device;
  wanted.dtype = machine.dtype;
  wanted.steps = options.steps;
  wanted.seed = options.seed;
  wanted.images = options.images;
  wanted.neighbours = options.neighbours;
  wanted.space = space_of(network);
  wanted.class_names = names_of;
  wanted.progress = [&](const std::string& what, double done, double all) {
    if (stop) fail("interrupted; no page was written");
    line.show(fmt::format("{} {:.0f}/{:.0f}", what, done, all));
  };
  return make_images(run, wanted);
}

void check_outputs(const ReportOptions& options) {
  check_page_path(options.out);
  DIFFIT_CHECK(!options.out.empty(), "-o: wanted the name of a page, x.html");
  if (!options.plots.empty()) check_output_folder(options.plots, "--plots");
}

void run_report(const ReportOptions& options, const CommonOptions& common) {
  check_outputs(options);
  std::vector<fs::path> folders;
  for (const std::string& given : options.runs) {
    for (fs::path& run : find_runs(given)) folders.push_back(std::move(run));
  }
  const std::vector<RunRecord> records = read_runs(folders);
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  const auto network = options.features.empty() || options.no_samples
                           ? nullptr
                           : load_feature_network(options.features, machine.device, machine.dtype);
  const std::atomic<bool>& stop = watch_for_stop();
  std::vector<ReportedRun> runs;
  Json notes = Json::array();
  {
    ProgressLine line(common);
    const bool traced = !options.no_samples && records.size() <= kMostTraced;
    if (!options.no_samples && !traced) {
      line.say(fmt::format("note: trajectories and neighbours are made for up to {} runs, these are {}",
                           kMostTraced, records.size()));
    }
    for (const RunRecord& record : records) {
      ReportedRun& run = runs.emplace_back(ReportedRun{record, {}});
      if (traced) run.images = images_of(record, options, machine, network.get(), stop, line);
      for (const std::string& note : record.notes) {
        notes.push_back(record.name + ": " + note);
        line.say("note: " + record.name + ": " + note);
      }
    }
  }
  Page page = run_page(runs, {.title = options.title, .command = common.typed});
  page.footer = fmt::format("Made by diffit {} on {}.", DIFFIT_VERSION, describe_runtime(machine));
  const std::string html = render_page(page);
  std::vector<std::string> plots;
  if (!options.plots.empty()) {
    for (const fs::path& path : write_plots(page, options.plots)) plots.push_back(path.string());
  }
  write_file(options.out, html);
  print_result(
      common,
      {{"page", options.out},
       {"bytes", html.size()},
       {"runs", records.size()},
       {"plots", plots},
       {"notes", notes}},
      fmt::format("{} ({}, {} run{}{})", options.out, human_bytes(static_cast<double>(html.size())),
                  records.size(), records.size() == 1 ? "" : "s",
                  plots.empty() ? "" : fmt::format(", {} plots in {}", plots.size() / 2, options.plots)));
}

}  // namespace

void check_page_path(const std::string& path) {
  if (path.empty()) return;
  const fs::path out = path;
  const std::string extension = out.extension().string();
  DIFFIT_CHECK(extension == ".html" || extension == ".htm", "-o {}: wanted a file x.html", path);
  check_output_file(out, "-o");
}

void add_report_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<ReportOptions>();
  CLI::App* command = add_command(app, common, "report", "One page of a training, or of several compared");
  command->add_option("runs", o->runs, "run folders of diffit train, or folders of them (an experiment's)")
      ->required();
  command->add_option("-o,--out", o->out, "the page, x.html: one file that needs nothing beside it")
      ->required();
  command->add_option("--plots", o->plots, "folder for each plot as NAME.svg and NAME.png, for a paper");
  command->add_option("--title", o->title, "of the page; default the runs' names");
  command->add_flag("--no-samples", o->no_samples, "compute nothing: no trajectories, no nearest neighbours");
  command->add_option("--pictures", o->images, "seeds of the trajectories, one a class")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command->add_option("--steps", o->steps, "of Heun's method for them")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "of the first one")->capture_default_str();
  command
      ->add_option("--neighbours", o->neighbours,
                   "nearest training pictures shown of each; 0 does not open the data")
      ->check(CLI::Range(0, 20))
      ->capture_default_str();
  command->add_option(
      "--features", o->features,
      "feature network, a bundled one's name or a file, in which neighbours are near; default pixels");
  command->footer(
      "\nExamples:\n"
      "  diffit report runs/mine -o mine.html\n"
      "  diffit report runs/a runs/b -o compared.html --plots figures\n"
      "  diffit report runs/mine --no-samples -o quick.html\n"
      "A run that goes on, or was killed, is reported as far as it came. Trajectories are drawn from the "
      "newest "
      "half-life average.");
  command->callback([o, &common] { run_report(*o, common); });
}

}  // namespace diffit::cli
