// Bytes as text for data URIs.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace diffit {

/// Base64 of RFC 4648, padded.
std::string base64(std::span<const std::byte> bytes);

}  // namespace diffit
