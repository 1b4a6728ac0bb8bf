// Size and channels of an image from its first bytes, without decoding it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "io/picture.h"

namespace diffit {

/// What decode_picture would return, but for the pixels.
struct PictureInfo {
  std::int64_t width = 0, height = 0, channels = 0;
  bool operator==(const PictureInfo&) const = default;
};

inline PictureInfo info_of(const Picture& picture) {
  return {picture.width, picture.height, picture.channels};
}

/// Bytes that suffice for nearly every image.
inline constexpr std::size_t kInfoBytes = 4096;

/// Reads the header at the start of `bytes`; the size is that after the EXIF orientation was applied. nullopt
/// where more bytes are needed, never if `whole` (all of the file is there). Error(invalid) that begins with
/// `where`: not an image, or a header that decode_picture refuses.
std::optional<PictureInfo> picture_info(std::span<const std::byte> bytes, bool whole,
                                        const std::string& where);

}  // namespace diffit
