// IDX (MNIST, Fashion-MNIST) as a set of images.
#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "data/format.h"
#include "data/sources.h"
#include "io/archives/tar.h"
#include "io/datasets/cifar.h"
#include "io/datasets/idx.h"

namespace diffit::data {
namespace {

class IdxSource : public ImageSource {
 public:
  IdxSource(const fs::path& images, const SourceOptions& options)
      : path_(images.string()), images_(read_idx(images)) {
    DIFFIT_CHECK(images_.dims.size() == 3 && !images_.data.empty(),
                 "{}: wanted IDX images [count, rows, columns], got {} dimensions and {} bytes", path_,
                 images_.dims.size(), images_.data.size());
    DIFFIT_CHECK(std::max(images_.dims[1], images_.dims[2]) <= kLargestSide,
                 "{}: wanted images with sides up to {}, got {}x{}", path_, kLargestSide, images_.dims[2],
                 images_.dims[1]);
    facts_.format = "IDX";
    const auto beside = labels_beside(images);
    if (!beside) {
      facts_.notes.push_back("no labels: the folder of the images contains no labels file");
      return;
    }
    if (options.labels == LabelMode::none) return;
    IdxArray labels = read_idx(*beside);
    DIFFIT_CHECK(labels.dims.size() == 1 && labels.dims[0] == images_.dims[0],
                 "{}: wanted one label for each of the {} images of {}, got {} dimensions and {} bytes",
                 beside->string(), images_.dims[0], path_, labels.dims.size(), labels.data.size());
    labels_ = std::move(labels.data);
    classes_ = 1 + *std::max_element(labels_.begin(), labels_.end());
    facts_.labels_from = printable(beside->filename().string());
  }

  std::int64_t size() const override { return images_.dims[0]; }

  Image read(std::int64_t index) const override {
    Image image{images_.dims[2], images_.dims[1], 1, {}};
    const std::int64_t bytes = image.width * image.height;
    const auto first = images_.data.begin() + index * bytes;
    image.pixels.assign(first, first + bytes);
    return image;
  }

  std::optional<ImageInfo> uniform() const override { return ImageInfo{images_.dims[2], images_.dims[1], 1}; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  std::string describe() const override { return "IDX " + printable(path_); }
  std::string name(std::int64_t index) const override { return detail::edm_name(index); }
  const SourceFacts& facts() const override { return facts_; }

 private:
  std::string path_;
  IdxArray images_;
  std::vector<std::uint8_t> labels_;
  std::int64_t classes_ = 0;
  SourceFacts facts_;
};

}  // namespace

std::unique_ptr<ImageSource> detail::open_idx(const fs::path& images, const SourceOptions& options) {
  return std::make_unique<IdxSource>(images, options);
}

namespace {

/// The images file of a folder, in which torchvision keeps MNIST and its kin two folders down; empty: none.
fs::path images_file_in(const fs::path& folder) {
  for (const char* part : {"train", "t10k"}) {
    for (const char* inner : {"", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "QMNIST/raw"}) {
      for (const char* name : {"images-idx3-ubyte.gz", "images-idx3-ubyte", "images.idx3-ubyte"}) {
        const fs::path file = folder / inner / fmt::format("{}-{}", part, name);
        std::error_code ignored;
        if (fs::is_regular_file(file, ignored)) return file;
      }
    }
  }
  return {};
}

bool looks_like_idx(std::string_view start) {
  if (start.starts_with("\x1f\x8b")) return true;
  return start.size() > 2 && start.starts_with(std::string_view("\0\0", 2)) && start[2] != 0;
}

}  // namespace

extern const DataFormat format_idx;
const DataFormat format_idx{
    .title = "an IDX(.gz) images file",
    .recognizes =
        [](const FormatProbe& p) {
          if (p.folder) return !images_file_in(p.path).empty();
          return looks_like_idx(p.start) && !is_cifar(p.path) && !is_tar(p.path);
        },
    .open =
        [](const fs::path& path, const SourceOptions& options) {
          std::error_code ignored;
          return detail::open_idx(fs::is_directory(path, ignored) ? images_file_in(path) : path, options);
        },
};

}  // namespace diffit::data
