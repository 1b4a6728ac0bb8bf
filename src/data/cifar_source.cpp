// CIFAR-10 and CIFAR-100 as sets of pictures.
#include <fmt/format.h>

#include "data/sources.h"
#include "io/cifar.h"

namespace diffit {
namespace {

class CifarSource : public PictureSource {
 public:
  explicit CifarSource(const fs::path& path) : path_(path.string()), set_(read_cifar(path)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(set_.size()); }
  Picture read(std::int64_t index) const override { return set_.picture(static_cast<std::size_t>(index)); }
  std::int64_t classes() const override { return set_.classes; }
  std::int64_t label(std::int64_t index) const override {
    return set_.labels[static_cast<std::size_t>(index)];
  }
  std::string describe() const override { return fmt::format("CIFAR-{} {}", set_.classes, path_); }
  std::string name(std::int64_t index) const override { return detail::edm_name(index); }

 private:
  std::string path_;
  CifarSet set_;
};

}  // namespace

std::unique_ptr<PictureSource> detail::open_cifar(const fs::path& path) {
  return std::make_unique<CifarSource>(path);
}

}  // namespace diffit
