// Where the parts of a plot come to lie, and the plot as SVG.
#pragma once

#include <string>

#include "report/plot.h"

namespace diffit {

/// For whom: inside a page whose style sheet colours it, or a document of its own with light colours.
enum class SvgUse { in_page, alone };

std::string plot_svg(const LinePlot& plot, SvgUse use);
std::string plot_svg(const ScatterPlot& plot, SvgUse use);

/// What the plot shows in a sentence or two, for those who do not see it.
std::string describe(const LinePlot& plot);
std::string describe(const ScatterPlot& plot);

}  // namespace diffit
