#include "io/tensors/finite.h"

#include <array>
#include <cstring>

namespace diffit::io {

namespace {

/// NaN and infinity are the numbers whose exponent is all ones.
template <class Bits>
bool without_exponent(std::span<const std::byte> bytes, Bits exponent) {
  constexpr std::size_t kChunk = 4096;
  std::array<Bits, kChunk> chunk;  // aligned, as the bytes may not be
  while (bytes.size() >= sizeof(Bits)) {
    const std::size_t count = std::min(kChunk, bytes.size() / sizeof(Bits));
    std::memcpy(chunk.data(), bytes.data(), count * sizeof(Bits));
    Bits found = 0;
    for (std::size_t i = 0; i < count; ++i) found |= static_cast<Bits>((chunk[i] & exponent) == exponent);
    if (found != 0) return false;
    bytes = bytes.subspan(count * sizeof(Bits));
  }
  return true;
}

}  // namespace

bool all_finite(Dtype dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case Dtype::f64:
      return without_exponent<std::uint64_t>(bytes, 0x7ff0'0000'0000'0000);
    case Dtype::f32:
      return without_exponent<std::uint32_t>(bytes, 0x7f80'0000);
    case Dtype::f16:
      return without_exponent<std::uint16_t>(bytes, 0x7c00);
    case Dtype::bf16:
      return without_exponent<std::uint16_t>(bytes, 0x7f80);
    default:
      return true;
  }
}

}  // namespace diffit::io
