#include "io/tensors/convert_dtype.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/test_folder.h"

namespace diffit::io {
namespace {

template <class To, class From>
std::vector<To> converted(Dtype from, std::vector<From> values, Dtype to) {
  std::vector<std::byte> bytes;
  const TensorView view{
      "t", from, {static_cast<std::int64_t>(values.size())}, std::as_bytes(std::span<const From>(values))};
  convert_elements(view, to, "file", [&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  std::vector<To> out(bytes.size() / sizeof(To));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::vector<std::uint16_t> finite_halves() {
  std::vector<std::uint16_t> all;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7c00) != 0x7c00) all.push_back(static_cast<std::uint16_t>(bits));
  }
  return all;
}

/// What a half is worth, from the format's definition.
double worth(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  const double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

TEST(ConvertDtype, HalfToFloatAndBackIsExact) {
  const auto halves = finite_halves();
  const auto floats = converted<float>(Dtype::f16, halves, Dtype::f32);
  for (std::size_t i = 0; i < halves.size(); ++i) ASSERT_EQ(floats[i], worth(halves[i])) << halves[i];
  EXPECT_EQ(converted<std::uint16_t>(Dtype::f32, floats, Dtype::f16), halves);
}

TEST(ConvertDtype, FloatToHalfRoundsToNearestEven) {
  const auto halves = finite_halves();
  for (std::size_t i = 0; i + 1 < 0x7c00; ++i) {  // the positive ones, in order
    const auto low = static_cast<float>(worth(halves[i])), high = static_cast<float>(worth(halves[i + 1]));
    const float middle = (low + high) / 2;
    const auto got = converted<std::uint16_t>(
        Dtype::f32, std::vector<float>{std::nextafter(middle, 0.0f), middle, std::nextafter(middle, 1e9f)},
        Dtype::f16);
    ASSERT_EQ(got[0], halves[i]);
    ASSERT_EQ(got[1], halves[i + i % 2]) << middle;
    ASSERT_EQ(got[2], halves[i + 1]);
  }
}

TEST(ConvertDtype, Bfloat16RoundsToNearestEven) {
  const auto bits = [](std::uint32_t b) { return std::bit_cast<float>(b); };
  EXPECT_EQ(converted<std::uint16_t>(Dtype::f32,
                                     std::vector<float>{bits(0x3f808000), bits(0x3f818000), bits(0x3f808001),
                                                        bits(0x3f807fff), -1.0f},
                                     Dtype::bf16),
            (std::vector<std::uint16_t>{0x3f80, 0x3f82, 0x3f81, 0x3f80, 0xbf80}));
  EXPECT_EQ(converted<float>(Dtype::bf16, std::vector<std::uint16_t>{0x3fc0}, Dtype::f32)[0], 1.5f);
}

TEST(ConvertDtype, RejectsValuesOutOfRange) {
  using testing::expect_rejected;
  EXPECT_EQ(converted<std::uint16_t>(Dtype::f32, std::vector<float>{65519.0f}, Dtype::f16)[0], 0x7bff);
  expect_rejected(
      [] {
        converted<std::uint16_t>(Dtype::f32, std::vector<float>{1, 65520.0f}, Dtype::f16);
      },
      {"file", "'t'", "65504", "bf16"});
  expect_rejected([] { converted<float>(Dtype::f64, std::vector<double>{1e39}, Dtype::f32); },
                  {"'t'", "beyond"});
  expect_rejected(
      [] {
        converted<std::uint16_t>(Dtype::f32, std::vector<float>{std::numeric_limits<float>::max()},
                                 Dtype::bf16);
      },
      {"'t'", "beyond"});
  expect_rejected([] { converted<float>(Dtype::f32, std::vector<float>{std::nanf("")}, Dtype::f32); },
                  {"NaN"});
}

TEST(ConvertDtype, IntegersAreUnchanged) {
  const std::vector<std::int64_t> index{1, -2, 1ll << 60};
  EXPECT_EQ(converted<std::int64_t>(Dtype::i64, index, Dtype::f16), index);
}

}  // namespace
}  // namespace diffit::io
