#include "io/datasets/cifar.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"

namespace diffit::io {
namespace {

using testing::expect_rejected;

std::string record(const std::string& labels, int seed) {
  std::string text = labels;
  for (int i = 0; i < 3072; ++i) text += static_cast<char>(i / 1024 * 70 + i % 32 + seed);
  return text;
}

TEST(Cifar, ReadsBothVersionsWithFineLabels) {
  const testing::TemporaryFolder folder;
  const CifarSet ten = read_cifar(folder.write("a.bin", record("\x09", 1) + record(std::string(1, '\0'), 2)));
  EXPECT_EQ(ten.classes, 10);
  EXPECT_EQ(ten.labels, (std::vector<std::uint8_t>{9, 0}));
  const Image image = ten.image(1);
  EXPECT_EQ(image.channels, 3);
  for (std::int64_t y : {0, 31}) {
    for (std::int64_t x : {0, 31}) {
      for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(image.row(y)[3 * x + c], 70 * c + x + 2);
    }
  }
  const CifarSet hundred = read_cifar(folder.write("b.bin", record("\x13\x63", 1)));
  EXPECT_EQ(hundred.classes, 100);
  EXPECT_EQ(hundred.labels, (std::vector<std::uint8_t>{99}));
}

TEST(Cifar, ReadsTrainingFilesOfAFolderInOrder) {
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(is_cifar(folder.path()));
  folder.write("test_batch.bin", record("\x07", 0));
  EXPECT_TRUE(is_cifar(folder.path()));
  EXPECT_EQ(read_cifar(folder.path()).labels, (std::vector<std::uint8_t>{7}));
  for (char i = 1; i <= 4; ++i)
    folder.write("data_batch_" + std::to_string(i) + ".bin", record(std::string(1, i), 0));
  expect_rejected([&] { read_cifar(folder.path()); }, {"4 of the five"});
  folder.write("data_batch_5.bin", record("\x05", 0));
  EXPECT_EQ(read_cifar(folder.path()).labels, (std::vector<std::uint8_t>{1, 2, 3, 4, 5}));
  folder.write("data_batch_5.bin", record("\x05\x05", 0));
  expect_rejected([&] { read_cifar(folder.path()); }, {"data_batch_5.bin", "CIFAR-100"});
}

TEST(Cifar, RefusesWhatIsNeither) {
  const testing::TemporaryFolder folder;
  expect_rejected([&] { read_cifar(folder.write("a.bin", "")); }, {"a.bin", "0 bytes"});
  expect_rejected([&] { read_cifar(folder.write("a.bin", record("\x0a", 0))); }, {"a.bin"});
  expect_rejected([&] { read_cifar(folder.write("a.bin", record("\x05", 0) + "xy")); }, {"3075 bytes"});
  expect_rejected([&] { read_cifar(folder.write("a.bin", record("\x14\x01", 0))); }, {"a.bin"});
  expect_rejected([&] { read_cifar(folder.path() / "absent.bin"); }, {"absent.bin"});
}

/// A tar archive of these files, each padded to blocks of 512.
std::string tar(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive;
  for (const auto& [name, content] : files) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(124, 11, fmt::format("{:011o}", content.size()));
    header[156] = '0';
    header.replace(257, 5, "ustar");
    archive += header + content + std::string((512 - content.size() % 512) % 512, '\0');
  }
  return archive + std::string(1024, '\0');
}

TEST(Cifar, ReadsTheTarballAndItsFolderAsDownloaded) {
  const testing::TemporaryFolder folder;
  std::vector<std::pair<std::string, std::string>> files;
  for (int i = 5; i >= 1; --i) {  // in any order
    files.emplace_back(fmt::format("cifar-10-batches-bin/data_batch_{}.bin", i),
                       record(std::string(1, static_cast<char>(i)), i));
  }
  files.emplace_back("cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  for (const auto& [name, content] : files) folder.write("unpacked/" + name, content);
  const fs::path archive = folder.write("cifar-10-binary.tar", tar(files));
  for (const fs::path& path : {archive, folder / "unpacked", folder / "unpacked/cifar-10-batches-bin"}) {
    ASSERT_TRUE(is_cifar(path)) << path;
    const CifarSet set = read_cifar(path);
    EXPECT_EQ(set.labels, (std::vector<std::uint8_t>{1, 2, 3, 4, 5}));
    EXPECT_EQ(set.planes[3072], 2);
    ASSERT_EQ(set.class_names.size(), 10u);
    EXPECT_EQ(set.class_names[9], "j");
  }
  expect_rejected([&] { read_cifar(folder.write("cut.tar", tar(files).substr(0, 4000))); },
                  {"cut.tar", "truncated"});
}

/// A dict with str keys, pickled with protocol 2 by Python 2.
std::string pickled(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text = "\x80\x02}(";
  for (const auto& [key, value] : items)
    text += "U" + std::string(1, static_cast<char>(key.size())) + key + value;
  return text + "u.";
}

std::string bin_string(const std::string& content) {
  std::string text = "T";
  for (int i = 0; i < 4; ++i) text += static_cast<char>(content.size() >> (8 * i) & 255);
  return text + content;
}

std::string pickled_list(const std::string& items) {
  return "](" + items + "e";
}

/// numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), 'b') with the state of uint8 [rows, 3072].
std::string pickled_array(const std::string& bytes, std::size_t rows, const std::string& dtype = "u1") {
  return "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x01\x85U\x01"
         "b\x87R(K\x01K" +
         std::string(1, static_cast<char>(rows)) + std::string("M\x00\x0c", 3) +
         "\x86"
         "cnumpy\ndtype\nU\x02" +
         dtype +
         std::string("K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89", 30) +
         bin_string(bytes) + "tb";
}

std::string batch(int label, int seed, const std::string& key = "labels") {
  const std::string pixels = record("", seed) + record("", seed + 1);
  return pickled(
      {{"data", pickled_array(pixels, 2)},
       {key, pickled_list(std::string("K") + static_cast<char>(label) + "K" + static_cast<char>(label + 1))},
       {"filenames", pickled_list("U\x05"
                                  "a.pngU\x05"
                                  "b.png")}});
}

std::string meta() {
  std::string names;
  for (char c = 'a'; c <= 'j'; ++c) names += std::string("U\x01") + c;
  return pickled({{"label_names", pickled_list(names)}});
}

TEST(Cifar, ReadsPythonVersion) {
  const testing::TemporaryFolder folder;
  std::vector<std::pair<std::string, std::string>> files{{"cifar-10-batches-py/batches.meta", meta()},
                                                         {"cifar-10-batches-py/readme.html", "<html>"}};
  for (int i = 5; i >= 1; --i)
    files.emplace_back(fmt::format("cifar-10-batches-py/data_batch_{}", i), batch(i, 10 * i));
  files.emplace_back("cifar-10-batches-py/test_batch", batch(0, 0));
  for (const auto& [name, content] : files) folder.write("unpacked/" + name, content);
  const fs::path archive = folder.write("cifar-10-python.tar", tar(files));
  for (const fs::path& path : {archive, folder / "unpacked", folder / "unpacked/cifar-10-batches-py"}) {
    ASSERT_TRUE(is_cifar(path)) << path;
    const CifarSet set = read_cifar(path);
    EXPECT_EQ(set.classes, 10);
    EXPECT_EQ(set.labels, (std::vector<std::uint8_t>{1, 2, 2, 3, 3, 4, 4, 5, 5, 6}));
    EXPECT_EQ(set.image(9).row(3)[3 * 2 + 1], 70 + 2 + 51);
    EXPECT_EQ(set.class_names.at(9), "j");
    EXPECT_FALSE(set.test);
  }
  const fs::path one = folder / "unpacked/cifar-10-batches-py/test_batch";
  ASSERT_TRUE(is_cifar(one));
  EXPECT_EQ(read_cifar(one).labels, (std::vector<std::uint8_t>{0, 1}));
  folder.write("hundred/train", batch(98, 3, "fine_labels"));
  EXPECT_EQ(read_cifar(folder / "hundred").classes, 100);
  EXPECT_EQ(read_cifar(folder / "hundred").labels, (std::vector<std::uint8_t>{98, 99}));
  folder.write("files/train", "a text");
  EXPECT_FALSE(is_cifar(folder / "files"));
}

TEST(Cifar, RejectsPicklesOfOtherThings) {
  const testing::TemporaryFolder folder;
  const std::string pixels = record("", 1);
  const std::string label = pickled_list("K\x03"), array = pickled_array(pixels, 1);
  const auto refused = [&](const std::string& content, const std::string& part) {
    expect_rejected([&] { read_cifar(folder.write("data_batch_1", content)); }, {"data_batch_1", part});
  };
  EXPECT_EQ(read_cifar(folder.write("data_batch_1", pickled({{"data", array}, {"labels", label}}))).size(),
            1u);
  refused(pickled({{"labels", label}}), "got none");
  refused(pickled({{"data", array}}), "wanted 'labels'");
  refused(pickled({{"data", pickled_array(pixels, 2)}, {"labels", label}}), "another shape");
  refused(pickled({{"data", pickled_array(pixels, 1, "i1")}, {"labels", label}}), "another type");
  refused(pickled({{"data", array}, {"labels", pickled_list("K\x0a")}}), "0 to 9");
  refused(pickled({{"data", array}, {"labels", pickled_list("K\x01K\x02")}}), "list of 1");
  refused(pickled({{"data", bin_string(pixels)}, {"labels", label}}), "a str");
  refused(pickled({{"data", array}, {"labels", label}}).substr(0, 2000), "truncated");
  refused(
      "\x80\x02"
      "cos\nsystem\n.",
      "os.system");
  refused("\x80\x02K\x01.", "wanted a dict");
}

}  // namespace
}  // namespace diffit::io
