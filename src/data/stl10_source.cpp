// STL-10's binary files: train_X.bin, test_X.bin or unlabeled_X.bin, with the labels beside them in *_y.bin
// (Coates, Lee, Ng 2011). Images are uint8 [N, 3, 96, 96] with the columns of each channel one after another.
#include "base/error.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/text.h"
#include "data/format.h"
#include "data/sources.h"
#include "io/file_kind.h"

namespace diffit::data {

namespace {

constexpr std::int64_t kSide = 96, kChannels = 3;
constexpr std::size_t kBytes = static_cast<std::size_t>(kSide * kSide * kChannels);

class Stl10Source : public ImageSource {
 public:
  Stl10Source(const fs::path& path, const SourceOptions& options)
      : path_(printable(path.string())), images_(path) {
    facts_.format = "STL-10";
    DIFFIT_CHECK(images_.bytes().size() % kBytes == 0 && !images_.bytes().empty(),
                 "{}: wanted STL-10 images of {} bytes each, got {} bytes in all", path_, kBytes,
                 images_.bytes().size());
    std::string name = path.filename().string();
    name.replace(name.rfind("_X.bin"), 6, "_y.bin");
    const fs::path labels = path.parent_path() / name;
    std::error_code none;
    if (options.labels == LabelMode::none || !fs::exists(labels, none)) return;
    read_labels(labels);
    read_class_names(path.parent_path() / "class_names.txt");
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(images_.bytes().size() / kBytes); }
  Image read(std::int64_t index) const override {
    Image image{kSide, kSide, kChannels, {}};
    image.pixels.resize(kBytes);
    const auto bytes = images_.bytes().subspan(static_cast<std::size_t>(index) * kBytes, kBytes);
    for (std::int64_t c = 0, at = 0; c < kChannels; ++c) {
      for (std::int64_t x = 0; x < kSide; ++x) {
        for (std::int64_t y = 0; y < kSide; ++y, ++at)
          image.pixels[static_cast<std::size_t>((y * kSide + x) * kChannels + c)] =
              std::to_integer<std::uint8_t>(bytes[static_cast<std::size_t>(at)]);
      }
    }
    return image;
  }
  std::optional<ImageInfo> uniform() const override { return ImageInfo{kSide, kSide, kChannels}; }
  std::int64_t classes() const override { return labels_.empty() ? 0 : kClasses; }
  std::int64_t label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  std::string describe() const override { return "STL-10 " + path_; }
  std::string name(std::int64_t index) const override { return detail::edm_name(index); }
  const SourceFacts& facts() const override { return facts_; }

 private:
  static constexpr std::int64_t kClasses = 10;

  /// One byte per image, 1 to 10.
  void read_labels(const fs::path& path) {
    const MappedFile file(path);
    const std::string what = what_stands_in(file.bytes());
    DIFFIT_CHECK(what.empty(), "{}: wanted one label for each of {} images, got {}", printable(path.string()),
                 size(), what);
    DIFFIT_CHECK(file.bytes().size() == static_cast<std::size_t>(size()),
                 "{}: wanted one label for each of {} images, got {}", printable(path.string()), size(),
                 file.bytes().size());
    for (const std::byte byte : file.bytes()) {
      const auto label = std::to_integer<std::int64_t>(byte);
      DIFFIT_CHECK(label >= 1 && label <= kClasses, "{}: wanted labels 1 to {}, got {}",
                   printable(path.string()), kClasses, label);
      labels_.push_back(label - 1);
    }
    facts_.labels_from = printable(path.filename().string());
  }

  void read_class_names(const fs::path& path) {
    std::error_code none;
    if (!fs::exists(path, none)) return;
    for (const std::string& line : split(read_text(path, 1 << 16), '\n')) {
      if (const std::string_view name = trim(line); !name.empty())
        facts_.class_names.push_back(printable(name));
    }
    if (facts_.class_names.size() == static_cast<std::size_t>(kClasses)) return;
    facts_.warnings.push_back(fmt::format("{}: wanted {} names, got {}: they are not used",
                                          printable(path.filename().string()), kClasses,
                                          facts_.class_names.size()));
    facts_.class_names.clear();
  }

  std::string path_;
  MappedFile images_;
  std::vector<std::int64_t> labels_;  // empty: none
  SourceFacts facts_;
};

}  // namespace

extern const DataFormat format_stl10;
const DataFormat format_stl10{
    .title = "STL-10 (x_X.bin)",
    .recognizes =
        [](const FormatProbe& p) { return !p.folder && p.path.filename().string().ends_with("_X.bin"); },
    .open = [](const fs::path& path, const SourceOptions& options) -> std::unique_ptr<ImageSource> {
      return std::make_unique<Stl10Source>(path, options);
    },
};

}  // namespace diffit::data
