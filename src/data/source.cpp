#include "data/source.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "data/format.h"
#include "data/sources.h"
#include "io/archives/tar.h"
#include "io/file_kind.h"

namespace diffit::data {
namespace {

std::vector<std::byte> first_bytes(const fs::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes().first(std::min<std::size_t>(file.bytes().size(), kBytesThatTell));
  return {bytes.begin(), bytes.end()};
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
  const bool folder = fs::is_directory(status);
  DIFFIT_CHECK(folder || fs::is_regular_file(status), "{}: wanted a data set as a file or folder{}", where,
               got_instead(path, ", got neither"));
  const std::vector<std::byte> bytes = folder ? std::vector<std::byte>() : first_bytes(path);
  if (const std::string what = what_stands_in(bytes); !what.empty()) {
    reject("{}: wanted {}, got {}", where, path.extension() == ".zip" ? "a zip of images" : "a data set",
           what);
  }
  const FormatProbe probe{path, folder, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
  for (const DataFormat* format : data_formats()) {
    if (format->recognizes(probe)) return format->open(path, options);
  }
  DIFFIT_CHECK(!is_tar(path), "{}: wanted a data set, got a tarball; unpack it (tar xf) and give the folder",
               where);
  DIFFIT_CHECK(path.extension() != ".zip", "{}: wanted a zip of images{}", where,
               got_instead(path, ", got a file that is not a zip archive; is it complete?"));
  reject("{}: wanted {}{}{}", where, data_format_titles(), got_instead(path, ", got something else"),
         is_image_name(path.filename().string()) ? "; give the folder that contains it" : "");
}

}  // namespace diffit::data
