#include "report/run_costs.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "plot/scale.h"
#include "train/plan.h"

namespace diffit::report {

namespace {

struct Cost {
  double parameters = 0;
  std::optional<double> macs;  // for an autoencoder, only if the recipe gives the image size
};

/// Cost of the network described by the config; nothing if it is not a valid recipe of this version.
std::optional<Cost> cost_of(const RunRecord& run) {
  if (run.config.empty()) return {};
  try {
    const Recipe recipe = read_recipe(run.config, "config.toml");
    const PartCost network = plan_training(recipe, recipe.data.size, 4).network;
    Cost cost{static_cast<double>(network.parameters), network.layer_macs + network.attention_macs};
    if (recipe.kind() == ModelKind::vae && recipe.data.size == 0) cost.macs.reset();
    return cost;
  } catch (const Error&) {
    return {};
  }
}

/// Mean over the last tenth of a curve, because a single value is noisy.
std::optional<double> settled(const RunRecord& run, const std::string& key) {
  const auto found = run.curves.find(key);
  if (found == run.curves.end() || found->second.empty()) return {};
  const std::size_t count = found->second.size(), tenth = std::max<std::size_t>(1, count / 10);
  double sum = 0;
  for (std::size_t i = count - tenth; i < count; ++i) sum += found->second[i].y;
  return sum / static_cast<double>(tenth);
}

std::optional<double> highest(const RunRecord& run, const std::string& key) {
  const auto found = run.curves.find(key);
  if (found == run.curves.end() || found->second.empty()) return {};
  return std::max_element(found->second.begin(), found->second.end(),
                          [](const PlotPoint& a, const PlotPoint& b) { return a.y < b.y; })
      ->y;
}

/// A number shown with a custom format: "1.2 M".
Cell shown_as(std::optional<double> value, std::string (*text)(double)) {
  if (!value) return {};
  Cell cell = number(*value);
  cell.text = text(*value);
  return cell;
}

std::string gmac(double macs) {
  return human_count(macs) + "MAC";
}
std::string rate(double images) {
  return fmt::format("{:.3g}", images);
}

std::optional<double> parameters(const std::optional<Cost>& cost) {
  return cost ? std::optional(cost->parameters) : std::nullopt;
}
std::optional<double> macs(const std::optional<Cost>& cost) {
  return cost ? cost->macs : std::nullopt;
}

}  // namespace

Table costs_of_run(const RunRecord& run) {
  Table table{"Model and cost", "", {{"figure"}, {"value"}, {"meaning"}}, {}};
  const auto add = [&](const char* name, Cell cell, const char* meaning) {
    if (!cell.text.empty()) table.rows.push_back({words(name), std::move(cell), words(meaning)});
  };
  const auto cost = cost_of(run);
  add("images", shown_as(static_cast<double>(run.images()), human_count), "images trained so far");
  if (const auto loss = settled(run, "loss"))
    add("loss", number(*loss), "mean over the last tenth of the log lines");
  add("parameters", shown_as(parameters(cost), human_count), "parameters of the network");
  add("work", shown_as(macs(cost), gmac), "multiply-adds per evaluation and image, including attention");
  add("time", shown_as(run.last("seconds"), human_seconds), "optimizer steps, in all sessions");
  add("images/s", shown_as(settled(run, "images_per_second"), rate),
      "mean over the last tenth of the log lines");
  add("memory", shown_as(highest(run, "memory_bytes"), human_bytes), "peak resident memory");
  if (const auto skipped = run.last("skipped"); skipped && *skipped > 0)
    add("skipped steps", number(*skipped, 6), "steps whose loss or gradient was not finite");
  return table;
}

Table costs_of_runs(const std::vector<RunRecord>& runs) {
  Table table{"Results and costs",
              "Loss and throughput: means over the last tenth of the log lines. Work: multiply-adds per "
              "evaluation and image.",
              {{"run"}, {"images"}, {"loss"}, {"parameters"}, {"work"}, {"time"}, {"images/s"}, {"memory"}},
              {}};
  for (const RunRecord& run : runs) {
    const auto cost = cost_of(run);
    const auto loss = settled(run, "loss");
    table.rows.push_back({words(run.name), shown_as(static_cast<double>(run.images()), human_count),
                          loss ? number(*loss) : Cell{}, shown_as(parameters(cost), human_count),
                          shown_as(macs(cost), gmac), shown_as(run.last("seconds"), human_seconds),
                          shown_as(settled(run, "images_per_second"), rate),
                          shown_as(highest(run, "memory_bytes"), human_bytes)});
  }
  return table;
}

Better better_of(const std::string& key) {
  static const std::set<std::string> higher{"is", "precision", "recall", "accuracy"};
  return higher.contains(key) ? Better::higher : Better::lower;
}

std::string score_label(const std::string& key) {
  if (key == "fid") return "FID";
  if (key == "sfid") return "sFID";
  if (key == "is") return "IS";
  if (key == "kid") return "KID";
  if (key == "fd_fashionnet") return "FD-FashionNet";
  if (key.starts_with("fd_")) return "FD-" + key.substr(3);
  return key;
}

Table scores_of_runs(const std::vector<RunRecord>& runs) {
  std::vector<std::string> keys;
  for (const RunRecord& run : runs) {
    for (const auto& [key, points] : run.scores) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  Table table{
      "Last evaluation", "EMA weights; with intervals where they were computed.", {{"run"}, {"images"}}, {}};
  for (const std::string& key : keys) {
    table.columns.push_back({score_label(key) + (better_of(key) == Better::lower ? " ↓" : " ↑")});
  }
  for (const RunRecord& run : runs) {
    if (run.scores.empty()) continue;
    double images = 0;
    std::vector<Cell> row{words(run.name), {}};
    for (const std::string& key : keys) {
      const auto found = run.scores.find(key);
      if (found == run.scores.end() || found->second.empty()) {
        row.emplace_back();
        continue;
      }
      const PlotPoint& last = found->second.back();
      images = std::max(images, last.x);
      row.push_back(number(last.y, 4, last.low, last.high));
    }
    row[1] = shown_as(images, human_count);
    table.rows.push_back(std::move(row));
  }
  for (std::size_t c = 0; c < keys.size() && table.rows.size() > 1; ++c)
    mark_best(table, c + 2, better_of(keys[c]));
  return table;
}

}  // namespace diffit::report
