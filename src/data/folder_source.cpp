// A folder of images, at any depth.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/open_input.h"
#include "base/printable.h"
#include "data/format.h"
#include "data/listing.h"

namespace diffit::data {
namespace {

/// The first `count` bytes of a file, or all of it where it is shorter.
std::vector<std::byte> read_start(const fs::path& path, std::size_t count) {
  std::uint64_t size = 0;
  const int fd = open_input(path, &size);
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min<std::uint64_t>(count, size)));
  std::size_t done = 0;
  int reason = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) reason = errno;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  ::close(fd);
  if (reason != 0) fail("{}: cannot read: {}", printable(path.string()), std::strerror(reason));
  bytes.resize(done);
  return bytes;
}

class FolderSource : public ImageSource {
 public:
  FolderSource(const fs::path& folder, const SourceOptions& options) : folder_(folder) {
    detail::Listing listing = detail::list_folder(folder);
    layout_ = detail::arrange(listing, options, folder.string(), [&](std::size_t place, std::uint64_t limit) {
      return read_text(folder / listing.files[place], limit);
    });
    layout_.facts.format = "folder";
    names_.reserve(layout_.images.size());
    for (const std::size_t i : layout_.images) names_.push_back(std::move(listing.files[i]));
    layout_.images.clear();
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(names_.size()); }
  Image read(std::int64_t index) const override {
    const fs::path path = folder_ / name(index);
    return decode_image(read_file(path, detail::kLargestImageFile), printable(path.string()));
  }
  Image read_reduced(std::int64_t index, std::int64_t side) const override {
    const fs::path path = folder_ / name(index);
    return decode_reduced(read_file(path, detail::kLargestImageFile), side, printable(path.string()));
  }
  ImageInfo info(std::int64_t index) const override {
    const fs::path path = folder_ / name(index);
    std::vector<std::byte> bytes = read_start(path, kInfoBytes);
    const std::string where = printable(path.string());
    if (const auto info = image_info(bytes, bytes.size() < kInfoBytes, where)) return *info;
    bytes = read_file(path, detail::kLargestImageFile);
    return *image_info(bytes, true, where);
  }
  std::int64_t classes() const override { return layout_.labels.classes; }
  std::int64_t label(std::int64_t index) const override {
    return layout_.labels.values[static_cast<std::size_t>(index)];
  }
  std::string describe() const override { return "folder " + printable(folder_.string()); }
  std::string name(std::int64_t index) const override { return names_[static_cast<std::size_t>(index)]; }
  const SourceFacts& facts() const override { return layout_.facts; }

 private:
  fs::path folder_;
  std::vector<std::string> names_;
  detail::Layout layout_;
};

}  // namespace

std::unique_ptr<ImageSource> detail::open_folder(const fs::path& path, const SourceOptions& options) {
  return std::make_unique<FolderSource>(path, options);
}

extern const DataFormat format_folder;
const DataFormat format_folder{
    .title = "a folder of images",
    .recognizes = [](const FormatProbe& p) { return p.folder; },
    .open = detail::open_folder,
};

}  // namespace diffit::data
