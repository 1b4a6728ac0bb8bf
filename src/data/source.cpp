#include "data/source.h"

#include <array>

#include "base/error.h"
#include "data/sources.h"

namespace diffit {
namespace {

std::string first_bytes(const fs::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes().first(std::min<std::size_t>(file.bytes().size(), 4));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string detail::edm_name(std::int64_t index) {
  return fmt::format("{:05d}/img{:08d}.png", index / 1000, index);
}

std::unique_ptr<PictureSource> open_source(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  DIFFIT_CHECK(fs::exists(status), "{}: wanted a data set, got nothing there; check the path", path.string());
  const std::string start = first_bytes(path);
  if (start.starts_with(std::string("\0\0\x08", 3)) || start.starts_with("\x1f\x8b"))
    return detail::open_idx(path);
  reject(
      "{}: wanted a zip of pictures, an IDX(.gz) images file, CIFAR binary or a folder of pictures, got "
      "something else",
      path.string());
}

}  // namespace diffit
