// The names that an entry of an archive may have, written or read.
#pragma once

#include <string>
#include <string_view>

#include "base/layers.h"

namespace diffit::io::detail {

/// Error(invalid) for a name that is empty, absolute, longer than 65535 bytes, holds a NUL, or has ".." for a
/// part. `where` names the archive.
void check_zip_name(std::string_view name, const std::string& where);

}  // namespace diffit::io::detail
