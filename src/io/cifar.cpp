#include "io/cifar.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace diffit {
namespace {

constexpr std::size_t kPixels = 32 * 32, kPlanes = 3 * kPixels;
constexpr std::array<const char*, 5> kTrain10 = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                                 "data_batch_4.bin", "data_batch_5.bin"};

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// Which files make up the set; empty where none are there.
std::vector<fs::path> files_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {path};
  std::vector<fs::path> files;
  for (const char* name : kTrain10) {
    if (is_file(path / name)) files.push_back(path / name);
  }
  if (!files.empty()) {
    DIFFIT_CHECK(files.size() == kTrain10.size(),
                 "{}: wanted data_batch_1.bin to data_batch_5.bin, got {} of the five", path.string(),
                 files.size());
    return files;
  }
  for (const char* name : {"train.bin", "test_batch.bin", "test.bin"}) {
    if (is_file(path / name)) return {path / name};
  }
  return {};
}

/// Whether the bytes divide into records of `labels` label bytes, each below its limit.
bool fits(std::span<const std::byte> bytes, std::span<const std::uint8_t> limits) {
  const std::size_t record = limits.size() + kPlanes;
  if (bytes.empty() || bytes.size() % record != 0) return false;
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    for (std::size_t i = 0; i < limits.size(); ++i) {
      if (std::to_integer<std::uint8_t>(bytes[at + i]) >= limits[i]) return false;
    }
  }
  return true;
}

void append(const fs::path& path, CifarSet& set) {
  constexpr std::array<std::uint8_t, 1> kTen{10};
  constexpr std::array<std::uint8_t, 2> kHundred{20, 100};
  const MappedFile file(path);
  const auto bytes = file.bytes();
  const bool ten = fits(bytes, kTen);
  DIFFIT_CHECK(
      ten || fits(bytes, kHundred),
      "{}: wanted CIFAR records of 3073 bytes (label below 10) or 3074 (labels below 20 and 100), got {} "
      "bytes that are neither; is it the binary version, and whole?",
      path.string(), bytes.size());
  const int classes = ten ? 10 : 100;
  DIFFIT_CHECK(set.classes == 0 || set.classes == classes,
               "{}: wanted CIFAR-{} as in the files before it, got CIFAR-{}", path.string(), set.classes,
               classes);
  set.classes = classes;
  const std::size_t labels = ten ? 1 : 2, record = labels + kPlanes;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    set.labels.push_back(data[at + labels - 1]);
    set.planes.insert(set.planes.end(), data + at + labels, data + at + record);
  }
}

}  // namespace

Picture CifarSet::picture(std::size_t index) const {
  Picture out{32, 32, 3, std::vector<std::uint8_t>(kPlanes)};
  const std::uint8_t* plane = planes.data() + index * kPlanes;
  for (std::size_t i = 0; i < kPixels; ++i) {
    for (std::size_t c = 0; c < 3; ++c) out.pixels[3 * i + c] = plane[c * kPixels + i];
  }
  return out;
}

CifarSet read_cifar(const fs::path& path) {
  const std::vector<fs::path> files = files_of(path);
  DIFFIT_CHECK(!files.empty(),
               "{}: wanted CIFAR's data_batch_1.bin to data_batch_5.bin or train.bin, got none",
               path.string());
  CifarSet set;
  for (const fs::path& file : files) append(file, set);
  return set;
}

bool is_cifar(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path.extension() == ".bin" && is_file(path);
  return !files_of(path).empty();
}

}  // namespace diffit
