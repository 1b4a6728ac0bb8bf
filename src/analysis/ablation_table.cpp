#include "analysis/ablation_table.h"

#include "base/text.h"

namespace diffit {

namespace {

std::string with_interval(const std::optional<SeedMean>& m, int digits, bool sign = false) {
  if (!m) return "-";
  const auto plain = [digits, sign](double v) {
    return sign ? fmt::format("{:+.{}f}", v, digits) : fmt::format("{:.{}f}", v, digits);
  };
  if (!m->low) return plain(m->mean);
  return fmt::format("{} [{}, {}]", plain(m->mean), plain(*m->low), plain(*m->high));
}

std::string comparable_by(const VariantResult& v) {
  const auto near = [](double ratio) { return ratio >= 0.9 && ratio <= 1.1; };
  const bool parameters = near(v.parameters_ratio), flops = near(v.flops_ratio);
  return parameters && flops ? "both" : parameters ? "parameters" : flops ? "FLOPs" : "neither";
}

}  // namespace

std::string markdown_of(const AblationResults& results) {
  const std::string score = results.score_label.empty() ? "score" : results.score_label;
  const Experiment& e = results.experiment;
  std::string text = fmt::format("{}\n\n", e.title);
  text += fmt::format(
      "{} of {} trainings finished; seeds {}; intervals are 95%, over seeds by Student's t. Differences are "
      "to "
      "'{}', seed by seed. Late loss: the mean over the last fifth of a training.\n\n",
      results.finished, results.trials, fmt::join(e.seeds, ", "), e.reference);
  text += fmt::format(
      "| row | variant | paper's FID | {} | difference | the paper's order | late loss | difference | images "
      "| "
      "parameters | GMAC | comparable by | memory | images/s |\n",
      score);
  text += "| --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |\n";
  for (const VariantResult& v : results.variants) {
    const bool reference = v.section.name == e.reference;
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.4f} | {} | {} | {} |\n", v.section.row,
        v.section.label, v.section.published > 0 ? fmt::format("{:.2f}", v.section.published) : "-",
        with_interval(v.score, 2), with_interval(v.score_difference, 2, true),
        reference ? "" : to_text(v.verdict), with_interval(v.late_loss, 4),
        with_interval(v.loss_difference, 4, true), v.images, human_count(static_cast<double>(v.parameters)),
        v.macs / 1e9, reference ? "" : comparable_by(v),
        v.memory_bytes > 0 ? human_bytes(v.memory_bytes) : "-",
        v.images_per_second > 0 ? fmt::format("{:.0f}", v.images_per_second) : "-");
  }
  return text;
}

}  // namespace diffit
