// Plots as data: curves and scatter plots. What is drawn of them, and where, is plot_svg.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace diffit {

enum class Scale { linear, log };

struct Axis {
  std::string label;  // with the unit: "images", "memory (GiB)"
  Scale scale = Scale::linear;
  /// Ends of the axis; without them it spans the data. On a log axis above 0.
  std::optional<double> low, high;
};

/// A point, with an interval in y where low and high are given. Points that are not finite, or not above 0 on
/// a log axis, are left out.
struct PlotPoint {
  double x = 0, y = 0;
  std::optional<double> low, high;
};

/// Points joined in their order; intervals are drawn as a band.
struct Series {
  std::string label;
  std::vector<PlotPoint> points;
  /// Series of the same style share colour and dashes; -1 takes the next free one.
  int style = -1;
  /// A pale line without markers, and not in the legend: the raw figures behind a smoothed curve.
  bool faint = false;
};

/// A level for comparison across the whole plot, dashed: a published value, a floor.
struct Reference {
  std::string label;
  double y = 0;
};

struct LinePlot {
  std::string name;     // of its files and its place in the page: letters, digits, '-'
  std::string title;    // one line
  std::string caption;  // what is seen, and how it came about; may be empty
  Axis x, y;
  std::vector<Series> series;
  std::vector<Reference> references;
};

/// A labelled point with intervals in either direction.
struct ScatterPoint {
  std::string label;
  double x = 0, y = 0;
  std::optional<double> x_low, x_high, y_low, y_high;
};

struct ScatterGroup {
  std::string label;
  std::vector<ScatterPoint> points;
};

/// Which end of an axis is the better one.
enum class Better { lower, higher };

struct ScatterPlot {
  std::string name, title, caption;
  Axis x, y;
  std::vector<ScatterGroup> groups;
  bool front = false;  // draw the Pareto front of all points
  Better better_x = Better::lower, better_y = Better::lower;
};

/// The points that none other dominates (at least as good in both, better in one), by x. Equal points are
/// all kept; points that are not finite are none.
std::vector<ScatterPoint> pareto_front(std::vector<ScatterPoint> points, Better better_x, Better better_y);

}  // namespace diffit
