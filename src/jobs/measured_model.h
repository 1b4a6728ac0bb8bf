// A model as the measures of src/analysis see it: D(x; sigma) without a class, of images out of files.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "diffusion/edm.h"
#include "diffusion/sampler.h"
#include "io/tensors/weights_file.h"
#include "nn/diffit/image_model.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

struct MeasuredModel {
  std::string name = {};
  Denoiser denoise;  // without a class; float64 in and out; differentiable; owns what it needs
  /// images [N, R, R, C] uint8 -> [N, c, h, w] float32 as the model sees them: x / 127.5 - 1, or latents.
  std::function<at::Tensor(const at::Tensor& images)> inputs = {};
  std::int64_t resolution = 0, channels = 0;  // of images
  bool latent = false;
  /// Where its error is judged. A network that predicts noise has its error multiplied by sigma in D: at very
  /// high noise that is what is seen of any, good or bad.
  double highest_judged = 50;
  std::vector<double> schedule = {};  // rising: the noise levels that it knows; empty: all of `range`
  SigmaRange range = sigma_range(Schedule::edm);
  std::shared_ptr<ImageDiffiT> image = {};  // what denoises, where it is an image-space model

  /// The nearest levels that it knows, in the same order, each once; of those outside of `range` none.
  std::vector<double> known(const std::vector<double>& sigmas) const;
};

/// `vae`: of a latent model, as --vae. Error(invalid) where there is none.
MeasuredModel open_measured_model(const std::string& model, const std::string& vae, const Runtime& machine);

/// The first `count` images in an order of `seed`, [N, R, R, C] uint8, framed or reduced to the model's
/// size (open_dataset). Error(invalid) where they have colours that the model has not.
struct MeasuredImages {
  std::string source;
  at::Tensor images, labels;  // labels [N] int64; -1 without classes
};
MeasuredImages read_measured(const std::string& data, const MeasuredModel& model, std::int64_t count,
                             std::uint64_t seed);

}  // namespace diffit::jobs
