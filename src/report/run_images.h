// Images generated for a report with the newest EMA weights of a run: trajectories of a few seeds, and the
// training images nearest to their results.
#pragma once

#include <optional>

#include "data/class_names.h"
#include "report/neighbours.h"
#include "report/run_record.h"
#include "report/trajectory.h"

namespace diffit::report {

/// Options for the images of one run.
struct RunImagesOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  std::int64_t steps = 18;          // of Heun's method
  std::uint64_t seed = 0;           // of the first image; the following images use consecutive seeds
  std::int64_t images = 10;         // maximum number of images: one per class, evenly spread over the classes
  std::size_t levels = 9;           // number of noise levels shown
  std::int64_t neighbours = 4;      // 0: the training data are not opened
  std::int64_t controls = 64;       // number of training images used to determine the usual distance
  std::optional<ImageSpace> space;  // space of the neighbors; pixels if not set
  /// Returns the names of that many classes for a run, if known.
  std::function<std::optional<ClassNames>(const RunRecord& run, std::int64_t classes)> class_names;
  /// Called with the current activity and its progress; may throw to cancel.
  std::function<void(const std::string& what, double done, double all)> progress;
};

/// Generated images, or the reasons why they could not be generated.
struct RunImages {
  std::optional<Trajectories> trajectories;
  std::string no_trajectories;      // reason why there are none
  std::vector<std::string> labels;  // class or seed of each image
  double guidance = 1;
  std::optional<NeighbourSearch> neighbours;
  std::string no_neighbours;
  std::string space, unit;  // space in which neighbors are searched
};

/// Reports what cannot be generated in no_trajectories and no_neighbours. Throws only what `progress` throws,
/// and when memory runs out.
RunImages make_images(const RunRecord& run, const RunImagesOptions& options);

}  // namespace diffit::report
