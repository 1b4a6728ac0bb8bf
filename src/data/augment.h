// Changes to training images: a mirror image, and EDM's non-leaky transforms with their labels.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "data/dataset.h"

namespace diffit::data {

/// Mirrors [R, R, C] left to right (or top to bottom) in place.
void flip_horizontally(std::span<float> image, std::int64_t resolution, std::int64_t channels);
void flip_vertically(std::span<float> image, std::int64_t resolution, std::int64_t channels);

/// The parameters a0..a7 of Karras 2022, table 6; those of a transform that is off are 0.
struct Geometry {
  bool flip_x = false, flip_y = false;  // a0, a1
  double scale = 0;                     // a2: size * 2^(a2/5)
  double rotation = 0;                  // a3: radians
  double aniso_angle = 0;               // a4: radians
  double aniso = 0;                     // a5: stretched by 2^(a5/5) along that direction, shrunk across it
  double shift_x = 0, shift_y = 0;      // a6, a7: in eighths of the image

  /// a0, a1, a2, cos a3 - 1, sin a3, a5 cos a4, a5 sin a4, a6, a7: all 0 for the image as it was.
  std::array<float, kAugmentLabel> label() const;
  /// Whether pixels have to be interpolated.
  bool warps() const;
};

/// The horizontal flip is drawn always (even odds); each other transform is on with `probability`.
Geometry draw_geometry(Random& random, double probability);

/// Applies `geometry` to images of one size; keeps its working memory between calls. Borders are reflected;
/// the image is interpolated at twice its resolution between Symlet-6 low-pass filters, so that a transform
/// that does nothing gives the image back.
class Warp {
 public:
  Warp(std::int64_t resolution, std::int64_t channels);
  void apply(const Geometry& geometry, std::span<float> image);

 private:
  void upsample(std::span<const float> image);
  void sample(const Geometry& geometry);
  void downsample(std::span<float> image);

  std::int64_t resolution_, channels_, period_;
  std::vector<float> rows_, doubled_, sampled_, columns_;
};

}  // namespace diffit::data
