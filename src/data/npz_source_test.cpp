#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "base/test_folder.h"
#include "data/source.h"
#include "io/tensors/npz.h"

namespace diffit::data {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

constexpr std::int64_t kCount = 50, kHeight = 3, kWidth = 5;

std::vector<std::uint8_t> pixels(std::int64_t channels) {
  std::vector<std::uint8_t> all(static_cast<std::size_t>(kCount * kHeight * kWidth * channels));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return all;
}

template <class T>
void add(NpzWriter& npz, const std::string& name, Dtype dtype, std::vector<std::int64_t> shape,
         const std::vector<T>& values) {
  npz.add(name, dtype, shape, std::as_bytes(std::span(values)));
}

fs::path write(const TemporaryFolder& folder, const std::string& name,
               const std::function<void(NpzWriter&)>& fill) {
  NpzWriter npz(folder / name);
  fill(npz);
  npz.finish();
  return folder / name;
}

TEST(NpzSource, ReadsInAnyOrderFromAnyThread) {
  const TemporaryFolder folder;
  std::vector<std::int64_t> labels(kCount);
  std::iota(labels.begin(), labels.end(), 0);
  for (std::int64_t& label : labels) label %= 4;
  const fs::path path = write(folder, "set.npz", [&](NpzWriter& npz) {
    add(npz, "mu", Dtype::f64, {2}, std::vector<double>{1, 2});
    add(npz, "arr_0", Dtype::u8, {kCount, kHeight, kWidth, 3}, pixels(3));
    add(npz, "arr_1", Dtype::i64, {kCount}, labels);
  });
  const auto source = open_source(path);
  EXPECT_EQ(source->size(), kCount);
  EXPECT_EQ(source->classes(), 4);
  EXPECT_EQ(source->name(7), "arr_0[7]");
  const std::vector<std::uint8_t> all = pixels(3);
  const auto check = [&](std::int64_t begin) {
    for (std::int64_t k = 0; k < kCount; ++k) {
      const std::int64_t i = (begin + 17 * k) % kCount;
      const Image p = source->read(i);
      ASSERT_EQ(p.width, kWidth);
      ASSERT_EQ(p.height, kHeight);
      ASSERT_EQ(p.channels, 3);
      const auto first = all.begin() + i * kHeight * kWidth * 3;
      EXPECT_TRUE(std::equal(p.pixels.begin(), p.pixels.end(), first, first + kHeight * kWidth * 3)) << i;
      EXPECT_EQ(source->label(i), i % 4);
    }
  };
  std::vector<std::thread> threads;
  for (const std::int64_t begin : {0, 13, 29}) threads.emplace_back(check, begin);
  for (std::thread& thread : threads) thread.join();
}

TEST(NpzSource, GreyscaleImagesMayOmitChannelAxis) {
  const TemporaryFolder folder;
  for (const auto& [name, shape] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
           {"three.npz", {kCount, kHeight, kWidth}}, {"four.npz", {kCount, kHeight, kWidth, 1}}}) {
    const auto source = open_source(write(
        folder, name, [&, &axes = shape](NpzWriter& npz) { add(npz, "arr_0", Dtype::u8, axes, pixels(1)); }));
    EXPECT_EQ(source->read(1).channels, 1);
    EXPECT_EQ(source->read(1).pixels[0], pixels(1)[kHeight * kWidth]);
    EXPECT_EQ(source->classes(), 0);
  }
}

TEST(NpzSource, WarnsAboutASingleColorImage) {
  const TemporaryFolder folder;
  const auto warnings = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    return open_source(write(folder, name,
                             [&](NpzWriter& npz) {
                               add(npz, "arr_0", Dtype::u8, shape, std::vector<std::uint8_t>(5 * 5 * 3));
                             }))
        ->facts()
        .warnings;
  };
  ASSERT_EQ(warnings("one.npz", {5, 5, 3}).size(), 1u);
  EXPECT_NE(warnings("one.npz", {5, 5, 3})[0].find("5 greyscale images of width 3"), std::string::npos);
  EXPECT_TRUE(warnings("grey.npz", {3, 5, 5}).empty());
  EXPECT_TRUE(warnings("color.npz", {1, 5, 5, 3}).empty());
}

TEST(NpzSource, IsRecognizedByContent) {
  const TemporaryFolder folder;
  const fs::path path = write(folder, "set.bin", [&](NpzWriter& npz) {
    add(npz, "arr_0", Dtype::u8, {kCount, kHeight, kWidth, 1}, pixels(1));
  });
  EXPECT_EQ(open_source(path)->describe(), "npz " + path.string());
}

TEST(NpzSource, LabelsCanBeAnyIntegers) {
  const TemporaryFolder folder;
  const auto last = [&](const std::string& name, Dtype dtype, const auto& values,
                        const std::vector<std::int64_t>& shape = {2}) {
    return open_source(write(folder, name,
                             [&](NpzWriter& npz) {
                               add(npz, "arr_0", Dtype::u8, {2, 1, 1, 3}, std::vector<std::uint8_t>(6));
                               add(npz, "arr_1", dtype, shape, values);
                             }))
        ->label(1);
  };
  EXPECT_EQ(last("i32.npz", Dtype::i32, std::vector<std::int32_t>{0, 999}), 999);
  EXPECT_EQ(last("u8.npz", Dtype::u8, std::vector<std::uint8_t>{0, 255}), 255);
  EXPECT_EQ(last("u64.npz", Dtype::u64, std::vector<std::uint64_t>{0, 3}), 3);
  EXPECT_EQ(last("column.npz", Dtype::i64, std::vector<std::int64_t>{4, 3}, {2, 1}), 3);
  const auto refused = [&](const std::string& name, Dtype dtype, const auto& values,
                           const std::string& part) {
    expect_rejected([&] { last(name, dtype, values); }, {name, "arr_1", part});
  };
  expect_rejected(
      [&] {
        last("row.npz", Dtype::i64, std::vector<std::int64_t>{0, 1}, {1, 2});
      },
      {"row.npz", "int64 [1, 2]"});
  refused("negative.npz", Dtype::i64, std::vector<std::int64_t>{0, -1}, "arr_1[1]");
  refused("large.npz", Dtype::u64, std::vector<std::uint64_t>{0, 1ull << 63}, "arr_1[1]");
  refused("float.npz", Dtype::f32, std::vector<float>{0, 1}, "float32");
}

TEST(NpzSource, NamesWhatIsNoImage) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& name, const std::string& array, Dtype dtype,
                           const std::vector<std::int64_t>& shape, std::initializer_list<std::string> parts) {
    std::vector<std::byte> data(element_size(dtype));
    for (const std::int64_t side : shape) data.resize(data.size() * static_cast<std::size_t>(side));
    const fs::path path = write(folder, name, [&](NpzWriter& npz) { npz.add(array, dtype, shape, data); });
    expect_rejected([&] { open_source(path); }, parts);
  };
  refused("floats.npz", "arr_0", Dtype::f32, {2, 4, 4, 3},
          {"floats.npz", "arr_0", "uint8", "float32 [2, 4, 4, 3]"});
  refused("planes.npz", "arr_0", Dtype::u8, {2, 3, 4, 4}, {"planes.npz", "[2, 3, 4, 4]"});
  refused("flat.npz", "arr_0", Dtype::u8, {2, 48}, {"flat.npz", "[2, 48]"});
  refused("none.npz", "arr_0", Dtype::u8, {0, 4, 4, 3}, {"none.npz", "no image"});
  refused("wide.npz", "arr_0", Dtype::u8, {1, 1, 40000, 1}, {"wide.npz", "40000"});
  refused("statistics.npz", "mu", Dtype::f64, {4}, {"statistics.npz", "arr_0", "mu"});
}

}  // namespace
}  // namespace diffit::data
