#include "data/source.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "config/fields.h"
#include "data/sources.h"
#include "io/archives/zip.h"

namespace diffit::data {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

std::vector<std::byte> png(std::uint8_t value) {
  return encode_png({2, 1, 1, {value, 7}}, 6);
}

std::vector<std::string> names_of(const ImageSource& source) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < source.size(); ++i) names.push_back(source.name(i));
  return names;
}

std::vector<std::int64_t> labels_of(const ImageSource& source) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < source.size(); ++i) labels.push_back(source.label(i));
  return labels;
}

void expect_first_values(const ImageSource& source, const std::vector<int>& values) {
  ASSERT_EQ(source.size(), static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(source.read(static_cast<std::int64_t>(i)).pixels[0], values[i]) << i;
  }
}

/// The same files as a folder and as a zip.
class Files {
 public:
  void add(const std::string& name, std::span<const std::byte> bytes) {
    folder_.write("set/" + name, bytes);
    zip_->add(name, bytes);
  }
  void add(const std::string& name, const std::string& text) {
    add(name, std::as_bytes(std::span(text.data(), text.size())));
  }
  std::vector<fs::path> paths() {
    zip_->finish();
    return {folder_ / "set", folder_ / "set.zip"};
  }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<ZipWriter> zip_ = std::make_unique<ZipWriter>(folder_ / "set.zip");
};

TEST(Source, TopFoldersAreClassesInOrderOfNames) {
  Files files;
  files.add("b/2.png", png(2));
  files.add("a/deep/er/1.PNG", png(1));
  files.add("b/10.png", png(10));
  files.add("c/notes.txt", "no image");
  files.add("c/3.png", png(3));
  for (const fs::path& path : files.paths()) {
    const auto source = open_source(path);
    EXPECT_EQ(names_of(*source),
              (std::vector<std::string>{"a/deep/er/1.PNG", "b/10.png", "b/2.png", "c/3.png"}));
    EXPECT_EQ(source->classes(), 3);
    EXPECT_EQ(labels_of(*source), (std::vector<std::int64_t>{0, 1, 1, 2}));
    expect_first_values(*source, {1, 10, 2, 3});
  }
}

TEST(Source, OneFolderIsNoClass) {
  Files files;
  files.add("all/2.png", png(2));
  files.add("all/1.png", png(1));
  for (const fs::path& path : files.paths()) {
    const auto source = open_source(path);
    EXPECT_EQ(source->classes(), 0);
    expect_first_values(*source, {1, 2});
  }
}

TEST(Source, DatasetJsonGivesTheLabels) {
  Files files;
  files.add("00000/img00000001.png", png(1));
  files.add("00000/img00000000.png", png(5));
  files.add("dataset.json", R"({"labels": [["00000/img00000001.png", 7], ["00000/img00000000.png", 2]]})");
  for (const fs::path& path : files.paths()) {
    const auto source = open_source(path);
    EXPECT_EQ(source->classes(), 8);
    EXPECT_EQ(labels_of(*source), (std::vector<std::int64_t>{2, 7}));
    expect_first_values(*source, {5, 1});
  }
}

TEST(Source, RejectsBadDatasetJson) {
  const std::vector<std::string> names{"a.png", "b/c.png"};
  const auto labels = [&](const std::string& json) {
    return detail::labels_of(names, json, "set.zip: dataset.json");
  };
  EXPECT_EQ(labels(R"({"labels": null})").classes, 0);
  EXPECT_TRUE(labels(R"({"labels": null})").values.empty());
  EXPECT_EQ(labels(R"({"labels": [["a.png", 0], ["b/c.png", 3]]})").values,
            (std::vector<std::int64_t>{0, 3}));
  for (const auto& [json, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "set.zip"},
           {"[]", "\"labels\""},
           {R"({"labels": 3})", "list or null"},
           {R"({"labels": [["a.png", 0]]})", "none for b/c.png"},
           {R"({"labels": [["a.png", 0], ["a.png", 1]]})", "two labels"},
           {R"({"labels": [["a.png", -1], ["b/c.png", 1]]})", "got -1"},
           {R"({"labels": [["a.png", 1.5], ["b/c.png", 1]]})", "got 1.5"},
           {R"({"labels": [["a.png", 99999999999999999999], ["b/c.png", 1]]})", "a.png"},
           {R"({"labels": [["a.png", [0, 1]], ["b/c.png", [1, 0]]]})", "vector"},
           {R"({"labels": [[1, 2]]})", "[1,2]"},
           {R"({"labels": [["a.png", 0, 1]]})", "[name, class]"},
           {R"({"labels": [["a.png", 0], ["b/c.png", 1], ["gone.png", 1]]})", "gone.png"},
       }) {
    expect_rejected([&, &json = json] { labels(json); }, {"dataset.json", part});
  }
}

TEST(Source, RecognizesFoldersOfKnownDataSets) {
  const TemporaryFolder folder;
  folder.write("mnist/train-images-idx3-ubyte",
               std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01!", 17));
  EXPECT_EQ(open_source(folder / "mnist")->read(0).pixels, (std::vector<std::uint8_t>{'!'}));
  folder.write("root/MNIST/raw/train-images-idx3-ubyte",
               std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01?", 17));
  EXPECT_EQ(open_source(folder / "root")->read(0).pixels, (std::vector<std::uint8_t>{'?'}));
  folder.write("cifar/train.bin", "\x03\x09" + std::string(3072, 'x'));
  const auto cifar = open_source(folder / "cifar");
  EXPECT_EQ(cifar->classes(), 100);
  EXPECT_EQ(cifar->label(0), 9);
  EXPECT_EQ(open_source(folder / "cifar/train.bin")->size(), 1);
}

TEST(Source, OthersAreRefusedByName) {
  const TemporaryFolder folder;
  expect_rejected([&] { open_source(folder / "absent"); }, {"absent", "no such file"});
  expect_rejected([&] { open_source(folder.path()); }, {"folder of images"});
  expect_rejected([&] { open_source(folder.write("a.txt", "hello")); }, {"a.txt", "a text file"});
  expect_rejected([&] { open_source(folder.write("a.zip", "hello")); }, {"a.zip", "a text file"});
  expect_rejected([&] { open_source(folder.write("b.zip", "PK\x03\x04 and no more")); }, {"b.zip"});
  expect_rejected([&] { open_source(folder.write("empty", "")); }, {"empty"});
  folder.write("set/bad.png", "not a picture");
  expect_rejected([&] { open_source(folder / "set")->read(0); }, {"bad.png", "PNG, JPEG or WebP"});
  fs::create_directory_symlink(folder / "set", folder / "set/again");
  EXPECT_EQ(open_source(folder / "set")->size(), 1);
  expect_rejected([&] { open_source(folder.write("lfs.zip", "version https://git-lfs.github.com/spec/v1")); },
                  {"lfs.zip", "git lfs pull"});
  expect_rejected([&] { open_source(folder.write("page.zip", "<!DOCTYPE html>")); },
                  {"page.zip", "web page"});
  expect_rejected([&] { open_source(folder.write("one.png", png(1))); },
                  {"one.png", "the folder that contains it"});
  expect_rejected(
      [&] {
        open_source(folder.write("x.download", std::string(257, 'x') + "ustar" + std::string(250, '\0')));
      },
      {"x.download", "tarball"});
  ZipWriter zip(folder / "texts.zip");
  zip.add("a.npy", {});
  zip.finish();
  expect_rejected([&] { open_source(folder / "texts.zip"); }, {"texts.zip", "among 1 entries"});
}

TEST(Source, PointersAndPagesAreNamedUnderAnyName) {
  const TemporaryFolder folder;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:44\nsize 9\n";
  for (const char* name : {"data_batch_1.bin", "test.bin", "train_X.bin", "train-images-idx3-ubyte.gz",
                           "x.npz", "cifar-10-python.tar.gz", "x"}) {
    expect_rejected([&] { open_source(folder.write(name, pointer)); }, {name, "git lfs pull"});
    expect_rejected([&] { open_source(folder.write(name, "<!doctype html><title>Quota</title>")); },
                    {name, "a web page ('Quota')"});
  }
  folder.write("set/a.png", png(1));
  folder.write("set/dataset.json", pointer);
  expect_rejected([&] { open_source(folder / "set"); }, {"dataset.json", "git lfs pull"});
  folder.write("mnist/train-images-idx3-ubyte",
               std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01!", 17));
  folder.write("mnist/train-labels-idx1-ubyte", pointer);
  expect_rejected([&] { open_source(folder / "mnist"); }, {"train-labels-idx1-ubyte", "git lfs pull"});
  folder.write("stl/train_X.bin", std::string(3 * 96 * 96, 'x'));
  folder.write("stl/train_y.bin", pointer);
  expect_rejected([&] { open_source(folder / "stl/train_X.bin"); }, {"train_y.bin", "git lfs pull"});
}

TEST(Source, ReadsZipsFromWindowsAndMac) {
  const TemporaryFolder folder;
  ZipWriter zip(folder / "set.zip");
  zip.add("set\\b\\1.png", png(2));
  zip.add("set\\a\\1.png", png(1));
  zip.add("__MACOSX/set/a/._1.png", {});
  zip.finish();
  const auto source = open_source(folder / "set.zip");
  EXPECT_EQ(source->classes(), 2);
  EXPECT_EQ(source->facts().class_names, (std::vector<std::string>{"a", "b"}));
  expect_first_values(*source, {1, 2});
  EXPECT_EQ(source->info(0), (ImageInfo{2, 1, 1}));
}

TEST(Source, ReadsNamesInOtherEncodings) {
  const TemporaryFolder folder;
  folder.write("caf\xe9/\xe9t\xe9/n\xb0.png", png(3));
  folder.write("caf\xe9/hiver/n\xb0.png", png(4));
  const auto source = open_source(folder / "caf\xe9");
  EXPECT_EQ(source->classes(), 2);
  expect_first_values(*source, {4, 3});
  EXPECT_EQ(source->facts().class_names[1], "\\xe9t\\xe9");
  EXPECT_NO_THROW(Json(source->describe()).dump());
}

TEST(Stl10, ReadsColumnsLabelsAndNames) {
  const TemporaryFolder folder;
  constexpr std::size_t kPlane = 96 * 96;
  std::string images(2 * 3 * kPlane, '\0');
  images[3 * kPlane + kPlane + 96 * 5 + 7] = 'x';  // image 1, green, column 5, row 7
  const fs::path path = folder.write("train_X.bin", images);
  EXPECT_EQ(open_source(path)->classes(), 0);
  folder.write("train_y.bin", "\x01\x0a");
  folder.write("class_names.txt", "airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n");
  const auto source = open_source(path);
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(source->classes(), 10);
  EXPECT_EQ(source->label(0), 0);
  EXPECT_EQ(source->label(1), 9);
  EXPECT_EQ(source->facts().class_names.at(9), "truck");
  const Image image = source->read(1);
  EXPECT_EQ(image.pixels[(7 * 96 + 5) * 3 + 1], 'x');
  EXPECT_EQ(std::count(image.pixels.begin(), image.pixels.end(), 0), 3 * 96 * 96 - 1);
  folder.write("train_y.bin", "\x01");
  expect_rejected([&] { open_source(path); }, {"train_y.bin", "2 images, got 1"});
  folder.write("train_y.bin", std::string("\x01\0", 2));
  expect_rejected([&] { open_source(path); }, {"labels 1 to 10, got 0"});
  folder.write("test_X.bin", "short");
  expect_rejected([&] { open_source(folder.path() / "test_X.bin"); },
                  {"test_X.bin", "27648 bytes each, got 5"});
}

}  // namespace
}  // namespace diffit::data
