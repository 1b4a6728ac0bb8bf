// Search for copies: the training images nearest to samples, with the usual distance between training images.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/latents.h"

namespace at {
class Tensor;
}

namespace diffit::report {

/// Space in which images are compared.
struct ImageSpace {
  std::string name;  // "pixels", or the name of a feature network
  std::string unit;  // unit of a distance: "grey levels (root mean square)"
  /// Maps images [B, H, W, C] uint8 on the CPU to [B, D] float32; distances are Euclidean.
  std::function<at::Tensor(const at::Tensor& images)> embed;
};

/// The distance is the root mean square difference in levels, 0..255.
ImageSpace pixel_space();

/// A training image found for a query.
struct Neighbour {
  std::int64_t index = -1;  // in the data set
  double distance = 0;
  Image image;
};

/// Result of a search.
struct NeighbourSearch {
  std::vector<std::vector<Neighbour>> nearest;  // [queries][k], nearest first
  /// Distance to the nearest other image for each of some training images, as a reference; sorted.
  std::vector<double> usual;
};

/// Called with the number of images processed and the total; may throw to cancel.
using SearchProgress = std::function<void(std::int64_t, std::int64_t)>;

/// Searches the whole data set for the `k` images nearest to each query, and for the nearest other image of
/// `controls` evenly spaced images of the set. Throws Error(invalid) if a query has another size or number of
/// channels than the data set.
NeighbourSearch find_neighbours(const Dataset& data, const std::vector<Image>& queries, std::int64_t k,
                                std::int64_t controls, const ImageSpace& space,
                                const SearchProgress& progress = {});

/// Name and unit of the space of a search among latents.
inline constexpr const char* kLatentSpace = "latents";
inline constexpr const char* kLatentUnit = "scaled latents, root mean square";

/// Searches the means of cached latents for samples [Q, L, h, w] float32 of a latent model. The distance is
/// the root mean square difference of scaled values. `decode` maps a scaled latent [1, L, h, w] to its image.
NeighbourSearch find_neighbours(const LatentDataset& data, const at::Tensor& samples, std::int64_t k,
                                std::int64_t controls, const std::function<Image(const at::Tensor&)>& decode,
                                const SearchProgress& progress = {});

}  // namespace diffit::report
