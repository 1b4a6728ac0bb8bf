// The job behind diffit/attention.h.
#include "diffit/attention.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "analysis/attention_view.h"
#include "analysis/noise_error.h"
#include "base/bundled.h"
#include "base/output_check.h"
#include "diffusion/sample_request.h"
#include "io/tensors/npz.h"
#include "jobs/advance.h"
#include "jobs/attention_subject.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"

namespace diffit::jobs {

namespace {

constexpr std::size_t kKeptSamples = 16;
constexpr std::int64_t kMostLevels = 100, kMostSteps = 1000;

std::vector<float> floats(const at::Tensor& tensor) {
  const at::Tensor all = tensor.to(at::kFloat).to(at::kCPU).contiguous();
  return {all.const_data_ptr<float>(), all.const_data_ptr<float>() + all.numel()};
}

double relative_difference(const at::Tensor& changed, const at::Tensor& base) {
  const auto size = base.to(at::kDouble).norm().item<double>();
  return size > 0 ? (changed.to(at::kDouble) - base).norm().item<double>() / size : 0;
}

bool same(const Image& a, const Image& b) {
  return a.width == b.width && a.height == b.height && a.channels == b.channels && a.pixels == b.pixels;
}

void measure(const ObservedAttention& observed, const AttentionParts& parts, AttentionLayer& layer) {
  HeadMeasures heads = head_measures(parts, observed.window);
  layer.entropy = std::move(heads.entropy);
  layer.distance = std::move(heads.distance);
  layer.agreement = std::move(heads.agreement);
  layer.on_time = std::move(heads.on_time);
  const TimeShares shares = time_shares(observed);
  layer.q = shares.q;
  layer.k = shares.k;
  layer.v = shares.v;
  layer.scores = shares.scores;
  layer.measured = true;
}

}  // namespace
}  // namespace diffit::jobs

namespace diffit {

using namespace jobs;

struct AttentionModel::Impl {
  explicit Impl(const io::WeightsFile& file, const std::string& vae, const runtime::Runtime& runtime)
      : subject(file, vae, runtime) {}

  AttentionSubject subject;
  std::mutex one_at_a_time;
  // The newest samples and image, so that another pixel or noise level costs one evaluation.
  std::map<std::pair<std::uint64_t, std::int64_t>, at::Tensor> samples;
  Image image;
  at::Tensor encoded;
  // The newest images of a view.
  at::Tensor shown_clean, shown_label;
  std::uint64_t shown_seed = 0;
  double shown_sigma = 0;
  Image clean, noisy, estimate;

  const AttentionLayerInfo& layer(const std::string& name) const {
    if (name.empty()) return subject.layers().front();
    for (const AttentionLayerInfo& layer : subject.layers()) {
      if (layer.name == name) return layer;
    }
    std::vector<std::string> known;
    for (const AttentionLayerInfo& layer : subject.layers()) known.push_back(layer.name);
    base::reject("`layer`: there is no attention layer '{}'; the model has {}", name, fmt::join(known, ", "));
  }

  void check(const AttentionSpec& spec) const {
    layer(spec.layer);
    DIFFIT_CHECK(std::isfinite(spec.sigma) && spec.sigma > 0,
                 "`sigma`: wanted a finite number above 0, got {}", spec.sigma);
    DIFFIT_CHECK(spec.y >= 0 && spec.y < 1 && spec.x >= 0 && spec.x < 1,
                 "`pixel`: wanted shares of height and width from 0 to below 1, got {}, {}", spec.y, spec.x);
    const std::int64_t classes = subject.classes();
    DIFFIT_CHECK(!spec.label || classes > 0, "`label`: the model has no classes");
    DIFFIT_CHECK(!spec.label || (*spec.label >= 0 && *spec.label <= classes),
                 "`label`: wanted 0 to {} ({} is the null label), got {}", classes, classes, *spec.label);
  }

  std::int64_t class_of(const AttentionSpec& spec, const char* what) const {
    const std::int64_t classes = subject.classes();
    DIFFIT_CHECK(classes == 0 || spec.label.value_or(classes) < classes, "`label`: {} needs a class, 0 to {}",
                 what, classes - 1);
    return spec.label.value_or(0);
  }

  /// x_0, [1, C, R, R] float32 on the CPU.
  at::Tensor clean_of(const AttentionSpec& spec, Monitor& monitor) {
    if (spec.image) {
      if (!encoded.defined() || !same(image, *spec.image)) {
        encoded = subject.encode(*spec.image);
        image = *spec.image;
      }
      return encoded;
    }
    const std::pair key{spec.seed, class_of(spec, "a sample of the model's own")};
    if (const auto found = samples.find(key); found != samples.end()) return found->second;
    if (samples.size() >= kKeptSamples) samples.clear();
    return samples[key] = subject.own_sample(key.first, key.second, monitor);
  }

  at::Tensor noisy_of(const AttentionSpec& spec, const at::Tensor& x0, double sigma) const {
    return x0 + sigma * diffusion::initial_noise(spec.seed, subject.shape()).unsqueeze(0);
  }
};

const std::vector<AttentionLayerInfo>& AttentionModel::layers() const {
  return impl_->subject.layers();
}

std::int64_t AttentionModel::classes() const {
  return impl_->subject.classes();
}

double AttentionModel::sigma_min() const {
  return impl_->subject.range().least;
}

double AttentionModel::sigma_max() const {
  return impl_->subject.range().most;
}

AttentionView AttentionModel::view(const AttentionSpec& spec, Monitor* monitor) const {
  return guarded([&] {
    Impl& m = *impl_;
    const std::lock_guard lock(m.one_at_a_time);
    m.check(spec);
    const std::string chosen = m.layer(spec.layer).name;
    const at::Tensor x0 = m.clean_of(spec, monitor != nullptr ? *monitor : no_monitor());
    AttentionView view{.sigma = m.subject.level(spec.sigma)};
    const at::Tensor x = m.noisy_of(spec, x0, view.sigma), label = m.subject.labels(spec.label);
    const at::Tensor d = m.subject.denoise(x, view.sigma, label, [&](const nn::ObservedAttention& observed) {
      AttentionLayer& layer = view.layers.emplace_back();
      layer.name = observed.layer;
      const nn::AttentionParts parts = observed.parts(observed.time);
      const analysis::PixelAttention pixel =
          analysis::pixel_attention(parts, observed.window, spec.y, spec.x);
      layer.row = pixel.row;
      layer.column = pixel.column;
      layer.top = pixel.top;
      layer.left = pixel.left;
      layer.attention = floats(pixel.attention);
      if (spec.all_layers || layer.name == chosen) measure(observed, parts, layer);
      if (layer.name == chosen) {
        view.bias = floats(analysis::bias_by_offset(parts, observed.window));
        view.bias_side = 2 * observed.window - 1;
      }
    });
    // Decoding may cost more than the evaluation; another pixel has the same images.
    const bool shown = m.shown_clean.is_same(x0) && m.shown_seed == spec.seed &&
                       m.shown_sigma == view.sigma && m.shown_label.defined() == label.defined() &&
                       (!label.defined() || at::equal(m.shown_label, label));
    if (!shown) {
      m.clean = m.subject.decode(x0);
      m.noisy = m.subject.decode(x / std::sqrt(1 + view.sigma * view.sigma));
      m.estimate = m.subject.decode(d);
      m.shown_clean = x0;
      m.shown_label = label;
      m.shown_seed = spec.seed;
      m.shown_sigma = view.sigma;
    }
    view.clean = m.clean;
    view.noisy = m.noisy;
    view.estimate = m.estimate;
    return view;
  });
}

AttentionCurves AttentionModel::curves(const AttentionSpec& spec, std::int64_t levels, double sigma_min,
                                       double sigma_max, Monitor* given) const {
  return guarded([&] {
    Impl& m = *impl_;
    Monitor& monitor = given != nullptr ? *given : no_monitor();
    const std::lock_guard lock(m.one_at_a_time);
    m.check(spec);
    DIFFIT_CHECK(levels >= 2 && levels <= kMostLevels, "`levels`: wanted 2 to {}, got {}", kMostLevels,
                 levels);
    DIFFIT_CHECK(std::isfinite(sigma_max) && sigma_min > 0 && sigma_min < sigma_max,
                 "`sigma_min` and `sigma_max`: wanted 0 < `sigma_min` < `sigma_max`, got {} and {}",
                 sigma_min, sigma_max);
    const std::string chosen = m.layer(spec.layer).name;
    const at::Tensor x0 = m.clean_of(spec, monitor), label = m.subject.labels(spec.label);
    std::vector<double> sigmas = analysis::noise_levels(sigma_min, sigma_max, levels);
    std::reverse(sigmas.begin(), sigmas.end());
    AttentionCurves curves;
    for (const double wanted : sigmas) {
      const double sigma = m.subject.level(wanted);
      if (!curves.sigmas.empty() && curves.sigmas.back() == sigma) continue;
      curves.sigmas.push_back(sigma);
      std::vector<AttentionLayer>& at = curves.at.emplace_back();
      m.subject.denoise(m.noisy_of(spec, x0, sigma), sigma, label,
                        [&](const nn::ObservedAttention& observed) {
                          if (!spec.all_layers && observed.layer != chosen) return;
                          AttentionLayer& layer = at.emplace_back();
                          layer.name = observed.layer;
                          measure(observed, observed.parts(observed.time), layer);
                        });
      advance(monitor, {static_cast<std::int64_t>(curves.at.size()), levels, "noise levels"},
              "interrupted; nothing was written");
    }
    return curves;
  });
}

AttentionCounterfactual AttentionModel::counterfactual(const AttentionSpec& spec,
                                                       const AttentionChange& change, std::int64_t steps,
                                                       Monitor* given) const {
  return guarded([&] {
    Impl& m = *impl_;
    Monitor& monitor = given != nullptr ? *given : no_monitor();
    const std::lock_guard lock(m.one_at_a_time);
    m.check(spec);
    DIFFIT_CHECK(steps == 0 || (steps >= 2 && steps <= kMostSteps), "`steps`: wanted 0, or 2 to {}, got {}",
                 kMostSteps, steps);
    DIFFIT_CHECK(change.time_sigma || change.zero_bias || !change.heads_off.empty(),
                 "`change`: wanted `time_sigma`, `zero_bias` or `heads_off`, got none of them");
    DIFFIT_CHECK(!change.time_sigma || (std::isfinite(*change.time_sigma) && *change.time_sigma > 0),
                 "`time_sigma`: wanted a finite number above 0, got {}", *change.time_sigma);
    DIFFIT_CHECK(change.heads_off.empty() || !change.layer.empty(),
                 "`heads_off`: wanted the `layer` of the change, because layers differ in their heads");
    const AttentionLayerInfo& layer = m.layer(change.layer);
    for (const std::int64_t head : change.heads_off) {
      DIFFIT_CHECK(head >= 0 && head < layer.heads, "`heads_off`: {} has heads 0 to {}, got {}", layer.name,
                   layer.heads - 1, head);
    }
    const std::int64_t of_sample = steps > 0 ? m.class_of(spec, "a sample") : 0;
    const at::Tensor x0 = m.clean_of(spec, monitor), label = m.subject.labels(spec.label);
    analysis::NetworkChange made{.layer = change.layer,
                                 .time = {},
                                 .zero_bias = change.zero_bias,
                                 .heads_off = change.heads_off,
                                 .heads = layer.heads};
    if (change.time_sigma) made.time = m.subject.time_token(m.subject.level(*change.time_sigma), label);
    AttentionCounterfactual result{.sigma = m.subject.level(spec.sigma)};
    const at::Tensor x = m.noisy_of(spec, x0, result.sigma);
    const at::Tensor base = m.subject.denoise(x, result.sigma, label);
    const at::Tensor sample =
        steps > 0 ? m.subject.heun_sample(spec.seed, of_sample, steps, monitor) : at::Tensor();
    at::Tensor changed, changed_sample;
    {
      const analysis::ChangedNetwork network = m.subject.changed(made);
      changed = m.subject.denoise(x, result.sigma, label);
      if (steps > 0) changed_sample = m.subject.heun_sample(spec.seed, of_sample, steps, monitor);
    }
    result.estimate = m.subject.decode(base);
    result.changed = m.subject.decode(changed);
    result.difference = relative_difference(changed, base);
    if (steps > 0) {
      result.sample = m.subject.decode(sample);
      result.changed_sample = m.subject.decode(changed_sample);
      result.sample_difference = relative_difference(changed_sample, sample);
    }
    return result;
  });
}

void AttentionModel::write_layer(const AttentionSpec& spec, const std::string& path) const {
  guarded([&] {
    Impl& m = *impl_;
    const std::lock_guard lock(m.one_at_a_time);
    m.check(spec);
    base::check_output_file(path, "`out`");
    const AttentionLayerInfo& chosen = m.layer(spec.layer);
    const at::Tensor x0 = m.clean_of(spec, no_monitor()), label = m.subject.labels(spec.label);
    const double sigma = m.subject.level(spec.sigma);
    const at::Tensor x = m.noisy_of(spec, x0, sigma);
    std::vector<std::pair<std::string, at::Tensor>> arrays{{"x", x.select(0, 0)}};
    const at::Tensor d = m.subject.denoise(x, sigma, label, [&](const nn::ObservedAttention& observed) {
      if (observed.layer != chosen.name) return;
      const nn::AttentionParts parts = observed.parts(observed.time);
      arrays.insert(arrays.end(), {{"time", observed.time.select(0, 0)},
                                   {"q", parts.q.select(0, 0)},
                                   {"k", parts.k.select(0, 0)},
                                   {"v", parts.v.select(0, 0)},
                                   {"bias", parts.bias.select(0, 0).select(0, 0)},
                                   {"attention", nn::attention_probabilities(parts).select(0, 0)},
                                   {"bias_by_offset", analysis::bias_by_offset(parts, observed.window)}});
    });
    arrays.emplace_back("denoised", d.select(0, 0));
    io::NpzWriter file(path);
    for (const auto& [name, array] : arrays) {
      const std::vector<float> values = floats(array);
      file.add(name, io::Dtype::f32, array.sizes(), std::as_bytes(std::span(values)));
    }
    const auto add_number = [&](const char* name, io::Dtype dtype, auto value) {
      file.add(name, dtype, std::span<const std::int64_t>(), std::as_bytes(std::span(&value, 1)));
    };
    add_number("sigma", io::Dtype::f64, sigma);
    add_number("label", io::Dtype::i64, spec.label.value_or(m.subject.classes()));
    add_number("window", io::Dtype::i64, chosen.window);
    file.finish();
  });
}

AttentionModel open_attention(const std::string& path, const RuntimeOptions& options,
                              const std::string& vae) {
  return guarded([&] {
    const runtime::Runtime runtime = runtime::open_runtime(options, /*prefer_bf16=*/false, no_monitor());
    const io::WeightsFile file(base::model_path(path));
    AttentionModel opened;
    opened.impl_ = std::make_shared<AttentionModel::Impl>(file, vae, runtime);
    return opened;
  });
}

}  // namespace diffit
