#include "plot/plot.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "io/images/image.h"
#include "plot/plot_svg.h"
#include "plot/rsvg.h"

namespace diffit::plot {
namespace {

std::vector<std::string> labels(const std::vector<ScatterPoint>& points) {
  std::vector<std::string> all;
  for (const ScatterPoint& p : points) all.push_back(p.label);
  return all;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

ScatterPoint point(const std::string& label, double x, double y) {
  ScatterPoint p;
  p.label = label;
  p.x = x;
  p.y = y;
  return p;
}

TEST(ParetoFront, ContainsNonDominatedPoints) {
  const std::vector<ScatterPoint> points{point("b", 2, 3), point("a", 1, 5), point("worse", 2, 4),
                                         point("c", 4, 1), point("also worse", 5, 1)};
  EXPECT_EQ(labels(pareto_front(points, Better::lower, Better::lower)),
            (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(labels(pareto_front(points, Better::lower, Better::higher)), (std::vector<std::string>{"a"}));
  EXPECT_EQ(labels(pareto_front(points, Better::higher, Better::lower)),
            (std::vector<std::string>{"also worse"}));
}

TEST(ParetoFront, KeepsEqualPointsAndDropsNonFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(
      pareto_front({point("a", 1, 1), point("b", 1, 1), point("c", nan, 0)}, Better::lower, Better::lower)
          .size(),
      2);
}

LinePlot two_lines() {
  LinePlot plot;
  plot.name = "loss";
  plot.title = "Loss";
  plot.x.label = "images";
  plot.y.label = "loss";
  for (const char* label : {"first", "second"}) {
    Series series;
    series.label = label;
    for (int i = 0; i < 100; ++i) series.points.push_back({i * 1000.0, 1.0 / (i + 1), {}, {}});
    plot.series.push_back(series);
  }
  return plot;
}

TEST(PlotSvg, DistinguishesSeriesByMoreThanColor) {
  const std::string svg = plot_svg(two_lines(), SvgUse::in_page);
  EXPECT_EQ(count(svg, "data-label="), 2);
  EXPECT_GE(count(svg, "stroke-dasharray=\"none\""), 1);
  EXPECT_GE(count(svg, "stroke-dasharray=\"7 3\""), 1);
  EXPECT_GE(count(svg, "class=\"marker c0\""), 3);
  EXPECT_GE(count(svg, "class=\"marker c1\""), 3);
}

TEST(PlotSvg, StandaloneDocumentHasOwnColors) {
  EXPECT_NE(plot_svg(two_lines(), SvgUse::alone).find("#0072b2"), std::string::npos);
  EXPECT_EQ(plot_svg(two_lines(), SvgUse::in_page).find("<style"), std::string::npos);
  EXPECT_EQ(plot_svg(two_lines(), SvgUse::alone).find("var("), std::string::npos) << "librsvg knows no var()";
}

TEST(PlotSvg, EscapesLabels) {
  LinePlot plot = two_lines();
  plot.series[0].label = "<script>alert('x')</script>&\"";
  plot.title = "]]><b>";
  const std::string svg = plot_svg(plot, SvgUse::in_page);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_EQ(svg.find("<b>"), std::string::npos);
  EXPECT_NE(svg.find("&lt;script&gt;"), std::string::npos);
}

TEST(PlotSvg, OmitsPointsOutsideAxis) {
  LinePlot plot = two_lines();
  plot.y.scale = Scale::log;
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  plot.series[0].points = {{1, nan, {}, {}}, {2, 0, {}, {}}, {3, -1, {}, {}}, {4, inf, {}, {}}};
  plot.series[1].points = {{1, 1, -1, 2}, {2, 2, nan, 3}};
  const std::string svg = plot_svg(plot, SvgUse::in_page);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(PlotSvg, StatesThatPlotIsEmpty) {
  LinePlot plot = two_lines();
  plot.series.clear();
  EXPECT_NE(plot_svg(plot, SvgUse::in_page).find("no data to show"), std::string::npos);
}

TEST(PlotSvg, DrawsBandForIntervals) {
  LinePlot plot = two_lines();
  for (PlotPoint& p : plot.series[0].points) {
    p.low = p.y * 0.9;
    p.high = p.y * 1.1;
  }
  EXPECT_EQ(count(plot_svg(plot, SvgUse::in_page), "class=\"band"), 1);
}

TEST(PlotSvg, DrawsScatterWithErrorBarsFrontAndLabels) {
  ScatterPlot plot;
  plot.name = "pareto";
  plot.title = "Cost against score";
  plot.x.label = "GMAC";
  plot.y.label = "FD";
  ScatterGroup group;
  group.label = "variants";
  for (int i = 0; i < 4; ++i) {
    ScatterPoint p = point("variant " + std::to_string(i), 1 + i, 10 - 2 * i);
    p.y_low = p.y - 0.5;
    p.y_high = p.y + 0.5;
    group.points.push_back(p);
  }
  plot.groups.push_back(group);
  plot.front = true;
  const std::string svg = plot_svg(plot, SvgUse::alone);
  EXPECT_EQ(count(svg, "class=\"whiskers"), 4);
  EXPECT_EQ(count(svg, ">variant "), 4);
  EXPECT_GE(count(svg, "class=\"line reference\""), 1);
}

TEST(SvgToPng, DrawsSeriesOnWhiteBackground) {
  const std::vector<std::byte> png = svg_to_png(plot_svg(two_lines(), SvgUse::alone), 2);
  const Image image = decode_image(png, "plot");
  EXPECT_EQ(image.width, 880);
  EXPECT_EQ(image.channels, 3);
  EXPECT_EQ(image.pixels[0], 255);
  std::int64_t blue = 0;
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3)
    blue += image.pixels[i] == 0x00 && image.pixels[i + 1] == 0x72 && image.pixels[i + 2] == 0xb2;
  EXPECT_GT(blue, 200) << "pixels of the first series' colour, #0072b2";
}

TEST(SvgToPng, AcceptsLabelsWithInvalidText) {
  LinePlot plot = two_lines();
  plot.series[0].label = std::string("\x01\xff\0\x1b[31m<", 9);
  EXPECT_GT(svg_to_png(plot_svg(plot, SvgUse::alone), 1).size(), 1000);
}

TEST(SvgToPng, SaysWhatToInstallWithoutLibrsvg) {
  try {
    Rsvg("libdiffit-no-such-library.so.2");
    FAIL() << "a library that does not exist was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::failed);
    EXPECT_NE(std::string(error.what()).find("librsvg2-2"), std::string::npos) << error.what();
  }
  EXPECT_EQ(png_obstacle(), "");
}

TEST(SvgToPng, RejectsInvalidSvg) {
  EXPECT_THROW(svg_to_png("<svg", 1), std::exception);
}

}  // namespace
}  // namespace diffit::plot
