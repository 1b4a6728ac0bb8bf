// Networks whose features stand for a picture in FID and its kin.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "io/weights_file.h"

namespace diffit {

struct FeatureInfo {
  std::string name;          // for people and files: "Inception-v3 2015-12-05", "FashionNet"
  std::string identity;      // of the weights: 16 hexadecimal digits, equal for equal weights in any file
  bool inception = false;    // only then is a Frechet distance FID
  std::int64_t width = 0;    // D of pooled
  std::int64_t spatial = 0;  // S of spatial; 0: there is none, and no sFID
  std::int64_t classes = 0;  // K of probabilities; 0: there are none, and no inception score

  /// "fid" of Inception, else "fd_" and the name in small letters.
  std::string frechet_key() const;
  /// "FID" of Inception, else "FD-" and the name.
  std::string frechet_label() const;
};

struct Features {
  at::Tensor pooled;   // [B, D] float32
  at::Tensor spatial;  // [B, S] float32, flattened in NHWC order (ADM's sFID); undefined where S = 0
  at::Tensor
      probabilities;  // [B, K] float32, softmax of logits without bias (ADM's IS); undefined where K = 0
};

class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;
  virtual const FeatureInfo& info() const = 0;
  /// pictures [B, H, W, C] uint8 on the CPU, C 1 (repeated where the network wants RGB) or 3. On the CPU.
  /// Error(invalid) where the network takes no such size or channels.
  virtual Features extract(const at::Tensor& pictures) const = 0;
};

/// Whether make_feature_network knows what is in the file.
bool holds_feature_network(const WeightsFile& file);

/// The network in this file: a classifier of ours, which its metadata tells (nn/classifier.h; pictures of its
/// size or smaller, which are framed with zeros), or Inception-v3 of 2015-12-05, which is told by
/// pytorch-fid's names (nn/inception.h; pictures of any size). Error(invalid) lists every tensor that does
/// not fit, and says what is wanted where it is neither. dtype: of convolutions, float32 (what figures are
/// published in) or bfloat16.
std::unique_ptr<FeatureNetwork> make_feature_network(const WeightsFile& file, at::Device device,
                                                     at::ScalarType dtype);

/// The same of a path (.safetensors, .pth, ...) or the name of a bundled network.
std::unique_ptr<FeatureNetwork> load_feature_network(const std::string& path_or_name, at::Device device,
                                                     at::ScalarType dtype);

}  // namespace diffit
