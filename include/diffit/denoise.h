// One evaluation of a network on tensors in a file, to compare implementations. In memory: Model::denoise
// (model.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"
#include "diffit/sample.h"

namespace diffit {

struct DenoiseSpec {
  std::string model;  // a model file, or the name of a bundled model
  /// A .safetensors file: `x` [B, C, R, R] F32; `y` [B] I64 for conditional models (the number of classes is
  /// the null label); `sigma` [B] F32 for image-space models, or `t` [B] F32, 0 to 999, for latent ones.
  std::string in;
  /// The .safetensors file to write, all F32 and as large as x unless stated otherwise: `forward`, the output
  /// of the network ([B, 2C, R, R] if it predicts the variance); `denoised`, D(x; sigma), of image-space
  /// models; `guided` with guidance.
  std::string out;
  GuidanceSpec guidance;  // without an interval
};

struct DenoiseResult {
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
  };
  std::vector<Tensor> tensors;  // what `out` holds
};

/// Evaluates the network once. Throws Error: invalid for a wrong field or file, failed if a result is not
/// finite or cannot be written.
DenoiseResult denoise(const DenoiseSpec& spec, const RuntimeOptions& runtime = {});
DenoiseResult denoise(const DenoiseSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
