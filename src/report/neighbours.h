// Copies found: the training pictures nearest to samples, beside what is usual between training pictures.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/latents.h"

namespace at {
class Tensor;
}

namespace diffit {

/// Where pictures are compared.
struct PictureSpace {
  std::string name;  // "pixels", or a feature network's
  std::string unit;  // of a distance: "grey levels (root mean square)"
  /// pictures [B, H, W, C] uint8 on the CPU -> [B, D] float32; distances are Euclidean.
  std::function<at::Tensor(const at::Tensor& pictures)> embed;
};

/// Distance is the root mean square difference in levels, 0..255.
PictureSpace pixel_space();

struct Neighbour {
  std::int64_t index = -1;  // in the data set
  double distance = 0;
  Picture picture;
};

struct NeighbourSearch {
  std::vector<std::vector<Neighbour>> nearest;  // [queries][k], nearest first
  /// For each of some pictures of the set, the distance to the nearest other one: what is usual. Sorted.
  std::vector<double> usual;
};

/// Pictures done, all; may throw to stop.
using SearchProgress = std::function<void(std::int64_t, std::int64_t)>;

/// Searches the whole data set for the `k` pictures nearest to each query, and for the nearest other picture
/// of `controls` of its own, evenly spread. Error(invalid) where a query has another size or other channels
/// than the data set.
NeighbourSearch find_neighbours(const Dataset& data, const std::vector<Picture>& queries, std::int64_t k,
                                std::int64_t controls, const PictureSpace& space,
                                const SearchProgress& progress = {});

/// What a search among latents is called, and its unit.
inline constexpr const char* kLatentSpace = "latents";
inline constexpr const char* kLatentUnit = "scaled latents, root mean square";

/// The same among the means of cached latents, for samples [Q, L, h, w] float32 of a latent model; distance
/// is the root mean square difference of scaled numbers. decode: a scaled latent [1, L, h, w] into its
/// picture.
NeighbourSearch find_neighbours(const LatentDataset& data, const at::Tensor& samples, std::int64_t k,
                                std::int64_t controls,
                                const std::function<Picture(const at::Tensor&)>& decode,
                                const SearchProgress& progress = {});

}  // namespace diffit
