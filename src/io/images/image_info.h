// Size and channels of an image from its first bytes, without decoding it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "io/images/image.h"

namespace diffit::io {

/// What decode_image would return, but for the pixels.
struct ImageInfo {
  std::int64_t width = 0, height = 0, channels = 0;
  bool operator==(const ImageInfo&) const = default;
};

inline ImageInfo info_of(const Image& image) {
  return {image.width, image.height, image.channels};
}

/// Bytes that suffice for nearly every image.
inline constexpr std::size_t kInfoBytes = 4096;

/// Throws Error(invalid) that begins with `where` if decode_image rejects images of that size.
void check_memory(const ImageInfo& info, const std::string& where);

/// Reads the header at the start of `bytes`; the size is that after the EXIF orientation was applied. nullopt
/// where more bytes are needed, never if `whole` (all of the file is there). Error(invalid) that begins with
/// `where`: not an image, or a header that decode_image rejects for a reason other than memory.
std::optional<ImageInfo> image_info(std::span<const std::byte> bytes, bool whole, const std::string& where);

}  // namespace diffit::io
