#include "diffusion/images.h"

#include <cstring>

#include "base/error.h"

namespace diffit::diffusion {

Rounding rounding_named(const std::string& name, const std::string& option) {
  if (name == "nearest") return Rounding::nearest;
  if (name == "truncate") return Rounding::truncate;
  reject("{}: wanted nearest or truncate, got '{}'", option, name);
}

at::Tensor to_pixels(const at::Tensor& samples, Rounding rounding) {
  const std::int64_t channels = samples.size(1);
  if (channels != 1 && channels != 3) fail("images have 1 or 3 channels, the samples have {}", channels);
  const at::Tensor levels = rounding == Rounding::nearest ? samples * 127.5 + 128 : (samples + 1) * 127.5;
  return levels.clamp(0, 255).to(at::kByte).permute({0, 2, 3, 1}).contiguous();
}

std::vector<Image> to_images(const at::Tensor& samples, Rounding rounding) {
  const std::int64_t channels = samples.size(1);
  const at::Tensor pixels = to_pixels(samples, rounding);
  const auto bytes = static_cast<std::size_t>(pixels.numel() / samples.size(0));
  std::vector<Image> images;
  for (std::int64_t i = 0; i < samples.size(0); ++i) {
    Image& image = images.emplace_back(Image{samples.size(3), samples.size(2), channels, {}});
    const std::uint8_t* first = pixels[i].const_data_ptr<std::uint8_t>();
    image.pixels.assign(first, first + bytes);
  }
  return images;
}

}  // namespace diffit::diffusion
