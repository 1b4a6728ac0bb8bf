#include "data/fit.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "data/resize.h"
#include "io/printable.h"

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

/// EDM's center-crop.
Picture center_crop(const Picture& picture, std::int64_t size) {
  const std::int64_t side = std::min(picture.width, picture.height);
  const Part middle{(picture.width - side) / 2, (picture.height - side) / 2, side, side};
  const Picture square = resized_part(picture, picture.width, picture.height, Filter::lanczos, middle);
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
  // Only the square is computed: a banner's other side would be of millions of pixels.
  const std::int64_t width = scaled(picture.width), height = scaled(picture.height);
  return resized_part(picture, width, height, Filter::bicubic,
                      {(width - size) / 2, (height - size) / 2, size, size});
}

/// Whether fitted() takes images of that size; otherwise Error(invalid).
void check_fits(std::int64_t width, std::int64_t height, std::int64_t size, Crop crop,
                const std::string& where) {
  DIFFIT_CHECK(crop != Crop::none || width == height || std::max(width, height) <= size,
               "{}: wanted a square image or one that fits {}x{}, got {}x{}; try --crop center", where, size,
               size, width, height);
}

class FittedSource : public PictureSource {
 public:
  FittedSource(const PictureSource& source, std::unique_ptr<PictureSource> owned, std::int64_t size,
               Crop crop)
      : owned_(std::move(owned)), source_(source), size_(size), crop_(crop) {}

  std::int64_t size() const override { return source_.size(); }
  Picture read(std::int64_t index) const override {
    Picture picture = source_.read(index);
    if (picture.width == size_ && picture.height == size_) return picture;
    return fitted(std::move(picture), size_, crop_, where(index));
  }
  PictureInfo info(std::int64_t index) const override {
    const PictureInfo info = source_.info(index);
    check_fits(info.width, info.height, size_, crop_, where(index));
    return {size_, size_, info.channels};
  }
  std::optional<PictureInfo> uniform() const override {
    const auto info = source_.uniform();
    if (!info || source_.size() == 0) return std::nullopt;
    check_fits(info->width, info->height, size_, crop_, where(0));
    return PictureInfo{size_, size_, info->channels};
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

  std::unique_ptr<PictureSource> owned_;
  const PictureSource& source_;
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
  check_fits(picture.width, picture.height, size, crop, where);
  return resized(picture, size, size, Filter::lanczos);
}

std::unique_ptr<PictureSource> fitted(std::unique_ptr<PictureSource> source, std::int64_t size, Crop crop) {
  DIFFIT_CHECK(size >= 1 && size <= kLargestSide, "wanted a size of 1 to {}, got {}", kLargestSide, size);
  const PictureSource& inner = *source;
  return std::make_unique<FittedSource>(inner, std::move(source), size, crop);
}

std::unique_ptr<PictureSource> fitted_view(const PictureSource& source, std::int64_t size, Crop crop) {
  DIFFIT_CHECK(size >= 1 && size <= kLargestSide, "wanted a size of 1 to {}, got {}", kLargestSide, size);
  return std::make_unique<FittedSource>(source, nullptr, size, crop);
}

}  // namespace diffit
