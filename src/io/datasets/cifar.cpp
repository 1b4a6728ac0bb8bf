#include "io/datasets/cifar.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "io/archives/tar.h"

namespace diffit::io {
namespace {

constexpr std::size_t kPixels = 32 * 32, kPlanes = 3 * kPixels;
constexpr std::array<const char*, 5> kTrain10 = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                                 "data_batch_4.bin", "data_batch_5.bin"};

constexpr const char* kDownload =
    "give the binary version, cifar-10-binary.tar.gz or cifar-100-binary.tar.gz from "
    "https://www.cs.toronto.edu/~kriz/cifar.html, packed or unpacked";

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// Which of the files `there(name)` make up the set; empty where none are there.
template <class There>
std::vector<std::string> members(const There& there, const std::string& where) {
  std::vector<std::string> files;
  for (const char* name : kTrain10) {
    if (there(name)) files.push_back(name);
  }
  if (!files.empty()) {
    DIFFIT_CHECK(files.size() == kTrain10.size(),
                 "{}: wanted data_batch_1.bin to data_batch_5.bin, found {} of the five", where,
                 files.size());
    return files;
  }
  for (const char* name : {"train.bin", "test_batch.bin", "test.bin"}) {
    if (there(name)) return {name};
  }
  return {};
}

/// The folder of the files, in `path` or in the folder of their archive below it; empty where there is none.
fs::path folder_of(const fs::path& path) {
  for (const fs::path& folder : {path, path / "cifar-10-batches-bin", path / "cifar-100-binary"}) {
    if (!members([&](const char* name) { return is_file(folder / name); }, folder.string()).empty())
      return folder;
  }
  return {};
}

/// Whether the folder holds the version for Python, which is a pickle.
bool is_python_version(const fs::path& path) {
  for (const fs::path& folder : {path, path / "cifar-10-batches-py", path / "cifar-100-python"}) {
    const bool ten = is_file(folder / "data_batch_1") && is_file(folder / "batches.meta");
    if (ten || (is_file(folder / "train") && is_file(folder / "meta"))) return true;
  }
  return false;
}

bool is_tarball(const fs::path& path) {
  const std::string name = path.filename().string();
  return (name.ends_with(".tar.gz") || name.ends_with(".tgz") || name.ends_with(".tar")) && is_file(path);
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

void append(std::span<const std::byte> bytes, const std::string& where, CifarSet& set) {
  constexpr std::array<std::uint8_t, 1> kTen{10};
  constexpr std::array<std::uint8_t, 2> kHundred{20, 100};
  const bool ten = fits(bytes, kTen);
  DIFFIT_CHECK(ten || fits(bytes, kHundred),
               "{}: wanted CIFAR records of 3073 bytes (label below 10) or 3074 (labels below 20 and 100), "
               "got {} bytes, a multiple of neither; is it the complete binary version?",
               where, bytes.size());
  const int classes = ten ? 10 : 100;
  DIFFIT_CHECK(set.classes == 0 || set.classes == classes,
               "{}: wanted CIFAR-{} as in the previous files, got CIFAR-{}", where, set.classes, classes);
  set.classes = classes;
  const std::size_t labels = ten ? 1 : 2, record = labels + kPlanes;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    set.labels.push_back(data[at + labels - 1]);
    set.planes.insert(set.planes.end(), data + at + labels, data + at + record);
  }
}

/// Names of classes, one a line; none where they are not as many as the classes.
void take_names(std::span<const std::byte> text, CifarSet& set) {
  std::vector<std::string> names;
  for (const std::string& line : split({reinterpret_cast<const char*>(text.data()), text.size()}, '\n')) {
    if (const std::string_view name = trim(line); !name.empty()) names.emplace_back(name);
  }
  if (static_cast<int>(names.size()) == set.classes) set.class_names = std::move(names);
}

constexpr std::array<const char*, 2> kNames = {"batches.meta.txt", "fine_label_names.txt"};
constexpr std::uint64_t kLargestNames = 1 << 16;

CifarSet read_tarball(const fs::path& path) {
  constexpr std::uint64_t kLargest = 1ull << 30;
  std::map<std::string, std::vector<std::byte>> files;
  bool python = false;
  const auto name_of = [](const std::string& entry) { return fs::path(entry).filename().string(); };
  read_tar(
      path, kLargest,
      [&](const std::string& entry) {
        python |= name_of(entry) == "data_batch_1" || entry.ends_with("cifar-100-python/train");
        return entry.ends_with(".bin") || name_of(entry) == kNames[0] || name_of(entry) == kNames[1];
      },
      [&](const std::string& entry, std::vector<std::byte> content) {
        if (!name_of(entry).starts_with("._")) files[name_of(entry)] = std::move(content);
      });
  DIFFIT_CHECK(!python, "{}: this is the Python version of CIFAR; {}", path.string(), kDownload);
  const auto chosen = members([&](const char* name) { return files.contains(name); }, path.string());
  DIFFIT_CHECK(!chosen.empty(),
               "{}: wanted the binary version of CIFAR, got a tarball without it: unpack it (tar xf) and "
               "give the folder",
               path.string());
  CifarSet set;
  for (const std::string& name : chosen) append(files.at(name), path.string() + ": " + name, set);
  for (const char* name : kNames) {
    if (files.contains(name)) take_names(files.at(name), set);
  }
  set.test = chosen[0].starts_with("test");
  return set;
}

}  // namespace

Image CifarSet::image(std::size_t index) const {
  Image out{32, 32, 3, std::vector<std::uint8_t>(kPlanes)};
  const std::uint8_t* plane = planes.data() + index * kPlanes;
  for (std::size_t i = 0; i < kPixels; ++i) {
    for (std::size_t c = 0; c < 3; ++c) out.pixels[3 * i + c] = plane[c * kPixels + i];
  }
  return out;
}

CifarSet read_cifar(const fs::path& path) {
  std::error_code ignored;
  CifarSet set;
  if (!fs::is_directory(path, ignored)) {
    if (is_tarball(path)) return read_tarball(path);
    append(MappedFile(path).bytes(), path.string(), set);
    return set;
  }
  const fs::path folder = folder_of(path);
  DIFFIT_CHECK(!folder.empty() || !is_python_version(path), "{}: this is the Python version of CIFAR; {}",
               path.string(), kDownload);
  DIFFIT_CHECK(!folder.empty(),
               "{}: wanted CIFAR's data_batch_1.bin to data_batch_5.bin or train.bin, found none",
               path.string());
  const auto chosen = members([&](const char* name) { return is_file(folder / name); }, folder.string());
  for (const std::string& name : chosen)
    append(MappedFile(folder / name).bytes(), (folder / name).string(), set);
  for (const char* name : kNames) {
    if (!is_file(folder / name)) continue;
    const std::string text = read_text(folder / name, kLargestNames);
    take_names(std::as_bytes(std::span(text)), set);
  }
  set.test = chosen[0].starts_with("test");
  return set;
}

bool is_cifar(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    return (path.extension() == ".bin" && is_file(path)) || (is_tarball(path) && is_tar(path));
  }
  return !folder_of(path).empty() || is_python_version(path);
}

}  // namespace diffit::io
