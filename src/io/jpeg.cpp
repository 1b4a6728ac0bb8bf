// JPEG through libjpeg-turbo.
#include <turbojpeg.h>

#include <memory>
#include <string_view>

#include "base/error.h"
#include "io/codecs.h"

namespace diffit::detail {
namespace {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};

/// Whether an Adobe marker (APP14) stands before the first scan: such CMYK is stored as 255 minus ink.
bool has_adobe_marker(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::size_t at = 2;
  while (at + 4 <= text.size() && text[at] == '\xff') {
    const char marker = text[at + 1];
    if (marker == '\xda') return false;
    if (marker == '\xff') {  // a fill byte
      ++at;
      continue;
    }
    if (marker == '\xee' && text.substr(at + 4, 5) == "Adobe") return true;
    const std::size_t length =
        std::to_integer<std::size_t>(bytes[at + 2]) << 8 | std::to_integer<std::size_t>(bytes[at + 3]);
    at += 2 + length;
  }
  return false;
}

/// a * b / 255 to the nearest.
std::uint8_t product(int a, int b) {
  const int t = a * b + 128;
  return static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
}

}  // namespace

Picture decode_jpeg(std::span<const std::byte> bytes, const std::string& where) {
  const std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  if (!handle) fail("{}: libjpeg-turbo could not start; is memory short?", where);
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());
  const auto refuse = [&] {
    reject("{}: wanted a well-formed JPEG, got a bad one: {}", where, tjGetErrorStr2(handle.get()));
  };

  int width = 0, height = 0, subsampling = 0, space = 0;
  if (tjDecompressHeader3(handle.get(), data, size, &width, &height, &subsampling, &space) != 0) refuse();
  DIFFIT_CHECK(width > 0 && height > 0, "{}: wanted a JPEG with sides of 1 or more, got {}x{}", where, width,
               height);
  check_sides(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), bytes.size(), where);

  const bool ink = space == TJCS_CMYK || space == TJCS_YCCK;
  const int format = space == TJCS_GRAY ? TJPF_GRAY : ink ? TJPF_CMYK : TJPF_RGB;
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  Picture picture{width, height, space == TJCS_GRAY ? 1 : 3, {}};
  picture.pixels.resize(pixels * (space == TJCS_GRAY ? 1 : ink ? 4 : 3));
  if (tjDecompress2(handle.get(), data, size, picture.pixels.data(), width, 0, height, format,
                    TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0) {
    // Junk between segments is common in photographs of the wild and harms nothing; all else is damage.
    const bool harmless =
        tjGetErrorCode(handle.get()) == TJERR_WARNING &&
        std::string_view(tjGetErrorStr2(handle.get())).find("extraneous bytes") != std::string_view::npos;
    if (!harmless) refuse();
  }
  if (ink) {
    const bool inverted = has_adobe_marker(bytes);
    for (std::size_t i = 0; i < pixels; ++i) {
      std::uint8_t cmyk[4];
      for (std::size_t c = 0; c < 4; ++c) {
        const std::uint8_t value = picture.pixels[4 * i + c];
        cmyk[c] = inverted ? value : static_cast<std::uint8_t>(255 - value);
      }
      for (std::size_t c = 0; c < 3; ++c) picture.pixels[3 * i + c] = product(cmyk[c], cmyk[3]);
    }
    picture.pixels.resize(3 * pixels);
  }
  return picture;
}

}  // namespace diffit::detail
