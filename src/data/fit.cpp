#include "data/fit.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "data/resize.h"

namespace diffit {
namespace {

Picture framed(const Picture& picture, std::int64_t size) {
  Picture out{size, size, picture.channels, {}};
  out.pixels.resize(static_cast<std::size_t>(size * size * picture.channels));
  const std::int64_t left = (size - picture.width) / 2, top = (size - picture.height) / 2;
  for (std::int64_t y = 0; y < picture.height; ++y) {
    std::memcpy(out.row(top + y) + left * picture.channels, picture.row(y),
                static_cast<std::size_t>(picture.width * picture.channels));
  }
  return out;
}

Picture cut(const Picture& picture, std::int64_t left, std::int64_t top, std::int64_t size) {
  if (left == 0 && top == 0 && picture.width == size && picture.height == size) return picture;
  Picture out{size, size, picture.channels, {}};
  out.pixels.resize(static_cast<std::size_t>(size * size * picture.channels));
  for (std::int64_t y = 0; y < size; ++y) {
    std::memcpy(out.row(y), picture.row(top + y) + left * picture.channels,
                static_cast<std::size_t>(size * picture.channels));
  }
  return out;
}

/// EDM's center-crop.
Picture center_crop(const Picture& picture, std::int64_t size) {
  const std::int64_t side = std::min(picture.width, picture.height);
  const Picture square = cut(picture, (picture.width - side) / 2, (picture.height - side) / 2, side);
  return resized(square, size, size, Filter::lanczos);
}

/// ADM's center_crop_arr, EDM's center-crop-dhariwal.
Picture adm_crop(Picture picture, std::int64_t size) {
  while (std::min(picture.width, picture.height) >= 2 * size) {
    picture = resized(picture, picture.width / 2, picture.height / 2, Filter::box);
  }
  const double scale =
      static_cast<double>(size) / static_cast<double>(std::min(picture.width, picture.height));
  // To the nearest, halves to even, as Python's round().
  const auto scaled = [scale](std::int64_t side) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(side) * scale));
  };
  picture = resized(picture, scaled(picture.width), scaled(picture.height), Filter::bicubic);
  return cut(picture, (picture.width - size) / 2, (picture.height - size) / 2, size);
}

class FittedSource : public PictureSource {
 public:
  FittedSource(std::unique_ptr<PictureSource> source, std::int64_t size, Crop crop)
      : source_(std::move(source)), size_(size), crop_(crop) {}

  std::int64_t size() const override { return source_->size(); }
  Picture read(std::int64_t index) const override {
    Picture picture = source_->read(index);
    if (picture.width == size_ && picture.height == size_) return picture;
    return fitted(std::move(picture), size_, crop_, source_->describe() + ": " + source_->name(index));
  }
  std::int64_t classes() const override { return source_->classes(); }
  std::int64_t label(std::int64_t index) const override { return source_->label(index); }
  std::string describe() const override { return source_->describe(); }
  std::string name(std::int64_t index) const override { return source_->name(index); }

 private:
  std::unique_ptr<PictureSource> source_;
  std::int64_t size_;
  Crop crop_;
};

}  // namespace

Crop parse_crop(const std::string& name) {
  if (name == "none") return Crop::none;
  if (name == "center") return Crop::center;
  if (name == "adm") return Crop::adm;
  const std::array<std::string, 3> known{"none", "center", "adm"};
  reject("wanted a crop of none, center or adm, got '{}'{}", name, did_you_mean(name, known));
}

Picture fitted(Picture picture, std::int64_t size, Crop crop, const std::string& where) {
  DIFFIT_CHECK(size >= 1 && size <= kLargestSide, "wanted a size of 1 to {}, got {}", kLargestSide, size);
  if (crop == Crop::center) return center_crop(picture, size);
  if (crop == Crop::adm) return adm_crop(std::move(picture), size);
  if (std::max(picture.width, picture.height) <= size) return framed(picture, size);
  DIFFIT_CHECK(picture.width == picture.height,
               "{}: wanted a square picture or one that fits {}x{}, got {}x{}; try --crop center", where,
               size, size, picture.width, picture.height);
  return resized(picture, size, size, Filter::lanczos);
}

std::unique_ptr<PictureSource> fitted(std::unique_ptr<PictureSource> source, std::int64_t size, Crop crop) {
  DIFFIT_CHECK(size >= 1 && size <= kLargestSide, "wanted a size of 1 to {}, got {}", kLargestSide, size);
  return std::make_unique<FittedSource>(std::move(source), size, crop);
}

}  // namespace diffit
