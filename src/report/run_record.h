// Contents of a run folder (train/run_folder.h). The folder may be incomplete, because the run may have been
// killed or still be running.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "config/fields.h"
#include "plot/plot.h"

namespace diffit::report {

/// Sample grid of a run at a number of trained images.
struct GridFile {
  std::int64_t images = 0;
  fs::path path;
};

/// Contents of one run folder.
struct RunRecord {
  fs::path folder;
  std::string name;   // distinguishes the run from the others on a page
  std::string group;  // group in an experiment: the name without its seed; otherwise the name
  std::string config_text;
  Json config = Json::object();  // empty if missing
  /// Values of stats.jsonl over images, one curve per key: "loss", "lr", "images_per_second", ...
  std::map<std::string, std::vector<PlotPoint>> curves;
  /// Evaluations of the EMA weights over images, one curve per metric, from lines of stats.jsonl with "eval"
  /// and from scores.json; with intervals if available.
  std::map<std::string, std::vector<PlotPoint>> scores;
  /// Entries of log.txt for each session: the command line as typed, and the machine.
  std::vector<std::string> commands, machines;
  std::optional<fs::path> reals;
  std::vector<GridFile> samples;     // sorted by images
  std::optional<fs::path> snapshot;  // the newest EMA snapshot
  std::int64_t snapshot_images = 0;
  std::vector<std::string> notes;  // entries that were skipped or are missing

  /// Last value of a curve.
  std::optional<double> last(const std::string& key) const;
  /// Number of images trained, according to stats.jsonl.
  std::int64_t images() const;
};

/// Returns the run folders at `path`: the folder itself, or those in it or in its runs/ folder, sorted by
/// name. Throws Error(invalid) that describes what was expected if there is none.
std::vector<fs::path> find_runs(const fs::path& path);

/// Reads a run folder. Truncated lines of stats.jsonl and lines that are not objects are skipped and counted
/// in notes. Throws Error(invalid) if the folder contains neither a valid line of stats.jsonl nor a readable
/// config.toml.
RunRecord read_run(const fs::path& folder);

/// Reads several run folders and gives them distinct names: the last component of the path, or more
/// components where two are equal.
std::vector<RunRecord> read_runs(const std::vector<fs::path>& folders);

}  // namespace diffit::report
