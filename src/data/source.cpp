#include "data/source.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "data/sources.h"
#include "io/archives/tar.h"
#include "io/datasets/cifar.h"
#include "io/file_kind.h"

namespace diffit::data {
namespace {

std::vector<std::byte> first_bytes(const fs::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes().first(std::min<std::size_t>(file.bytes().size(), kBytesThatTell));
  return {bytes.begin(), bytes.end()};
}

std::unique_ptr<ImageSource> open_directory(const fs::path& path, const SourceOptions& options) {
  // torchvision keeps MNIST and its kin two folders down.
  for (const char* part : {"train", "t10k"}) {
    for (const char* folder : {"", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "QMNIST/raw"}) {
      for (const char* name : {"images-idx3-ubyte.gz", "images-idx3-ubyte", "images.idx3-ubyte"}) {
        const fs::path file = path / folder / fmt::format("{}-{}", part, name);
        std::error_code ignored;
        if (fs::is_regular_file(file, ignored)) return detail::open_idx(file, options);
      }
    }
  }
  if (is_cifar(path)) return detail::open_cifar(path, options);
  return detail::open_folder(path, options);
}

}  // namespace

std::string detail::edm_name(std::int64_t index) {
  return fmt::format("{:05d}/img{:08d}.png", index / 1000, index);
}

const SourceFacts& ImageSource::facts() const {
  static const SourceFacts none;
  return none;
}

LabelMode parse_label_mode(const std::string& name) {
  if (name == "auto") return LabelMode::automatic;
  if (name == "folders") return LabelMode::folders;
  if (name == "none") return LabelMode::none;
  const std::array<std::string, 3> known{"auto", "folders", "none"};
  reject("`labels`: wanted auto, folders or none, got '{}'{}", name, did_you_mean(name, known));
}

std::unique_ptr<ImageSource> open_source(const fs::path& path, const SourceOptions& options) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  const std::string where = printable(path.string());
  DIFFIT_CHECK(fs::exists(status), "{}: wanted a data set, but there is no such file or directory", where);
  if (fs::is_directory(status)) return open_directory(path, options);
  DIFFIT_CHECK(fs::is_regular_file(status), "{}: wanted a data set as a file or folder, got neither", where);
  const std::vector<std::byte> bytes = first_bytes(path);
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (start.starts_with("PK"))
    return detail::is_npz(path) ? detail::open_npz(path, options) : detail::open_zip(path, options);
  if (is_cifar(path)) return detail::open_cifar(path, options);
  const bool gzip = start.starts_with("\x1f\x8b");
  DIFFIT_CHECK(!is_tar(path), "{}: wanted a data set, got a tarball; unpack it (tar xf) and give the folder",
               where);
  if (gzip || (start.starts_with(std::string("\0\0", 2)) && start.size() > 2 && start[2] != 0))
    return detail::open_idx(path, options);
  DIFFIT_CHECK(path.extension() != ".zip", "{}: wanted a zip of images{}", where,
               got_instead(path, ", got a file that is not a zip archive; is it complete?"));
  reject(
      "{}: wanted a zip of images, an .npz, an IDX(.gz) images file, CIFAR binary or a folder of images{}{}",
      where, got_instead(path, ", got something else"),
      is_image_name(path.filename().string()) ? "; give the folder that contains it" : "");
}

}  // namespace diffit::data
