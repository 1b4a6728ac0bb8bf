#include "report/ablation_page.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "config/json_text.h"
#include "report/grid_files.h"

namespace diffit::report {

namespace {

std::string signed_number(double value, int digits) {
  return fmt::format("{:+.{}f}", value, digits);
}

Cell mean_cell(const std::optional<SeedMean>& m, int digits) {
  if (!m) return words("");
  return number(m->mean, digits, m->low, m->high);
}

Cell difference_cell(const std::optional<SeedMean>& m, int decimals) {
  if (!m) return words("");
  Cell cell = words(signed_number(m->mean, decimals));
  if (m->low) {
    cell.interval =
        fmt::format("[{}, {}]", signed_number(*m->low, decimals), signed_number(*m->high, decimals));
  }
  return cell;
}

/// Names the costs that are within 10% of those of the reference variant.
std::string comparable_by(const VariantResult& v) {
  const auto near = [](double ratio) { return ratio >= 0.9 && ratio <= 1.1; };
  const bool parameters = near(v.parameters_ratio), flops = near(v.flops_ratio);
  return parameters && flops ? "both" : parameters ? "parameters" : flops ? "FLOPs" : "neither";
}

std::string score_name(const AblationResults& results) {
  return results.score_label.empty() ? "score" : results.score_label;
}

std::string how(const AblationResults& results) {
  const Experiment& e = results.experiment;
  const std::string scored = results.score_label.empty()
                                 ? std::string("No scores: the runs were trained only.")
                                 : fmt::format("{} from {} samples per run, Heun's method with {} steps.",
                                               results.score_label, e.score.samples, e.score.steps);
  return fmt::format(
      "{} of {} runs finished, seeds {}. {} Brackets are 95% intervals over seeds (Student's t). Differences "
      "are relative to '{}' for equal seeds, since runs with the same seed see the same images and noise. "
      "Late loss is the mean over the last fifth of a run.",
      results.finished, results.trials, fmt::join(e.seeds, ", "), scored, e.reference);
}

/// Mean over the trials that have a value at the same number of images, with the interval over seeds.
Series over_seeds(const std::string& label,
                  const std::vector<std::vector<std::pair<double, double>>>& curves) {
  std::map<double, std::vector<double>> at;
  for (const auto& curve : curves) {
    for (const auto& [images, value] : curve) at[images].push_back(value);
  }
  Series series;
  series.label = label;
  for (const auto& [images, values] : at) {
    const SeedMean m = mean_over_seeds(values);
    PlotPoint point;
    point.x = images;
    point.y = m.mean;
    if (m.low) {
      point.low = *std::min_element(values.begin(), values.end());
      point.high = *std::max_element(values.begin(), values.end());
    }
    series.points.push_back(point);
  }
  return series;
}

LinePlot loss_plot(const AblationResults& results) {
  LinePlot plot;
  plot.name = "loss";
  plot.title = "Training loss";
  plot.caption = "Mean over seeds; the band spans the lowest to the highest value.";
  plot.x = {.label = "images", .scale = Scale::linear, .low = {}, .high = {}};
  plot.y = {.label = "EDM's loss", .scale = Scale::log, .low = {}, .high = {}};
  for (const VariantResult& v : results.variants) {
    std::vector<std::vector<std::pair<double, double>>> curves;
    for (const TrialResult& t : v.trials) curves.push_back(t.loss);
    Series series = over_seeds(v.section.label, curves);
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return plot;
}

LinePlot score_plot(const AblationResults& results) {
  LinePlot plot;
  plot.name = "score";
  plot.title = results.score_label + " while training";
  plot.caption = fmt::format(
      "Mean over seeds; the band spans the lowest to the highest value. All points but the last use {} "
      "samples, the last uses {}: fewer samples give higher values.",
      results.experiment.score.curve_samples, results.experiment.score.samples);
  plot.x = {.label = "images", .scale = Scale::linear, .low = {}, .high = {}};
  plot.y = {.label = results.score_label, .scale = Scale::log, .low = {}, .high = {}};
  for (const VariantResult& v : results.variants) {
    std::vector<std::vector<std::pair<double, double>>> curves;
    for (const TrialResult& t : v.trials) {
      auto& curve = curves.emplace_back();
      for (const Score& s : t.scores) curve.emplace_back(static_cast<double>(s.images), s.value);
    }
    Series series = over_seeds(v.section.label, curves);
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return plot;
}

ScatterPlot cost_plot(const AblationResults& results, const std::string& name, const std::string& label,
                      const std::function<double(const VariantResult&)>& cost) {
  ScatterPlot plot;
  plot.name = name;
  plot.title = score_name(results) + " against " + label;
  plot.caption =
      "One point per variant, with its interval over seeds. The line is the Pareto front: no variant is both "
      "cheaper and better than one on it.";
  plot.x = {.label = label, .scale = Scale::linear, .low = {}, .high = {}};
  plot.y = {.label = score_name(results), .scale = Scale::linear, .low = {}, .high = {}};
  plot.front = true;
  ScatterGroup group;
  group.label = "variants";
  for (const VariantResult& v : results.variants) {
    if (!v.score) continue;
    ScatterPoint point;
    point.label = v.section.label;
    point.x = cost(v);
    point.y = v.score->mean;
    point.y_low = v.score->low;
    point.y_high = v.score->high;
    group.points.push_back(point);
  }
  plot.groups.push_back(group);
  return plot;
}

Table seeds_table(const AblationResults& results) {
  Table table;
  table.title = "All runs";
  table.caption = "Brackets are 95% bootstrap intervals over the samples.";
  table.columns = {{"variant"},   {"seed"}, {"images"},  {score_name(results)},
                   {"late loss"}, {"time"}, {"images/s"}};
  for (const VariantResult& v : results.variants) {
    for (const TrialResult& t : v.trials) {
      const bool scored = t.final_score().has_value();
      table.rows.push_back(
          {words(v.section.label), words(std::to_string(t.seed)), words(std::to_string(t.images)),
           scored ? number(t.scores.back().value, 4, t.scores.back().low, t.scores.back().high) : words(""),
           t.late_loss ? number(*t.late_loss, 4) : words(""),
           words(t.seconds > 0 ? human_seconds(t.seconds) : ""),
           t.images_per_second > 0 ? number(t.images_per_second, 3) : words("")});
    }
  }
  return table;
}

/// For each variant, shows the images of the first seed that has any.
Section samples_section(const AblationResults& results) {
  GridFiles files;
  for (const VariantResult& v : results.variants) {
    const auto with = std::find_if(v.trials.begin(), v.trials.end(),
                                   [](const TrialResult& t) { return !t.samples.empty(); });
    if (with == v.trials.end()) continue;
    files.add(with->samples, 640, v.section.label,
              fmt::format("Samples of {}, training seed {}", v.section.label, with->seed));
  }
  Section section{"Samples", {}};
  std::move(files).put(section,
                       {.title = "All variants started from the same noise",
                        .caption = fmt::format("EMA weights after {} images, first seed of each variant.",
                                               results.variants.front().images)},
                       240);
  return section;
}

bool any_curve_of_scores(const AblationResults& results) {
  return std::any_of(results.variants.begin(), results.variants.end(), [](const VariantResult& v) {
    return std::any_of(v.trials.begin(), v.trials.end(),
                       [](const TrialResult& t) { return t.scores.size() > 1; });
  });
}

}  // namespace

Table ablation_table(const AblationResults& results) {
  Table table;
  table.caption = how(results);
  table.columns = {{"row"},
                   {"variant"},
                   {"paper's FID", /*published=*/true},
                   {score_name(results)},
                   {"difference"},
                   {"the paper's order"},
                   {"late loss"},
                   {"difference "}};
  for (const VariantResult& v : results.variants) {
    const bool reference = v.section.name == results.experiment.reference;
    table.rows.push_back(
        {words(v.section.row), words(v.section.label),
         v.section.published > 0 ? words(fmt::format("{:.2f}", v.section.published)) : words(""),
         mean_cell(v.score, 4), difference_cell(v.score_difference, 2),
         words(reference ? "reference" : to_text(v.verdict)), mean_cell(v.late_loss, 4),
         difference_cell(v.loss_difference, 4)});
  }
  if (!results.score_label.empty()) mark_best(table, 3, Better::lower);
  return table;
}

Table cost_table(const AblationResults& results) {
  Table table;
  table.caption =
      "GMAC of a forward pass of one image, including the matrix products of attention; rows within 10% of "
      "the reference are comparable. Images per second are from the fastest part of each run and depend on "
      "the other load of the machine.";
  table.columns = {{"variant"}, {"images"},        {"PFLOP"},  {"parameters"},
                   {"GMAC"},    {"comparable by"}, {"memory"}, {"images/s"}};
  for (const VariantResult& v : results.variants) {
    const bool reference = v.section.name == results.experiment.reference;
    const bool ran = v.images_per_second > 0;
    table.rows.push_back(
        {words(v.section.label), words(std::to_string(v.images)),
         words(fmt::format("{:.3g}", v.flops / 1e15)), words(human_count(static_cast<double>(v.parameters))),
         words(fmt::format("{:.4g}", v.macs / 1e9)), words(reference ? "reference" : comparable_by(v)),
         words(ran ? human_bytes(v.memory_bytes) : ""),
         words(ran ? fmt::format("{:.0f}", v.images_per_second) : "")});
  }
  return table;
}

std::string ablation_markdown(const AblationResults& results) {
  const Table costs = cost_table(results);
  return fmt::format("# {}\n{}\n\n{}\n\n{}\n\n{}\n\n{}", results.experiment.title,
                     results.experiment.source.empty() ? "" : "The paper: " + results.experiment.source + ".",
                     how(results), to_markdown(ablation_table(results)), costs.caption, to_markdown(costs));
}

Page ablation_page(const AblationResults& results, const std::string& command) {
  const Experiment& e = results.experiment;
  Page page;
  page.title = e.title;
  page.subtitle = e.source;
  page.sections.push_back({"Results", {ablation_table(results)}});
  Section curves{"Curves", {}};
  if (LinePlot plot = loss_plot(results); !plot.series.empty()) curves.blocks.emplace_back(std::move(plot));
  if (any_curve_of_scores(results)) curves.blocks.emplace_back(score_plot(results));
  if (!curves.blocks.empty()) page.sections.push_back(std::move(curves));
  if (Section samples = samples_section(results); !samples.blocks.empty())
    page.sections.push_back(std::move(samples));
  const bool scored = std::any_of(results.variants.begin(), results.variants.end(),
                                  [](const VariantResult& v) { return v.score.has_value(); });
  Section cost{"Cost", {cost_table(results)}};
  if (scored) {
    cost.blocks.emplace_back(cost_plot(results, "cost-macs", "GMAC per forward pass",
                                       [](const VariantResult& v) { return v.macs / 1e9; }));
    cost.blocks.emplace_back(
        cost_plot(results, "cost-parameters", "thousand parameters",
                  [](const VariantResult& v) { return static_cast<double>(v.parameters) / 1e3; }));
  }
  page.sections.push_back(std::move(cost));
  page.sections.push_back({"Trainings", {seeds_table(results)}});
  Section made{"How this was made", {}};
  if (!e.note.empty()) made.blocks.emplace_back(Text{{e.note}});
  made.blocks.emplace_back(Code{"Command", command, false});
  made.blocks.emplace_back(Code{"Experiment", json_text(write_experiment(e), 1), true});
  page.sections.push_back(std::move(made));
  return page;
}

}  // namespace diffit::report
