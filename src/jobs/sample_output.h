// Where samples go: an image, a grid, a folder, npz, safetensors; told by the name of the output.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "config/fields.h"
#include "diffusion/images.h"
#include "diffusion/sample_request.h"

namespace diffit::jobs {

/// Takes samples batch by batch, in order. What it writes appears whole at finish(); a folder's images one
/// by one. Memory does not grow with the number of samples, but for x.png.
class SampleOutput {
 public:
  virtual ~SampleOutput() = default;
  /// Images of the same request that an interrupted run left behind: how many of the first ones.
  virtual std::int64_t done() const { return 0; }
  /// Before the first add(): samples come from `first` on, at most done().
  virtual void go_on_from(std::int64_t /*first*/) {}
  /// samples [b, C, H, W] float32: images in [-1, 1], or latents; numbers first .. first + b - 1 of the
  /// request.
  virtual void add(std::int64_t first, const at::Tensor& samples) = 0;
  virtual void finish() = 0;
  /// A sentence for the user where the disk has no locks, "" otherwise.
  virtual std::string warning() const { return {}; }
};

struct SampleOutputOptions {
  fs::path path;
  std::vector<std::int64_t> shape;  // [C, H, W] of a sample
  std::int64_t columns = 0;         // of a grid; 0: as square as can be
  Rounding rounding = Rounding::nearest;
  bool restart = false;  // forget what an interrupted run left behind
  Json made_by;          // how the samples were made (docs/formats.md); stored with seed and class in each
  Json files;            // what else tells requests apart: stamps of the files that were read
  Json earlier_files;    // the same as earlier versions stamped them
};

/// Whether an output holds samples as they are (x.safetensors), not images.
bool holds_raw_samples(const fs::path& path);

/// For `path` x.png, x.npz, x.safetensors or a folder (ends with '/', exists as one, or has no extension).
/// The request must outlive it. A folder that holds images which this request does not make is refused;
/// `restart` removes those that diffit sample made there, and never others.
std::unique_ptr<SampleOutput> open_sample_output(const SampleRequest& request,
                                                 const SampleOutputOptions& options);

}  // namespace diffit::jobs
