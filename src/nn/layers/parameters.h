// Named parameters of a module, their initialization, and the basic layers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"

namespace diffit::nn {

/// Initializer of a parameter. Follows the released code where that defines it; the image model's is our
/// own.
enum class Start {
  zero,
  one,
  xavier_uniform,  // linear and convolution weights: bound sqrt(6 / (fan_in + fan_out))
  normal_002,      // label table and time MLP: normal with standard deviation 0.02
  truncated_002,   // bias table: normal with standard deviation 0.02, truncated at two standard deviations
  fixed,           // computed by its module and not trained (position table)
  buffer,          // int64 index: written to files and checked, not trained
};

/// A named parameter of a module.
struct Parameter {
  std::string name;   // name in the reference: "blocks.0.attn.qkv.weight"
  at::Tensor tensor;  // shares storage with the module's tensor
  Start start;
  /// If set, the values of a file are passed to this function instead of being copied to `tensor`, which then
  /// only gives the shape. The argument has the dtype of the file and is valid during the call.
  std::function<void(const at::Tensor& values)> take = {};

  bool trained() const { return start != Start::fixed && start != Start::buffer; }
};

/// Ordered list of parameters. Each module adds its own, in the order of the reference, under a prefix.
class ParameterList {
 public:
  void add(std::string name, const at::Tensor& tensor, Start start) {
    items_.push_back({std::move(name), tensor, start});
  }
  /// Adds a parameter whose values go to `take` instead of a tensor.
  void add(std::string name, at::IntArrayRef shape, std::function<void(const at::Tensor& values)> take);
  const std::vector<Parameter>& items() const { return items_; }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  /// Parameters that are trained.
  std::vector<Parameter> trained() const;
  /// Number of elements of all parameters except buffers, as counted in papers (includes the fixed position
  /// table).
  std::int64_t count() const;

 private:
  std::vector<Parameter> items_;
};

/// Initializes every trained parameter. The values depend only on the seed and the position in the list.
void initialise(const ParameterList& parameters, std::uint64_t seed);

/// Returns standard normal numbers of that shape, float32 on the CPU, drawn in row-major order.
at::Tensor normal_tensor(at::IntArrayRef shape, Random& random);

/// y = x W^T + b.
struct Linear {
  at::Tensor weight, bias;  // [out, in], [out] or undefined

  Linear() = default;
  Linear(std::int64_t in, std::int64_t out, bool with_bias = true);
  /// x [..., in] -> [..., out].
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix, Start start = Start::xavier_uniform) const;
};

/// Group normalization of a map [B, H, W, width] with affine parameters.
struct GroupNorm {
  at::Tensor weight, bias;  // [width]
  std::int64_t groups = 1;
  double eps = 1e-5;

  GroupNorm() = default;
  GroupNorm(std::int64_t width, std::int64_t groups, double eps);
  /// Applies the normalization, followed by SiLU if `silu`. Keeps the shape.
  at::Tensor operator()(const at::Tensor& x, bool silu) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// k x k convolution of a map [B, H, W, in] with padding k / 2. The weight is stored channels-last.
struct Conv2d {
  at::Tensor weight, bias;  // [out, in, k, k], [out]
  std::int64_t stride = 1;

  Conv2d() = default;
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1);
  /// x [B, H, W, in] -> [B, H / stride, W / stride, out], rounded up.
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix, Start start = Start::xavier_uniform) const;
};

}  // namespace diffit::nn
