#include "data/source.h"

#include <algorithm>

#include "base/error.h"
#include "data/sources.h"
#include "io/cifar.h"

namespace diffit {
namespace {

std::string first_bytes(const fs::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes().first(std::min<std::size_t>(file.bytes().size(), 4));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::unique_ptr<PictureSource> open_directory(const fs::path& path) {
  for (const char* name : {"train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"}) {
    std::error_code ignored;
    if (fs::is_regular_file(path / name, ignored)) return detail::open_idx(path / name);
  }
  if (is_cifar(path)) return detail::open_cifar(path);
  return detail::open_folder(path);
}

}  // namespace

std::string detail::edm_name(std::int64_t index) {
  return fmt::format("{:05d}/img{:08d}.png", index / 1000, index);
}

std::unique_ptr<PictureSource> open_source(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  DIFFIT_CHECK(fs::exists(status), "{}: wanted a data set, got nothing there; check the path", path.string());
  if (fs::is_directory(status)) return open_directory(path);
  DIFFIT_CHECK(fs::is_regular_file(status), "{}: wanted a data set as a file or folder, got neither",
               path.string());
  const std::string start = first_bytes(path);
  if (start.starts_with("PK")) return detail::is_npz(path) ? detail::open_npz(path) : detail::open_zip(path);
  if (is_cifar(path)) return detail::open_cifar(path);
  if (start.starts_with(std::string("\0\0", 2)) || start.starts_with("\x1f\x8b"))
    return detail::open_idx(path);
  DIFFIT_CHECK(path.extension() != ".zip",
               "{}: wanted a zip of pictures, got a file that is no zip; is it whole?", path.string());
  reject(
      "{}: wanted a zip of pictures, an .npz, an IDX(.gz) images file, CIFAR binary or a folder of pictures, "
      "got "
      "something else",
      path.string());
}

}  // namespace diffit
