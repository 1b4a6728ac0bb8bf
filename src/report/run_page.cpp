#include "report/run_page.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "config/json_text.h"
#include "report/grid_files.h"
#include "report/run_costs.h"
#include "report/run_curves.h"

namespace diffit::report {

namespace {

/// Longest side of a grid on the page in pixels; larger grids are reduced.
constexpr std::int64_t kLargestGrid = 1600, kLargestThumb = 640;

std::string images_text(std::int64_t images) {
  return human_count(static_cast<double>(images)) + " images";
}

void add_grids(const RunRecord& run, bool several, Section& section) {
  GridFiles now;
  if (run.reals) {
    now.add(*run.reals, kLargestGrid, "Training images, as the network sees them",
            "A grid of images of the training set");
  } else {
    now.missing("The run folder contains no reals.png.");
  }
  if (!run.samples.empty()) {
    const GridFile& last = run.samples.back();
    now.add(last.path, kLargestGrid, fmt::format("Samples after {}", images_text(last.images)),
            fmt::format("A grid of samples of the EMA weights after {}", images_text(last.images)));
  } else {
    now.missing("The run folder contains no sample grid yet.");
  }
  std::move(now).put(section, {.title = several ? run.name : "Samples and training images", .caption = ""},
                     600);
  if (run.samples.size() < 2) return;
  GridFiles earlier;
  for (const std::size_t i : spread(run.samples.size() - 1, 4)) {
    const GridFile& grid = run.samples[i];
    earlier.add(grid.path, kLargestThumb, fmt::format("After {}", images_text(grid.images)),
                fmt::format("The same seeds after {}", images_text(grid.images)));
  }
  std::move(earlier).put(section,
                         {.title = several ? "Earlier, " + run.name : "Earlier in training",
                          .caption = "The same seeds and classes at earlier snapshots.",
                          .folded = true},
                         320);
}

std::string sigma_text(double sigma) {
  return sigma >= 10 ? fmt::format("σ {:.0f}", sigma) : fmt::format("σ {:.2g}", sigma);
}

void add_trajectories(const RunRecord& run, const RunImages& made, bool several, Section& section) {
  if (!made.trajectories) {
    section.blocks.emplace_back(
        Text{{fmt::format("{}No trajectories: {}", several ? run.name + ": " : "", made.no_trajectories)}});
    return;
  }
  const Trajectories& t = *made.trajectories;
  ImageGrid grid;
  grid.title = several ? run.name : "From noise to an image";
  grid.caption = fmt::format(
      "Sampling with Heun's method; noise decreases from left to right{}. For each seed, the first row shows "
      "the sampler's noisy state; the second shows the network's denoised estimate at that noise level, and "
      "the final sample at the right. After {}.",
      made.guidance != 1 ? fmt::format(", guidance {:.3g}", made.guidance) : "",
      images_text(run.snapshot_images));
  for (const double sigma : t.sigmas) grid.column_heads.push_back(sigma_text(sigma));
  grid.column_heads.emplace_back("result");
  const auto row = [&](const std::string& head, const std::string& what, const std::vector<Image>& images,
                       const Image& result) {
    ImageRow line{head, {}};
    for (std::size_t k = 0; k < images.size(); ++k)
      line.images.push_back({images[k], "", fmt::format("{} at {}", what, sigma_text(t.sigmas[k]))});
    line.images.push_back({result, "", fmt::format("{}, result", what)});
    grid.rows.push_back(std::move(line));
  };
  for (std::size_t b = 0; b < t.results.size(); ++b) {
    if (b == 0) row(made.labels[b] + ", state", made.labels[b] + ", noisy", t.states[b], t.results[b]);
    row(made.labels[b], made.labels[b] + ", expected", t.denoised[b], t.results[b]);
  }
  grid.enlarge = std::clamp<std::int64_t>(64 / std::max<std::int64_t>(1, t.results.front().width), 1, 4);
  section.blocks.emplace_back(std::move(grid));
}

void add_neighbours(const RunRecord& run, const RunImages& made, bool several, Section& section) {
  if (!made.neighbours) {
    if (!made.no_neighbours.empty()) {
      section.blocks.emplace_back(
          Text{{fmt::format("{}No neighbours: {}", several ? run.name + ": " : "", made.no_neighbours)}});
    }
    return;
  }
  const NeighbourSearch& search = *made.neighbours;
  ImageGrid grid;
  grid.title = several ? run.name : fmt::format("Nearest training images in {}", made.space);
  grid.caption = fmt::format(
      "The samples above and their nearest images in the whole training set, with the distance ({}).",
      made.unit);
  if (!search.usual.empty()) {
    const auto quantile = [&](double q) {
      return search.usual[static_cast<std::size_t>(q * static_cast<double>(search.usual.size() - 1) + 0.5)];
    };
    grid.caption += fmt::format(
        " The distance between a training image and its nearest other training image is typically {:.3g} (90 "
        "% of {}: {:.3g} to {:.3g}); a sample at a much smaller distance is a copy.",
        quantile(0.5), search.usual.size(), quantile(0.05), quantile(0.95));
  }
  grid.column_heads.emplace_back("sample");
  const std::size_t found = search.nearest.empty() ? 0 : search.nearest.front().size();
  for (std::size_t k = 0; k < found; ++k)
    grid.column_heads.push_back(k == 0 ? "nearest" : fmt::format("{}.", k + 1));
  for (std::size_t b = 0; b < search.nearest.size(); ++b) {
    ImageRow row{made.labels[b], {}};
    row.images.push_back({made.trajectories->results[b], " ", made.labels[b] + ", sample"});
    for (const Neighbour& n : search.nearest[b]) {
      row.images.push_back({n.image, fmt::format("{:.1f}", n.distance),
                            fmt::format("training image {} at distance {:.1f}", n.index, n.distance)});
    }
    grid.rows.push_back(std::move(row));
  }
  grid.enlarge =
      std::clamp<std::int64_t>(64 / std::max<std::int64_t>(1, made.trajectories->results[0].width), 1, 4);
  section.blocks.emplace_back(std::move(grid));
}

void flatten(const Json& value, const std::string& path, std::map<std::string, std::string>& out) {
  if (!value.is_object()) {
    out[path] = value.is_string() ? value.get<std::string>() : json_text(value);
    return;
  }
  for (const auto& [key, inner] : value.items()) flatten(inner, path.empty() ? key : path + "." + key, out);
}

Section making_of(const std::vector<ReportedRun>& runs, const RunPageOptions& options) {
  Section section{"How this was made", {}};
  for (const auto& [run, images] : runs) {
    std::string text;
    for (const std::string& command : run.commands) text += command + "\n";
    if (text.empty()) {
      text = fmt::format("diffit train {}/config.toml --out NEW_FOLDER\n", run.folder.string());
      section.blocks.emplace_back(Text{{fmt::format(
          "{}: the log does not contain the original command; this command repeats the run.", run.name)}});
    }
    section.blocks.emplace_back(Code{runs.size() > 1 ? "Command of " + run.name : "Command", text, false});
    if (!run.machines.empty())
      section.blocks.emplace_back(
          Text{{fmt::format("Trained on: {}", fmt::join(run.machines, "; then on: "))}});
  }
  for (const auto& [run, images] : runs) {
    if (run.config_text.empty()) continue;
    section.blocks.emplace_back(
        Code{runs.size() > 1 ? "Configuration of " + run.name : "Configuration", run.config_text, true});
  }
  if (!options.command.empty()) section.blocks.emplace_back(Code{"This page", options.command, false});
  return section;
}

std::string title_of(const std::vector<ReportedRun>& runs) {
  if (runs.size() == 1) return runs.front().record.name;
  if (runs.size() <= 3) {
    std::vector<std::string> names;
    for (const auto& [run, images] : runs) names.push_back(run.name);
    return fmt::format("{}", fmt::join(names, ", "));
  }
  return fmt::format("{} runs", runs.size());
}

std::string subtitle_of(const std::vector<ReportedRun>& runs) {
  if (runs.size() > 1) return fmt::format("{} trainings compared", runs.size());
  const RunRecord& run = runs.front().record;
  std::string text = fmt::format("Training of {}", images_text(run.images()));
  if (const auto seconds = run.last("seconds")) text += fmt::format(" in {}", human_seconds(*seconds));
  if (const auto loss = run.last("loss")) text += fmt::format("; last loss {:.4g}", *loss);
  return text;
}

}  // namespace

Table differing_keys(const std::vector<RunRecord>& runs) {
  std::vector<std::map<std::string, std::string>> flat(runs.size());
  std::set<std::string> keys;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    flatten(runs[r].config, "", flat[r]);
    for (const auto& [key, value] : flat[r]) keys.insert(key);
  }
  Table table{"Differences", "Configuration keys whose values differ between the runs.", {{"key"}}, {}};
  for (const RunRecord& run : runs) table.columns.push_back({run.name});
  for (const std::string& key : keys) {
    std::set<std::string> values;
    std::vector<Cell> row{words(key)};
    for (const auto& config : flat) {
      const auto found = config.find(key);
      values.insert(found == config.end() ? "\0" : found->second);
      row.push_back(words(found == config.end() ? "" : found->second));
    }
    if (values.size() > 1) table.rows.push_back(std::move(row));
  }
  return table;
}

Page run_page(const std::vector<ReportedRun>& runs, const RunPageOptions& options) {
  DIFFIT_CHECK(!runs.empty(), "report: wanted at least one run");
  std::vector<RunRecord> records;
  for (const ReportedRun& run : runs) records.push_back(run.record);
  const bool several = runs.size() > 1;
  Page page;
  page.title = options.title.empty() ? title_of(runs) : options.title;
  page.subtitle = subtitle_of(runs);

  Section summary{several ? "Runs" : "Summary", {}};
  summary.blocks.emplace_back(several ? costs_of_runs(records) : costs_of_run(records.front()));
  std::vector<std::string> notes;
  for (const RunRecord& run : records) {
    for (const std::string& note : run.notes) notes.push_back(several ? run.name + ": " + note : note);
  }
  if (!notes.empty()) summary.blocks.emplace_back(Text{notes});
  if (several) {
    Table differences = differing_keys(records);
    if (differences.rows.empty()) {
      summary.blocks.emplace_back(Text{{"All runs have the same configuration."}});
    } else {
      summary.blocks.emplace_back(std::move(differences));
    }
  }
  page.sections.push_back(std::move(summary));

  if (const Table scores = scores_of_runs(records); !scores.rows.empty()) {
    Section section{"Scores", {scores}};
    for (LinePlot& plot : score_plots(records)) section.blocks.emplace_back(std::move(plot));
    page.sections.push_back(std::move(section));
  }
  Section curves{"Curves", {}};
  for (LinePlot& plot : training_plots(records)) curves.blocks.emplace_back(std::move(plot));
  if (curves.blocks.empty()) curves.blocks.emplace_back(Text{{"stats.jsonl contains no line yet."}});
  page.sections.push_back(std::move(curves));

  Section samples{"Samples", {}}, trajectories{"Denoising", {}}, neighbours{"Nearest training images", {}};
  for (std::size_t r = 0; r < std::min(runs.size(), options.most_grids); ++r)
    add_grids(runs[r].record, several, samples);
  if (runs.size() > options.most_grids) {
    samples.blocks.emplace_back(
        Text{{fmt::format("The first {} of {} runs are shown.", options.most_grids, runs.size())}});
  }
  for (const auto& [run, images] : runs) {
    if (!images) continue;
    add_trajectories(run, *images, several, trajectories);
    add_neighbours(run, *images, several, neighbours);
  }
  for (Section* section : {&samples, &trajectories, &neighbours}) {
    if (!section->blocks.empty()) page.sections.push_back(std::move(*section));
  }
  page.sections.push_back(making_of(runs, options));
  return page;
}

}  // namespace diffit::report
