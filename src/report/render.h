// Rendering of pages to files.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/file.h"
#include "report/page.h"

namespace diffit::report {

/// Returns a self-contained HTML document (UTF-8): images are data URIs, plots are SVG, styles are inline,
/// and the few lines of script are optional. Throws Error(invalid) if a row of a table has another length
/// than its head, or if two plots have the same name.
std::string render_page(const Page& page);

/// Writes render_page() to a file atomically.
void write_page(const Page& page, const fs::path& path);

/// Writes NAME.svg and NAME.png for every plot of the page to `folder`, which is created if it does not
/// exist; without librsvg (png_obstacle()) only NAME.svg. Returns the paths written.
std::vector<fs::path> write_plots(const Page& page, const fs::path& folder);

}  // namespace diffit::report
