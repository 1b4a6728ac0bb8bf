// Parameters by name: what a module owns, and how it starts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"

namespace diffit {

/// How a parameter starts (released code where it says; for the image model, ours).
enum class Start {
  zero,
  one,
  xavier_uniform,  // linear and convolution weights: bound sqrt(6 / (fan_in + fan_out))
  normal_002,      // label table and time MLP: normal, deviation 0.02
  truncated_002,   // bias table: normal, deviation 0.02, cut at two deviations
  fixed,           // computed by its module, not trained (position table)
  buffer,          // int64 index, written to files and checked, not trained
};

struct Parameter {
  std::string name;   // "blocks.0.attn.qkv.weight": the reference's
  at::Tensor tensor;  // shares storage with the module's own
  Start start;
  /// Set where a file's values are not to be copied into `tensor`, which then has the shape alone: called
  /// with a tensor of the file's type that is valid during the call.
  std::function<void(const at::Tensor& values)> take = {};

  bool trained() const { return start != Start::fixed && start != Start::buffer; }
};

/// A module adds its parameters, in the reference's order, to this list under a prefix.
class ParameterList {
 public:
  void add(std::string name, const at::Tensor& tensor, Start start) {
    items_.push_back({std::move(name), tensor, start});
  }
  /// A parameter that is not kept as a tensor.
  void add(std::string name, at::IntArrayRef shape, std::function<void(const at::Tensor& values)> take);
  const std::vector<Parameter>& items() const { return items_; }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  /// Those that are trained.
  std::vector<Parameter> trained() const;
  /// Numbers in all but the buffers: what papers call parameters (the fixed position table included).
  std::int64_t count() const;

 private:
  std::vector<Parameter> items_;
};

/// Fills every trained parameter with its start, a function of (seed, position in the list) alone.
void initialise(const ParameterList& parameters, std::uint64_t seed);

/// Standard normals of that shape, float32, on the CPU, in row-major order.
at::Tensor normal_tensor(at::IntArrayRef shape, Random& random);

/// y = x W^T + b.
struct Linear {
  at::Tensor weight, bias;  // [out, in], [out] or undefined

  Linear() = default;
  Linear(std::int64_t in, std::int64_t out, bool with_bias = true);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix, Start start = Start::xavier_uniform) const;
};

/// Of a map [B, H, W, width], with affine.
struct GroupNorm {
  at::Tensor weight, bias;  // [width]
  std::int64_t groups = 1;
  double eps = 1e-5;

  GroupNorm() = default;
  GroupNorm(std::int64_t width, std::int64_t groups, double eps);
  /// Then SiLU, where `silu`.
  at::Tensor operator()(const at::Tensor& x, bool silu) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// k x k convolution of a map [B, H, W, in] with padding k / 2; the weight lies channels-last.
struct Conv2d {
  at::Tensor weight, bias;  // [out, in, k, k], [out]
  std::int64_t stride = 1;

  Conv2d() = default;
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix, Start start = Start::xavier_uniform) const;
};

}  // namespace diffit
