// Page as data: sections of tables, plots, images, text and code. render.h writes it as a self-contained HTML
// file and its plots as SVG and PNG files.
//
// All text is plain and may contain any characters; it is escaped when it is rendered.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "io/images/image.h"
#include "plot/plot.h"

namespace diffit::report {

/// Paragraphs of text.
struct Text {
  std::vector<std::string> paragraphs;
};

/// Preformatted text: a configuration or a command.
struct Code {
  std::string title, text;
  bool folded = false;  // collapsed until its title is clicked
};

/// Entry of a table: text, or a number with its interval.
struct Cell {
  std::string text;             // "" is shown as a dash
  std::string interval;         // "[11.9, 12.8]", shown smaller; may be empty
  std::optional<double> value;  // set if the cell is a number
  bool best = false;            // shown in bold
};

/// Returns a cell with text.
Cell words(std::string text);
/// Returns a cell with a number with `digits` significant digits, and its interval if both ends are given.
Cell number(double value, int digits = 4, std::optional<double> low = {}, std::optional<double> high = {});

struct Column {
  std::string head;
  bool published = false;  // shown apart from our values: the column of the paper
};

/// Table with a head row.
struct Table {
  std::string title, caption;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // one cell per column; the first cell names the row
};

/// Converts `text` to a name for plots and anchors: lower-case letters, digits and '-'; never empty.
std::string slug(const std::string& text);

/// Marks the best number in a column. Cells that are not numbers are ignored.
void mark_best(Table& table, std::size_t column, Better better);
/// Formats the table as GitHub-flavored Markdown, without its title.
std::string to_markdown(const Table& table);

/// Image with its caption.
struct Shown {
  Image image;
  std::string caption;  // may be empty
  std::string alt;      // text alternative of the image
};

/// Row of images: one of several rows of a plain grid, or of a table with row and column heads.
struct ImageRow {
  std::string head;  // may be empty
  std::vector<Shown> images;
};

/// Grid of images.
struct ImageGrid {
  std::string title, caption;
  std::vector<std::string> column_heads = {};  // if not empty, a table with one image per column
  std::vector<ImageRow> rows = {};
  std::int64_t enlarge = 1;  // page pixels per image pixel, if there is room
  bool folded = false;
};

using PageBlock = std::variant<Text, Code, Table, LinePlot, ScatterPlot, ImageGrid>;

/// Section of a page.
struct Section {
  std::string title;
  std::vector<PageBlock> blocks;  // consecutive plots are placed side by side if there is room
};

struct Page {
  std::string title, subtitle;
  std::vector<Section> sections;
  std::string footer;
};

}  // namespace diffit::report
