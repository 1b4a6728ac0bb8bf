// Layout of a plot and its rendering as SVG and PNG.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plot/plot.h"

namespace diffit::plot {

/// Use of the SVG: inside a page whose style sheet sets the colors, or as a separate document with light
/// colors.
enum class SvgUse { in_page, alone };

/// Returns the plot as an SVG element. Non-finite values are omitted; labels are escaped.
std::string plot_svg(const LinePlot& plot, SvgUse use);
std::string plot_svg(const ScatterPlot& plot, SvgUse use);

/// Renders an SVG document to PNG with `scale` pixels per unit. Throws Error(failed) with the reason if that
/// is not possible.
std::vector<std::byte> svg_to_png(const std::string& svg, double scale);
/// Why svg_to_png() would fail on this machine, which lacks librsvg; "": it has it.
std::string png_obstacle();

/// Describes the plot in a sentence or two, as its text alternative.
std::string describe(const LinePlot& plot);
std::string describe(const ScatterPlot& plot);

}  // namespace diffit::plot
