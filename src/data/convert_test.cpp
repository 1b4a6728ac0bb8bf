#include "data/convert.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/test_folder.h"
#include "io/archives/zip.h"

namespace diffit::data {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

/// Images as given; labels i mod 2 where asked for.
class Listed : public ImageSource {
 public:
  explicit Listed(std::vector<Image> images, bool labelled = true)
      : images_(std::move(images)), labelled_(labelled) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(images_.size()); }
  Image read(std::int64_t index) const override {
    const Image& image = images_[static_cast<std::size_t>(index)];
    DIFFIT_CHECK(image.width > 0, "list: {} is bad", index);
    return image;
  }
  std::int64_t classes() const override { return labelled_ ? 2 : 0; }
  std::int64_t label(std::int64_t index) const override { return index % 2; }
  std::string describe() const override { return "list"; }
  std::string name(std::int64_t index) const override { return std::to_string(index); }

 private:
  std::vector<Image> images_;
  bool labelled_;
};

std::vector<Image> squares(std::int64_t count, std::int64_t side, std::int64_t channels) {
  std::vector<Image> images;
  for (std::int64_t i = 0; i < count; ++i) {
    images.push_back({side, side, channels, {}});
    for (std::int64_t k = 0; k < side * side * channels; ++k) {
      images.back().pixels.push_back(static_cast<std::uint8_t>(i + 3 * k));
    }
  }
  return images;
}

std::string content(const ZipReader& zip, const std::string& name) {
  const auto bytes = zip.read(static_cast<std::size_t>(zip.find(name)), 1 << 20);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Convert, PreservesImagesOrderAndLabels) {
  const TemporaryFolder folder;
  for (const std::int64_t channels : {1, 3}) {
    const auto images = squares(1003, 3, channels);
    const fs::path path = folder / "set.zip";
    std::int64_t told = 0;
    const Converted result = convert(Listed(images), path, {}, [&](std::int64_t done, std::int64_t all) {
      EXPECT_GT(done, told);
      EXPECT_EQ(all, 1003);
      told = done;
    });
    EXPECT_EQ(told, 1003);
    EXPECT_EQ(result.images, 1003);
    EXPECT_EQ(result.resolution, 3);
    EXPECT_EQ(result.channels, channels);
    EXPECT_EQ(result.classes, 2);
    const auto back = open_source(path);
    ASSERT_EQ(back->size(), 1003);
    EXPECT_EQ(back->name(1002), "00001/img00001002.png");
    for (std::int64_t i = 0; i < 1003; ++i) {
      ASSERT_EQ(back->read(i).pixels, images[static_cast<std::size_t>(i)].pixels);
      ASSERT_EQ(back->label(i), i % 2);
    }
  }
}

TEST(Convert, WritesEdmLayout) {
  const TemporaryFolder folder;
  convert(Listed(squares(2, 2, 1)), folder / "labelled.zip", {});
  convert(Listed(squares(2, 2, 1), false), folder / "plain.zip", {});
  const ZipReader labelled(folder / "labelled.zip"), plain(folder / "plain.zip");
  EXPECT_EQ(content(labelled, "dataset.json"),
            R"({"labels": [["00000/img00000000.png", 0], ["00000/img00000001.png", 1]]})");
  EXPECT_EQ(content(plain, "dataset.json"), R"({"labels": null})");
  for (const auto& entry : labelled.entries()) EXPECT_EQ(entry.size, entry.packed) << entry.name;
}

TEST(Convert, KeepsClassNamesAndEmptyClasses) {
  const TemporaryFolder folder;
  const Image image = squares(1, 2, 1)[0];
  for (const char* name : {"cat/0.png", "d\"og/0.png"})
    folder.write(std::string("set/") + name, encode_png(image, 0));
  fs::create_directories(folder / "set/zebra");
  convert(*open_source(folder / "set"), folder / "set.zip", {});
  const auto back = open_source(folder / "set.zip");
  EXPECT_EQ(back->facts().class_names, (std::vector<std::string>{"cat", "d\"og", "zebra"}));
  EXPECT_EQ(back->classes(), 3);
  convert(*back, folder / "again.zip", {});
  EXPECT_EQ(read_file(folder / "again.zip", 1 << 20), read_file(folder / "set.zip", 1 << 20));
}

TEST(Convert, BytesDoNotDependOnThreads) {
  const TemporaryFolder folder;
  const Listed source(squares(600, 5, 3));
  convert(source, folder / "one.zip", {.size = 8, .threads = 1});
  convert(source, folder / "three.zip", {.size = 8, .threads = 3});
  EXPECT_EQ(read_file(folder / "one.zip", 1 << 24), read_file(folder / "three.zip", 1 << 24));
  EXPECT_EQ(open_source(folder / "one.zip")->read(5).width, 8);
}

TEST(Convert, MakesAllRgbWhereOneIs) {
  const TemporaryFolder folder;
  auto images = squares(5, 2, 1);
  images[3] = squares(1, 2, 3)[0];
  EXPECT_EQ(convert(Listed(images), folder / "set.zip", {}).channels, 3);
  const auto back = open_source(folder / "set.zip");
  EXPECT_EQ(back->read(3).pixels, images[3].pixels);
  EXPECT_EQ(back->read(1).pixels, (std::vector<std::uint8_t>{1, 1, 1, 4, 4, 4, 7, 7, 7, 10, 10, 10}));
}

TEST(Convert, RejectsMismatchedImagesAndLeavesNoFile) {
  const TemporaryFolder folder;
  auto images = squares(5, 2, 1);
  images[3] = squares(1, 4, 1)[0];
  expect_rejected([&] { convert(Listed(images), folder / "set.zip", {}); }, {"list: 3", "4x4", "`size` 2"});
  expect_rejected(
      [&] {
        convert(Listed({{2, 1, 1, {1, 2}}}), folder / "set.zip", {});
      },
      {"list: 0", "2x1", "`crop`"});
  expect_rejected([&] { convert(Listed(images), folder / "set.npz", {}); }, {".zip", "set.npz"});
  expect_rejected([&] { convert(Listed(images), folder / "set.zip", {.crop = Crop::center}); }, {"`size`"});
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Convert, SkipsBrokenImagesOnRequest) {
  const TemporaryFolder folder;
  auto images = squares(700, 2, 3);
  images[3] = squares(1, 4, 3)[0];
  images[600].width = 0;  // cannot be read
  const Listed source(images);
  expect_rejected([&] { convert(source, folder / "set.zip", {}); }, {"`skip_broken`"});
  expect_rejected([&] { convert(source, folder / "set.zip", {.strict = true}); }, {"600"});
  EXPECT_TRUE(fs::is_empty(folder.path()));
  const Converted result = convert(source, folder / "set.zip", {.threads = 2, .skip_broken = true});
  EXPECT_EQ(result.images, 698);
  ASSERT_EQ(result.skipped.size(), 2u);
  EXPECT_EQ(result.skipped[0].name, "3");
  EXPECT_EQ(result.skipped[1].index, 600);
  const auto back = open_source(folder / "set.zip");
  ASSERT_EQ(back->size(), 698);
  EXPECT_EQ(back->read(3).pixels, images[4].pixels);
  EXPECT_EQ(back->label(3), 0);
  EXPECT_EQ(back->read(697).pixels, images[699].pixels);
}

TEST(Convert, CropsWideImagesBeforeEnlarging) {
  const TemporaryFolder folder;
  for (const auto& [width, height] : {std::pair{30000, 1}, std::pair{2, 32768}, std::pair{300, 20}}) {
    const Listed banner(
        {{width, height, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height), 9)}}, false);
    for (const Crop crop : {Crop::center, Crop::adm}) {
      const Converted result = convert(banner, folder / "b.zip", {.size = 256, .crop = crop});
      EXPECT_EQ(result.resolution, 256);
      EXPECT_EQ(open_source(folder / "b.zip")->read(0).pixels, std::vector<std::uint8_t>(256 * 256, 9));
    }
    expect_rejected([&] { convert(banner, folder / "c.zip", {.size = 16}); }, {"list: 0", "`crop` center"});
  }
}

}  // namespace
}  // namespace diffit::data
