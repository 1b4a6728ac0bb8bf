#include "analysis/diagnosis.h"

#include <algorithm>
#include <cmath>

#include "runtime/pch.h"

namespace diffit::analysis {

namespace {

/// mean(a) / mean(b) of paired values, with its 95 % confidence interval (delta method).
struct Ratio {
  double value = 0, low = 0, high = 0;
};
Ratio paired_ratio(const at::Tensor& a, const at::Tensor& b) {
  const double mean_b = b.mean().item<double>(), value = a.mean().item<double>() / mean_b;
  if (a.numel() < 2) return {value, value, value};
  const double deviation = (a - value * b).std().item<double>() / mean_b;
  const double reach = 1.96 * deviation / std::sqrt(static_cast<double>(a.numel()));
  return {value, value - reach, value + reach};
}

const LevelError& worst(const std::vector<LevelError>& levels, double LevelError::*key) {
  return *std::max_element(levels.begin(), levels.end(),
                           [key](const LevelError& a, const LevelError& b) { return a.*key < b.*key; });
}

/// The threshold is five times the fraction expected for real images.
Signature signature_of_share(const Share& share) {
  Signature s;
  s.value = share.value;
  s.low = share.low;
  s.high = share.high;
  s.expected = share.expected;
  s.threshold = 5 * share.expected;
  s.raised = s.low > s.threshold;
  return s;
}

}  // namespace

std::vector<double> linear_errors(const at::Tensor& y, const std::vector<double>& sigmas) {
  const at::Tensor variance = y.to(at::kDouble).var(0, /*unbiased=*/false);
  std::vector<double> errors;
  for (const double sigma : sigmas) {
    const double noise = sigma * sigma;
    errors.push_back((noise * variance / (noise + variance)).mean().item<double>());
  }
  return errors;
}

std::vector<LevelError> compare_levels(const std::vector<double>& sigmas, const at::Tensor& errors,
                                       const std::vector<double>& linear, const at::Tensor& rival) {
  std::vector<LevelError> levels;
  for (std::size_t k = 0; k < sigmas.size(); ++k) {
    const at::Tensor mine = errors[static_cast<std::int64_t>(k)];
    LevelError level{.sigma = sigmas[k], .error = mine.mean().item<double>(), .linear = linear[k]};
    const Ratio share = paired_ratio(mine, at::full_like(mine, linear[k]));
    level.share = share.value, level.share_low = share.low, level.share_high = share.high;
    if (rival.defined()) {
      const at::Tensor theirs = rival[static_cast<std::int64_t>(k)];
      const Ratio ratio = paired_ratio(mine, theirs);
      level.rival = theirs.mean().item<double>();
      level.ratio = ratio.value, level.ratio_low = ratio.low, level.ratio_high = ratio.high;
    }
    levels.push_back(level);
  }
  return levels;
}

std::vector<Signature> signatures_of_levels(const std::vector<LevelError>& levels) {
  const LevelError& linear = worst(levels, &LevelError::share_low);
  std::vector<Signature> all{
      {.name = "denoises worse than a linear filter",
       .value = linear.share,
       .low = linear.share_low,
       .high = linear.share_high,
       .expected = 0,
       .threshold = 1,
       .raised = linear.share_low > 1,
       .measure = fmt::format("error relative to that of the best single-pixel filter, at sigma {:.3g}",
                              linear.sigma),
       .reason = "a network that sees the whole image should not be worse than a single-pixel filter: the "
                 "implementation, the preconditioning or the training noise levels do not fit this sigma"}};
  if (levels.front().rival > 0) {
    const LevelError& level = worst(levels, &LevelError::ratio_low);
    all.push_back(
        {.name = "worse than the other model at some noise level",
         .value = level.ratio,
         .low = level.ratio_low,
         .high = level.ratio_high,
         .expected = 1,
         .threshold = 1.05,
         .raised = level.ratio_low > 1.05,
         .measure = fmt::format("error relative to the other model's, at sigma {:.3g}", level.sigma),
         .reason = "5 % more error at one level is more than the difference between two runs of the same "
                   "recipe: high sigma affects the layout, medium sigma shapes, low sigma texture"});
  }
  return all;
}

Signature signature_of_duplicates(const Share& share) {
  Signature s = signature_of_share(share);
  s.name = "near-duplicates among the samples";
  s.measure =
      "fraction of samples closer to another sample than 99 % of real images are to another real image";
  s.reason =
      "real images give 1 % by construction; five times as much indicates collapse: too little initial "
      "noise, too much guidance, or too long a training on too few images";
  return s;
}

Signature signature_of_copies(const Share& share) {
  Signature s = signature_of_share(share);
  s.name = "copies of training images";
  s.measure = "fraction of samples closer to a training image than 99 % of held-out images are";
  s.reason = "held-out images give 1 % by construction; five times as much indicates memorization";
  return s;
}

Signature signature_of_diversity(const std::vector<ClassDiversity>& classes) {
  Signature s{.name = "a class without variety",
              .expected = 1,
              .threshold = 0.7,
              .reason =
                  "less than 70 % of the variance of real images is less than any deliberate truncation "
                  "gives: guidance is too strong, or the class is too rare in the training data"};
  if (classes.empty()) {
    s.value = s.low = s.high = 1;
    s.measure = "no class has two images in both sets";
    return s;
  }
  const ClassDiversity& least =
      *std::min_element(classes.begin(), classes.end(),
                        [](const ClassDiversity& a, const ClassDiversity& b) { return a.high < b.high; });
  s.value = least.ratio, s.low = least.low, s.high = least.high;
  s.raised = least.high < s.threshold;
  s.measure = fmt::format("variance of features relative to that of real images, class {}", least.label);
  return s;
}

Signature signature_of_steps(const std::vector<LayerSteps>& layers) {
  const LayerSteps& worst_layer =
      *std::max_element(layers.begin(), layers.end(),
                        [](const LayerSteps& a, const LayerSteps& b) { return a.ratio() < b.ratio(); });
  Signature s{.name = "attention inconsistent over time",
              .expected = 0.3,
              .threshold = 1,
              .reason =
                  "an image hardly changes from one denoising step to the next: attention that changes more "
                  "between steps than between two images follows only the time token, or noise"};
  s.value = s.low = s.high = worst_layer.ratio();
  s.raised = s.value > s.threshold;
  s.measure = fmt::format(
      "total variation of attention between steps relative to that between images, {} ({:.3f} over {:.3f})",
      worst_layer.layer, worst_layer.step, worst_layer.image);
  return s;
}

Json as_json(const Diagnosis& diagnosis) {
  Json levels = Json::array(), signatures = Json::array();
  for (const LevelError& l : diagnosis.levels) {
    Json row = {{"sigma", l.sigma},
                {"error", l.error},
                {"linear", l.linear},
                {"share", {{"value", l.share}, {"low", l.share_low}, {"high", l.share_high}}}};
    if (l.rival > 0) {
      row["against"] = l.rival;
      row["ratio"] = {{"value", l.ratio}, {"low", l.ratio_low}, {"high", l.ratio_high}};
    }
    levels.push_back(row);
  }
  std::int64_t raised = 0;
  for (const Signature& s : diagnosis.signatures) {
    raised += s.raised ? 1 : 0;
    signatures.push_back({{"name", s.name},
                          {"value", s.value},
                          {"low", s.low},
                          {"high", s.high},
                          {"expected", s.expected},
                          {"threshold", s.threshold},
                          {"raised", s.raised},
                          {"measure", s.measure},
                          {"reason", s.reason}});
  }
  Json object = {{"model", diagnosis.model},
                 {"data", diagnosis.data},
                 {"levels", levels},
                 {"signatures", signatures},
                 {"raised", raised}};
  if (!diagnosis.against.empty()) object["against"] = diagnosis.against;
  return object;
}

std::string as_text(const Diagnosis& diagnosis) {
  const bool paired = !diagnosis.levels.empty() && diagnosis.levels.front().rival > 0;
  std::string text = fmt::format("{:>9}{:>12}{:>16}{:>8}{}\n", "sigma", "error", "linear filter", "share",
                                 paired ? fmt::format("{:>12}{:>8}", "other", "ratio") : "");
  for (const LevelError& l : diagnosis.levels) {
    text += fmt::format("{:>9.3g}{:>12.4g}{:>16.4g}{:>8.3f}", l.sigma, l.error, l.linear, l.share);
    if (paired)
      text += fmt::format("{:>12.4g}{:>8.3f}  [{:.3f}, {:.3f}]", l.rival, l.ratio, l.ratio_low, l.ratio_high);
    text += "\n";
  }
  text += "\n";
  for (const Signature& s : diagnosis.signatures) {
    text +=
        fmt::format("{:<9}{}: {:.3g} [{:.3g}, {:.3g}], expected {:.3g}, threshold {:.3g}\n",
                    s.raised ? "RAISED" : "fine", s.name, s.value, s.low, s.high, s.expected, s.threshold);
    text += fmt::format("         {}\n", s.measure);
    if (s.raised) text += fmt::format("         {}\n", s.reason);
  }
  return text;
}

}  // namespace diffit::analysis
