#include "io/images/image_info.h"

#include <webp/decode.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "io/file_kind.h"
#include "io/images/codecs.h"
#include "io/images/exif.h"

namespace diffit::io {
namespace {

/// Bytes of the file's start; what lies beyond them asks for more.
class Start {
 public:
  Start(std::span<const std::byte> bytes, bool whole, const std::string& where)
      : bytes_(bytes), whole_(whole), where_(where) {}

  /// Whether bytes [at, at + count) are there. Error(invalid) where the whole file lacks them.
  bool has(std::size_t at, std::size_t count) const {
    if (at <= bytes_.size() && count <= bytes_.size() - at) return true;
    DIFFIT_CHECK(!whole_, "{}: wanted a complete image, got a truncated one", where_);
    return false;
  }
  std::uint32_t number(std::size_t at, std::size_t count) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
      value = value << 8 | std::to_integer<std::uint32_t>(bytes_[at + i]);
    return value;
  }
  std::span<const std::byte> part(std::size_t at, std::size_t count) const {
    return bytes_.subspan(at, count);
  }
  std::string_view text(std::size_t at, std::size_t count) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + at, count};
  }
  std::size_t size() const { return bytes_.size(); }
  const std::string& where() const { return where_; }

 private:
  std::span<const std::byte> bytes_;
  bool whole_;
  const std::string& where_;
};

ImageInfo turned(std::int64_t width, std::int64_t height, std::int64_t channels, int orientation,
                 const std::string& where) {
  DIFFIT_CHECK(width >= 1 && height >= 1 && width <= kLargestSide && height <= kLargestSide,
               "{}: wanted an image with sides of 1 to {} pixels, got {}x{}", where, kLargestSide, width,
               height);
  if (detail::exchanges_sides(orientation)) std::swap(width, height);
  return {width, height, channels};
}

std::optional<ImageInfo> png_info(const Start& start) {
  if (!start.has(0, 33)) return std::nullopt;
  DIFFIT_CHECK(start.text(12, 4) == "IHDR", "{}: wanted a PNG that begins with its header", start.where());
  const std::uint32_t color = start.number(25, 1);
  bool grey = (color & 2) == 0;
  int orientation = 1;
  // The palette, which comes before the data, says whether the image is grey. eXIf may also come behind the
  // data, where it matters if the sides differ.
  const bool square = start.number(16, 4) == start.number(20, 4);
  for (std::size_t at = 33;;) {
    if (!start.has(at, 8)) return std::nullopt;
    const std::size_t length = start.number(at, 4);
    const std::string_view type = start.text(at + 4, 4);
    if (type == "IEND" || (type == "IDAT" && square)) break;
    const bool read = type == "eXIf" || (type == "PLTE" && color == 3);
    if (read && !start.has(at + 8, length)) return std::nullopt;
    if (type == "eXIf") orientation = detail::exif_orientation(start.part(at + 8, length));
    if (type == "PLTE" && color == 3) {
      grey = true;
      for (std::size_t i = 0; i + 3 <= length; i += 3) {
        const std::string_view entry = start.text(at + 8 + i, 3);
        grey = grey && entry[0] == entry[1] && entry[1] == entry[2];
      }
    }
    at += 12 + length;
  }
  return turned(start.number(16, 4), start.number(20, 4), grey ? 1 : 3, orientation, start.where());
}

std::optional<ImageInfo> jpeg_info(const Start& start) {
  int orientation = 1;
  for (std::size_t at = 2;;) {
    if (!start.has(at, 4)) return std::nullopt;
    // libjpeg looks for the next marker likewise.
    if (start.number(at, 1) != 0xff || start.number(at + 1, 1) == 0xff || start.number(at + 1, 1) == 0) {
      ++at;
      continue;
    }
    const std::uint32_t marker = start.number(at + 1, 1);
    if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2;
      continue;
    }
    const std::size_t length = start.number(at + 2, 2);
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    DIFFIT_CHECK(marker != 0xda && marker != 0xd9 && length >= 2,
                 "{}: wanted a JPEG with a frame header, got none", start.where());
    if (marker == 0xe1) {
      if (!start.has(at + 4, length - 2)) return std::nullopt;
      if (length >= 8 && start.text(at + 4, 4) == "Exif") {
        orientation = detail::exif_orientation(start.part(at + 4, length - 2));
      }
    }
    if (frame) {
      if (!start.has(at + 4, 6)) return std::nullopt;
      const std::uint32_t components = start.number(at + 9, 1);
      DIFFIT_CHECK(components == 1 || components == 3 || components == 4,
                   "{}: wanted a greyscale, colour or CMYK JPEG, got one with {} components", start.where(),
                   components);
      return turned(start.number(at + 7, 2), start.number(at + 5, 2), components == 1 ? 1 : 3, orientation,
                    start.where());
    }
    at += 2 + length;
  }
}

std::optional<ImageInfo> webp_info(const Start& start, bool whole) {
  if (!start.has(0, 30)) return std::nullopt;
  int orientation = 1;
  if (start.text(12, 4) == "VP8X" && (start.number(20, 1) & 0x08) != 0) {  // EXIF lies behind the pixels
    if (!whole) return std::nullopt;
    orientation = detail::webp_orientation(start.part(0, start.size()));
  }
  WebPBitstreamFeatures features{};
  const auto* data = reinterpret_cast<const std::uint8_t*>(start.part(0, start.size()).data());
  const VP8StatusCode code = WebPGetFeatures(data, start.size(), &features);
  if (code == VP8_STATUS_NOT_ENOUGH_DATA && !whole) return std::nullopt;
  DIFFIT_CHECK(code == VP8_STATUS_OK, "{}: wanted a well-formed WebP, got a bad header (libwebp status {})",
               start.where(), static_cast<int>(code));
  DIFFIT_CHECK(!features.has_animation, "{}: wanted one image, got an animated WebP", start.where());
  return turned(features.width, features.height, 3, orientation, start.where());
}

}  // namespace

void check_memory(const ImageInfo& info, const std::string& where) {
  detail::check_memory(static_cast<std::uint64_t>(info.width), static_cast<std::uint64_t>(info.height),
                       static_cast<std::uint64_t>(info.channels), where);
}

std::optional<ImageInfo> image_info(std::span<const std::byte> bytes, bool whole, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Start start(bytes, whole, where);
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return png_info(start);
  if (text.starts_with("\xff\xd8\xff")) return jpeg_info(start);
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP")
    return webp_info(start, whole);
  if (!whole && bytes.size() < 12) return std::nullopt;
  const std::string kind = what_file_is_this(bytes, bytes.size());
  reject("{}: wanted a PNG, JPEG or WebP image, got {}", where, kind.empty() ? "something else" : kind);
}

}  // namespace diffit::io
