#include "report/analysis_page.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "runtime/pch.h"

namespace diffit::report {

namespace {

const Axis kSigma{.label = "noise level sigma", .scale = Scale::log, .low = {}, .high = {}};

Section made_by(const std::string& command) {
  return {"How this was made", {Code{.title = "command", .text = command}}};
}

/// Plot to which a set belongs: one plot for sets of images, and one for each kind of corruption.
std::string group_of(const std::string& set) {
  const std::string prefix = "held-out, ";
  if (!set.starts_with(prefix)) return "sets";
  const std::string rest = set.substr(prefix.size());
  return rest.substr(0, rest.find(' '));
}

Series ratio_curve(const RobustnessRequest& request, const SetScores& set, const at::Tensor& base) {
  Series curve{.label = set.name, .points = {}};
  for (std::size_t k = 0; k < request.sigmas.size(); ++k) {
    const auto level = static_cast<std::int64_t>(k);
    const double scale = base[level].item<double>();
    const MeanInterval m = mean_interval(set.errors[level]);
    curve.points.push_back({request.sigmas[k], m.mean / scale, m.low / scale, m.high / scale});
  }
  std::reverse(curve.points.begin(), curve.points.end());
  return curve;
}

}  // namespace

Page robustness_page(const std::string& model, const RobustnessRequest& request,
                     const std::vector<SetScores>& sets, const std::string& command) {
  Page page{.title = "Inputs that " + model + " was not trained on",
            .subtitle = "Compared with " + sets.front().name,
            .sections = {},
            .footer = {}};
  const at::Tensor base = sets.front().errors.mean(1);
  const bool bits = sets.front().bits.defined();

  Table table{.title = bits ? "Bound on the likelihood" : "Sets",
              .caption = bits ? "Upper bound in bits per value, from the probability-flow ODE, with 95 % "
                                "intervals. Separation: the probability that an image of the set needs more "
                                "bits than a held-out image; at 0.5 the sets are indistinguishable."
                              : "",
              .columns = {{"set"}, {"pictures"}},
              .rows = {}};
  if (bits) table.columns.insert(table.columns.end(), {{"bits per value"}, {"separation"}});
  for (const double sigma : request.sigmas)
    table.columns.push_back({fmt::format("error, sigma {:.3g}", sigma)});
  for (const SetScores& set : sets) {
    std::vector<Cell> row{words(set.name), words(std::to_string(set.size()))};
    if (bits) {
      const MeanInterval m = mean_interval(set.bits);
      row.push_back(number(m.mean, 4, m.low, m.high));
      row.push_back(number(separation(sets.front().bits, set.bits), 3));
    }
    const at::Tensor errors = set.errors.mean(1);
    for (std::int64_t k = 0; k < errors.numel(); ++k) row.push_back(number(errors[k].item<double>(), 3));
    table.rows.push_back(row);
  }
  page.sections.push_back({"Sets", {table}});

  Section curves{"Denoising error by noise level",
                 {Text{{"Mean squared error of D(y + n; sigma), divided by that of the held-out set at the "
                        "same level; bands are 95 % intervals. Values above 1 mean that the set is harder "
                        "than the training distribution. Errors at high noise levels reflect differences in "
                        "layout, errors at low noise levels differences in texture."}}}};
  std::vector<std::string> groups;
  for (std::size_t i = 1; i < sets.size(); ++i) {
    const std::string group = group_of(sets[i].name);
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  }
  for (const std::string& group : groups) {
    LinePlot plot;
    plot.name = slug("error-" + group);
    plot.title = group;
    plot.x = kSigma;
    plot.y.label = "error / held-out error";
    plot.y.scale = Scale::log;
    plot.references = {{"held-out", 1}};
    for (std::size_t i = 1; i < sets.size(); ++i) {
      if (group_of(sets[i].name) == group) plot.series.push_back(ratio_curve(request, sets[i], base));
    }
    curves.blocks.emplace_back(plot);
  }
  page.sections.push_back(curves);
  page.sections.push_back(made_by(command));
  return page;
}

Page diagnosis_page(const Diagnosis& diagnosis, const std::string& command) {
  const auto raised = std::count_if(diagnosis.signatures.begin(), diagnosis.signatures.end(),
                                    [](const Signature& s) { return s.raised; });
  Page page{.title = "Diagnosis of " + diagnosis.model,
            .subtitle = fmt::format("{} of {} checks report a finding", raised, diagnosis.signatures.size()),
            .sections = {},
            .footer = {}};
  Table table{
      .title = "Signatures",
      .caption =
          "Values with 95 % intervals; a finding is reported if the whole interval is beyond the threshold.",
      .columns = {{"signature"}, {"value"}, {"expected"}, {"threshold"}, {"raised"}, {"measure"}},
      .rows = {}};
  Text reasons;
  for (const Signature& s : diagnosis.signatures) {
    table.rows.push_back({words(s.name), number(s.value, 3, s.low, s.high), number(s.expected, 3),
                          number(s.threshold, 3), words(s.raised ? "raised" : "no"), words(s.measure)});
    reasons.paragraphs.push_back(fmt::format("{}: {}.", s.name, s.reason));
  }
  page.sections.push_back({"Signatures", {table, reasons}});

  LinePlot plot;
  plot.name = "error-by-noise-level";
  plot.title = "Error by noise level";
  plot.caption =
      "Mean squared error per value on held-out images. The linear filter uses a single pixel and knows its "
      "mean and variance.";
  plot.x = kSigma;
  plot.y.label = "error";
  plot.y.scale = Scale::log;
  plot.series = {{.label = diagnosis.model, .points = {}}, {.label = "linear filter", .points = {}}};
  const bool paired = !diagnosis.levels.empty() && diagnosis.levels.front().rival > 0;
  if (paired) plot.series.push_back({.label = diagnosis.against, .points = {}});
  for (auto level = diagnosis.levels.rbegin(); level != diagnosis.levels.rend(); ++level) {
    plot.series[0].points.push_back({level->sigma, level->error, {}, {}});
    plot.series[1].points.push_back({level->sigma, level->linear, {}, {}});
    if (paired) plot.series[2].points.push_back({level->sigma, level->rival, {}, {}});
  }
  page.sections.push_back({"Distribution of the error over the image", {plot}});
  page.sections.push_back(made_by(command));
  return page;
}

}  // namespace diffit::report
