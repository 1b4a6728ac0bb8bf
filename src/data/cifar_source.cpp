// CIFAR-10 and CIFAR-100 as sets of images.
#include <fmt/format.h>

#include "base/printable.h"
#include "data/format.h"
#include "data/sources.h"
#include "io/datasets/cifar.h"

namespace diffit::data {
namespace {

class CifarSource : public ImageSource {
 public:
  CifarSource(const fs::path& path, const SourceOptions& options)
      : path_(printable(path.string())),
        set_(read_cifar(path)),
        labelled_(options.labels != LabelMode::none) {
    facts_.format = fmt::format("CIFAR-{}", set_.classes);
    facts_.labels_from = labelled_ ? "the records" : "nothing";
    if (labelled_) {
      for (const std::string& name : set_.class_names) facts_.class_names.push_back(printable(name));
    }
    if (set_.test) facts_.notes.push_back("these are the test images; the training files are missing");
  }
  std::int64_t size() const override { return static_cast<std::int64_t>(set_.size()); }
  Image read(std::int64_t index) const override { return set_.image(static_cast<std::size_t>(index)); }
  std::optional<ImageInfo> uniform() const override { return ImageInfo{32, 32, 3}; }
  std::int64_t classes() const override { return labelled_ ? set_.classes : 0; }
  std::int64_t label(std::int64_t index) const override {
    return set_.labels[static_cast<std::size_t>(index)];
  }
  std::string describe() const override { return fmt::format("CIFAR-{} {}", set_.classes, path_); }
  std::string name(std::int64_t index) const override { return detail::edm_name(index); }
  const SourceFacts& facts() const override { return facts_; }

 private:
  std::string path_;
  CifarSet set_;
  bool labelled_;
  SourceFacts facts_;
};

}  // namespace

std::unique_ptr<ImageSource> detail::open_cifar(const fs::path& path, const SourceOptions& options) {
  return std::make_unique<CifarSource>(path, options);
}

extern const DataFormat format_cifar;
const DataFormat format_cifar{
    .title = "CIFAR",
    .recognizes = [](const FormatProbe& p) { return is_cifar(p.path); },
    .open = detail::open_cifar,
};

}  // namespace diffit::data
