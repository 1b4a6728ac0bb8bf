#include "plot/plot_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "plot/scale.h"
#include "plot/templates.h"

namespace diffit::plot {

namespace {

using ctemplate::TemplateDictionary;

// In drawing units, which are pixels at the natural size of the plot.
constexpr double kWidth = 440, kHeight = 290, kFont = 12, kLegendRow = 18;
constexpr std::size_t kMostPoints = 500, kMarkersAll = 24, kMarkersFew = 6;
constexpr int kColours = 7;
constexpr const char* kDashes[] = {"none", "7 3", "2 2.5", "9 3 2 3"};
/// Markers centered at the origin: circle, square, triangle, diamond, inverted triangle, cross.
constexpr const char* kMarkers[] = {"M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z",
                                    "M-3 -3h6v6h-6z",
                                    "M0 -4L3.8 3H-3.8z",
                                    "M0 -4.2L4.2 0L0 4.2L-4.2 0z",
                                    "M0 4L3.8 -3H-3.8z",
                                    "M-3.4 -1.1H-1.1V-3.4H1.1V-1.1H3.4V1.1H1.1V3.4H-1.1V1.1H-3.4z"};

/// Style of a series: distinguished by color, and also by dashes and marker.
struct Style {
  int index;
  std::string colour() const { return fmt::format("c{}", index % kColours); }
  const char* dashes() const { return kDashes[static_cast<std::size_t>(index) % std::size(kDashes)]; }
  const char* marker() const { return kMarkers[static_cast<std::size_t>(index) % std::size(kMarkers)]; }
};

std::string place(double v) {
  return fmt::format("{:.1f}", v);
}

/// Estimates the width of a text from the kinds of its letters, because no font is available.
double text_width(const std::string& text) {
  constexpr std::string_view narrow = "iljtfrI.,:;|!'()[] -", wide = "mwMW@%";
  double ems = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;  // continuation byte of a UTF-8 character
    ems += narrow.find(c) != narrow.npos ? 0.35
           : wide.find(c) != wide.npos   ? 0.92
           : c >= 'A' && c <= 'Z'        ? 0.68
                                         : 0.6;
  }
  return ems * kFont;
}

std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

struct LegendEntry {
  std::string label;
  Style style;
  bool line, marker;
  bool reference = false;
};

/// Frame of a plot: axes, grid, legend, and the mappings from values to positions.
class Frame {
 public:
  Frame(const std::string& name, const std::string& title, const std::string& description, const Axis& x,
        const Axis& y, const std::vector<double>& xs, const std::vector<double>& ys,
        const std::vector<LegendEntry>& legend, SvgUse use)
      : values_("plot"), top_(30), bottom_(kHeight - 40) {
    values_["NAME"] = name;
    values_["TITLE"] = title;
    values_["DESCRIPTION"] = description;
    if (use == SvgUse::alone) {
      values_.ShowSection("ALONE");
      values_.AddIncludeDictionary("SHAPES")->SetFilename("plot.css");
      values_.AddIncludeDictionary("COLOURS")->SetFilename("plot_light.css");
    }
    place_legend(legend);
    const Range range_x = range_of(x, xs), range_y = range_of(y, ys);
    const Mapping down(y.scale, range_y, bottom_, top_);
    const std::vector<double> ticks = down.ticks(5);
    const std::vector<std::string> labels = tick_labels(ticks);
    double widest = 20;
    for (const std::string& label : labels) widest = std::max(widest, text_width(label));
    left_ = widest + 14;
    x_.emplace(x.scale, range_x, left_, kWidth - 14);
    y_.emplace(down);
    for (std::size_t i = 0; i < ticks.size(); ++i) {
      TemplateDictionary* tick = values_.AddSectionDictionary("TICK_Y");
      tick->SetValue("AT", place(down(ticks[i])));
      tick->SetValue("BASELINE", place(down(ticks[i]) + kFont * 0.35));
      tick->SetValue("LABEL", labels[i]);
    }
    add_ticks_x();
    values_["LABEL_X"] = x.label;
    values_["LABEL_Y"] = y.label;
    set_place("WIDTH", kWidth);
    set_place("HEIGHT", kHeight);
    set_place("LEFT", left_);
    set_place("RIGHT", kWidth - 14);
    set_place("TOP", top_);
    set_place("BOTTOM", bottom_);
    set_place("TICK_LABEL_X", left_ - 6);
    set_place("TICK_LABEL_Y", bottom_ + 15);
    set_place("LABEL_X_Y", kHeight - 7);
    set_place("LABEL_X_X", (left_ + kWidth - 14) / 2);
    set_place("LABEL_Y_Y", 13);
    values_["AXIS_X"] = axis_data(x.scale, range_x, left_, kWidth - 14);
    values_["AXIS_Y"] = axis_data(y.scale, range_y, bottom_, top_);
  }

  TemplateDictionary& values() { return values_; }
  double x(double v) const { return (*x_)(v); }
  double y(double v) const { return (*y_)(v); }
  double left() const { return left_; }
  double top() const { return top_; }
  double bottom() const { return bottom_; }
  double right() const { return kWidth - 14; }

  void add_marker(const char* section, double at_x, double at_y, const Style& style) {
    TemplateDictionary* marker = values_.AddSectionDictionary(section);
    marker->SetValue("COLOUR", style.colour());
    marker->SetValue("X", place(at_x));
    marker->SetValue("Y", place(at_y));
    marker->SetValue("SHAPE", style.marker());
  }

  std::string svg() const { return expand("plot.svg", values_); }

 private:
  void set_place(const char* name, double v) { values_.SetValue(name, place(v)); }

  /// Axis data for the script that reads off values: "log 0.1 100 40 400".
  static std::string axis_data(Scale scale, Range range, double from, double to) {
    return fmt::format("{} {:.9g} {:.9g} {:.1f} {:.1f}", scale == Scale::log ? "log" : "linear", range.low,
                       range.high, from, to);
  }

  void add_ticks_x() {
    const std::vector<double> ticks = x_->ticks(6);
    const std::vector<std::string> labels = tick_labels(ticks);
    double taken = -1e9;
    for (std::size_t i = 0; i < ticks.size(); ++i) {
      const double at = (*x_)(ticks[i]), half = text_width(labels[i]) / 2;
      TemplateDictionary* tick = values_.AddSectionDictionary("TICK_X");
      tick->SetValue("AT", place(at));
      if (at - half < taken) continue;  // the tick is drawn without a label, which would overlap its neighbor
      tick->SetValueAndShowSection("LABEL", labels[i], "LABELLED");
      taken = at + half + 6;
    }
  }

  /// Places legend entries in rows below the label of the y axis.
  void place_legend(const std::vector<LegendEntry>& legend) {
    double x = 2, y = 13 + kLegendRow;
    for (const LegendEntry& entry : legend) {
      const std::string label = shortened(entry.label, 48);
      const double width = 30 + text_width(label) + 14;
      if (x > 2 && x + width > kWidth) {
        x = 2;
        y += kLegendRow;
      }
      TemplateDictionary* item = values_.AddSectionDictionary("LEGEND");
      item->SetValue("COLOUR", entry.reference ? "reference" : entry.style.colour());
      item->SetValue("DASHES", entry.reference ? "4 3" : entry.style.dashes());
      item->SetValue("X", place(x));
      item->SetValue("LINE_END", place(x + 24));
      item->SetValue("MARKER_X", place(x + 12));
      item->SetValue("TEXT_X", place(x + 30));
      item->SetValue("Y", place(y - 4));
      item->SetValue("TEXT_Y", place(y));
      item->SetValue("SHAPE", entry.style.marker());
      item->SetValue("LABEL", label);
      if (entry.line) item->ShowSection("WITH_LINE");
      if (entry.marker) item->ShowSection("WITH_MARKER");
      x += width;
    }
    if (!legend.empty()) top_ = y + 12;
  }

  TemplateDictionary values_;
  double left_ = 0, top_, bottom_;
  std::optional<Mapping> x_, y_;
};

struct Placed {
  double left, top, right, bottom;
  bool touches(const Placed& o) const {
    return left < o.right && o.left < right && top < o.bottom && o.top < bottom;
  }
};

std::vector<PlotPoint> shown(const LinePlot& plot, const Series& series) {
  std::vector<PlotPoint> points = series.points;
  std::erase_if(points, [&](const PlotPoint& p) {
    return !can_be_shown(plot.x.scale, p.x) || !can_be_shown(plot.y.scale, p.y);
  });
  return thinned(points, kMostPoints);
}

std::vector<Style> styles_of(const LinePlot& plot) {
  std::vector<Style> styles;
  int next = 0;
  for (const Series& series : plot.series) {
    styles.push_back({series.style >= 0 ? series.style : next});
    next = std::max(next, styles.back().index + 1);
  }
  return styles;
}

std::string path_of(const Frame& frame, const std::vector<PlotPoint>& points) {
  std::string d;
  for (const PlotPoint& p : points)
    d += fmt::format("{}{:.1f} {:.1f}", d.empty() ? 'M' : 'L', frame.x(p.x), frame.y(p.y));
  return d;
}

/// Outline of the band: forward along the upper ends and back along the lower ends; "" if no point has an
/// interval.
std::string band_of(const Frame& frame, const std::vector<PlotPoint>& points, Scale scale) {
  std::string d, back;
  for (const PlotPoint& p : points) {
    if (!p.low || !p.high || !can_be_shown(scale, *p.low) || !can_be_shown(scale, *p.high)) continue;
    d += fmt::format("{}{:.1f} {:.1f}", d.empty() ? 'M' : 'L', frame.x(p.x), frame.y(*p.high));
    back = fmt::format("L{:.1f} {:.1f}", frame.x(p.x), frame.y(*p.low)) + back;
  }
  return d.empty() ? d : d + back + "Z";
}

/// Points with markers. A long line has only a few, at positions that differ from those of the next line; a
/// single long line has none.
std::vector<PlotPoint> marked(const std::vector<PlotPoint>& points, int index, bool alone) {
  if (points.size() <= kMarkersAll) return points;
  if (alone) return {};
  std::vector<PlotPoint> chosen;
  const double stretch = static_cast<double>(points.size()) / kMarkersFew;
  for (std::size_t k = 0; k < kMarkersFew; ++k) {
    const double at = (static_cast<double>(k) + 0.2 + 0.15 * (index % 5)) * stretch;
    chosen.push_back(points[std::min(points.size() - 1, static_cast<std::size_t>(at))]);
  }
  return chosen;
}

}  // namespace

std::string plot_svg(const LinePlot& plot, SvgUse use) {
  const std::vector<Style> styles = styles_of(plot);
  std::vector<std::vector<PlotPoint>> lines;
  std::vector<double> xs, ys;
  for (const Series& series : plot.series) {
    lines.push_back(shown(plot, series));
    for (const PlotPoint& p : lines.back()) {
      xs.push_back(p.x);
      ys.push_back(p.y);
      if (p.low) ys.push_back(*p.low);
      if (p.high) ys.push_back(*p.high);
    }
  }
  for (const Reference& reference : plot.references) ys.push_back(reference.y);
  // Series with the same label and style, such as several seeds, appear in the legend once.
  std::vector<LegendEntry> legend;
  std::set<std::pair<std::string, int>> labelled;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    if (series.faint || !labelled.insert({series.label, styles[i].index}).second) continue;
    legend.push_back({series.label, styles[i], true, true});
  }
  const bool alone = legend.size() == 1;
  if (alone && plot.references.empty()) legend.clear();
  for (const Reference& reference : plot.references)
    legend.push_back({reference.label, {0}, true, false, true});

  Frame frame(plot.name, plot.title, describe(plot), plot.x, plot.y, xs, ys, legend, use);
  TemplateDictionary& values = frame.values();
  for (const Reference& reference : plot.references) {
    if (!can_be_shown(plot.y.scale, reference.y)) continue;
    values.AddSectionDictionary("REFERENCE")->SetValue("AT", place(frame.y(reference.y)));
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string band = band_of(frame, lines[i], plot.y.scale);
    if (band.empty()) continue;
    TemplateDictionary* area = values.AddSectionDictionary("BAND");
    area->SetValue("COLOUR", styles[i].colour());
    area->SetValue("D", band);
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    const Series& series = plot.series[i];
    TemplateDictionary* line = values.AddSectionDictionary("LINE");
    line->SetValue("COLOUR", styles[i].colour());
    line->SetValue("D", path_of(frame, lines[i]));
    line->SetValue("KIND", series.faint ? "faint" : "line");
    line->SetValue("DASHES", series.faint ? "none" : styles[i].dashes());
    if (series.faint) continue;
    line->SetValueAndShowSection("LABEL", series.label, "NAMED");
    for (const PlotPoint& p : marked(lines[i], styles[i].index, alone))
      frame.add_marker("MARKER", frame.x(p.x), frame.y(p.y), styles[i]);
  }
  if (xs.empty()) values.ShowSection("EMPTY");
  return frame.svg();
}

namespace {

/// Path of an error bar from one position to another, along x or along y.
std::string whiskers(bool along_x, double from, double to, double across) {
  return along_x ? fmt::format("M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v6M{1:.1f} {3:.1f}v6", from, to,
                               across, across - 3)
                 : fmt::format("M{2:.1f} {0:.1f}V{1:.1f}M{3:.1f} {0:.1f}h6M{3:.1f} {1:.1f}h6", from, to,
                               across, across - 3);
}

/// Staircase along the Pareto front, drawn on the side of the dominated points.
std::string front_path(const Frame& frame, const std::vector<ScatterPoint>& front, Better better_x) {
  std::string d;
  for (const ScatterPoint& p : front) {
    const double x = frame.x(p.x), y = frame.y(p.y);
    if (d.empty()) {
      d = fmt::format("M{:.1f} {:.1f}", x, y);
    } else {
      d += better_x == Better::lower ? fmt::format("H{:.1f}V{:.1f}", x, y)
                                     : fmt::format("V{:.1f}H{:.1f}", y, x);
    }
  }
  return d;
}

/// Places labels next to their points (right, left, above or below) where there is room. A label without room
/// is omitted; the table on the page has it.
class LabelPlacer {
 public:
  explicit LabelPlacer(const Frame& frame) : frame_(frame) {}

  void keep_free(double x, double y) { taken_.push_back({x - 5, y - 5, x + 5, y + 5}); }

  /// Returns the start of the text on its baseline.
  std::optional<std::pair<double, double>> put(const std::string& label, double x, double y) {
    const double width = text_width(label), up = kFont * 0.75, down = kFont * 0.25;
    const std::array<std::pair<double, double>, 4> places{{{x + 8, y + kFont * 0.35},
                                                           {x - 8 - width, y + kFont * 0.35},
                                                           {x - width / 2, y - 8},
                                                           {x - width / 2, y + 8 + kFont * 0.75}}};
    for (const auto& [left, baseline] : places) {
      const Placed box{left, baseline - up, left + width, baseline + down};
      const bool inside = box.left >= frame_.left() && box.right <= frame_.right() + 8 &&
                          box.top >= frame_.top() - 8 && box.bottom <= frame_.bottom();
      if (!inside ||
          std::any_of(taken_.begin(), taken_.end(), [&](const Placed& o) { return o.touches(box); }))
        continue;
      taken_.push_back(box);
      return {{left, baseline}};
    }
    return {};
  }

 private:
  const Frame& frame_;
  std::vector<Placed> taken_;
};

}  // namespace

std::string plot_svg(const ScatterPlot& plot, SvgUse use) {
  std::vector<double> xs, ys;
  std::vector<ScatterPoint> all;
  std::vector<LegendEntry> legend;
  std::vector<ScatterGroup> groups = plot.groups;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    std::erase_if(groups[g].points, [&](const ScatterPoint& p) {
      return !can_be_shown(plot.x.scale, p.x) || !can_be_shown(plot.y.scale, p.y);
    });
    for (const ScatterPoint& p : groups[g].points) {
      all.push_back(p);
      for (const auto& v : {std::optional(p.x), p.x_low, p.x_high}) {
        if (v) xs.push_back(*v);
      }
      for (const auto& v : {std::optional(p.y), p.y_low, p.y_high}) {
        if (v) ys.push_back(*v);
      }
    }
    if (groups.size() > 1) legend.push_back({groups[g].label, {static_cast<int>(g)}, false, true});
  }
  if (plot.front) legend.push_back({"Pareto front", {0}, true, false, true});

  Frame frame(plot.name, plot.title, describe(plot), plot.x, plot.y, xs, ys, legend, use);
  TemplateDictionary& values = frame.values();
  if (plot.front && !all.empty()) {
    const auto front = pareto_front(all, plot.better_x, plot.better_y);
    values.SetValueAndShowSection("FRONT_D", front_path(frame, front, plot.better_x), "FRONT");
  }
  LabelPlacer placer(frame);
  for (const ScatterPoint& p : all) placer.keep_free(frame.x(p.x), frame.y(p.y));
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Style style{static_cast<int>(g)};
    for (const ScatterPoint& p : groups[g].points) {
      const double x = frame.x(p.x), y = frame.y(p.y);
      const auto add_whiskers = [&](const std::string& d) {
        TemplateDictionary* bar = values.AddSectionDictionary("WHISKERS");
        bar->SetValue("COLOUR", style.colour());
        bar->SetValue("D", d);
      };
      const auto both = [](Scale scale, const auto& low, const auto& high) {
        return low && high && can_be_shown(scale, *low) && can_be_shown(scale, *high);
      };
      if (both(plot.x.scale, p.x_low, p.x_high))
        add_whiskers(whiskers(true, frame.x(*p.x_low), frame.x(*p.x_high), y));
      if (both(plot.y.scale, p.y_low, p.y_high))
        add_whiskers(whiskers(false, frame.y(*p.y_low), frame.y(*p.y_high), x));
      frame.add_marker("MARKER", x, y, style);
      const std::string label = shortened(p.label, 32);
      if (const auto at = placer.put(label, x, y)) {
        TemplateDictionary* text = values.AddSectionDictionary("POINT_LABEL");
        text->SetValue("X", place(at->first));
        text->SetValue("Y", place(at->second));
        text->SetValue("LABEL", label);
      }
    }
  }
  if (all.empty()) values.ShowSection("EMPTY");
  return frame.svg();
}

std::string describe(const LinePlot& plot) {
  std::string text = fmt::format("{} against {}.", plot.y.label, plot.x.label);
  for (const Series& series : plot.series) {
    if (series.faint) continue;
    const std::vector<PlotPoint> points = shown(plot, series);
    if (points.empty()) {
      text += fmt::format(" {}: no data.", series.label);
      continue;
    }
    const auto [low, high] = std::minmax_element(
        points.begin(), points.end(), [](const PlotPoint& a, const PlotPoint& b) { return a.y < b.y; });
    text += fmt::format(" {}: from {} to {}, lowest {}, highest {}.", series.label, figure(points.front().y),
                        figure(points.back().y), figure(low->y), figure(high->y));
  }
  for (const Reference& reference : plot.references)
    text += fmt::format(" {}: {}.", reference.label, figure(reference.y));
  return text;
}

std::string describe(const ScatterPlot& plot) {
  std::string text = fmt::format("{} against {}.", plot.y.label, plot.x.label);
  for (const ScatterGroup& group : plot.groups) {
    for (const ScatterPoint& p : group.points)
      text += fmt::format(" {}: {}, {}.", p.label, figure(p.x), figure(p.y));
  }
  return text;
}

}  // namespace diffit::plot
