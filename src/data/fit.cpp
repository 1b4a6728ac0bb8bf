#include "data/fit.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "data/resize.h"

namespace diffit::data {
namespace {

Image framed(const Image& image, std::int64_t size) {
  Image out{size, size, image.channels, {}};
  out.pixels.resize(static_cast<std::size_t>(size * size * image.channels));
  const std::int64_t left = (size - image.width) / 2, top = (size - image.height) / 2;
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::memcpy(out.row(top + y) + left * image.channels, image.row(y),
                static_cast<std::size_t>(image.width * image.channels));
  }
  return out;
}

/// EDM's center-crop.
Image center_crop(const Image& image, std::int64_t size) {
  const std::int64_t side = std::min(image.width, image.height);
  const Part middle{(image.width - side) / 2, (image.height - side) / 2, side, side};
  const Image square = resized_part(image, image.width, image.height, Filter::lanczos, middle);
  return resized(square, size, size, Filter::lanczos);
}

/// ADM's center_crop_arr, EDM's center-crop-dhariwal.
Image adm_crop(Image image, std::int64_t size) {
  while (std::min(image.width, image.height) >= 2 * size) {
    image = resized(image, image.width / 2, image.height / 2, Filter::box);
  }
  const double scale = static_cast<double>(size) / static_cast<double>(std::min(image.width, image.height));
  // To the nearest, halves to even, as Python's round().
  const auto scaled = [scale](std::int64_t side) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(side) * scale));
  };
  // Only the square is computed: a banner's other side would be of millions of pixels.
  const std::int64_t width = scaled(image.width), height = scaled(image.height);
  return resized_part(image, width, height, Filter::bicubic,
                      {(width - size) / 2, (height - size) / 2, size, size});
}

/// Whether fitted() takes images of that size; otherwise Error(invalid).
void check_fits(std::int64_t width, std::int64_t height, std::int64_t size, Crop crop,
                const std::string& where) {
  DIFFIT_CHECK(crop != Crop::none || width == height || std::max(width, height) <= size,
               "{}: wanted a square image or one that fits into {}x{}, got {}x{}; try `crop` center", where,
               size, size, width, height);
}

class FittedSource : public ImageSource {
 public:
  FittedSource(const ImageSource& source, std::unique_ptr<ImageSource> owned, std::int64_t size, Crop crop)
      : owned_(std::move(owned)), source_(source), size_(size), crop_(crop) {}

  std::int64_t size() const override { return source_.size(); }
  Image read(std::int64_t index) const override {
    Image image = source_.read_reduced(index, size_);
    if (image.width == size_ && image.height == size_) return image;
    return fitted(std::move(image), size_, crop_, where(index));
  }
  ImageInfo info(std::int64_t index) const override {
    const ImageInfo info = source_.info(index);
    check_fits(info.width, info.height, size_, crop_, where(index));
    return {size_, size_, info.channels};
  }
  std::optional<ImageInfo> uniform() const override {
    const auto info = source_.uniform();
    if (!info || source_.size() == 0) return std::nullopt;
    check_fits(info->width, info->height, size_, crop_, where(0));
    return ImageInfo{size_, size_, info->channels};
  }
  std::int64_t classes() const override { return source_.classes(); }
  std::int64_t label(std::int64_t index) const override { return source_.label(index); }
  std::string describe() const override { return source_.describe(); }
  std::string name(std::int64_t index) const override { return source_.name(index); }
  const SourceFacts& facts() const override { return source_.facts(); }

 private:
  std::string where(std::int64_t index) const {
    return source_.describe() + ": " + printable(source_.name(index));
  }

  std::unique_ptr<ImageSource> owned_;
  const ImageSource& source_;
  std::int64_t size_;
  Crop crop_;
};

}  // namespace

Crop parse_crop(const std::string& name) {
  if (name == "none") return Crop::none;
  if (name == "center") return Crop::center;
  if (name == "adm") return Crop::adm;
  const std::array<std::string, 3> known{"none", "center", "adm"};
  reject("`crop`: wanted none, center or adm, got '{}'{}", name, did_you_mean(name, known));
}

Image fitted(Image image, std::int64_t size, Crop crop, const std::string& where) {
  DIFFIT_CHECK(size >= 1 && size <= kLargestSide, "wanted a size of 1 to {}, got {}", kLargestSide, size);
  if (crop == Crop::center) return center_crop(image, size);
  if (crop == Crop::adm) return adm_crop(std::move(image), size);
  if (std::max(image.width, image.height) <= size) return framed(image, size);
  check_fits(image.width, image.height, size, crop, where);
  return resized(image, size, size, Filter::lanczos);
}

std::unique_ptr<ImageSource> fitted(std::unique_ptr<ImageSource> source, std::int64_t size, Crop crop) {
  DIFFIT_CHECK(size >= 1 && size <= kLargestSide, "wanted a size of 1 to {}, got {}", kLargestSide, size);
  const ImageSource& inner = *source;
  return std::make_unique<FittedSource>(inner, std::move(source), size, crop);
}

std::unique_ptr<ImageSource> fitted_view(const ImageSource& source, std::int64_t size, Crop crop) {
  DIFFIT_CHECK(size >= 1 && size <= kLargestSide, "wanted a size of 1 to {}, got {}", kLargestSide, size);
  return std::make_unique<FittedSource>(source, nullptr, size, crop);
}

}  // namespace diffit::data
