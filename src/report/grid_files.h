// Grids of images that are read from files for a page.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "report/page.h"

namespace diffit::report {

/// Collects image files for a grid. Files that cannot be read are listed below the grid instead.
class GridFiles {
 public:
  /// Adds the image at `path`, reduced if a side is longer than `largest` pixels. If it cannot be read, the
  /// error is listed as missing. `alt`: text alternative of the image.
  void add(const fs::path& path, std::int64_t largest, const std::string& caption, const std::string& alt);
  /// Lists an image as missing, with the reason.
  void missing(const std::string& why) { missing_.push_back(why); }

  /// Puts the images side by side into `grid`, enlarged by an integer factor of at most 3 that keeps each
  /// image within `room` pixels, and adds the grid to the section, followed by the list of missing images.
  void put(Section& section, ImageGrid grid, std::int64_t room) &&;

 private:
  std::vector<Shown> shown_;
  std::vector<std::string> missing_;
};

}  // namespace diffit::report
