// Base64 encoding for data URIs.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/layers.h"

namespace diffit::plot {

/// Returns the Base64 encoding of RFC 4648, with padding.
std::string base64(std::span<const std::byte> bytes);

}  // namespace diffit::plot
