// Plots as data: curves and scatter plots. plot_svg.h draws them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/layers.h"

namespace diffit::plot {

enum class Scale { linear, log };

/// Axis of a plot.
struct Axis {
  std::string label;  // including the unit: "images", "memory (GiB)"
  Scale scale = Scale::linear;
  /// Ends of the axis; by default it covers the data. Must be above 0 on a log axis.
  std::optional<double> low, high;
};

/// Point with an interval in y if low and high are given. Non-finite points, and points not above 0 on a log
/// axis, are omitted.
struct PlotPoint {
  double x = 0, y = 0;
  std::optional<double> low, high;
};

/// Points connected in order; intervals are drawn as a band.
struct Series {
  std::string label;
  std::vector<PlotPoint> points;
  /// Series with the same style share color and dashes; -1 selects the next unused style.
  int style = -1;
  /// A pale line without markers that is not in the legend: the raw values behind a smoothed curve.
  bool faint = false;
};

/// Dashed horizontal line for comparison: a published value or a lower bound.
struct Reference {
  std::string label;
  double y = 0;
};

/// Plot of curves.
struct LinePlot {
  std::string name;     // name of its files and its anchor in the page: letters, digits, '-'
  std::string title;    // one line
  std::string caption;  // what the plot shows and how it was computed; may be empty
  Axis x, y;
  std::vector<Series> series;
  std::vector<Reference> references;
};

/// Labeled point with intervals along both axes.
struct ScatterPoint {
  std::string label;
  double x = 0, y = 0;
  std::optional<double> x_low, x_high, y_low, y_high;
};

/// Points that share a style and an entry in the legend.
struct ScatterGroup {
  std::string label;
  std::vector<ScatterPoint> points;
};

/// Which direction of an axis is better.
enum class Better { lower, higher };

/// Scatter plot with an optional Pareto front.
struct ScatterPlot {
  std::string name, title, caption;
  Axis x, y;
  std::vector<ScatterGroup> groups;
  bool front = false;  // draw the Pareto front of all points
  Better better_x = Better::lower, better_y = Better::lower;
};

/// Returns the points that are not dominated (another point is at least as good on both axes and better on
/// one), sorted by x. Equal points are all kept; non-finite points are dropped.
std::vector<ScatterPoint> pareto_front(std::vector<ScatterPoint> points, Better better_x, Better better_y);

}  // namespace diffit::plot
