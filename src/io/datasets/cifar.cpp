#include "io/datasets/cifar.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "io/archives/tar.h"
#include "io/datasets/cifar_python.h"

namespace diffit::io {
namespace {

constexpr std::size_t kPixels = 32 * 32, kPlanes = 3 * kPixels;
constexpr std::array<const char*, 5> kTrain10 = {"data_batch_1", "data_batch_2", "data_batch_3",
                                                 "data_batch_4", "data_batch_5"};
/// CIFAR-100, and the test images of both, without ".bin".
constexpr std::array<const char*, 3> kOthers = {"train", "test_batch", "test"};
constexpr std::array<const char*, 2> kEndings = {".bin", ""};  // binary version, Python version
constexpr std::uint64_t kLargestFile = 1ull << 30;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// Whether the file begins like a pickle: other files may be named "train", too.
bool is_pickle_file(const fs::path& path) {
  try {
    return is_file(path) && detail::is_pickle(MappedFile(path).bytes());
  } catch (const Error&) {  // it cannot be read
    return false;
  }
}

/// Which of the files `there(name)` make up the set; empty where none are there.
template <class There>
std::vector<std::string> members(const There& there, const std::string& where) {
  for (const std::string ending : kEndings) {
    std::vector<std::string> files;
    for (const std::string name : kTrain10) {
      if (there(name + ending)) files.push_back(name + ending);
    }
    if (!files.empty()) {
      DIFFIT_CHECK(files.size() == kTrain10.size(),
                   "{}: wanted data_batch_1{} to data_batch_5{}, found {} of the five", where, ending, ending,
                   files.size());
      return files;
    }
    for (const std::string name : kOthers) {
      if (there(name + ending)) return {name + ending};
    }
  }
  return {};
}

std::vector<std::string> members_in(const fs::path& folder) {
  return members(
      [&](const std::string& name) {
        return name.ends_with(".bin") ? is_file(folder / name) : is_pickle_file(folder / name);
      },
      folder.string());
}

/// The folder of the files, in `path` or in the folder of their archive below it; empty where there is none.
fs::path folder_of(const fs::path& path) {
  for (const fs::path& folder : {path, path / "cifar-10-batches-bin", path / "cifar-100-binary",
                                 path / "cifar-10-batches-py", path / "cifar-100-python"}) {
    if (!members_in(folder).empty()) return folder;
  }
  return {};
}

/// Whether it is one of the files of the Python version.
bool is_python_batch(const fs::path& path) {
  const std::string name = path.filename().string();
  const bool known = std::find(kTrain10.begin(), kTrain10.end(), name) != kTrain10.end() ||
                     std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
  return known && is_pickle_file(path);
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

void take_kind(int classes, const std::string& where, CifarSet& set) {
  DIFFIT_CHECK(set.classes == 0 || set.classes == classes,
               "{}: wanted CIFAR-{} as in the previous files, got CIFAR-{}", where, set.classes, classes);
  set.classes = classes;
}

void append_records(std::span<const std::byte> bytes, const std::string& where, CifarSet& set) {
  constexpr std::array<std::uint8_t, 1> kTen{10};
  constexpr std::array<std::uint8_t, 2> kHundred{20, 100};
  const bool ten = fits(bytes, kTen);
  DIFFIT_CHECK(ten || fits(bytes, kHundred),
               "{}: wanted CIFAR records of 3073 bytes (label below 10) or 3074 (labels below 20 and 100), "
               "got {} bytes, a multiple of neither; is it one of CIFAR's files, and complete?",
               where, bytes.size());
  take_kind(ten ? 10 : 100, where, set);
  const std::size_t labels = ten ? 1 : 2, record = labels + kPlanes;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    set.labels.push_back(data[at + labels - 1]);
    set.planes.insert(set.planes.end(), data + at + labels, data + at + record);
  }
}

void append(std::span<const std::byte> bytes, const std::string& where, CifarSet& set) {
  // A pickle begins with 128, which is not a label.
  if (!detail::is_pickle(bytes)) return append_records(bytes, where, set);
  const detail::CifarBatch batch = detail::read_cifar_pickle(bytes, where);
  take_kind(batch.classes, where, set);
  set.labels.insert(set.labels.end(), batch.labels.begin(), batch.labels.end());
  set.planes.insert(set.planes.end(), batch.planes.begin(), batch.planes.end());
}

/// Class names, one per line or in a pickle. Ignored if their count is not the number of classes.
void take_names(std::span<const std::byte> text, const std::string& where, CifarSet& set) {
  std::vector<std::string> names;
  if (detail::is_pickle(text)) {
    names = detail::read_cifar_meta(text, where);
  } else {
    for (const std::string& line : split({reinterpret_cast<const char*>(text.data()), text.size()}, '\n')) {
      if (const std::string_view name = trim(line); !name.empty()) names.emplace_back(name);
    }
  }
  if (static_cast<int>(names.size()) == set.classes) set.class_names = std::move(names);
}

constexpr std::array<const char*, 4> kNames = {"batches.meta.txt", "fine_label_names.txt", "batches.meta",
                                               "meta"};
constexpr std::uint64_t kLargestNames = 1 << 16;

CifarSet read_tarball(const fs::path& path) {
  std::map<std::string, std::vector<std::byte>> files;
  const auto name_of = [](const std::string& entry) { return fs::path(entry).filename().string(); };
  const auto is_one_of = [](const std::string& name, const auto& list) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  read_tar(
      path, kLargestFile,
      [&](const std::string& entry) {
        const std::string name = name_of(entry);
        return entry.ends_with(".bin") || is_one_of(name, kNames) || is_one_of(name, kTrain10) ||
               is_one_of(name, kOthers);
      },
      [&](const std::string& entry, std::vector<std::byte> content) {
        const std::string name = name_of(entry);
        const bool batch = is_one_of(name, kTrain10) || is_one_of(name, kOthers);
        if (!name.starts_with("._") && (!batch || detail::is_pickle(content)))
          files[name] = std::move(content);
      });
  const auto chosen = members([&](const std::string& name) { return files.contains(name); }, path.string());
  DIFFIT_CHECK(!chosen.empty(),
               "{}: wanted CIFAR-10 or CIFAR-100, got a tarball without it: unpack it (tar xf) and "
               "give the folder",
               path.string());
  CifarSet set;
  for (const std::string& name : chosen) append(files.at(name), path.string() + ": " + name, set);
  for (const char* name : kNames) {
    if (files.contains(name)) take_names(files.at(name), path.string() + ": " + name, set);
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
  DIFFIT_CHECK(
      !folder.empty(),
      "{}: wanted CIFAR's data_batch_1 to data_batch_5 or train (.bin, or the Python version), found none",
      path.string());
  const auto chosen = members_in(folder);
  for (const std::string& name : chosen)
    append(MappedFile(folder / name).bytes(), (folder / name).string(), set);
  for (const char* name : kNames) {
    if (!is_file(folder / name)) continue;
    const std::string text = read_text(folder / name, kLargestNames);
    take_names(std::as_bytes(std::span(text)), (folder / name).string(), set);
  }
  set.test = chosen[0].starts_with("test");
  return set;
}

bool is_cifar(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    return (path.extension() == ".bin" && is_file(path)) || (is_tarball(path) && is_tar(path)) ||
           is_python_batch(path);
  }
  return !folder_of(path).empty();
}

}  // namespace diffit::io
