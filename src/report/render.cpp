#include "report/render.h"

#include <set>

#include "base/error.h"
#include "plot/base64.h"
#include "plot/plot_svg.h"
#include "plot/scale.h"
#include "plot/templates.h"

namespace diffit::report {

namespace {

using ctemplate::TemplateDictionary;

/// Three times the natural size of a plot: 1320 pixels are 300 per inch in a column of a paper.
constexpr double kPngScale = 3;

TemplateDictionary* add_block(TemplateDictionary& parent, const char* file) {
  TemplateDictionary* block = parent.AddIncludeDictionary("BLOCK");
  block->SetFilename(file);
  return block;
}

void set_if_any(TemplateDictionary& values, const char* name, const std::string& text) {
  if (!text.empty()) values.SetValueAndShowSection(name, text, std::string("WITH_") + name);
}

void fill_table(TemplateDictionary& values, const Table& table) {
  values["TITLE"] = table.title;
  set_if_any(values, "CAPTION", table.caption);
  std::vector<bool> numbers(table.columns.size());
  for (const auto& row : table.rows) {
    DIFFIT_CHECK(row.size() == table.columns.size(), "table '{}': wanted {} cells per row, got {}",
                 table.title, table.columns.size(), row.size());
    for (std::size_t c = 0; c < row.size(); ++c) numbers[c] = numbers[c] || row[c].value.has_value();
  }
  const auto kind = [&](std::size_t c) {
    return std::string(numbers[c] ? "number" : "words") + (table.columns[c].published ? " published" : "");
  };
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    TemplateDictionary* head = values.AddSectionDictionary("HEAD");
    head->SetValue("KIND", kind(c));
    head->SetValue("TEXT", table.columns[c].head);
  }
  for (const auto& row : table.rows) {
    TemplateDictionary* line = values.AddSectionDictionary("ROW");
    for (std::size_t c = 0; c < row.size(); ++c) {
      TemplateDictionary* cell = line->AddSectionDictionary("CELL");
      TemplateDictionary* shown = cell->AddSectionDictionary(c == 0 ? "NAME" : "ENTRY");
      shown->SetValue("KIND", kind(c) + (row[c].best ? " best" : ""));
      shown->SetValue("TEXT", row[c].text.empty() ? "–" : row[c].text);
      set_if_any(*shown, "INTERVAL", row[c].interval);
    }
  }
}

void add(TemplateDictionary& parent, const Text& text) {
  TemplateDictionary* block = add_block(parent, "text.html");
  for (const std::string& paragraph : text.paragraphs)
    block->AddSectionDictionary("PARAGRAPH")->SetValue("TEXT", paragraph);
}

void add(TemplateDictionary& parent, const Code& code) {
  TemplateDictionary* block = add_block(parent, "code.html");
  TemplateDictionary* kind = block->AddSectionDictionary(code.folded ? "FOLDED" : "OPEN");
  kind->SetValue("TITLE", code.title);
  kind->SetValue("TEXT", code.text);
}

void add(TemplateDictionary& parent, const Table& table) {
  fill_table(*add_block(parent, "table.html"), table);
}

/// Table of the values of a plot, as its text alternative.
Table figures_of(const LinePlot& plot) {
  Table table{.title = "Data of the plot: " + plot.title,
              .caption = {},
              .columns = {{"series"}, {"first"}, {"last"}, {"lowest"}, {"at"}, {"highest"}},
              .rows = {}};
  for (const Series& series : plot.series) {
    const PlotPoint *first = nullptr, *last = nullptr, *low = nullptr, *high = nullptr;
    for (const PlotPoint& p : series.points) {
      if (series.faint || !can_be_shown(plot.x.scale, p.x) || !can_be_shown(plot.y.scale, p.y)) continue;
      if (first == nullptr) first = low = high = &p;
      last = &p;
      if (p.y < low->y) low = &p;
      if (p.y > high->y) high = &p;
    }
    if (first == nullptr) continue;
    const auto at = [](const PlotPoint& p) { return number(p.y, 4, p.low, p.high); };
    table.rows.push_back({words(series.label), at(*first), at(*last), at(*low), number(low->x), at(*high)});
  }
  for (const Reference& reference : plot.references)
    table.rows.push_back({words(reference.label), number(reference.y), {}, {}, {}, {}});
  return table;
}

Table figures_of(const ScatterPlot& plot) {
  Table table{.title = "Data of the plot: " + plot.title,
              .caption = {},
              .columns = {{"point"}, {plot.x.label}, {plot.y.label}},
              .rows = {}};
  for (const ScatterGroup& group : plot.groups) {
    for (const ScatterPoint& p : group.points) {
      table.rows.push_back({words(p.label.empty() ? group.label : p.label), number(p.x, 4, p.x_low, p.x_high),
                            number(p.y, 4, p.y_low, p.y_high)});
    }
  }
  return table;
}

template <class Plot>
void add_plot(TemplateDictionary& parent, const Plot& plot) {
  TemplateDictionary* figure = parent.AddSectionDictionary("PLOT");
  figure->SetValue("NAME", plot.name);
  figure->SetValue("TITLE", plot.title);
  set_if_any(*figure, "CAPTION", plot.caption);
  // The drawing has been escaped by its own template.
  figure->SetValue("SVG", plot_svg(plot, SvgUse::in_page));
  TemplateDictionary* table = figure->AddIncludeDictionary("FIGURES");
  table->SetFilename("table.html");
  fill_table(*table, figures_of(plot));
}

void fill_image(TemplateDictionary& values, const Shown& shown, std::int64_t enlarge) {
  const auto size = [&](std::int64_t side) { return std::to_string(side * enlarge); };
  values["WIDTH"] = size(shown.image.width);
  values["HEIGHT"] = size(shown.image.height);
  values["DATA"] = base64(encode_png(shown.image, 9));
  values["ALT"] = shown.alt;
  if (enlarge > 1) values.ShowSection("ENLARGED");
  set_if_any(values, "UNDER", shown.caption);
}

void add(TemplateDictionary& parent, const ImageGrid& grid) {
  TemplateDictionary* block = add_block(parent, "pictures.html");
  TemplateDictionary* frame = block->AddSectionDictionary(grid.folded ? "FOLDED" : "OPEN");
  frame->SetValue("TITLE", grid.title);
  TemplateDictionary* inner = frame->AddIncludeDictionary("GRID");
  inner->SetFilename(grid.column_heads.empty() ? "pictures_flow.html" : "pictures_table.html");
  inner->SetValue("TITLE", grid.title);
  set_if_any(*inner, "CAPTION", grid.caption);
  for (const std::string& head : grid.column_heads)
    inner->AddSectionDictionary("HEAD")->SetValue("TEXT", head);
  for (const ImageRow& row : grid.rows) {
    DIFFIT_CHECK(grid.column_heads.empty() || row.images.size() == grid.column_heads.size(),
                 "images '{}': wanted {} per row, got {}", grid.title, grid.column_heads.size(),
                 row.images.size());
    TemplateDictionary* line = inner->AddSectionDictionary("ROW");
    set_if_any(*line, "HEAD_OF_ROW", row.head);
    for (const Shown& shown : row.images)
      fill_image(*line->AddSectionDictionary("PICTURE"), shown, grid.enlarge);
  }
}

template <class T>
constexpr bool is_plot = std::is_same_v<T, LinePlot> || std::is_same_v<T, ScatterPlot>;

/// Consecutive plots are put into one block.
void fill_section(TemplateDictionary& values, const Section& section) {
  values["TITLE"] = section.title;
  TemplateDictionary* plots = nullptr;
  for (const PageBlock& block : section.blocks) {
    std::visit(
        [&]<class T>(const T& content) {
          if constexpr (is_plot<T>) {
            if (plots == nullptr) plots = add_block(values, "plots.html");
            add_plot(*plots, content);
          } else {
            plots = nullptr;
            add(values, content);
          }
        },
        block);
  }
}

template <class F>
void for_each_plot(const Page& page, const F& f) {
  std::set<std::string> names;
  for (const Section& section : page.sections) {
    for (const PageBlock& block : section.blocks) {
      std::visit(
          [&]<class T>(const T& plot) {
            if constexpr (is_plot<T>) {
              DIFFIT_CHECK(plot.name == slug(plot.name),
                           "plot '{}': wanted a name of lower-case letters, digits and '-'", plot.name);
              DIFFIT_CHECK(names.insert(plot.name).second,
                           "plot '{}': another plot of the page has this name", plot.name);
              f(plot);
            }
          },
          block);
    }
  }
}

}  // namespace

std::string render_page(const Page& page) {
  for_each_plot(page, [](const auto&) {});
  TemplateDictionary values("page");
  values["TITLE"] = page.title;
  set_if_any(values, "SUBTITLE", page.subtitle);
  set_if_any(values, "FOOTER", page.footer);
  values.AddIncludeDictionary("STYLE")->SetFilename("page.css");
  values.AddIncludeDictionary("PLOT_STYLE")->SetFilename("plot.css");
  values.AddIncludeDictionary("SCRIPT")->SetFilename("page.js");
  std::size_t index = 0;
  for (const Section& section : page.sections) {
    const std::string id = fmt::format("{}-{}", slug(section.title), ++index);
    TemplateDictionary* link = values.AddSectionDictionary("LINK");
    link->SetValue("ID", id);
    link->SetValue("TITLE", section.title);
    TemplateDictionary* shown = values.AddSectionDictionary("SECTION");
    shown->SetValue("ID", id);
    fill_section(*shown, section);
  }
  return expand("page.html", values);
}

void write_page(const Page& page, const fs::path& path) {
  write_file(path, render_page(page));
}

std::vector<fs::path> write_plots(const Page& page, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("{}: cannot be made: {}", folder.string(), error.message());
  std::vector<fs::path> written;
  const bool draws_png = png_obstacle().empty();
  for_each_plot(page, [&](const auto& plot) {
    const std::string svg = plot_svg(plot, SvgUse::alone);
    write_file(folder / (plot.name + ".svg"), svg);
    written.push_back(folder / (plot.name + ".svg"));
    if (!draws_png) return;
    const std::vector<std::byte> png = svg_to_png(svg, kPngScale);
    write_file(folder / (plot.name + ".png"), {reinterpret_cast<const char*>(png.data()), png.size()});
    written.push_back(folder / (plot.name + ".png"));
  });
  return written;
}

}  // namespace diffit::report
