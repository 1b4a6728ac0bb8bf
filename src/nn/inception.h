// Inception-v3 of 2015-12-05, the network of FID, sFID and the Inception score.
//
// Szegedy et al. 2016 as frozen in TensorFlow's classify_image_graph_def.pb, 1008 classes. It differs from
// torchvision's in that average pools leave the padding out of the mean and the last block pools by maximum.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_table.h"
#include "kernels/packed_convolution.h"

namespace diffit {

inline constexpr std::int64_t kInceptionWidth = 2048, kInceptionClasses = 1008;
/// Side of the map and channels of it that sFID takes: 17 * 17 * 7 = 2023 numbers.
inline constexpr std::int64_t kInceptionSpatialSide = 17, kInceptionSpatialChannels = 7;

struct InceptionFeatures {
  at::Tensor pooled;         // [B, 2048] float32, TensorFlow's pool_3
  at::Tensor spatial;        // [B, 2023] float32: channels 0..6 of mixed_6/conv, flattened as [17, 17, 7]
  at::Tensor probabilities;  // [B, 1008] float32: softmax of pool_3 times the weight of the logits, no bias
};

/// A convolution without bias, batch normalisation and ReLU, the normalisation folded into the weight.
struct InceptionConvolution {
  std::string name;  // pytorch-fid's: "Mixed_5b.branch5x5_1"
  std::int64_t in = 0, out = 0, kernel_height = 1, kernel_width = 1, stride = 1;
  bool padded = true;     // by half the kernel; else not at all
  std::int64_t side = 0;  // of the map that comes in
  PackedConvolution convolution = {};
};

enum class InceptionPool { none, average, maximum, maximum_halving };

/// A path through a block: a pool, convolutions one after the other, then those of `fork` beside each other.
struct InceptionBranch {
  InceptionPool pool = InceptionPool::none;
  std::vector<InceptionConvolution> chain, fork = {};
};

/// Branches of one input, their results side by side.
struct InceptionBlock {
  std::vector<InceptionBranch> branches;
};

class Inception {
 public:
  /// Weights by pytorch-fid's names: X.conv.weight, X.bn.{weight, bias, running_mean, running_var},
  /// fc.{weight, bias}. num_batches_tracked and an auxiliary head (AuxLogits.) are left alone. Error(invalid)
  /// beginning with `where` lists every other tensor that does not fit. dtype: of convolutions, float32 or
  /// bfloat16. `done_with`, where given, hears of each tensor that has been taken.
  Inception(std::span<const TensorView> tensors, const std::string& where, at::Device device,
            at::ScalarType dtype, const std::function<void(const TensorView&)>& done_with = {});

  /// Whether tensors are named as this network's.
  static bool is_named_so(std::span<const TensorView> tensors);

  /// pictures [B, H, W, C] uint8 on the CPU, C 1 (repeated) or 3, of any size (inception_input). On the CPU.
  InceptionFeatures operator()(const at::Tensor& pictures) const;

  /// identity_of the weights.
  const std::string& identity() const { return identity_; }

 private:
  std::vector<InceptionConvolution> stem_;
  std::vector<InceptionBlock> blocks_;
  at::Tensor logits_;  // [1008, 2048]
  std::string identity_;
  at::Device device_;
  at::ScalarType dtype_;
};

}  // namespace diffit
