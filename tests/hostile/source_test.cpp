#include "data/source.h"

#include <algorithm>

#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

void read_all(const fs::path& path) {
  const auto source = open_source(path);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(source->size(), 20); ++i) {
    source->read(i);
    if (source->classes() > 0) {
      EXPECT_LT(source->label(i), source->classes());
    }
  }
}

std::string image() {
  const auto png = encode_png(Image{2, 2, 1, {1, 2, 3, 4}}, 6);
  return {reinterpret_cast<const char*>(png.data()), png.size()};
}

std::string edm(const std::string& json) {
  return zip_of({stored("a.png", image()), stored("b.png", image()), packed("dataset.json", json)});
}

const std::vector<std::pair<std::string, std::string>>& bad_labels() {
  static const std::vector<std::pair<std::string, std::string>> cases{
      {"empty", ""},
      {"a list", "[]"},
      {"no labels", "{}"},
      {"labels a number", R"({"labels": 3})"},
      {"labels of numbers", R"({"labels": [1, 2]})"},
      {"labels of texts", R"({"labels": ["ab", "cd"]})"},
      {"a label for one", R"({"labels": [["a.png", 0]]})"},
      {"two labels", R"({"labels": [["a.png", 0], ["a.png", 1], ["b.png", 0]]})"},
      {"a vector", R"({"labels": [["a.png", [0, 1]], ["b.png", [1, 0]]]})"},
      {"negative", R"({"labels": [["a.png", -1], ["b.png", 0]]})"},
      {"a fraction", R"({"labels": [["a.png", 0.5], ["b.png", 0]]})"},
      {"NaN", R"({"labels": [["a.png", NaN], ["b.png", 0]]})"},
      {"a text", R"({"labels": [["a.png", "0"], ["b.png", 0]]})"},
      {"2^63", R"({"labels": [["a.png", 9223372036854775808], ["b.png", 0]]})"},
      {"10^30", R"({"labels": [["a.png", 1000000000000000000000000000000], ["b.png", 0]]})"},
      {"a billion classes", R"({"labels": [["a.png", 1000000000], ["b.png", 0]]})"},
      {"keys twice", R"({"labels": null, "labels": [["a.png", 0], ["b.png", 0]]})"},
      {"deep", R"({"labels": )" + std::string(100'000, '[')},
      {"objects, deep",
       []() {
         std::string text;
         for (int i = 0; i < 100'000; ++i) text += R"({"labels":)";
         return text;
       }()},
      {"not UTF-8", "{\"labels\": \"\xff\"}"},
      {"names of control characters", R"({"labels": [["\n\u001b[2J", {}]]})"},
      {"vector of a name of control characters", R"({"labels": [["\n\u001b[2J", []]]})"},
      {"two labels of control characters", R"({"labels": [["\n\u001b[2J", 0], ["\n\u001b[2J", 0]]})"},
      {"a name of 100 kB", R"({"labels": [[")" + std::string(100'000, 'x') + R"(", []]]})"},
      {"class of 100 kB", R"({"labels": [["a.png", ")" + std::string(100'000, 'x') + R"("]]})"},
      {"not JSON", "labels"},
      {"cut", R"({"labels": [["a.png", 0], )"}};
  return cases;
}

TEST(Sources, RejectBadLabels) {
  const BadFile zip("bad.zip", read_all);
  zip.expect_read("good", edm(R"({"labels": [["a.png", 0], ["b.png", 1]]})"));
  zip.expect_read("null", edm(R"({"labels": null})"));
  for (const auto& [label, json] : bad_labels()) zip.expect_refused(label, edm(json), "dataset.json");
  ZipPart bomb = packed("dataset.json", zeros(64 << 20));
  zip.expect_refused("a bomb", zip_of({stored("a.png", image()), bomb}), "");

  for (const auto& [label, json] : bad_labels()) {
    const testing::TemporaryFolder folder;
    folder.write("set/a.png", image());
    folder.write("set/b.png", image());
    folder.write("set/dataset.json", json);
    EXPECT_TRUE(refusal(label, "dataset.json", [&] { read_all(folder / "set"); })) << label << ": was read";
  }
}

TEST(Sources, NameTheImageThatIsBad) {
  const BadFile zip("bad.zip", read_all);
  zip.expect_refused("in a zip", zip_of({stored("good.png", image()), stored("worse.png", "hello")}),
                     "worse.png");
  zip.expect_refused("by control characters", zip_of({stored("a\n\x1b[2J.png", "hello")}), "bad.zip");
  zip.expect_refused("no pictures", zip_of({stored("a.txt", "hello")}), "wanted");
  zip.expect_refused("pictures that are folders", zip_of({stored("a.png/", "")}), "wanted");
  zip.expect_refused(
      "CRC",
      [] {
        ZipPart part = stored("a.png", image());
        part.crc ^= 1;
        return zip_of({part});
      }(),
      "a.png");

  const testing::TemporaryFolder folder;
  folder.write("set/worse.png", "hello");
  EXPECT_TRUE(refusal("in a folder", "worse.png", [&] { read_all(folder / "set"); }));
  folder.write("other/a\n\x1b[2Jb.png", "hello");
  EXPECT_TRUE(refusal("by control characters in a folder", "other", [&] { read_all(folder / "other"); }));
}

TEST(Sources, RejectEmptyFolders) {
  const testing::TemporaryFolder folder;
  fs::create_directories(folder / "empty");
  fs::create_directories(folder / "pictures/a.png");
  fs::create_directories(folder / "circle/a");
  fs::create_directory_symlink(folder / "circle", folder / "circle/a/again");
  fs::create_symlink(folder / "nowhere", folder / "pictures/b.png");
  fs::create_symlink("/dev/zero", folder / "pictures/c.png");
  for (const std::string name : {"absent", "empty", "pictures", "circle"}) {
    EXPECT_TRUE(refusal(name, name, [&] { read_all(folder / name); })) << name << ": was read";
  }
  EXPECT_TRUE(refusal("a device", "/dev/null", [] { read_all("/dev/null"); }));
  EXPECT_TRUE(refusal("an endless device", "/dev/zero", [] { read_all("/dev/zero"); }));
}

TEST(Sources, RejectIdxWithOtherLabels) {
  const std::string images = std::string("\0\0\x08\3", 4) + big(2, 4) + big(2, 4) + big(2, 4) + zeros(8);
  const auto labels = [](std::uint64_t count, const std::string& values) {
    return std::string("\0\0\x08\1", 4) + big(count, 4) + values;
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {"one label", labels(1, zeros(1))},
      {"three labels", labels(3, zeros(3))},
      {"labels that claim more", labels(2, zeros(1))},
      {"labels that are pictures", images},
      {"empty labels", ""}};
  for (const auto& [label, content] : cases) {
    const testing::TemporaryFolder folder;
    const fs::path path = folder.write("train-images-idx3-ubyte", images);
    folder.write("train-labels-idx1-ubyte", content);
    EXPECT_TRUE(refusal(label, "train-", [&] { read_all(path); })) << label << ": was read";
  }
}

}  // namespace
}  // namespace diffit::hostile
