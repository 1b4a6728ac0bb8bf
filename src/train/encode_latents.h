// Encodes images with an autoencoder into a cache of latents (data/latents.h), and measures their scale.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "data/dataset.h"
#include "data/latents.h"
#include "nn/vae/vae.h"

namespace diffit::training {

struct EncodeRequest {
  std::int64_t batch = 32;            // images a pass; each also mirrored
  at::Device device = at::kCPU;       // the autoencoder's
  at::ScalarType dtype = at::kFloat;  // of matrix products and convolutions
  fs::path source = {};               // where the images lie: what is there becomes part of the stamp
  bool restart = false;               // remove what the folder holds, and encode again
  std::function<void(const std::string&)> warn = {};
};

/// Called between passes with the images done, those of shards that were there included. May throw to stop:
/// whole shards stay, and no part of another.
using EncodeProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// What tells one set of images, and the options it is encoded with, from another under the same name:
/// names, labels, the content of a thousand images, the element type, and of larger sets the sizes of the
/// files (where the set is one file its bytes, up to a GiB). A JSON object of texts.
std::string encoding_stamp(const Dataset& images, const EncodeRequest& request);

/// Writes the moments of all images and of their mirror images into `folder`, shard by shard; whole shards
/// of the same images, options and autoencoder are kept. Returns what the cache holds. Error(invalid) where
/// the images do not fit the autoencoder, or where the folder holds other latents; Error(failed) where a
/// moment is not finite, where there is no room, or where another process is encoding into the folder.
LatentInfo encode_latents(const Dataset& images, const Vae& vae, const fs::path& folder,
                          const EncodeRequest& request, const EncodeProgress& progress = {});

/// 1 / standard deviation of unscaled latents, over about `count` images spread over the set: with it,
/// scaled latents have a standard deviation of 1. Rounded to five digits.
double measured_scale(const Dataset& images, const Vae& vae, std::int64_t count, at::Device device);

}  // namespace diffit::training
