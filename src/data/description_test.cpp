#include "data/description.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <system_error>

#include "base/test_folder.h"
#include "data/workers.h"

namespace diffit::data {
namespace {

using testing::expect_rejected;

/// Images of given sizes; a width of 0 is one that cannot be read. Labels as given.
class Sized : public ImageSource {
 public:
  Sized(std::vector<ImageInfo> sizes, std::vector<std::int64_t> labels = {})
      : sizes_(std::move(sizes)), labels_(std::move(labels)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(sizes_.size()); }
  Image read(std::int64_t index) const override {
    const ImageInfo& s = sizes_[static_cast<std::size_t>(index)];
    DIFFIT_CHECK(s.width > 0, "image {} is bad", index);
    return {s.width, s.height, s.channels,
            std::vector<std::uint8_t>(static_cast<std::size_t>(s.width * s.height * s.channels))};
  }
  std::int64_t classes() const override {
    return labels_.empty() ? 0 : 1 + *std::max_element(labels_.begin(), labels_.end());
  }
  std::int64_t label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  std::string describe() const override { return "sized"; }
  std::string name(std::int64_t index) const override { return fmt::format("{}.png", index); }
  const SourceFacts& facts() const override { return facts_; }
  void name_classes(std::vector<std::string> names) { facts_.class_names = std::move(names); }

 private:
  SourceFacts facts_;
  std::vector<ImageInfo> sizes_;
  std::vector<std::int64_t> labels_;
};

DataDescription described(const Sized& source, bool decode = false) {
  return describe_data(source, scan_images(source, {.decode = decode}));
}

TEST(Description, ReportsSizesChannelsAndBrokenImages) {
  const Sized source({{4, 4, 1}, {5, 4, 3}, {0, 0, 0}, {4, 4, 3}, {4, 4, 3}, {0, 0, 0}});
  for (const bool decode : {false, true}) {
    const DataDescription d = described(source, decode);
    EXPECT_EQ(d.width, 4);
    EXPECT_EQ(d.channels, 3);
    EXPECT_EQ(d.sizes[0].images, 2);
    EXPECT_EQ(d.broken_count, 2);
    EXPECT_EQ(d.broken[1].index, 5);
    ASSERT_EQ(d.warnings.size(), 2u);
    EXPECT_NE(d.warnings[0].find("2 of 6 images cannot be read, the first is image 2 is bad"),
              std::string::npos);
    EXPECT_NE(d.warnings[1].find("1 are not: 1.png (5x4);"), std::string::npos) << d.warnings[1];
    EXPECT_EQ(d.notes.size(), 1u);  // grey among RGB
    expect_rejected([&] { refuse_warnings(d); }, {"`strict`", "cannot be read", "1 more"});
    const Json json = description_json(d);
    EXPECT_EQ(json["broken"][0]["name"], "2.png");
    EXPECT_EQ(json["sizes"].size(), 3u);
    EXPECT_NE(description_text(d).find("broken: image 5 is bad"), std::string::npos);
  }
}

TEST(Description, ListsImagesOfOtherSizes) {
  std::vector<ImageInfo> sizes(20, {4, 4, 1});
  sizes[3] = {5, 4, 1};
  sizes[7] = {4, 4, 3};  // has the usual size
  sizes[8] = {4, 9, 3};
  sizes[9] = {0, 0, 0};
  sizes[15] = sizes[19] = {1, 1, 1};
  const Sized source(sizes);
  const DataDescription d = described(source, true);
  EXPECT_EQ(d.odd_count, 4);
  EXPECT_EQ(list_odd(d.odd), "3.png (5x4), 8.png (4x9), 15.png (1x1), ...");
  EXPECT_NE(d.warnings[1].find("15 are 4x4, 4 are not: 3.png (5x4)"), std::string::npos) << d.warnings[1];
  const Json json = description_json(d);
  EXPECT_EQ(json["other_size_count"], 4);
  EXPECT_EQ(json["other_sizes"][1], (Json{{"name", "8.png"}, {"index", 8}, {"width", 4}, {"height", 9}}));
  EXPECT_NE(description_text(d).find("another size: 19.png: 1x1"), std::string::npos);
  EXPECT_EQ(description_text(described(source)).find("another size"), std::string::npos);
}

TEST(Description, WarnsAboutClassNamesThatDifferOnlyInCase) {
  const auto warnings = [](const std::vector<std::string>& names) {
    Sized source(std::vector<ImageInfo>(3, {2, 2, 1}), {0, 1, 2});
    source.name_classes(names);
    return described(source).warnings;
  };
  ASSERT_EQ(warnings({"Cat", "cat ", "dog"}).size(), 1u);
  EXPECT_NE(warnings({"Cat", "cat ", "dog"})[0].find("'Cat' (label 0) and 'cat ' (label 1)"),
            std::string::npos);
  EXPECT_TRUE(warnings({"cat", "cats", "dog"}).empty());
}

TEST(Description, TooLargeImagesAreBroken) {
  const Sized source({{4, 4, 1}, {30000, 30000, 1}});
  const ImageScan scan = scan_images(source);
  ASSERT_EQ(scan.broken_count, 1);
  EXPECT_NE(scan.broken[0].reason.find("1.png: decoding 30000x30000 pixels needs"), std::string::npos)
      << scan.broken[0].reason;
}

TEST(Description, CountsClassesAndWarnsAboutEmptyOnes) {
  const std::vector<ImageInfo> four(4, {2, 2, 1});
  const DataDescription whole = described(Sized(four, {0, 1, 1, 0}));
  EXPECT_TRUE(whole.warnings.empty());
  EXPECT_NO_THROW(refuse_warnings(whole));
  EXPECT_EQ(described(Sized(four, {1, 2, 1, 2})).warnings[0].substr(0, 17), "labels begin at 1");
  const DataDescription holes = described(Sized(four, {5, 9, 5, 9}));
  ASSERT_EQ(holes.warnings.size(), 1u);
  EXPECT_NE(holes.warnings[0].find("0-4, 6-8"), std::string::npos) << holes.warnings[0];
  EXPECT_NE(holes.warnings[0].find("2 of 10"), std::string::npos) << holes.warnings[0];
  EXPECT_EQ(description_json(holes)["class_counts"][9], 2);
}

TEST(Workers, ContinueWithTheThreadsThatStart) {
  for (const int available : {0, 1, 2}) {
    int started = 0;
    const ThreadFactory before = set_thread_factory([&](std::function<void()> work) {
      if (started++ == available)
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
      return std::thread(std::move(work));
    });
    std::vector<int> done(100);
    in_parallel(0, 100, 4, [&](std::int64_t i) { ++done[static_cast<std::size_t>(i)]; });
    EXPECT_EQ(done, std::vector<int>(100, 1));
    set_thread_factory(before);
  }
}

}  // namespace
}  // namespace diffit::data
