// Writes data sets in EDM's layout, the one that training reads best.
#pragma once

#include <cstdint>
#include <functional>

#include "data/fit.h"
#include "data/source.h"

namespace diffit {

struct ConvertOptions {
  std::int64_t size = 0;  // side of the pictures; 0 keeps theirs
  Crop crop = Crop::none;
  int threads = 0;  // 0: one a core
};

struct Converted {
  std::int64_t pictures = 0, resolution = 0, channels = 0, classes = 0;
};

/// Writes `source` as a stored zip of uncompressed PNGs 00000/img00000000.png ... and dataset.json, in its
/// order, with memory for a few hundred pictures. Pictures come out square, of one size and all grey or all
/// RGB (RGB where any is); Error(invalid) names the first that is not of the size of those before it. The zip
/// appears whole or not at all, and is the same for the same pictures. `progress` is told pictures done and
/// pictures to do.
Converted convert(const PictureSource& source, const fs::path& destination, const ConvertOptions& options,
                  const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace diffit
