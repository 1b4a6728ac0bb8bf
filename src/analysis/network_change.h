// A network with one thing changed in its attention: counterfactuals.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nn/layers/observer.h"
#include "nn/layers/parameter_list.h"

namespace diffit::nn {
class ImageDiffiT;
class LatentDiffiT;
}  // namespace diffit::nn

namespace diffit::analysis {

struct NetworkChange {
  std::string layer;       // as ObservedAttention::layer; empty: every layer
  at::Tensor time;         // the block of the layer receives this token [1, time_width]; or undefined
  bool zero_bias = false;  // the table of position biases is zero
  std::vector<std::int64_t> heads_off;  // the output of these heads is zero
  std::int64_t heads = 0;               // of the layer, if `heads_off` is not empty
};

/// While it lives, the network is evaluated with the change; then it is as before, bit for bit. It changes
/// weights in place, so that no other thread may use the network, and for a change of time it takes the place
/// of the attention observer, in which the time token is replaced for the block that follows. Throws
/// Error(invalid) if the layer has no table of position biases that could be zeroed, and for a change of time
/// in DDPM++, whose blocks without attention cannot be told apart.
class ChangedNetwork {
 public:
  ChangedNetwork(ImageDiffiT& network, const NetworkChange& change);
  ChangedNetwork(LatentDiffiT& network, const NetworkChange& change);
  ~ChangedNetwork();
  ChangedNetwork(const ChangedNetwork&) = delete;
  ChangedNetwork& operator=(const ChangedNetwork&) = delete;

 private:
  template <class Network>
  void apply(Network& network, const NetworkChange& change);
  void change_weights(const ParameterList& parameters, const NetworkChange& change);
  std::vector<std::pair<at::Tensor, at::Tensor>> kept_;  // tensors and what they contained
  std::function<void()> stop_observing_;
};

}  // namespace diffit::analysis
