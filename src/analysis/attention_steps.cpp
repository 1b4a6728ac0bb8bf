#include "analysis/attention_steps.h"

#include <map>

#include "base/error.h"
#include "diffusion/generate.h"
#include "diffusion/sample_request.h"
#include "nn/diffit/image_model.h"

namespace diffit::analysis {

namespace {

/// Total variation: half the sum over keys of |a - b|, averaged over queries.
double total_variation(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().sum(-1).mean().item<double>() / 2;
}

/// Records the attention probabilities of every layer during one evaluation, in order.
class Watch {
 public:
  explicit Watch(ImageDiffiT& model) : model_(model) {
    model_.observe([this](const ObservedAttention& layer) {
      names_.push_back(layer.layer);
      now_.push_back(attention_probabilities(layer.parts(layer.time)));
    });
  }
  ~Watch() { model_.observe({}); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Returns and clears the probabilities recorded during the last evaluation.
  std::vector<at::Tensor> take() {
    std::vector<at::Tensor> taken;
    taken.swap(now_);
    layers_ = std::move(names_);
    names_.clear();
    return taken;
  }
  const std::vector<std::string>& layers() const { return layers_; }

 private:
  ImageDiffiT& model_;
  std::vector<std::string> names_, layers_;
  std::vector<at::Tensor> now_;
};

}  // namespace

std::vector<LayerSteps> attention_over_steps(ImageDiffiT& model, std::int64_t count, const at::Tensor& labels,
                                             std::int64_t steps) {
  DIFFIT_CHECK(count >= 2 && steps >= 2, "attention over steps: wanted at least two images and two steps");
  const at::NoGradGuard no_grad;
  const ImageConfig& config = model.config();
  const at::Device device = model.parameters().items()[0].tensor.device();
  const std::vector<std::int64_t> shape{config.in_channels, config.resolution, config.resolution};
  std::vector<at::Tensor> starts;
  for (std::int64_t i = 0; i < count; ++i)
    starts.push_back(initial_noise(static_cast<std::uint64_t>(i), shape));
  const std::vector<double> sigmas = karras_sigmas(steps);

  Watch watch(model);
  std::vector<LayerSteps> layers;
  std::vector<at::Tensor> before;
  double last_sigma = 0;
  const Denoiser denoise = [&](const at::Tensor& x, double sigma) {
    const at::Tensor input = x.to(at::kFloat);
    const at::Tensor d =
        denoise_images(model, input, at::full({count}, sigma, input.options()), {labels, {}}).to(at::kDouble);
    std::vector<at::Tensor> now = watch.take();
    // Heun evaluates twice per step: at its start, and at the next level, where the next step starts.
    if (sigma == last_sigma) return d;
    last_sigma = sigma;
    if (layers.empty()) {
      for (const std::string& name : watch.layers()) layers.push_back({.layer = name, .at = {}});
    }
    for (std::size_t l = 0; l < now.size(); ++l) {
      layers[l].image += total_variation(now[l], now[l].roll(1, 0));
      if (!before.empty()) layers[l].at.push_back(total_variation(now[l], before[l]));
    }
    before = std::move(now);
    return d;
  };
  heun(denoise, at::stack(starts).to(device).to(at::kDouble), sigmas, {}, {});
  for (LayerSteps& layer : layers) {
    const auto pairs = static_cast<double>(layer.at.size());
    for (const double moved : layer.at) layer.step += moved / pairs;
    layer.image /= pairs + 1;
  }
  return layers;
}

}  // namespace diffit::analysis
