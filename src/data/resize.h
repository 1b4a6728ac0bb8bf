// Resampling as the Python Imaging Library does it, to the bit: data sets made here and there agree.
#pragma once

#include <cstdint>

#include "io/images/image.h"

namespace diffit::data {

enum class Filter { box, bicubic, lanczos };  // supports 0.5, 2 (a = -0.5) and 3

/// Separable convolution with the filter stretched by the reduction factor, first along rows, then along
/// columns, each rounded to 8 bits; coefficients in fixed point with 22 bits less headroom, as Pillow's.
Image resized(const Image& image, std::int64_t width, std::int64_t height, Filter filter);

/// A rectangle of the resized image.
struct Part {
  std::int64_t left = 0, top = 0, width = 0, height = 0;
};

/// The same, but only `part` of it is computed and kept: the whole, which may have sides up to 2^40, is never
/// made.
Image resized_part(const Image& image, std::int64_t width, std::int64_t height, Filter filter, Part part);

}  // namespace diffit::data
