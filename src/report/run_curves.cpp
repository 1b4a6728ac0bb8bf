#include "report/run_curves.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "plot/scale.h"
#include "report/page.h"
#include "report/run_costs.h"

namespace diffit::report {

namespace {

/// Number of points above which the loss is smoothed.
constexpr std::size_t kSmoothed = 40;
/// Ratio of the largest to the smallest value above which the axis is logarithmic.
constexpr double kLogarithmic = 4;

struct Known {
  const char* key;
  const char* title;
  const char* unit;
  double factor;
};
constexpr Known kKnown[] = {{"loss", "Loss", "loss", 1},
                            {"lr", "Learning rate", "learning rate", 1},
                            {"images_per_second", "Speed", "images/s", 1},
                            {"memory_bytes", "Memory", "resident memory (GiB)", 1.0 / (1024 * 1024 * 1024)},
                            {"gradient_norm", "Gradient norm", "norm before clipping", 1}};
/// Shown in the table and not as a curve.
constexpr const char* kNoCurve[] = {"seconds", "skipped"};

using Curves = std::map<std::string, std::vector<PlotPoint>>;

/// Runs of the same group share a style; only the first one appears in the legend.
LinePlot plot_of(const std::vector<RunRecord>& runs, Curves RunRecord::*curves, const Known& known,
                 bool smooth) {
  LinePlot plot;
  plot.name = slug(known.key);
  plot.title = known.title;
  plot.x.label = "images";
  plot.y.label = known.unit;
  std::map<std::string, int> styles;
  double low = INFINITY, high = 0;
  bool smoothed = false;
  for (const RunRecord& run : runs) {
    const auto found = (run.*curves).find(known.key);
    if (found == (run.*curves).end() || found->second.empty()) continue;
    Series series;
    const auto [style, first] = styles.try_emplace(run.group, static_cast<int>(styles.size()));
    series.label = run.group;
    series.style = style->second;
    series.points = found->second;
    for (PlotPoint& p : series.points) {
      p.y *= known.factor;
      if (p.y > 0) low = std::min(low, p.y), high = std::max(high, p.y);
    }
    if (smooth && series.points.size() > kSmoothed) {
      Series raw = series;
      raw.faint = true;
      if (runs.size() <= 3) plot.series.push_back(std::move(raw));
      series.points = running_mean(series.points, std::max<std::size_t>(5, series.points.size() / 25));
      smoothed = true;
    }
    plot.series.push_back(std::move(series));
  }
  if (smoothed) {
    plot.caption = runs.size() <= 3 ? "Moving average over 1/25 of the log lines; pale: individual lines."
                                    : "Moving average over 1/25 of the log lines.";
  }
  if (smooth && high > kLogarithmic * low) plot.y.scale = Scale::log;
  return plot;
}

}  // namespace

std::vector<LinePlot> training_plots(const std::vector<RunRecord>& runs) {
  std::vector<LinePlot> plots;
  const auto add = [&](const Known& known, bool smooth) {
    LinePlot plot = plot_of(runs, &RunRecord::curves, known, smooth);
    const bool exists =
        std::any_of(plots.begin(), plots.end(), [&](const LinePlot& p) { return p.name == plot.name; });
    if (!plot.series.empty() && !exists) plots.push_back(std::move(plot));
  };
  std::map<std::string, int> others;
  for (const RunRecord& run : runs) {
    for (const auto& [key, points] : run.curves) others[key];
  }
  for (const Known& known : kKnown) {
    const std::string key = known.key;
    add(known, key == "loss" || key == "gradient_norm");
    others.erase(key);
  }
  for (const char* key : kNoCurve) others.erase(key);
  for (const auto& [key, unused] : others) add({key.c_str(), key.c_str(), key.c_str(), 1}, true);
  for (LinePlot& plot : plots) {
    if (plot.name == "images-per-second" || plot.name == "memory-bytes") plot.y.low = 0;
  }
  return plots;
}

std::vector<LinePlot> score_plots(const std::vector<RunRecord>& runs) {
  std::vector<LinePlot> plots;
  std::map<std::string, std::size_t> longest;
  for (const RunRecord& run : runs) {
    for (const auto& [key, points] : run.scores) longest[key] = std::max(longest[key], points.size());
  }
  for (const auto& [key, count] : longest) {
    if (count < 2) continue;  // shown in the table
    const std::string label = score_label(key);
    const std::string unit =
        label + (better_of(key) == Better::lower ? " (lower is better)" : " (higher is better)");
    LinePlot plot = plot_of(runs, &RunRecord::scores, {key.c_str(), label.c_str(), unit.c_str(), 1}, false);
    plot.name = "score-" + plot.name;
    const bool exists =
        std::any_of(plots.begin(), plots.end(), [&](const LinePlot& p) { return p.name == plot.name; });
    if (!plot.series.empty() && !exists) plots.push_back(std::move(plot));
  }
  return plots;
}

}  // namespace diffit::report
