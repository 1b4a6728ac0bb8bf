// EDM's data sets, and any other zip of images: read where they lie, never unpacked.
#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "data/data_names.h"
#include "data/format.h"
#include "data/listing.h"
#include "io/archives/zip.h"

namespace diffit::data {
namespace {

class ZipSource : public ImageSource {
 public:
  ZipSource(const fs::path& path, const SourceOptions& options) : zip_(path) {
    detail::Listing listing;
    bool backslashes = false;
    for (const ZipReader::Entry& entry : zip_.entries()) {
      backslashes = backslashes || entry.name.find('\\') != std::string::npos;
      listing.files.push_back(detail::with_plain_slashes(entry.name));
    }
    for (const std::string& folder : zip_.folders()) {
      if (std::string name = detail::with_plain_slashes(folder); !name.empty())
        listing.folders.push_back(std::move(name));
    }
    layout_ = detail::arrange(listing, options, path.string(), [&](std::size_t place, std::uint64_t limit) {
      const std::vector<std::byte> text = zip_.read(place, limit);
      return std::string(reinterpret_cast<const char*>(text.data()), text.size());
    });
    layout_.facts.format = layout_.has_json ? "EDM zip" : "zip";
    if (backslashes)
      layout_.facts.notes.push_back("names in the zip use '\\' as a separator, which is read as '/'");
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(layout_.images.size()); }
  Image read(std::int64_t index) const override {
    return decode_image(zip_.read(entry(index), detail::kLargestImageFile), where(index));
  }
  Image read_reduced(std::int64_t index, std::int64_t side) const override {
    return decode_reduced(zip_.read(entry(index), detail::kLargestImageFile), side, where(index));
  }
  ImageInfo info(std::int64_t index) const override {
    std::vector<std::byte> bytes = zip_.read_start(entry(index), kInfoBytes);
    const bool whole = bytes.size() == zip_.entries()[entry(index)].size;
    if (const auto info = image_info(bytes, whole, where(index))) return *info;
    bytes = zip_.read(entry(index), detail::kLargestImageFile);
    return *image_info(bytes, true, where(index));
  }
  std::int64_t classes() const override { return layout_.labels.classes; }
  std::int64_t label(std::int64_t index) const override {
    return layout_.labels.values[static_cast<std::size_t>(index)];
  }
  std::string describe() const override {
    return layout_.facts.format + " " + printable(zip_.path().string());
  }
  std::string name(std::int64_t index) const override {
    return detail::with_plain_slashes(zip_.entries()[entry(index)].name);
  }
  const SourceFacts& facts() const override { return layout_.facts; }

 private:
  std::size_t entry(std::int64_t index) const { return layout_.images[static_cast<std::size_t>(index)]; }
  std::string where(std::int64_t index) const {
    return printable(zip_.path().string()) + ": " + printable(name(index));
  }

  ZipReader zip_;
  detail::Layout layout_;
};

}  // namespace

std::unique_ptr<ImageSource> detail::open_zip(const fs::path& path, const SourceOptions& options) {
  return std::make_unique<ZipSource>(path, options);
}

extern const DataFormat format_zip;
const DataFormat format_zip{
    .title = "a zip of images",
    .recognizes = [](const FormatProbe& p) { return p.start.starts_with("PK"); },
    .open = detail::open_zip,
};

}  // namespace diffit::data
