// Which names in a folder or zip are data, which are splits, and which are numbered shards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/layers.h"

namespace diffit::data::detail {

/// Why a file or folder of that name is not data: such as "hidden file"; empty if it may be data.
/// Hidden are names that begin with a dot; the others are those that macOS, Windows, NAS devices and tools
/// leave: __MACOSX, Thumbs.db, desktop.ini, @eaDir, #recycle, $RECYCLE.BIN, lost+found, ...
std::string_view why_no_data(std::string_view name);

/// Whether the name ends as an image in a format that is not read: .gif, .bmp, .tif, .heic, .avif, ...
bool is_unread_image_name(std::string_view name);

/// Whether folders of that name hold a part of a data set: train, val, test and their kin, in any case.
bool is_split_name(std::string_view name);

/// The value of a name that is nothing but up to 18 digits.
std::optional<std::int64_t> number_of(std::string_view name);

/// The last number in the name of a file, without its ending: 12 of "img00000012.png".
std::optional<std::int64_t> last_number(std::string_view name);

std::string lower_case(std::string_view text);

}  // namespace diffit::data::detail
