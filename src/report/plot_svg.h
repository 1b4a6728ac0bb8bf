// Layout of a plot and its rendering as SVG.
#pragma once

#include <string>

#include "report/plot.h"

namespace diffit {

/// Use of the SVG: inside a page whose style sheet sets the colors, or as a separate document with light
/// colors.
enum class SvgUse { in_page, alone };

/// Returns the plot as an SVG element. Non-finite values are omitted; labels are escaped.
std::string plot_svg(const LinePlot& plot, SvgUse use);
std::string plot_svg(const ScatterPlot& plot, SvgUse use);

/// Describes the plot in a sentence or two, as its text alternative.
std::string describe(const LinePlot& plot);
std::string describe(const ScatterPlot& plot);

}  // namespace diffit
