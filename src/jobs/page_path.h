// Names of pages.
#pragma once

#include <string>

namespace diffit::jobs {

/// Throws Error(invalid) unless `path` is empty, or x.html in a folder that exists: asked before anything is
/// measured.
void check_page_path(const std::string& path);

}  // namespace diffit::jobs
