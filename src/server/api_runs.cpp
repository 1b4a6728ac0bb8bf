// /api/v1/runs: trainings in a folder, live and past, out of the files that they write.
#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "server/api.h"

namespace diffit::server {

namespace {

constexpr std::uint64_t kLargestLog = 256 << 20;
constexpr std::size_t kMostPoints = 1000, kMostRuns = 500;

struct Line {
  std::int64_t images = 0;
  Json values;
};

/// Complete lines of stats.jsonl that are objects with a number of images.
std::vector<Line> read_stats(const fs::path& path) {
  std::vector<Line> lines;
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return lines;
  const std::string text = read_text(path, kLargestLog);
  for (std::size_t from = 0, to = 0; (to = text.find('\n', from)) != std::string::npos; from = to + 1) {
    Json values = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(from),
                              text.begin() + static_cast<std::ptrdiff_t>(to), nullptr, false);
    if (!values.is_object() || !values.contains("images") || !values["images"].is_number_integer()) continue;
    lines.push_back({values["images"].get<std::int64_t>(), std::move(values)});
  }
  return lines;
}

/// Evenly spread lines, the last among them.
std::vector<Line> thinned(const std::vector<Line>& lines) {
  if (lines.size() <= kMostPoints) return lines;
  std::vector<Line> kept;
  for (std::size_t i = 0; i < kMostPoints; ++i)
    kept.push_back(lines[i * (lines.size() - 1) / (kMostPoints - 1)]);
  return kept;
}

std::string config_text(const fs::path& run) {
  std::error_code none;
  return fs::is_regular_file(run / "config.toml", none) ? read_text(run / "config.toml", 1 << 20) : "";
}

/// train.images of a configuration, or null.
Json planned_images(const std::string& config) {
  try {
    const Json all = parse_toml(config, "config.toml");
    if (all.contains("train") && all["train"].contains("images")) return all["train"]["images"];
  } catch (const Error&) {  // half-written, or of another program
  }
  return {};
}

bool is_run(const fs::path& folder) {
  std::error_code none;
  return fs::is_directory(folder, none) &&
         (fs::exists(folder / "config.toml", none) || fs::exists(folder / "stats.jsonl", none));
}

/// "samples-000012800.png" -> 12800; -1 for other names.
std::int64_t images_of_grid(const std::string& name) {
  const std::string prefix = "samples-", ending = ".png";
  if (!name.starts_with(prefix) || !name.ends_with(ending)) return -1;
  const std::string digits = name.substr(prefix.size(), name.size() - prefix.size() - ending.size());
  if (digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != std::string::npos)
    return -1;
  return std::stoll(digits);
}

/// The folder of a run. The name is one that the listing gives: no path, nothing hidden.
fs::path run_folder(const fs::path& runs, const std::string& name) {
  const bool plain = !name.empty() && name[0] != '.' && name.find('/') == std::string::npos &&
                     name.find('\0') == std::string::npos;
  if (!plain || !is_run(runs / name)) throw HttpError(404, fmt::format("there is no run '{}'", name));
  return runs / name;
}

double modified(const fs::path& path) {
  std::error_code error;
  const fs::file_time_type time = fs::last_write_time(path, error);
  if (error) return 0;
  return std::chrono::duration<double>(fs::file_time_type::clock::to_sys(time).time_since_epoch()).count();
}

Json summary(const fs::path& run) {
  const std::vector<Line> lines = read_stats(run / "stats.jsonl");
  const Json last = lines.empty() ? Json::object() : lines.back().values;
  const auto newest =
      std::find_if(lines.rbegin(), lines.rend(), [](const Line& l) { return l.values.contains("loss"); });
  return {{"name", run.filename().string()},
          {"images", lines.empty() ? 0 : lines.back().images},
          {"planned", planned_images(config_text(run))},
          {"loss", newest == lines.rend() ? Json() : newest->values["loss"]},
          {"seconds", last.contains("seconds") ? last["seconds"] : Json()},
          {"updated", std::max(modified(run / "stats.jsonl"), modified(run / "config.toml"))}};
}

Json list_runs(const fs::path& runs) {
  std::vector<Json> all;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(runs, none)) {
    if (all.size() == kMostRuns) break;
    if (is_run(entry.path()) && !entry.path().filename().string().starts_with('.'))
      all.push_back(summary(entry.path()));
  }
  std::sort(all.begin(), all.end(), [](const Json& a, const Json& b) { return a["updated"] > b["updated"]; });
  return {{"folder", runs.string()}, {"runs", all}};
}

Json describe_run(const fs::path& run) {
  const std::string name = run.filename().string();
  std::vector<Line> curve;
  Json scores = Json::array();
  for (Line& line : read_stats(run / "stats.jsonl")) {
    if (line.values.contains("eval")) {
      scores.push_back(line.values);
    } else {
      curve.push_back(std::move(line));
    }
  }
  Json points = Json::array();
  for (const Line& line : thinned(curve)) points.push_back(line.values);
  std::vector<std::int64_t> grids;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run, none)) {
    if (const std::int64_t images = images_of_grid(entry.path().filename().string()); images >= 0)
      grids.push_back(images);
  }
  std::sort(grids.begin(), grids.end());
  Json samples = Json::array();
  for (const std::int64_t images : grids) {
    samples.push_back({{"images", images}, {"url", fmt::format("/api/v1/runs/{}/grids/{}", name, images)}});
  }
  Json out = summary(run);
  out["config"] = config_text(run);
  out["points"] = points;
  out["scores"] = scores;
  out["grids"] = samples;
  return out;
}

}  // namespace

void add_run_routes(Router& router, const fs::path& runs) {
  router.add("GET", "/api/v1/runs",
             [runs](const Request&, const PathValues&) { return json_reply(list_runs(runs)); });
  router.add("GET", "/api/v1/runs/{name}", [runs](const Request&, const PathValues& values) {
    return json_reply(describe_run(run_folder(runs, values[0])));
  });
  router.add("GET", "/api/v1/runs/{name}/grids/{images}", [runs](const Request&, const PathValues& values) {
    const std::int64_t images = images_of_grid("samples-" + values[1] + ".png");
    const fs::path path = run_folder(runs, values[0]) / fmt::format("samples-{:09}.png", images);
    std::error_code none;
    if (images < 0 || !fs::is_regular_file(path, none)) {
      throw HttpError(404, fmt::format("run {} has no samples after {} images", values[0], values[1]));
    }
    return png_reply(read_text(path, 256 << 20), false);
  });
}

}  // namespace diffit::server
