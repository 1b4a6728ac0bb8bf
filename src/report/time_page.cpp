#include "report/time_page.h"

#include "base/error.h"
#include "plot/plot_svg.h"
#include "report/render.h"
#include "report/trajectory.h"

namespace diffit::report {

namespace {

double mean(const LayerMovement& layer, double Movement::*member) {
  double sum = 0;
  for (const Movement& m : layer.at) sum += m.*member;
  return sum / static_cast<double>(layer.at.size());
}

constexpr std::size_t kLayersDrawn = 8;

LinePlot plot_of(const TimeExplanation& e, const std::string& name, const std::string& title,
                 const std::string& axis, double Movement::*member, const std::string& caption) {
  LinePlot plot;
  plot.name = name;
  plot.title = title;
  plot.caption = caption;
  plot.x = {.label = "noise level sigma", .scale = Scale::log, .low = {}, .high = {}};
  plot.y = {.label = axis, .scale = Scale::linear, .low = 0.0, .high = {}};
  for (const std::size_t l : spread(e.trained.layers.size(), kLayersDrawn)) {
    const LayerMovement& layer = e.trained.layers[l];
    Series series;
    series.label = layer.layer;
    for (std::size_t i = 0; i < layer.at.size(); ++i) {
      series.points.push_back({.x = e.trained.sigmas[i], .y = layer.at[i].*member, .low = {}, .high = {}});
    }
    plot.series.push_back(std::move(series));
  }
  Series untrained;
  untrained.label = "untrained, mean of layers";
  for (std::size_t i = 0; i < e.untrained.sigmas.size(); ++i) {
    double sum = 0;
    for (const LayerMovement& layer : e.untrained.layers) sum += layer.at[i].*member;
    untrained.points.push_back({.x = e.untrained.sigmas[i],
                                .y = sum / static_cast<double>(e.untrained.layers.size()),
                                .low = {},
                                .high = {}});
  }
  plot.series.push_back(std::move(untrained));
  return plot;
}

LinePlot attention_plot(const TimeExplanation& e) {
  return plot_of(e, "attention", "How far attention moves with the time token", "total variation",
                 &Movement::attention,
                 "The input of a layer at each noise level is combined with the time token of every other "
                 "level: the fraction of attention that moves, 0 to 1.");
}

Table table_of(const TimeExplanation& e) {
  Table table;
  table.title = "Movement with the time token, mean over noise levels: trained (untrained)";
  const std::string low = fmt::format("reach at sigma {:.3g}", e.trained.sigmas.front());
  const std::string high = fmt::format("reach at sigma {:.3g}", e.trained.sigmas.back());
  table.columns = {{"layer"}, {"window"}, {"attention"}, {"q"}, {"k"}, {"v"}, {low}, {high}};
  for (std::size_t i = 0; i < e.trained.layers.size(); ++i) {
    const LayerMovement &layer = e.trained.layers[i], &before = e.untrained.layers[i];
    const auto both = [&](double Movement::*member) {
      return words(fmt::format("{:.4f} ({:.4f})", mean(layer, member), mean(before, member)));
    };
    table.rows.push_back({words(layer.layer), words(std::to_string(layer.window)), both(&Movement::attention),
                          both(&Movement::q), both(&Movement::k), both(&Movement::v),
                          words(fmt::format("{:.2f}", layer.at.front().reach)),
                          words(fmt::format("{:.2f}", layer.at.back().reach))});
  }
  return table;
}

Page page_of(const TimeExplanation& e) {
  Page page;
  page.title = "How attention depends on time";
  page.subtitle = fmt::format("{}, on {}", e.model, e.images);
  page.sections.push_back({"Layers", {table_of(e)}});
  page.sections.push_back(
      {"By noise level",
       {attention_plot(e),
        plot_of(e, "queries", "How far queries move", "relative to their norm", &Movement::q, ""),
        plot_of(e, "keys", "How far keys move", "relative to their norm", &Movement::k, ""),
        plot_of(e, "values", "How far values move", "relative to their norm", &Movement::v, ""),
        plot_of(e, "reach", "How far attention reaches", "pixels of the layer's feature map",
                &Movement::reach,
                "Mean distance from query to key with the level's own time token. The window limits it.")}});
  return page;
}

}  // namespace

std::string time_markdown(const TimeExplanation& explanation) {
  return to_markdown(table_of(explanation));
}

void check_time_image(const fs::path& path) {
  const std::string extension = path.extension().string();
  DIFFIT_CHECK(path.empty() || extension == ".html" || extension == ".svg" || extension == ".png",
               "{}: wanted .html, .svg or .png", path.string());
  if (const std::string obstacle = extension == ".png" ? png_obstacle() : ""; !obstacle.empty())
    fail("{}: {}", path.string(), obstacle);
}

void write_time_image(const TimeExplanation& explanation, const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".html") {
    write_page(page_of(explanation), path);
    return;
  }
  const std::string svg = plot_svg(attention_plot(explanation), SvgUse::alone);
  if (extension == ".svg") {
    write_file(path, svg);
    return;
  }
  const std::vector<std::byte> png = svg_to_png(svg, 2);
  AtomicFile file(path);
  file.write(std::span(png));
  file.commit();
}

}  // namespace diffit::report
