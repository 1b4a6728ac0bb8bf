// The orientation that cameras write beside their pixels (Exif 2.3, tag 0x0112).
#pragma once

#include <cstddef>
#include <span>

#include "io/images/image.h"

namespace diffit::io::detail {

/// The orientation, 1 to 8, in an Exif block ("II*\0" or "MM\0*", with or without "Exif\0\0" before it).
/// Anything malformed gives 1, as viewers do.
int exif_orientation(std::span<const std::byte> exif);

/// Whether an image of that orientation is shown with width and height exchanged.
inline bool exchanges_sides(int orientation) {
  return orientation >= 5;
}

/// The image as a viewer shows it.
Image oriented(Image image, int orientation);

}  // namespace diffit::io::detail
