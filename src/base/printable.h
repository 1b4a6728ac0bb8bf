// Strings from files, made safe for error messages.
#pragma once

#include <string>
#include <string_view>

#include "base/layers.h"

namespace diffit::base {

/// Returns `text` as a single line: control characters and bytes that are not valid UTF-8 are escaped as
/// \xNN, and the result is truncated after about 200 bytes.
std::string printable(std::string_view text);

}  // namespace diffit::base
