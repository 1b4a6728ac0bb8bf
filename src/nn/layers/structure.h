// The structure of a network as data: its layers in order, with their sizes and the number of times each is
// used. Parameter names, parameter counts and costs follow from it without allocating any tensor.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nn/layers/init.h"

namespace diffit::nn {

/// One layer, or one operation without parameters that contributes to the cost. `uses` is the number of times
/// that its weight is used for one image: the number of pixels of its output.
struct LayerSpec {
  enum class Kind {
    linear,       // .weight [out, in] and, with `bias`, .bias [out]
    convolution,  // .weight [out, in, kernel, kernel], .bias [out]
    norm,         // .weight and .bias [out]
    table,        // one parameter of `out` numbers, called `name`; not part of any matrix product
    attention,    // softmax(q k^T) v with `in` channels and `keys` keys; no parameters
    elementwise,  // a result of `out` channels that is stored for the backward pass; no parameters
  };

  std::string part;  // "encoder.0": part of the network; costs are summed by part
  std::string name;  // "encoder.0.blocks.1.conv": prefix of the layer's parameters
  Kind kind = Kind::linear;
  std::int64_t in = 0, out = 0, kernel = 1;
  double uses = 1, keys = 0;
  bool bias = true;
  Initializer initializer = Initializer::xavier_uniform;  // of a layer that TimeConditioning creates

  /// Name and number of elements of each parameter, in the order of the parameter list.
  std::vector<std::pair<std::string, std::int64_t>> parameters() const;
  std::int64_t parameter_count() const;
  double layer_macs() const;      // multiply-adds of linear and convolution layers for one image
  double attention_macs() const;  // multiply-adds of q k^T and p v for one image
  double activations() const;     // numbers stored for the backward pass for one image
};

/// Collects the layers of a network in the order of its parameters.
class Structure {
 public:
  /// Starts or continues a part, to which the layers that are added next belong.
  void part(const std::string& name);

  void linear(std::string name, std::int64_t in, std::int64_t out, double uses, bool bias = true,
              Initializer initializer = Initializer::xavier_uniform);
  void convolution(std::string name, std::int64_t in, std::int64_t out, std::int64_t kernel, double pixels);
  void norm(std::string name, std::int64_t width, double pixels);
  void table(std::string name, std::int64_t numbers);
  void attention(std::string name, std::int64_t width, double queries, double keys);
  void elementwise(std::string name, std::int64_t width, double uses);

  /// Calls `describe`; the names of the layers that it adds get `prefix` and a dot in front.
  template <class Describe>
  void scope(const std::string& prefix, Describe&& describe) {
    std::string outer = scope_;
    scope_ += prefix + ".";
    describe(*this);
    scope_ = std::move(outer);
  }

  const std::vector<LayerSpec>& layers() const { return layers_; }
  /// Names of the parts, in the order in which they were first started.
  const std::vector<std::string>& parts() const { return parts_; }

 private:
  void add(LayerSpec spec);

  std::string part_, scope_;
  std::vector<LayerSpec> layers_;
  std::vector<std::string> parts_;
};

/// Cost of one part of a network. Multiply-adds and activations are for one image.
struct PartCost {
  std::string part;             // "encoder.0", "blocks", ...
  std::int64_t parameters = 0;  // includes the fixed position table
  double layer_macs = 0;        // multiply-adds of linear and convolution layers, as counted in the paper
  double attention_macs = 0;    // multiply-adds of q k^T and p v, which the paper does not count
  double activations = 0;       // numbers stored for the backward pass
};

/// Returns the cost of each part: the sum over its layers.
std::vector<PartCost> cost_of(const Structure& structure);
/// Returns the sum over all parts, as a part called "total".
PartCost total(const std::vector<PartCost>& parts);

}  // namespace diffit::nn
