// Images into and out of the autoencoder: one file, a folder or zip, npz, safetensors; told by the name.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

#include "base/file.h"
#include "config/fields.h"
#include "diffusion/images.h"

namespace diffit::jobs {

/// Images of any sizes, in order (of names, or as they lie in their array).
class ImageInput {
 public:
  virtual ~ImageInput() = default;
  virtual std::int64_t size() const = 0;
  /// Calls sink(name, image [C, H, W] float32 in [-1, 1]) for each in turn; C is 1 or 3, or what `images`
  /// has.
  virtual void read(
      const std::function<void(const std::string& name, const at::Tensor& image)>& sink) const = 0;
};

/// `path`: .png, .jpg, .webp; .npz with arr_0 uint8 [N, H, W, C]; .safetensors with `images` float32 [N, C,
/// H, W]; else whatever open_source takes. Error(invalid) where it is none of these.
std::unique_ptr<ImageInput> open_image_input(const fs::path& path);

/// `image` [C, H, W] with `channels`: grey is repeated; Error(invalid) where it is RGB and grey is wanted.
at::Tensor with_channels(const at::Tensor& image, std::int64_t channels, const std::string& name);

/// Takes `count` images of one size, batch by batch. What it writes appears whole at finish(); a folder's
/// images one by one.
class ImageOutput {
 public:
  virtual ~ImageOutput() = default;
  /// images [b, C, H, W] float32 in [-1, 1], finite.
  virtual void add(const at::Tensor& images) = 0;
  virtual void finish() = 0;
};

/// `path`: x.png (one image, or a grid), x.npz (arr_0 uint8), x.safetensors (`images` float32), or a folder
/// (ends with '/', exists as one, or has no extension; 000000.png, ...). A folder that holds images which
/// this run does not write over is refused; unfinished.json lies in it until finish(). `made_by` is stored
/// where the format has a place. shape: [N, C, H, W] of all. Error(invalid) for other extensions, or channels
/// that PNGs do not have.
std::unique_ptr<ImageOutput> open_image_output(const fs::path& path, at::IntArrayRef shape, Rounding rounding,
                                               const Json& made_by);

}  // namespace diffit::jobs
