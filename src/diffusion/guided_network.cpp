#include "diffusion/guided_network.h"

namespace diffit::diffusion {

GuidedNetwork::GuidedNetwork(const LevelNetwork& network, const LevelNetwork& weaker,
                             const Guidance& guidance, at::Tensor labels, std::int64_t null_label)
    : network_(network), weaker_(weaker), guidance_(guidance), labels_(std::move(labels)) {
  if (labels_.defined()) both_ = at::cat({labels_, at::full_like(labels_, null_label)});
}

NetworkOutput GuidedNetwork::operator()(const at::Tensor& x, const NoiseLevel& level) {
  const at::Tensor input = x.to(at::kFloat);
  const double scale = guidance_.scale_at(level);
  const bool counts = guidance_.on() && guidance_.counts(scale);
  evaluations_.made += counts ? 2 : 1;
  evaluations_.saved += guidance_.on() && !counts ? 1 : 0;
  if (!counts) return network_(input, level, labels_);
  NetworkOutput main;
  at::Tensor weak;
  if (weaker_) {
    main = network_(input, level, labels_);
    weak = weaker_(input, level, labels_).value;
  } else {
    const NetworkOutput halves = network_(at::cat({input, input}), level, both_);
    main.value = halves.value.chunk(2)[0];
    weak = halves.value.chunk(2)[1];
    if (halves.v.defined()) main.v = halves.v.chunk(2)[0];
  }
  return {guided(guidance_, main.value, weak, at::full({1}, scale, main.value.options())), main.v};
}

}  // namespace diffit::diffusion
