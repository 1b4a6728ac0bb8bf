// Networks that compute image features for FID and related metrics.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "io/tensors/weights_file.h"

namespace diffit::metrics {

/// Description of a feature network.
struct FeatureInfo {
  std::string name;      // name for messages and files: "Inception-v3 2015-12-05", "FashionNet"
  std::string identity;  // fingerprint of the weights: 16 hexadecimal digits, independent of the file format
  bool inception = false;    // a Frechet distance is called FID only if this is set
  std::int64_t width = 0;    // D, width of the pooled features
  std::int64_t spatial = 0;  // S, width of the spatial features; 0: none, so no sFID
  std::int64_t classes = 0;  // K, number of classes; 0: none, so no inception score

  /// Key of the Frechet distance: "fid" for Inception, otherwise "fd_" and the name in lower case.
  std::string frechet_key() const;
  /// Label of the Frechet distance: "FID" for Inception, otherwise "FD-" and the name.
  std::string frechet_label() const;
};

/// Features of a batch of images, on the CPU.
struct Features {
  at::Tensor pooled;  // [B, D] float32
  /// [B, S] float32, flattened in NHWC order as in ADM's sFID; undefined if S = 0.
  at::Tensor spatial;
  /// [B, K] float32, softmax of logits without bias as in ADM's IS; undefined if K = 0.
  at::Tensor probabilities;
};

/// Interface of a feature network.
class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;
  virtual const FeatureInfo& info() const = 0;
  /// Computes the features of images [B, H, W, C] uint8 on the CPU, with C = 1 (repeated if the network takes
  /// RGB) or 3. The result is on the CPU. Throws Error(invalid) if the network does not support the size or
  /// the number of channels.
  virtual Features extract(const at::Tensor& images) const = 0;
};

/// Whether make_feature_network recognizes the network in the file.
bool holds_feature_network(const WeightsFile& file);

/// Loads the network from a file: one of our classifiers, identified by its metadata
/// (nn/features/classifier.h; takes images of its size or smaller, which are padded with zeros), or
/// Inception-v3 of 2015-12-05, identified by pytorch-fid's tensor names (nn/features/inception.h; takes
/// images of any size). Throws Error(invalid) that lists every mismatched tensor, or describes the expected
/// file if it is neither. `dtype`: dtype of the convolutions, float32 (used for published results) or
/// bfloat16.
std::unique_ptr<FeatureNetwork> make_feature_network(const WeightsFile& file, at::Device device,
                                                     at::ScalarType dtype);

/// Like make_feature_network, for a path (.safetensors, .pth, ...) or the name of a bundled network.
std::unique_ptr<FeatureNetwork> load_feature_network(const std::string& path_or_name, at::Device device,
                                                     at::ScalarType dtype);

}  // namespace diffit::metrics
