// What is trained: a network, the data it sees, and the loss of a microbatch. The loop around it (Trainer,
// Run) is the same for all.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/picture.h"
#include "io/safetensors.h"
#include "nn/parameters.h"
#include "train/training_data.h"

namespace diffit {

/// A second network of an objective's kind, which averages of the weights are copied into to be written and
/// looked at.
struct Exhibit {
  ParameterList parameters;       // on the CPU or the objective's device
  std::function<Picture()> grid;  // pictures by these weights; empty: there is nothing to show
  /// Samples by these weights for an evaluation, handed over in order as [b, H, W, C] uint8: seed i, class
  /// i % classes, the grid's sampler and guidance. `steps` 0 is the grid's. Empty: there are none.
  std::function<void(std::int64_t count, std::int64_t steps,
                     const std::function<void(const at::Tensor&)>& sink)>
      sample = {};
  std::function<Json()> measure = {};  // figures on held-out data by their names; empty: there is none
};

/// Every random number of training image n (noise, timestep, posterior sample, label dropout) is a function
/// of (train.seed, n): the loss of images n .. n + B - 1 is one of the weights and n alone.
class Objective {
 public:
  virtual ~Objective() = default;

  /// The network's, shared with it; they start as `initialise` says for train.seed.
  virtual const ParameterList& parameters() const = 0;
  /// The next microbatch begins at image `images` of the training.
  virtual void seek(std::int64_t images) = 0;
  /// The mean loss over the next microbatch, a float32 scalar with its graph. Throws what reading throws.
  virtual at::Tensor loss() = 0;

  /// Lines to be said when the training starts.
  virtual std::vector<std::string> notes() const { return {}; }
  /// Pictures as training sees them; without pixels where there is nothing to show.
  virtual Picture reals() const = 0;
  virtual Exhibit exhibit() const = 0;
  /// Writes weights of the network's names as a model file. A weight that is not finite is Error(failed).
  virtual void save(const fs::path& path, const ParameterList& parameters, const Metadata& extra) const = 0;
};

/// The one that a resolved recipe asks for. dtype: of matrix products and convolutions, float32 or bfloat16.
std::unique_ptr<Objective> make_objective(const Recipe& recipe, const TrainingData& data, at::Device device,
                                          at::ScalarType dtype);

std::unique_ptr<Objective> make_image_objective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                                                at::Device device, at::ScalarType dtype);
std::unique_ptr<Objective> make_latent_objective(const Recipe& recipe,
                                                 std::shared_ptr<const LatentDataset> dataset,
                                                 at::Device device, at::ScalarType dtype);
std::unique_ptr<Objective> make_vae_objective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                                              at::Device device, at::ScalarType dtype);
std::unique_ptr<Objective> make_classifier_objective(const Recipe& recipe,
                                                     std::shared_ptr<const Dataset> dataset,
                                                     at::Device device, at::ScalarType dtype);

// ---- what objectives share

/// Moves parameters to a device and has gradients kept for those that are trained.
void prepare(const ParameterList& parameters, at::Device device);

/// The labels [B] int64 of images first .. first + B - 1, on the CPU: each with probability `dropout` the
/// null label `classes`; all of them where there are no classes.
at::Tensor training_labels(const std::vector<std::int64_t>& labels, std::int64_t classes, double dropout,
                           std::uint64_t seed, std::int64_t first);

/// Calls draw(i, random) for i in 0..count-1, in parallel, with the numbers of image first + i for a purpose.
void for_each_image(Purpose purpose, std::uint64_t seed, std::int64_t first, std::int64_t count,
                    const std::function<void(std::int64_t i, Random& random)>& draw);

/// Fills numbers [B, ...], float32 on the CPU, with standard normals: row i with those of image first + i.
void fill_normal(const at::Tensor& numbers, Purpose purpose, std::uint64_t seed, std::int64_t first);

/// Columns of a grid over `classes`: a class a column where they are few, else 0, as square as can be.
std::int64_t grid_columns(std::int64_t classes);

/// Numbers of pictures for a grid: with classes, class i % classes at place i.
std::vector<std::int64_t> shown_pictures(std::int64_t size, std::int64_t classes, std::int64_t wanted,
                                         const std::function<std::int64_t(std::int64_t)>& label);

}  // namespace diffit
