#include "analysis/robustness.h"

#include <algorithm>
#include <cmath>

#include "analysis/likelihood.h"
#include "analysis/noise_error.h"
#include "base/error.h"
#include "runtime/pch.h"

namespace diffit::analysis {

namespace {

at::Tensor bits_of(const Denoiser& denoise, const at::Tensor& y, const RobustnessRequest& request,
                   std::int64_t first) {
  if (request.levels) return bits_a_number(denoise, y, request.likelihood_sigmas, request.seed, first);
  const auto numbers = static_cast<double>(y.numel()) / static_cast<double>(y.size(0));
  return -log_density(denoise, y, request.likelihood_sigmas, request.seed, first) / (numbers * std::log(2.0));
}

Json as_json(const MeanInterval& interval) {
  return {{"mean", interval.mean}, {"low", interval.low}, {"high", interval.high}};
}

}  // namespace

SetScores score_set(const Denoiser& denoise, const std::string& name, const at::Tensor& y,
                    const RobustnessRequest& request, const ScoreProgress& progress) {
  const std::int64_t count = y.size(0);
  std::vector<at::Tensor> errors, bits;
  for (std::int64_t first = 0; first < count; first += request.batch) {
    const at::Tensor batch = y.narrow(0, first, std::min(request.batch, count - first));
    errors.push_back(noise_errors(denoise, batch, request.sigmas, request.seed, first, request.batch));
    if (!request.likelihood_sigmas.empty()) bits.push_back(bits_of(denoise, batch, request, first));
    if (progress) progress(static_cast<double>(first + batch.size(0)) / static_cast<double>(count));
  }
  SetScores scores{name, at::cat(errors, 1), bits.empty() ? at::Tensor() : at::cat(bits)};
  const bool finite = at::isfinite(scores.errors).all().item<bool>() &&
                      (!scores.bits.defined() || at::isfinite(scores.bits).all().item<bool>());
  if (!finite) fail("{}: error or likelihood is not finite; try `dtype` f32", name);
  return scores;
}

MeanInterval mean_interval(const at::Tensor& values) {
  const double mean = values.mean().item<double>();
  if (values.numel() < 2) return {mean, mean, mean};
  const double error = values.std().item<double>() / std::sqrt(static_cast<double>(values.numel()));
  return {mean, mean - 1.96 * error, mean + 1.96 * error};
}

double separation(const at::Tensor& held_out, const at::Tensor& other) {
  const at::Tensor sorted = std::get<0>(held_out.sort());
  const at::Tensor below = at::searchsorted(sorted, other),
                   up_to = at::searchsorted(sorted, other, false, true);
  const auto pairs = static_cast<double>(held_out.numel()) * static_cast<double>(other.numel());
  return 0.5 * (below + up_to).sum().item<double>() / pairs;
}

Json robustness_json(const RobustnessRequest& request, const std::vector<SetScores>& sets) {
  Json rows = Json::array();
  for (const SetScores& set : sets) {
    Json row = {{"name", set.name}, {"pictures", set.size()}, {"error", Json::array()}};
    for (std::size_t k = 0; k < request.sigmas.size(); ++k) {
      Json level = as_json(mean_interval(set.errors[static_cast<std::int64_t>(k)]));
      level["sigma"] = request.sigmas[k];
      row["error"].push_back(level);
    }
    if (set.bits.defined()) {
      row["bits"] = as_json(mean_interval(set.bits));
      row["separation"] = separation(sets.front().bits, set.bits);
    }
    rows.push_back(row);
  }
  return {{"sigmas", request.sigmas}, {"sets", rows}};
}

}  // namespace diffit::analysis
