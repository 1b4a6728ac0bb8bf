// What a run folder tells (train/run_folder.h), read without trusting it to be whole: a run may have been
// killed, or be running.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/fields.h"
#include "report/plot.h"

namespace diffit {

struct GridFile {
  std::int64_t images = 0;
  fs::path path;
};

struct RunRecord {
  fs::path folder;
  std::string name;   // tells it from the other runs of a page
  std::string group;  // of an experiment: the name without its seed; else the name
  std::string config_text;
  Json config = Json::object();  // empty where there is none
  /// stats.jsonl, a curve a key: "loss", "lr", "images_per_second", ..., over images.
  std::map<std::string, std::vector<PlotPoint>> curves;
  /// Evaluations of the average, a curve a figure, over images: lines of stats.jsonl with "eval", and
  /// scores.json; with intervals where they tell them.
  std::map<std::string, std::vector<PlotPoint>> scores;
  /// What log.txt says of each sitting: the command as it was typed, and the machine.
  std::vector<std::string> commands, machines;
  std::optional<fs::path> reals;
  std::vector<GridFile> samples;     // by images
  std::optional<fs::path> snapshot;  // the newest half-life average
  std::int64_t snapshot_images = 0;
  std::vector<std::string> notes;  // what was passed over, or is missing

  /// The last value of a curve.
  std::optional<double> last(const std::string& key) const;
  std::int64_t images() const;
};

/// The run folders that `path` is or holds: itself, or those in it or in its runs/, by name. Error(invalid)
/// where there is none, says what was wanted.
std::vector<fs::path> find_runs(const fs::path& path);

/// Reads one. Lines of stats.jsonl that are cut short or no objects are passed over and counted in notes.
/// Error(invalid) where the folder holds neither a line of stats.jsonl nor a config.toml that can be read.
RunRecord read_run(const fs::path& folder);

/// Reads all of these, with names that tell them apart: the last part of the path, more of it where two share
/// that.
std::vector<RunRecord> read_runs(const std::vector<fs::path>& folders);

}  // namespace diffit
