// Pages and plots as files.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/file.h"
#include "report/page.h"

namespace diffit {

/// One HTML document (UTF-8) that needs nothing beside it: pictures as data URIs, plots as SVG, styles
/// inline, a few lines of script that it can do without. Error(invalid) where a table's rows are not as long
/// as its head, or two plots have one name.
std::string render_page(const Page& page);

/// render_page as a file, whole or not at all.
void write_page(const Page& page, const fs::path& path);

/// A plot as a document of its own, in light colours and generic fonts, for a paper.
std::string render_svg(const LinePlot& plot);
std::string render_svg(const ScatterPlot& plot);

/// What an SVG document looks like, `scale` pixels a unit. Error(failed) says why it could not be drawn.
std::vector<std::byte> svg_to_png(const std::string& svg, double scale);

/// Writes NAME.svg and NAME.png of every plot of the page into `folder`, which is made where it is missing.
/// Returns the paths written.
std::vector<fs::path> write_plots(const Page& page, const fs::path& folder);

}  // namespace diffit
