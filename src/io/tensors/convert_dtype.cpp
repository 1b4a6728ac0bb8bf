#include "io/tensors/convert_dtype.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "io/tensors/finite.h"

namespace diffit::io {

namespace {

constexpr std::size_t kChunk = 1 << 16;  // elements at a time
constexpr double kLargestHalf = 65504;

float from_half(std::uint16_t bits) {
  const auto sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  if (exponent == 0) {  // zero, and the subnormals: fraction * 2^-24
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

/// `value` is finite; what rounds beyond the largest gives infinity.
std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  const float size = std::abs(value);
  if (size < 0x1p-14f) {  // a subnormal: the default rounding of the conversion is to nearest even
    return static_cast<std::uint16_t>(sign |
                                      static_cast<std::uint16_t>(std::nearbyint(std::ldexp(size, 24))));
  }
  const std::uint32_t kept = std::bit_cast<std::uint32_t>(size) - (112u << 23);
  const std::uint32_t rounded = (kept + 0xfff + (kept >> 13 & 1)) >> 13;
  return static_cast<std::uint16_t>(sign | std::min<std::uint32_t>(rounded, 0x7c00));
}

std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// Elements of any floating-point type as float; a double that is beyond float becomes infinite.
void widen(Dtype from, std::span<const std::byte> bytes, std::vector<float>& out) {
  out.resize(bytes.size() / element_size(from));
  const auto each = [&]<class T>(T, auto&& convert) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      T element;
      std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
      out[i] = convert(element);
    }
  };
  if (from == Dtype::f64) {
    each(double{}, [](double v) { return static_cast<float>(v); });
  } else if (from == Dtype::f32) {
    std::memcpy(out.data(), bytes.data(), bytes.size());
  } else if (from == Dtype::f16) {
    each(std::uint16_t{}, from_half);
  } else {
    each(std::uint16_t{}, [](std::uint16_t v) { return std::bit_cast<float>(std::uint32_t{v} << 16); });
  }
}

void narrow(std::span<const float> values, std::uint16_t (*convert)(float), std::vector<std::byte>& out) {
  out.resize(values.size() * 2);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t element = convert(values[i]);
    std::memcpy(out.data() + 2 * i, &element, 2);
  }
}

}  // namespace

bool is_floating(Dtype dtype) {
  return dtype == Dtype::f64 || dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16;
}

void convert_elements(const TensorView& tensor, Dtype to, const std::string& where,
                      const std::function<void(std::span<const std::byte>)>& sink) {
  const std::size_t width = element_size(tensor.dtype);
  std::vector<float> values;
  std::vector<std::byte> narrowed;
  for (std::size_t at = 0; at < tensor.bytes.size(); at += kChunk * width) {
    const auto piece = tensor.bytes.subspan(at, std::min(kChunk * width, tensor.bytes.size() - at));
    DIFFIT_CHECK(all_finite(tensor.dtype, piece), "{}: '{}' contains NaN or infinity", where,
                 printable(tensor.name));
    if (!is_floating(tensor.dtype) || tensor.dtype == to) {
      sink(piece);
      continue;
    }
    widen(tensor.dtype, piece, values);
    if (to == Dtype::f32) {
      narrowed.assign(std::as_bytes(std::span(values)).begin(), std::as_bytes(std::span(values)).end());
    } else {
      narrow(values, to == Dtype::f16 ? to_half : to_bfloat16, narrowed);
    }
    DIFFIT_CHECK(all_finite(to, narrowed), "{}: '{}' contains values beyond the range of {}; use f32{}",
                 where, printable(tensor.name),
                 to == Dtype::f16 ? fmt::format("f16, {}", kLargestHalf) : "this type",
                 to == Dtype::f16 ? " or bf16" : "");
    sink(narrowed);
  }
}

}  // namespace diffit::io
