// Inception-v3 of 2015-12-05, the network used by FID, sFID and the Inception score.
//
// Szegedy et al. 2016 as frozen in TensorFlow's classify_image_graph_def.pb, 1008 classes. It differs from
// torchvision's network in two ways: average pooling excludes the padding from the mean, and the last block
// uses maximum pooling.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "io/tensors/tensor_table.h"
#include "kernels/packed_convolution.h"

namespace diffit::nn {

inline constexpr std::int64_t kInceptionWidth = 2048, kInceptionClasses = 1008;
/// Side and number of channels of the feature map that sFID uses: 17 * 17 * 7 = 2023 numbers.
inline constexpr std::int64_t kInceptionSpatialSide = 17, kInceptionSpatialChannels = 7;

/// Features of a batch of images, on the CPU.
struct InceptionFeatures {
  at::Tensor pooled;         // [B, 2048] float32, TensorFlow's pool_3
  at::Tensor spatial;        // [B, 2023] float32: channels 0..6 of mixed_6/conv, flattened from [17, 17, 7]
  at::Tensor probabilities;  // [B, 1008] float32: softmax of pool_3 times the logit weight, no bias
};

/// Convolution without bias, batch normalization and ReLU. The normalization is folded into the weight.
struct InceptionConvolution {
  std::string name;  // pytorch-fid's name: "Mixed_5b.branch5x5_1"
  std::int64_t in = 0, out = 0, kernel_height = 1, kernel_width = 1, stride = 1;
  bool padded = true;     // padding of half the kernel; otherwise none
  std::int64_t side = 0;  // side of the input map
  PackedConvolution convolution = {};
};

enum class InceptionPool { none, average, maximum, maximum_halving };

/// Path through a block: pooling, then a chain of convolutions, then the parallel convolutions of `fork`.
struct InceptionBranch {
  InceptionPool pool = InceptionPool::none;
  std::vector<InceptionConvolution> chain, fork = {};
};

/// Branches with a common input; their outputs are concatenated.
struct InceptionBlock {
  std::vector<InceptionBranch> branches;
};

/// The network with packed weights, for inference only.
class Inception {
 public:
  /// Takes weights by pytorch-fid's names: X.conv.weight, X.bn.{weight, bias, running_mean, running_var},
  /// fc.{weight, bias}. Ignores num_batches_tracked and the auxiliary head (AuxLogits.). Throws
  /// Error(invalid), with a message that begins with `where`, listing every other missing, unexpected or
  /// mismatched tensor. `dtype`: dtype of the convolutions, float32 or bfloat16. `done_with`, if given, is
  /// called for each tensor after it has been read.
  Inception(std::span<const TensorView> tensors, const std::string& where, at::Device device,
            at::ScalarType dtype, const std::function<void(const TensorView&)>& done_with = {});

  /// Whether the tensor names are those of this network.
  static bool is_named_so(std::span<const TensorView> tensors);

  /// Maps images [B, H, W, C] uint8 on the CPU, with C = 1 (repeated to RGB) or 3 and any size (see
  /// inception_input), to features on the CPU. Throws Error(invalid) for any other shape or dtype.
  InceptionFeatures operator()(const at::Tensor& images) const;

  /// Fingerprint of the weights (see identity_of).
  const std::string& identity() const { return identity_; }

 private:
  std::vector<InceptionConvolution> stem_;
  std::vector<InceptionBlock> blocks_;
  at::Tensor logits_;  // [1008, 2048]
  std::string identity_;
  at::Device device_;
  at::ScalarType dtype_;
};

}  // namespace diffit::nn
