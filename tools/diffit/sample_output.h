// Where samples go: a picture, a grid, a folder, npz, safetensors; told by the name of the output.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "diffusion/generate.h"
#include "io/picture.h"

namespace diffit {

/// Takes samples batch by batch, in order. What it writes appears whole at finish(); a folder's pictures one
/// by one.
class SampleOutput {
 public:
  virtual ~SampleOutput() = default;
  /// samples [b, C, R, R] float32 in [-1, 1]: pictures first .. first + b - 1 of the request.
  virtual void add(std::int64_t first, const at::Tensor& samples) = 0;
  virtual void finish() = 0;
};

/// For `path` x.png, x.npz, x.safetensors or a folder (ends with '/', exists as one, or has no extension).
/// `made_by` describes how the pictures were made (docs/formats.md); it is stored with seed and class in
/// each. Error(invalid) for other extensions.
std::unique_ptr<SampleOutput> open_sample_output(const fs::path& path, const ImageRequest& request,
                                                 const ImageConfig& config, const Json& made_by,
                                                 std::int64_t columns);

}  // namespace diffit
