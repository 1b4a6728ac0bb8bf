#include "io/images/image.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "io/file_kind.h"
#include "io/images/codecs.h"

namespace diffit::io {
namespace {

constexpr std::uint64_t kLargestFile = 1ull << 30;

/// Of what grid and enlarged are about to make.
void check_result(const Image& image) {
  DIFFIT_CHECK(std::max(image.width, image.height) <= kLargestSide,
               "wanted an image with sides up to {}, got {}x{}; try fewer images or a smaller scale",
               kLargestSide, image.width, image.height);
}

}  // namespace

namespace detail {

void check_sides(std::uint64_t width, std::uint64_t height, std::uint64_t packed, const std::string& where) {
  constexpr std::uint64_t kLargest = kLargestSide;
  DIFFIT_CHECK(width >= 1 && height >= 1 && width <= kLargest && height <= kLargest,
               "{}: wanted an image with sides of 1 to {} pixels, got {}x{}", where, kLargest, width, height);
  // A plain surface packs well; beyond 64 million pixels the file has to show something for it.
  constexpr std::uint64_t kFree = 1ull << 26, kPixelsPerByte = 4096;
  DIFFIT_CHECK(width * height <= kFree || width * height / kPixelsPerByte <= packed,
               "{}: the header states {}x{} pixels, but the file has only {} bytes; is it truncated?", where,
               width, height, packed);
}

void check_memory(std::uint64_t width, std::uint64_t height, std::uint64_t bytes_per_pixel,
                  const std::string& where, std::uint64_t limit) {
  DIFFIT_CHECK(width * height <= limit / bytes_per_pixel,
               "{}: decoding {}x{} pixels needs {} MiB, the limit is {} MiB; downscale the image first",
               where, width, height, (width * height * bytes_per_pixel) >> 20, limit >> 20);
}

std::int64_t reduction_of(std::uint64_t width, std::uint64_t height, std::uint64_t bytes_per_pixel,
                          std::uint64_t kept, const DecodeLimits& limits) {
  constexpr std::uint64_t kMost = 8;
  for (std::uint64_t factor = 1; factor <= kMost; factor *= 2) {
    const std::uint64_t w = (width + factor - 1) / factor, h = (height + factor - 1) / factor;
    if (factor > 1 &&
        (limits.least_side == 0 || std::min(w, h) < static_cast<std::uint64_t>(limits.least_side)))
      return 1;
    if (width * height * kept + w * h * bytes_per_pixel <= limits.bytes)
      return static_cast<std::int64_t>(factor);
  }
  return 1;
}

RowReducer::RowReducer(std::int64_t width, std::int64_t height, std::int64_t channels, std::int64_t factor)
    : width_(width),
      height_(height),
      factor_(factor),
      out_{(width + factor - 1) / factor, (height + factor - 1) / factor, channels, {}} {
  sums_.resize(static_cast<std::size_t>(out_.width * channels));
  out_.pixels.reserve(sums_.size() * static_cast<std::size_t>(out_.height));
}

void RowReducer::add(const std::uint8_t* row) {
  const std::int64_t channels = out_.channels;
  std::uint32_t* sum = sums_.data();
  for (std::int64_t x = 0; x < width_; x += factor_, sum += channels) {
    for (std::int64_t k = std::min(factor_, width_ - x); k > 0; --k) {
      for (std::int64_t c = 0; c < channels; ++c) sum[c] += *row++;
    }
  }
  ++rows_;
  ++added_;
  if (rows_ == factor_ || added_ == height_) finish_row();
}

void RowReducer::finish_row() {
  for (std::int64_t x = 0; x < out_.width; ++x) {
    const auto count = static_cast<std::uint32_t>(rows_ * std::min(factor_, width_ - x * factor_));
    for (std::int64_t c = 0; c < out_.channels; ++c) {
      std::uint32_t& sum = sums_[static_cast<std::size_t>(x * out_.channels + c)];
      out_.pixels.push_back(static_cast<std::uint8_t>((sum + count / 2) / count));
      sum = 0;
    }
  }
  rows_ = 0;
}

}  // namespace detail

namespace {

Image decode(std::span<const std::byte> bytes, const std::string& where, const detail::DecodeLimits& limits) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return detail::decode_png(bytes, where, limits);
  if (text.starts_with("\xff\xd8\xff")) return detail::decode_jpeg(bytes, where, limits);
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") {
    return detail::decode_webp(bytes, where);
  }
  const std::string kind = what_file_is_this(bytes, bytes.size());
  reject("{}: wanted a PNG, JPEG or WebP image, got {}", where, kind.empty() ? "something else" : kind);
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, const std::string& where) {
  return decode(bytes, where, {});
}

Image decode_reduced(std::span<const std::byte> bytes, std::int64_t side, const std::string& where,
                     std::uint64_t most_bytes) {
  return decode(bytes, where, {most_bytes, side});
}

Image read_image(const fs::path& path) {
  return decode_image(read_file(path, kLargestFile), path.string());
}

bool is_image_name(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg" || ending == ".jpe" || ending == ".jfif" ||
         ending == ".webp";
}

void write_png(const fs::path& path, const Image& image, const PngText& text) {
  AtomicFile file(path);
  file.write(encode_png(image, 6, text));
  file.commit();
}

Image grid(std::span<const Image> images, std::int64_t columns, std::int64_t gap, std::uint8_t background) {
  DIFFIT_CHECK(!images.empty(), "a grid needs at least one image, got none");
  const std::int64_t count = static_cast<std::int64_t>(images.size());
  if (columns <= 0) columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  columns = std::min(columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  const std::int64_t width = images[0].width, height = images[0].height;
  Image out;
  for (const Image& image : images) {
    DIFFIT_CHECK(image.width == width && image.height == height,
                 "all images of a grid must have the same size, got {}x{} and {}x{}", width, height,
                 image.width, image.height);
    out.channels = std::max(out.channels, image.channels);
  }
  out.width = columns * (width + gap) - gap;
  out.height = rows * (height + gap) - gap;
  check_result(out);
  out.pixels.assign(static_cast<std::size_t>(out.width * out.height * out.channels), background);
  for (std::int64_t i = 0; i < count; ++i) {
    const Image& image = images[static_cast<std::size_t>(i)];
    const std::int64_t left = i % columns * (width + gap), top = i / columns * (height + gap);
    for (std::int64_t y = 0; y < height; ++y) {
      std::uint8_t* to = out.row(top + y) + left * out.channels;
      const std::uint8_t* from = image.row(y);
      if (image.channels == out.channels) {
        std::memcpy(to, from, static_cast<std::size_t>(width * out.channels));
      } else {
        for (std::int64_t x = 0; x < width; ++x) std::memset(to + 3 * x, from[x], 3);
      }
    }
  }
  return out;
}

Image enlarged(const Image& image, std::int64_t factor) {
  DIFFIT_CHECK(factor >= 1, "wanted a scale of at least 1, got {}", factor);
  Image out{image.width * factor, image.height * factor, image.channels, {}};
  check_result(out);
  out.pixels.resize(static_cast<std::size_t>(out.width * out.height * out.channels));
  for (std::int64_t y = 0; y < out.height; ++y) {
    const std::uint8_t* from = image.row(y / factor);
    std::uint8_t* to = out.row(y);
    for (std::int64_t x = 0; x < out.width; ++x) {
      std::memcpy(to + x * out.channels, from + x / factor * out.channels,
                  static_cast<std::size_t>(out.channels));
    }
  }
  return out;
}

}  // namespace diffit::io
