// Writes data sets in EDM's layout, the one that training reads best.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/description.h"
#include "data/fit.h"

namespace diffit::data {

struct ConvertOptions {
  std::int64_t size = 0;  // side of the images; 0 keeps theirs
  Crop crop = Crop::none;
  int threads = 0;           // 0: one a core
  bool skip_broken = false;  // leave out images that cannot be read or are not of the size of most
  bool strict = false;       // Error(invalid) where the source's description has warnings
};

struct Converted {
  std::int64_t images = 0, resolution = 0, channels = 0, classes = 0;
  std::vector<BrokenImage> skipped;  // in order; only with skip_broken
  DataDescription source;            // what was converted, as it was found
};

/// Writes `source` as a stored zip of uncompressed PNGs 00000/img00000000.png ... and dataset.json, in its
/// order, with memory for a few hundred images. If the classes have names, dataset.json has them
/// ("class_names"). Images come out square, of one size and all grey or all RGB
/// (RGB where any is). Headers are read first; Error(invalid) names the first image that cannot be read or is
/// not of the size of most, unless `skip_broken` is set. The zip appears whole or not at all, and is the same
/// for the same images. `progress` is told images done and images to do.
Converted convert(const ImageSource& source, const fs::path& destination, const ConvertOptions& options,
                  const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace diffit::data
