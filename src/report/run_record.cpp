#include "report/run_record.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "base/error.h"

namespace diffit::report {

namespace {

constexpr std::uint64_t kLargestText = 16 << 20;

bool is_run(const fs::path& path) {
  std::error_code none;
  return fs::is_directory(path, none) &&
         (fs::exists(path / "config.toml", none) || fs::exists(path / "stats.jsonl", none));
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(folder, gone)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Returns the number between `prefix` and `suffix` of a name, if there is nothing else between them.
std::optional<std::int64_t> number_in(const std::string& name, std::string_view prefix,
                                      std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size())
    return {};
  const std::string digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  if (digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) return {};
  return std::stoll(digits);
}

std::optional<double> as_number(const Json& value) {
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

std::optional<double> member(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? std::nullopt : as_number(*found);
}

/// Reads a metric of an evaluation: a number whose interval is in KEY_low and KEY_high, or an object
/// {"value", "low", "high"}.
std::optional<PlotPoint> score_of(const Json& figures, const std::string& key, double images) {
  const Json& value = figures.at(key);
  if (value.is_object()) {
    const std::optional<double> v = member(value, "value");
    if (!v) return {};
    return PlotPoint{images, *v, member(value, "low"), member(value, "high")};
  }
  const std::optional<double> v = as_number(value);
  if (!v) return {};
  return PlotPoint{images, *v, member(figures, key + "_low"), member(figures, key + "_high")};
}

void add_row(RunRecord& run, const Json& row) {
  const double images = *member(row, "images");
  if (const auto figures = row.find("eval"); figures != row.end() && figures->is_object()) {
    for (const auto& [key, value] : figures->items()) {
      if (key.ends_with("_low") || key.ends_with("_high")) continue;
      if (const auto point = score_of(*figures, key, images)) run.scores[key].push_back(*point);
    }
    return;
  }
  for (const auto& [key, value] : row.items()) {
    if (key == "images") continue;
    if (const auto v = as_number(value)) run.curves[key].push_back({images, *v, {}, {}});
  }
}

void read_stats(RunRecord& run) {
  std::ifstream in(run.folder / "stats.jsonl");
  if (!in) {
    run.notes.emplace_back("There is no stats.jsonl: nothing has been logged yet, or the file was removed.");
    return;
  }
  std::int64_t passed_over = 0, rows = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object() || !member(row, "images")) {
      ++passed_over;
      continue;
    }
    ++rows;
    add_row(run, row);
  }
  if (passed_over > 0) {
    const bool one = passed_over == 1;
    run.notes.push_back(fmt::format("{} {} of stats.jsonl {} truncated or malformed, and skipped.",
                                    passed_over, one ? "line" : "lines", one ? "is" : "are"));
  }
  if (rows == 0) run.notes.emplace_back("stats.jsonl contains no complete line yet.");
}

/// Reads scores computed after training: a list of {"images", "value", "low", "high"}, or a single one.
void read_scores(RunRecord& run) {
  const fs::path path = run.folder / "scores.json";
  std::error_code none;
  if (!fs::exists(path, none)) return;
  const Json all = Json::parse(read_text(path, kLargestText), nullptr, /*allow_exceptions=*/false);
  const Json& list = all.is_object() && all.contains("scores") ? all["scores"] : all;
  const std::string name =
      all.is_object() && all.contains("metric") && all["metric"].is_string() ? all["metric"] : Json("score");
  const std::size_t before = run.scores[name].size();
  for (const Json& row : list.is_array() ? list : Json::array({list})) {
    if (!row.is_object() || !member(row, "value") || !member(row, "images")) continue;
    run.scores[name].push_back(
        {*member(row, "images"), *member(row, "value"), member(row, "low"), member(row, "high")});
  }
  if (run.scores[name].size() == before) {
    run.notes.emplace_back("scores.json contains no readable scores.");
    if (before == 0) run.scores.erase(name);
  }
}

void read_config(RunRecord& run) {
  const fs::path path = run.folder / "config.toml";
  std::error_code none;
  if (!fs::exists(path, none)) {
    run.notes.emplace_back("There is no config.toml, so the trained model is unknown.");
    return;
  }
  try {
    run.config_text = read_text(path, kLargestText);
    run.config = parse_toml(run.config_text, path.string());
  } catch (const Error& error) {
    run.notes.push_back(fmt::format("cannot read config.toml: {}", error.what()));
  }
}

/// Reads lines such as "2026-01-31 12:00:00  command: ...", each distinct one once, in order.
void read_log(RunRecord& run) {
  std::ifstream in(run.folder / "log.txt");
  const auto take = [](const std::string& line, std::string_view key, std::vector<std::string>& into) {
    const std::size_t at = line.find(key);
    if (at == std::string::npos || at > 24) return;
    const std::string text = line.substr(at + key.size());
    if (std::find(into.begin(), into.end(), text) == into.end() && into.size() < 100) into.push_back(text);
  };
  for (std::string line; std::getline(in, line);) {
    take(line, "  command: ", run.commands);
    take(line, "  machine: ", run.machines);
  }
}

void find_files(RunRecord& run) {
  for (const fs::path& path : entries(run.folder)) {
    const std::string name = path.filename().string();
    if (name == "reals.png") run.reals = path;
    if (const auto images = number_in(name, "samples-", ".png")) run.samples.push_back({*images, path});
    if (const auto images = number_in(name, "snapshot-", "-ema.safetensors");
        images && (!run.snapshot || *images >= run.snapshot_images)) {
      run.snapshot = path;
      run.snapshot_images = *images;
    }
  }
  std::sort(run.samples.begin(), run.samples.end(),
            [](const GridFile& a, const GridFile& b) { return a.images < b.images; });
}

/// Returns the last `parts` components of a path.
std::string tail(const fs::path& path, std::ptrdiff_t parts) {
  std::vector<std::string> all;
  for (const fs::path& part : path) {
    if (!part.empty() && part != "/") all.push_back(part.string());
  }
  const std::ptrdiff_t first = std::max<std::ptrdiff_t>(0, std::ssize(all) - parts);
  std::string text;
  for (std::ptrdiff_t i = first; i < std::ssize(all); ++i)
    text += (text.empty() ? "" : "/") + all[static_cast<std::size_t>(i)];
  return text.empty() ? path.string() : text;
}

fs::path whole(const fs::path& path) {
  std::error_code none;
  const fs::path canonical = fs::weakly_canonical(path, none);
  return none ? path : canonical;
}

}  // namespace

std::optional<double> RunRecord::last(const std::string& key) const {
  const auto found = curves.find(key);
  if (found == curves.end() || found->second.empty()) return {};
  return found->second.back().y;
}

std::int64_t RunRecord::images() const {
  double most = static_cast<double>(snapshot_images);
  for (const auto& [key, points] : curves) {
    if (!points.empty()) most = std::max(most, points.back().x);
  }
  return static_cast<std::int64_t>(std::min(most, 9e15));
}

std::vector<fs::path> find_runs(const fs::path& path) {
  std::error_code none;
  DIFFIT_CHECK(fs::exists(path, none), "{}: wanted a run folder of diffit train, but there is no such folder",
               path.string());
  if (is_run(path)) return {path};
  std::vector<fs::path> runs;
  const fs::path inner = fs::is_directory(path / "runs", none) ? path / "runs" : path;
  for (const fs::path& entry : entries(inner)) {
    if (is_run(entry)) runs.push_back(entry);
  }
  DIFFIT_CHECK(!runs.empty(),
               "{}: wanted a run folder of diffit train (with config.toml or stats.jsonl), or a folder that "
               "contains run folders",
               path.string());
  return runs;
}

RunRecord read_run(const fs::path& folder) {
  RunRecord run;
  run.folder = folder;
  run.name = tail(whole(folder), 1);
  run.group = run.name;
  if (const std::size_t seed = run.name.rfind("-seed");
      seed != std::string::npos && seed > 0 &&
      run.name.find_first_not_of("0123456789", seed + 5) == std::string::npos)
    run.group = run.name.substr(0, seed);
  read_config(run);
  read_stats(run);
  read_scores(run);
  read_log(run);
  find_files(run);
  DIFFIT_CHECK(!run.curves.empty() || !run.scores.empty() || !run.config.empty(),
               "{}: nothing to report: no complete line in stats.jsonl and no readable config.toml",
               folder.string());
  return run;
}

std::vector<RunRecord> read_runs(const std::vector<fs::path>& folders) {
  std::vector<RunRecord> runs;
  std::set<fs::path> seen;
  for (const fs::path& folder : folders) {
    if (seen.insert(whole(folder)).second) runs.push_back(read_run(folder));
  }
  for (std::ptrdiff_t parts = 1; parts < 64; ++parts) {
    std::map<std::string, int> count;
    for (const RunRecord& run : runs) ++count[run.name];
    bool again = false;
    for (RunRecord& run : runs) {
      if (count[run.name] == 1) continue;
      run.name = run.group = tail(whole(run.folder), parts + 1);
      again = true;
    }
    if (!again) break;
  }
  return runs;
}

}  // namespace diffit::report
