// A folder of pictures, at any depth.
#include <algorithm>

#include "base/error.h"
#include "data/sources.h"
#include "io/printable.h"

namespace diffit {
namespace {

constexpr int kDeepest = 32;

std::vector<std::string> pictures_below(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  // Links are followed: classes are often linked from elsewhere. A loop runs into the limit.
  fs::recursive_directory_iterator at(folder, fs::directory_options::follow_directory_symlink, error), end;
  for (; !error && at != end; at.increment(error)) {
    DIFFIT_CHECK(at.depth() < kDeepest,
                 "{}: wanted folders up to {} deep, got more; do links go round in a circle?",
                 folder.string(), kDeepest);
    if (!is_picture_name(at->path().filename().string())) continue;
    std::error_code ignored;
    if (at->is_regular_file(ignored)) names.push_back(at->path().lexically_relative(folder).generic_string());
  }
  DIFFIT_CHECK(!error, "{}: cannot be listed: {}", folder.string(), error.message());
  std::sort(names.begin(), names.end());
  return names;
}

class FolderSource : public PictureSource {
 public:
  explicit FolderSource(const fs::path& folder) : folder_(folder), names_(pictures_below(folder)) {
    DIFFIT_CHECK(!names_.empty(),
                 "{}: wanted a folder of pictures (.png, .jpg, .jpeg, .webp), CIFAR binary or IDX, "
                 "got none of these in it",
                 folder.string());
    std::string text;
    std::optional<std::string_view> json;
    std::error_code ignored;
    if (fs::is_regular_file(folder / "dataset.json", ignored)) {
      json = text = read_text(folder / "dataset.json", detail::largest_json(names_.size()));
    }
    labels_ = detail::labels_of(names_, json, folder.string());
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(names_.size()); }
  Picture read(std::int64_t index) const override {
    const fs::path path = folder_ / name(index);
    return decode_picture(read_file(path, detail::kLargestPictureFile), printable(path.string()));
  }
  std::int64_t classes() const override { return labels_.classes; }
  std::int64_t label(std::int64_t index) const override {
    return labels_.values[static_cast<std::size_t>(index)];
  }
  std::string describe() const override { return "folder " + folder_.string(); }
  std::string name(std::int64_t index) const override { return names_[static_cast<std::size_t>(index)]; }

 private:
  fs::path folder_;
  std::vector<std::string> names_;
  detail::Labels labels_;
};

}  // namespace

std::unique_ptr<PictureSource> detail::open_folder(const fs::path& path) {
  return std::make_unique<FolderSource>(path);
}

}  // namespace diffit
