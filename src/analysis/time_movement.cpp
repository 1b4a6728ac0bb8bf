#include "analysis/time_movement.h"

#include "base/error.h"
#include "diffusion/generate.h"
#include "diffusion/sample_request.h"
#include "nn/image_model.h"

namespace diffit {

namespace {

/// Distance in pixels of every key from every query of a window: [N, N].
at::Tensor distances(std::int64_t window) {
  const at::Tensor position = at::arange(window * window, at::kLong);
  const at::Tensor y = at::floor_divide(position, window).to(at::kFloat);
  const at::Tensor x = at::remainder(position, window).to(at::kFloat);
  return ((y.unsqueeze(1) - y).square() + (x.unsqueeze(1) - x).square()).sqrt();
}

double relative(const at::Tensor& moved, const at::Tensor& base) {
  const auto size = base.norm().item<double>();
  return size > 0 ? (moved - base).norm().item<double>() / size : 0;
}

/// Of a layer with input map h, at the token of level i against those of the others.
Movement movement_of(const ResBlock& res, const at::Tensor& h, const std::vector<at::Tensor>& tokens,
                     std::size_t i) {
  const auto parts_at = [&](const at::Tensor& token) {
    return res.block.attn.parts(res.block.attention_input(h, token), token);
  };
  // A time token among the keys is no pixel: its own key and value are no part of k and v.
  const std::int64_t pixels = res.block.attn.window * res.block.attn.window;
  const auto of_pixels = [pixels](const at::Tensor& keys) { return keys.narrow(-2, 0, pixels); };
  const AttentionParts base = parts_at(tokens[i]);
  const at::Tensor attention = attention_probabilities(base);
  Movement m;
  const double others = static_cast<double>(tokens.size()) - 1;
  for (std::size_t j = 0; j < tokens.size(); ++j) {
    if (j == i) continue;
    const AttentionParts moved = parts_at(tokens[j]);
    m.attention +=
        (attention_probabilities(moved) - attention).abs().sum(-1).mean().item<double>() / (2 * others);
    m.q += relative(moved.q, base.q) / others;
    m.k += relative(of_pixels(moved.k), of_pixels(base.k)) / others;
    m.v += relative(of_pixels(moved.v), of_pixels(base.v)) / others;
  }
  const at::Tensor to_pixels = attention.narrow(-1, 0, pixels);
  const at::Tensor travelled = (to_pixels * distances(res.block.attn.window).to(attention.device())).sum(-1);
  m.reach = (travelled / to_pixels.sum(-1)).mean().item<double>();
  return m;
}

}  // namespace

double TimeMovement::mean_attention() const {
  double sum = 0;
  for (const LayerMovement& layer : layers) {
    for (const Movement& m : layer.at) sum += m.attention;
  }
  return sum / static_cast<double>(layers.size() * sigmas.size());
}

TimeMovement measure_time_movement(ImageDiffiT& model, const at::Tensor& pictures, const at::Tensor& labels,
                                   const std::vector<double>& sigmas) {
  DIFFIT_CHECK(sigmas.size() >= 2, "wanted at least two noise levels to compare, got {}", sigmas.size());
  const at::NoGradGuard no_grad;
  const Condition condition{labels, {}};
  const std::int64_t count = pictures.size(0);
  at::Tensor noise = at::empty(pictures.sizes(), at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    noise[i].copy_(initial_noise(static_cast<std::uint64_t>(i), pictures.sizes().slice(1)));
  }
  noise = noise.to(pictures.device());
  const Preconditioning preconditioning = preconditioning_of(model.config());
  const auto levels_of = [&](double sigma) {
    return at::full({count}, sigma, at::TensorOptions(at::kFloat).device(pictures.device()));
  };
  std::vector<at::Tensor> tokens;
  for (const double sigma : sigmas) {
    tokens.push_back(model.time_token(preconditioning.c_noise(levels_of(sigma)), condition));
  }

  TimeMovement result{sigmas, {}};
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    model.observe(
        [&](const std::string& name, const ResBlock& res, const at::Tensor& x, const at::Tensor& time) {
          if (i == 0) result.layers.push_back({name, res.block.attn.window, {}});
          for (LayerMovement& layer : result.layers) {
            if (layer.layer == name) layer.at.push_back(movement_of(res, res.convolved(x, time), tokens, i));
          }
        });
    const at::Tensor noisy = pictures + noise * sigmas[i];
    denoised([&](const at::Tensor& x, const at::Tensor& c_noise) { return model(x, c_noise, condition); },
             preconditioning, noisy, levels_of(sigmas[i]));
  }
  model.observe({});
  return result;
}

Json to_json(const TimeMovement& movement) {
  Json object = {{"sigmas", movement.sigmas}, {"layers", Json::array()}};
  for (const LayerMovement& layer : movement.layers) {
    Json row = {{"layer", layer.layer}, {"window", layer.window}};
    const auto list = [&](const char* name, double Movement::*member) {
      row[name] = Json::array();
      for (const Movement& m : layer.at) row[name].push_back(m.*member);
    };
    list("attention", &Movement::attention);
    list("q", &Movement::q);
    list("k", &Movement::k);
    list("v", &Movement::v);
    list("reach", &Movement::reach);
    object["layers"].push_back(row);
  }
  object["mean_attention"] = movement.mean_attention();
  return object;
}

}  // namespace diffit
