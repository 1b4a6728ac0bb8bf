// Brings images of any size to one square size.
#pragma once

#include <memory>

#include "data/source.h"

namespace diffit::data {

/// How an image that is not of the wanted size is cut.
enum class Crop {
  none,    // not at all: smaller images are framed with zeros, centred; anything else is refused
  center,  // EDM's center-crop: the largest centred square, then Lanczos to the size
  adm,     // ADM's: halved by box filters while twice as large, bicubic to the size, then the centred square
};

/// "none", "center" or "adm"; Error(invalid) names the nearest.
Crop parse_crop(const std::string& name);

/// `image` as [size, size, C]. With Crop::none, an image with both sides at most `size` is framed (the odd
/// pixel goes right and below); a larger square one is reduced by Lanczos; one that is not square is
/// Error(invalid).
Image fitted(Image image, std::int64_t size, Crop crop, const std::string& where);

/// `source` with each image fitted as it is read.
std::unique_ptr<ImageSource> fitted(std::unique_ptr<ImageSource> source, std::int64_t size, Crop crop);
/// The same of a source that outlives it.
std::unique_ptr<ImageSource> fitted_view(const ImageSource& source, std::int64_t size, Crop crop);

}  // namespace diffit::data
