// Training objective: a network, its data, and the loss of a microbatch. The training loop (Trainer, Run) is
// the same for all objectives.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/images/image.h"
#include "io/tensors/safetensors.h"
#include "nn/layers/parameter_list.h"
#include "train/training_data.h"

namespace diffit::training {

/// Scratch model that receives EMA weights for saving, sampling and evaluation.
struct Exhibit {
  ParameterList parameters;  // on the CPU or on the objective's device
  /// Generates the grid of images for the current weights; empty: there is none.
  std::function<Image()> grid;
  /// Generates samples for an evaluation with the current weights and passes them on in order as [b, H, W, C]
  /// uint8. Sample i has seed i and class i % classes, and uses the sampler and guidance of the grid. `steps`
  /// = 0 selects the number of steps of the grid. Empty: the model generates no samples.
  std::function<void(std::int64_t count, std::int64_t steps,
                     const std::function<void(const at::Tensor&)>& sink)>
      sample = {};
  /// Returns metrics on held-out data by name; empty: there are none.
  std::function<Json()> measure = {};
};

/// Tensors of a microbatch, in an order of the objective's own.
using Inputs = std::vector<at::Tensor>;

/// Every random number for training image n (noise, timestep, posterior sample, label dropout) depends on
/// (train.seed, n) alone, so the loss of images n .. n + B - 1 depends only on the weights and n. Not
/// thread-safe.
class Objective {
 public:
  virtual ~Objective() = default;

  /// Parameters of the network, which share its storage; initialized with initialise() and train.seed.
  virtual const ParameterList& parameters() const = 0;
  /// Positions the data: the next microbatch starts at training image `images`.
  virtual void seek(std::int64_t images) = 0;
  /// Restricts the microbatches to a portion of each batch; to be called before the first one. The microbatch
  /// divides portion.count.
  virtual void set_portion(const Portion& portion) = 0;
  /// Reads the next microbatch and draws its random numbers: all that its loss depends on besides the
  /// weights, as tensors on the CPU, which are valid until the next call. Throws errors of reading the data.
  virtual Inputs next_inputs() = 0;
  /// Returns the mean loss for the last inputs of next_inputs(), moved to the device of the parameters: a
  /// float32 scalar with its autograd graph.
  virtual at::Tensor loss(const Inputs& inputs) = 0;
  /// Whether loss() depends on nothing but its argument and the weights, so that it may be recorded and
  /// replayed.
  virtual bool is_function_of_inputs() const { return true; }
  /// Returns the mean loss over the next microbatch.
  at::Tensor loss();

  /// Messages to be shown when training starts.
  virtual std::vector<std::string> notes() const { return {}; }
  /// Images as training sees them, arranged in a grid; without pixels if there is nothing to show.
  virtual Image reals() const = 0;
  /// Returns a new scratch model. Its weights must be set before use.
  virtual Exhibit exhibit() const = 0;
  /// Metadata of the model files about classes: names, and labels without images (data/class_names.h).
  virtual Metadata label_metadata() const { return {}; }
  /// Writes weights with the names of the network's parameters as a model file. Throws Error(failed) if a
  /// weight is not finite.
  virtual void save(const fs::path& path, const ParameterList& parameters, const Metadata& extra) const = 0;
};

/// Creates the objective of a resolved recipe. dtype: dtype of matrix products and convolutions, float32 or
/// bfloat16.
std::unique_ptr<Objective> make_objective(const Recipe& recipe, const TrainingData& data, at::Device device,
                                          at::ScalarType dtype);

/// The objective of each kind of model; make_objective() selects one by recipe.model.
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

// ---- shared by objectives

/// Moves parameters to a device and enables gradients for those that are trained.
void prepare(const ParameterList& parameters, at::Device device);

/// Returns the labels [B] int64 of images first .. first + B - 1 on the CPU. Each one is replaced by the null
/// label `classes` with probability `dropout`; all are 0 if there are no classes.
at::Tensor training_labels(const std::vector<std::int64_t>& labels, std::int64_t classes, double dropout,
                           std::uint64_t seed, std::int64_t first);

/// Calls draw(i, random) for i in 0..count - 1 in parallel, with the random stream of image first + i for
/// this purpose.
void for_each_image(Purpose purpose, std::uint64_t seed, std::int64_t first, std::int64_t count,
                    const std::function<void(std::int64_t i, Random& random)>& draw);

/// Fills numbers [B, ...], float32 on the CPU, with standard normal noise. Row i uses the random stream of
/// image first + i.
void fill_normal(const at::Tensor& numbers, Purpose purpose, std::uint64_t seed, std::int64_t first);

/// Number of columns of a grid over `classes`: one per class if there are few, otherwise 0 for a nearly
/// square grid.
std::int64_t grid_columns(std::int64_t classes);

/// Returns the indices of images for a grid. With classes and at least one image for each, position i has
/// class i % classes.
std::vector<std::int64_t> shown_images(std::int64_t size, std::int64_t classes, std::int64_t wanted,
                                       const std::function<std::int64_t(std::int64_t)>& label);

}  // namespace diffit::training
