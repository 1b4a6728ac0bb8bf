#include "analysis/time_movement.h"

#include <cmath>

#include "base/error.h"
#include "diffusion/generate.h"
#include "diffusion/sample_request.h"
#include "diffusion/vp_as_ve.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/latent_model.h"

namespace diffit::analysis {

namespace {

/// Distance in pixels between every query and key of a window: [N, N].
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

/// Movement of a layer from the token of level i to those of the other levels.
Movement movement_of(const ObservedAttention& layer, const std::vector<at::Tensor>& tokens, std::size_t i) {
  // A time token among the keys is not a pixel: its key and value are excluded from k and v.
  const std::int64_t pixels = layer.window * layer.window;
  const auto of_pixels = [pixels](const at::Tensor& keys) { return keys.narrow(-2, 0, pixels); };
  const AttentionParts base = layer.parts(tokens[i]);
  const at::Tensor attention = attention_probabilities(base);
  Movement m;
  const double others = static_cast<double>(tokens.size()) - 1;
  for (std::size_t j = 0; j < tokens.size(); ++j) {
    if (j == i) continue;
    const AttentionParts moved = layer.parts(tokens[j]);
    m.attention +=
        (attention_probabilities(moved) - attention).abs().sum(-1).mean().item<double>() / (2 * others);
    m.q += relative(moved.q, base.q) / others;
    m.k += relative(of_pixels(moved.k), of_pixels(base.k)) / others;
    m.v += relative(of_pixels(moved.v), of_pixels(base.v)) / others;
  }
  const at::Tensor to_pixels = attention.narrow(-1, 0, pixels);
  const at::Tensor travelled = (to_pixels * distances(layer.window).to(attention.device())).sum(-1);
  m.reach = (travelled / to_pixels.sum(-1)).mean().item<double>();
  return m;
}

/// A model at the measured noise levels: its evaluation on noisy samples and its time token.
struct Subject {
  std::vector<double> sigmas;
  std::function<at::Tensor(double sigma)> token;
  std::function<void(const at::Tensor& noisy, double sigma)> evaluate;
  std::function<void(AttentionObserver)> observe;
};

TimeMovement measure(const Subject& subject, const at::Tensor& x, const LevelProgress& progress) {
  DIFFIT_CHECK(subject.sigmas.size() >= 2, "wanted at least two noise levels to compare, got {}",
               subject.sigmas.size());
  std::vector<at::Tensor> noise, tokens;
  for (std::int64_t i = 0; i < x.size(0); ++i)
    noise.push_back(initial_noise(static_cast<std::uint64_t>(i), x.sizes().slice(1)));
  const at::Tensor n = at::stack(noise).to(x.device());
  for (const double sigma : subject.sigmas) tokens.push_back(subject.token(sigma));

  struct Unobserved {
    const Subject& subject;
    ~Unobserved() { subject.observe({}); }
  } const at_the_end{subject};
  TimeMovement result{subject.sigmas, {}};
  for (std::size_t i = 0; i < subject.sigmas.size(); ++i) {
    std::size_t next = 0;
    subject.observe([&](const ObservedAttention& layer) {
      if (i == 0) result.layers.push_back({layer.layer, layer.window, {}});
      result.layers[next++].at.push_back(movement_of(layer, tokens, i));
    });
    subject.evaluate(x + n * subject.sigmas[i], subject.sigmas[i]);
    if (progress)
      progress(static_cast<std::int64_t>(i) + 1, static_cast<std::int64_t>(subject.sigmas.size()));
  }
  return result;
}

}  // namespace

double TimeMovement::mean_attention() const {
  double sum = 0;
  for (const LayerMovement& layer : layers) {
    for (const Movement& m : layer.at) sum += m.attention;
  }
  return sum / static_cast<double>(layers.size() * sigmas.size());
}

TimeMovement measure_time_movement(ImageDiffiT& model, const at::Tensor& x, const at::Tensor& labels,
                                   const std::vector<double>& sigmas, const LevelProgress& progress) {
  const at::NoGradGuard no_grad;
  const Condition condition{.labels = labels};
  const Parameterisation parameterisation = parameterisation_of(model.config());
  const auto levels_of = [&](double sigma) { return at::full({x.size(0)}, sigma, x.options()); };
  return measure(
      {sigmas,
       [&](double sigma) { return model.time_token(parameterisation.c_noise(levels_of(sigma)), condition); },
       [&](const at::Tensor& noisy, double sigma) {
         denoise_images(model, noisy, levels_of(sigma), condition);
       },
       [&](AttentionObserver observer) { model.observe(std::move(observer)); }},
      x, progress);
}

TimeMovement measure_time_movement(LatentDiffiT& model, const at::Tensor& x, const at::Tensor& labels,
                                   const std::vector<double>& sigmas, const LevelProgress& progress) {
  const at::NoGradGuard no_grad;
  const VpSchedule schedule = timesteps_of(parameterisation_of(model.config()).schedule);
  std::vector<double> known;
  for (const double sigma : sigmas) {
    const double nearest = schedule.sigma(nearest_step(schedule, sigma));
    if (known.empty() || known.back() != nearest) known.push_back(nearest);
  }
  const at::Tensor y =
      labels.defined() ? labels : at::full({x.size(0)}, model.config().classes, x.options().dtype(at::kLong));
  const auto t_of = [&](double sigma) {
    return at::full({x.size(0)}, static_cast<double>(nearest_step(schedule, sigma)), x.options());
  };
  return measure({known, [&](double sigma) { return model.time_token(t_of(sigma), y); },
                  [&](const at::Tensor& noisy, double sigma) {
                    model(noisy / std::sqrt(1 + sigma * sigma), t_of(sigma), y);
                  },
                  [&](AttentionObserver observer) { model.observe(std::move(observer)); }},
                 x, progress);
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

}  // namespace diffit::analysis
