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

TEST(Cifar, PythonVersionNamesBinaryDownload) {
  const testing::TemporaryFolder folder;
  folder.write("cifar-10-batches-py/data_batch_1", "\x80\x02");
  folder.write("cifar-10-batches-py/batches.meta", "\x80\x02");
  ASSERT_TRUE(is_cifar(folder.path()));
  expect_rejected([&] { read_cifar(folder.path()); }, {"cifar-10-binary.tar.gz"});
  const fs::path archive =
      folder.write("cifar-10-python.tar", tar({{"cifar-10-batches-py/data_batch_1", "\x80\x02"}}));
  ASSERT_TRUE(is_cifar(archive));
  expect_rejected([&] { read_cifar(archive); }, {"cifar-10-binary.tar.gz"});
}

}  // namespace
}  // namespace diffit::io
