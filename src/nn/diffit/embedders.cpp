#include "nn/diffit/embedders.h"

#include <cmath>

#include "kernels/ops.h"

namespace diffit::nn {

at::Tensor timestep_features(const at::Tensor& t) {
  constexpr std::int64_t kHalf = 128;
  const at::Tensor frequency = at::exp(at::arange(kHalf, at::TensorOptions(at::kFloat).device(t.device())) *
                                       (-std::log(10000.0) / kHalf));
  const at::Tensor angle = t.to(at::kFloat).unsqueeze(1) * frequency;
  return at::cat({angle.cos(), angle.sin()}, 1);
}

namespace {

/// Returns 128 frequencies f ~ N(0, 16^2), float32 on the CPU. They are the same in every model.
at::Tensor fourier_frequencies() {
  Random random(0, stream_of(Purpose::initial_weights, 0));
  return normal_tensor({128}, random) * 16;
}

at::Tensor fourier_features(const at::Tensor& t, const at::Tensor& frequencies) {
  const at::Tensor angle = t.to(frequencies.scalar_type()).unsqueeze(1) * (2 * M_PI * frequencies);
  return at::cat({angle.cos(), angle.sin()}, 1);
}

}  // namespace

TimeEmbedder::TimeEmbedder(std::int64_t width, TimeFeatures features)
    : first(256, width),
      second(width, width),
      frequencies(features == TimeFeatures::fourier ? std::optional(fourier_frequencies()) : std::nullopt) {}

at::Tensor TimeEmbedder::operator()(const at::Tensor& t) const {
  const at::Tensor features = frequencies ? fourier_features(t, *frequencies) : timestep_features(t);
  return second(at::silu(first(features.to(first.weight.scalar_type()))));
}

void TimeEmbedder::add_to(ParameterList& list, const std::string& prefix) const {
  if (frequencies) list.add(prefix + ".frequencies", *frequencies, Initializer::fixed);
  first.add_to(list, prefix + ".mlp.0", Initializer::normal_002);
  second.add_to(list, prefix + ".mlp.2", Initializer::normal_002);
}

LabelEmbedder::LabelEmbedder(std::int64_t classes, std::int64_t width)
    : table(at::empty({classes + 1, width}, at::kFloat)) {}

at::Tensor LabelEmbedder::operator()(const at::Tensor& y) const {
  return at::embedding(table, y);
}

void LabelEmbedder::add_to(ParameterList& list, const std::string& prefix) const {
  list.add(prefix + ".embedding_table.weight", table, Initializer::normal_002);
}

}  // namespace diffit::nn
