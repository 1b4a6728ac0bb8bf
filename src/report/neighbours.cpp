#include "report/neighbours.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "train/dataset_images.h"

namespace diffit::report {

namespace {

constexpr std::int64_t kBatch = 512;

at::Tensor stacked(const std::vector<Image>& images) {
  const Image& first = images.front();
  const auto count = static_cast<std::int64_t>(images.size());
  at::Tensor all = at::empty({count, first.height, first.width, first.channels}, at::kByte);
  auto* out = all.mutable_data_ptr<std::uint8_t>();
  for (const Image& image : images) out = std::copy(image.pixels.begin(), image.pixels.end(), out);
  return all;
}

Image read_image_of(const Dataset& data, std::int64_t index) {
  const std::int64_t side = data.resolution();
  Image image{side, side, data.channels(),
              std::vector<std::uint8_t>(static_cast<std::size_t>(side * side * data.channels()))};
  data.read(index, image.pixels);
  return image;
}

/// The k smallest squared distances of each query so far, and the indices of their images.
struct Nearest {
  at::Tensor squares, indices;  // [Q, k] float64, int64

  Nearest(std::int64_t queries, std::int64_t k)
      : squares(at::full({queries, k}, INFINITY, at::kDouble)),
        indices(at::full({queries, k}, -1, at::kLong)) {}

  /// Adds squared distances squares_there [Q, B] to images first .. first + B - 1.
  void add(const at::Tensor& squares_there, std::int64_t first) {
    const std::int64_t k = squares.size(1), here = std::min(k, squares_there.size(1));
    const auto [low, at_low] = squares_there.topk(here, 1, /*largest=*/false);
    const at::Tensor all = at::cat({squares, low}, 1), whose = at::cat({indices, at_low + first}, 1);
    const auto [best, at_best] = all.topk(k, 1, /*largest=*/false, /*sorted=*/true);
    squares = best;
    indices = whose.gather(1, at_best);
  }
};

/// |a - b|^2 in float64, which keeps enough precision in the difference of large numbers: [Q, B].
at::Tensor square_distances(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  return (x.square().sum(1, true) + y.square().sum(1).unsqueeze(0) - 2 * x.mm(y.t())).clamp_min(0);
}

/// A set of images as rows [D] to compare and images to show.
struct SearchedSet {
  std::int64_t size;
  std::function<at::Tensor(std::int64_t first, std::int64_t count)> rows;  // [count, D]
  std::function<Image(std::int64_t index)> image;
};

/// queries [Q, D].
NeighbourSearch search(const SearchedSet& set, const at::Tensor& queries, std::int64_t k,
                       std::int64_t controls, const SearchProgress& progress) {
  const std::int64_t asked = queries.size(0);
  controls = set.size < 2 ? 0 : std::min(controls, set.size);
  std::vector<std::int64_t> own;
  std::vector<at::Tensor> all;
  if (asked > 0) all.push_back(queries);
  for (std::int64_t c = 0; c < controls; ++c) {
    own.push_back(c * set.size / controls);
    all.push_back(set.rows(own.back(), 1));
  }
  if (all.empty()) return {};
  const at::Tensor wanted = at::cat(all);
  // A control is its own nearest neighbor: search for one more and drop it.
  Nearest nearest(wanted.size(0), std::min(k + 1, set.size));
  for (std::int64_t first = 0; first < set.size; first += kBatch) {
    const std::int64_t count = std::min(kBatch, set.size - first);
    nearest.add(square_distances(wanted, set.rows(first, count)), first);
    if (progress) progress(first + count, set.size);
  }
  NeighbourSearch search;
  const auto squares = nearest.squares.accessor<double, 2>();
  const auto indices = nearest.indices.accessor<std::int64_t, 2>();
  for (std::int64_t q = 0; q < asked; ++q) {
    std::vector<Neighbour>& found = search.nearest.emplace_back();
    for (std::int64_t i = 0; i < std::min(k, nearest.squares.size(1)); ++i)
      found.push_back({indices[q][i], std::sqrt(squares[q][i]), set.image(indices[q][i])});
  }
  for (std::int64_t c = 0; c < controls; ++c) {
    for (std::int64_t i = 0; i < nearest.squares.size(1); ++i) {
      if (indices[asked + c][i] == own[static_cast<std::size_t>(c)]) continue;
      search.usual.push_back(std::sqrt(squares[asked + c][i]));
      break;
    }
  }
  std::sort(search.usual.begin(), search.usual.end());
  return search;
}

/// [B, ...] -> [B, D], scaled such that the Euclidean distance is the root mean square difference.
at::Tensor mean_square_rows(const at::Tensor& x) {
  const at::Tensor flat = x.flatten(1).to(at::kFloat);
  return flat / std::sqrt(static_cast<double>(flat.size(1)));
}

/// Scaled means of the latents: [count, L, h, w].
at::Tensor latent_means(const LatentDataset& data, std::int64_t first, std::int64_t count) {
  const LatentInfo& info = data.info();
  const at::Tensor moments = at::empty({count, 2 * info.channels, info.height, info.width}, at::kFloat);
  float* out = moments.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i, out += info.numbers())
    data.read(first + i, /*mirrored=*/false, {out, static_cast<std::size_t>(info.numbers())});
  return moments.narrow(1, 0, info.channels) * info.scale;
}

}  // namespace

ImageSpace pixel_space() {
  return {"pixels", "root mean square, in levels of 0 to 255", mean_square_rows};
}

NeighbourSearch find_neighbours(const Dataset& data, const std::vector<Image>& queries, std::int64_t k,
                                std::int64_t controls, const ImageSpace& space,
                                const SearchProgress& progress) {
  const at::NoGradGuard no_grad;
  for (const Image& query : queries) {
    DIFFIT_CHECK(
        query.width == data.resolution() && query.height == data.resolution() &&
            query.channels == data.channels(),
        "nearest neighbours: samples are {} x {} x {}, but the images of the data set are {} x {} x {}",
        query.height, query.width, query.channels, data.resolution(), data.resolution(), data.channels());
  }
  const SearchedSet set{data.size(),
                        [&](std::int64_t first, std::int64_t count) {
                          return space.embed(image_bytes(data, index_range(first, count)));
                        },
                        [&](std::int64_t index) { return read_image_of(data, index); }};
  return search(set, queries.empty() ? at::empty({0, 0}) : space.embed(stacked(queries)), k, controls,
                progress);
}

NeighbourSearch find_neighbours(const LatentDataset& data, const at::Tensor& samples, std::int64_t k,
                                std::int64_t controls, const std::function<Image(const at::Tensor&)>& decode,
                                const SearchProgress& progress) {
  const at::NoGradGuard no_grad;
  const LatentInfo& info = data.info();
  DIFFIT_CHECK(
      samples.size(1) == info.channels && samples.size(2) == info.height && samples.size(3) == info.width,
      "nearest neighbours: samples are {} x {} x {}, but the cached latents are {} x {} x {}",
      samples.size(1), samples.size(2), samples.size(3), info.channels, info.height, info.width);
  const SearchedSet set{data.size(),
                        [&](std::int64_t first, std::int64_t count) {
                          return mean_square_rows(latent_means(data, first, count));
                        },
                        [&](std::int64_t index) { return decode(latent_means(data, index, 1)); }};
  return search(set, mean_square_rows(samples), k, controls, progress);
}

}  // namespace diffit::report
