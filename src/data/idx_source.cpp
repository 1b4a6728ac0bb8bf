// IDX (MNIST, Fashion-MNIST) as a set of pictures.
#include <algorithm>

#include "base/error.h"
#include "data/sources.h"
#include "io/idx.h"

namespace diffit {
namespace {

class IdxSource : public PictureSource {
 public:
  explicit IdxSource(const fs::path& images) : path_(images.string()), images_(read_idx(images)) {
    DIFFIT_CHECK(images_.dims.size() == 3 && !images_.data.empty(),
                 "{}: wanted IDX pictures [count, rows, columns], got {} dimensions and {} bytes", path_,
                 images_.dims.size(), images_.data.size());
    DIFFIT_CHECK(std::max(images_.dims[1], images_.dims[2]) <= kLargestSide,
                 "{}: wanted pictures with sides up to {}, got {}x{}", path_, kLargestSide, images_.dims[2],
                 images_.dims[1]);
    const auto beside = labels_beside(images);
    if (!beside) return;
    IdxArray labels = read_idx(*beside);
    DIFFIT_CHECK(labels.dims.size() == 1 && labels.dims[0] == images_.dims[0],
                 "{}: wanted one label for each of the {} pictures of {}, got {} dimensions and {} bytes",
                 beside->string(), images_.dims[0], path_, labels.dims.size(), labels.data.size());
    labels_ = std::move(labels.data);
    classes_ = 1 + *std::max_element(labels_.begin(), labels_.end());
  }

  std::int64_t size() const override { return images_.dims[0]; }

  Picture read(std::int64_t index) const override {
    Picture picture{images_.dims[2], images_.dims[1], 1, {}};
    const std::int64_t bytes = picture.width * picture.height;
    const auto first = images_.data.begin() + index * bytes;
    picture.pixels.assign(first, first + bytes);
    return picture;
  }

  std::int64_t classes() const override { return classes_; }
  std::int64_t label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  std::string describe() const override { return "IDX " + path_; }
  std::string name(std::int64_t index) const override { return detail::edm_name(index); }

 private:
  std::string path_;
  IdxArray images_;
  std::vector<std::uint8_t> labels_;
  std::int64_t classes_ = 0;
};

}  // namespace

std::unique_ptr<PictureSource> detail::open_idx(const fs::path& images) {
  return std::make_unique<IdxSource>(images);
}

}  // namespace diffit
