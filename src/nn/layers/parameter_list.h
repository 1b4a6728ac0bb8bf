// Named parameters of a module, in the order of the reference.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/layers/init.h"

namespace diffit::nn {

/// A named parameter of a module.
struct Parameter {
  std::string name;   // name in the reference: "blocks.0.attn.qkv.weight"
  at::Tensor tensor;  // shares storage with the module's tensor
  Initializer initializer;
  /// If set, the values of a file are passed to this function instead of being copied to `tensor`, which then
  /// only gives the shape. The argument has the dtype of the file and is valid during the call.
  std::function<void(const at::Tensor& values)> consume = {};

  bool trained() const { return initializer != Initializer::fixed && initializer != Initializer::buffer; }
};

/// Ordered list of parameters. Each module adds its own, in the order of the reference, under a prefix. The
/// order must not change, because initial weights are drawn by position.
class ParameterList {
 public:
  void add(std::string name, const at::Tensor& tensor, Initializer initializer) {
    items_.push_back({std::move(name), tensor, initializer});
  }
  /// Adds a parameter whose values are passed to `consume` instead of being copied to a tensor.
  void add(std::string name, at::IntArrayRef shape, std::function<void(const at::Tensor& values)> consume);
  const std::vector<Parameter>& items() const { return items_; }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  /// Returns the parameters that are trained.
  std::vector<Parameter> trained() const;
  /// Returns the number of elements of all parameters except buffers, as counted in papers (includes the
  /// fixed position table).
  std::int64_t count() const;

  /// Moves every parameter to a device. The modules that share the tensors move with it.
  void to(at::Device device) const;
  /// Converts every parameter except buffers to a floating point dtype. The modules convert with it.
  void to(at::ScalarType dtype) const;

 private:
  std::vector<Parameter> items_;
};

}  // namespace diffit::nn
