// Pictures made for a report with the newest average of a run: trajectories of a few seeds, and the training
// pictures nearest to what they end in.
#pragma once

#include <optional>

#include "data/class_names.h"
#include "report/neighbours.h"
#include "report/run_record.h"
#include "report/trajectory.h"

namespace diffit {

struct RunPicturesOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  std::int64_t steps = 18;            // of Heun's method
  std::uint64_t seed = 0;             // of the first picture; the next ones follow
  std::int64_t pictures = 10;         // at most: one a class, evenly spread over the classes
  std::size_t levels = 9;             // noise levels shown
  std::int64_t neighbours = 4;        // 0: the training data are not opened
  std::int64_t controls = 64;         // training pictures whose own neighbours say what is usual
  std::optional<PictureSpace> space;  // of the neighbours; pixels where it is open
  /// Names of that many classes for a run, where they are known.
  std::function<std::optional<ClassNames>(const RunRecord& run, std::int64_t classes)> class_names;
  /// What is done now, and how far; may throw to stop.
  std::function<void(const std::string& what, double done, double all)> progress;
};

struct RunPictures {
  std::optional<Trajectories> trajectories;
  std::string no_trajectories;      // why there are none
  std::vector<std::string> labels;  // what each picture is: its class, or its seed
  double guidance = 1;
  std::optional<NeighbourSearch> neighbours;
  std::string no_neighbours;
  std::string space, unit;  // in which the neighbours are near
};

/// What cannot be made is said in no_trajectories and no_neighbours; only what `progress` throws gets out,
/// and running out of memory.
RunPictures make_pictures(const RunRecord& run, const RunPicturesOptions& options);

}  // namespace diffit
