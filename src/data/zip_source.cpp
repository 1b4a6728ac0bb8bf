// EDM's data sets, and any other zip of pictures: read where they lie, never unpacked.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "data/sources.h"
#include "io/printable.h"
#include "io/zip.h"

namespace diffit {
namespace {

class ZipSource : public PictureSource {
 public:
  explicit ZipSource(const fs::path& path) : zip_(path) {
    const auto& entries = zip_.entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (is_picture_name(entries[i].name)) order_.push_back(i);
    }
    DIFFIT_CHECK(!order_.empty(),
                 "{}: wanted a zip of pictures (.png, .jpg, .jpeg, .webp), got none among {} entries",
                 path.string(), entries.size());
    std::sort(order_.begin(), order_.end(),
              [&](std::size_t a, std::size_t b) { return entries[a].name < entries[b].name; });
    std::vector<std::string> names;
    names.reserve(order_.size());
    for (const std::size_t i : order_) names.push_back(entries[i].name);
    std::vector<std::byte> text;
    std::optional<std::string_view> json;
    if (const std::int64_t at = zip_.find("dataset.json"); at >= 0) {
      text = zip_.read(static_cast<std::size_t>(at), detail::largest_json(names.size()));
      json.emplace(reinterpret_cast<const char*>(text.data()), text.size());
    }
    labels_ = detail::labels_of(names, json, path.string());
    edm_ = json.has_value();
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(order_.size()); }
  Picture read(std::int64_t index) const override {
    return decode_picture(zip_.read(order_[static_cast<std::size_t>(index)], detail::kLargestPictureFile),
                          zip_.path().string() + ": " + printable(name(index)));
  }
  std::int64_t classes() const override { return labels_.classes; }
  std::int64_t label(std::int64_t index) const override {
    return labels_.values[static_cast<std::size_t>(index)];
  }
  std::string describe() const override { return (edm_ ? "EDM zip " : "zip ") + zip_.path().string(); }
  std::string name(std::int64_t index) const override {
    return zip_.entries()[order_[static_cast<std::size_t>(index)]].name;
  }

 private:
  ZipReader zip_;
  std::vector<std::size_t> order_;  // entries, by name
  detail::Labels labels_;
  bool edm_ = false;
};

}  // namespace

std::unique_ptr<PictureSource> detail::open_zip(const fs::path& path) {
  return std::make_unique<ZipSource>(path);
}

}  // namespace diffit
