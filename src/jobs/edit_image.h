// Where sampling begins: an image (image-to-image, inpainting), mixed noise (variations, interpolation).
#pragma once

#include <functional>

#include "diffit/sample.h"
#include "diffusion/known_part.h"
#include "io/images/image.h"

namespace diffit::jobs {

/// Throws Error(invalid) unless `init_image`, `strength` and `mask`, and `mix_seed` and `mix`, go together
/// and with the sampler.
void check_edit(const SampleSpec& spec, const SampleRequest& request);

/// With `mix_seed`, sets the starting noise of the request: that of image i and that of `mix_seed`, a share
/// of the way by spherical interpolation (Song et al. 2020, "Denoising diffusion implicit models", eq. 67).
///   shape: of a sample, [C, R, R]
void mix_noise(const SampleSpec& spec, const std::vector<std::int64_t>& shape, SampleRequest& request);

/// How images become samples of a model.
struct EditedModel {
  std::vector<std::int64_t> shape;  // of a sample, [C, R, R]
  Schedule schedule = Schedule::edm;
  std::int64_t side = 0;                                // of images, in pixels; a multiple of R
  std::function<at::Tensor(const Image&)> encode = {};  // an image of any size as x_0, [1, C, R, R] float32
};

/// Reads the images of the specification. With `strength` s below 1, the request begins at the noise level
/// that lies a share 1 - s into its grid, from x_0 + sigma n (Meng et al. 2022, "SDEdit", alg. 1), and takes
/// all of its steps from there. Returns the part of the samples that `mask` keeps, if there is one. The
/// request must have passed check_edit(). Throws Error(invalid) for images that cannot be read.
KnownPart apply_edit(const SampleSpec& spec, const EditedModel& model, SampleRequest& request);

}  // namespace diffit::jobs
