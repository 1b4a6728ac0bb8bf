#include "train/dataset_images.h"

#include <numeric>

#include "runtime/pch.h"

namespace diffit::training {

std::vector<std::int64_t> index_range(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  std::iota(indices.begin(), indices.end(), first);
  return indices;
}

at::Tensor image_bytes(const Dataset& images, std::span<const std::int64_t> indices) {
  const std::int64_t side = images.resolution(), size = side * side * images.channels();
  at::Tensor bytes =
      at::empty({static_cast<std::int64_t>(indices.size()), side, side, images.channels()}, at::kByte);
  std::uint8_t* out = bytes.mutable_data_ptr<std::uint8_t>();
  for (const std::int64_t index : indices) {
    images.read(index, {out, static_cast<std::size_t>(size)});
    out += size;
  }
  return bytes;
}

at::Tensor image_labels(const Dataset& images, std::span<const std::int64_t> indices) {
  const bool has = images.classes() > 0;
  at::Tensor labels = at::empty({static_cast<std::int64_t>(indices.size())}, at::kLong);
  std::int64_t* out = labels.mutable_data_ptr<std::int64_t>();
  for (const std::int64_t index : indices) *out++ = has ? images.label(index) : -1;
  return labels;
}

at::Tensor read_images(const Dataset& images, std::span<const std::int64_t> indices, std::int64_t channels) {
  const at::Tensor x = (image_bytes(images, indices).to(at::kFloat) / 127.5 - 1).permute({0, 3, 1, 2});
  return x.expand({x.size(0), channels, x.size(2), x.size(3)}).contiguous();
}

}  // namespace diffit::training
