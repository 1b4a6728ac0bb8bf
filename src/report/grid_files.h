// Grids of pictures that lie in files, on a page.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "report/page.h"

namespace diffit {

class GridFiles {
 public:
  /// Adds the picture at `path`, reduced where a side is above `largest`; one that cannot be read is said to
  /// be missing, and why. `alt`: what is seen, for those who do not see it.
  void add(const fs::path& path, std::int64_t largest, const std::string& caption, const std::string& alt);
  void missing(const std::string& why) { missing_.push_back(why); }

  /// Puts them side by side into `grid`, enlarged up to threefold while one is not wider than `room` pixels,
  /// and the grid into the section; then what is missing.
  void put(Section& section, PictureGrid grid, std::int64_t room) &&;

 private:
  std::vector<Shown> shown_;
  std::vector<std::string> missing_;
};

}  // namespace diffit
