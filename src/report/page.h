// A page as data: sections of tables, plots, pictures, text and code. Whoever has results fills one;
// render.h makes it a self-contained HTML file, and its plots SVG and PNG files.
//
// All text is plain: it is escaped where it is put, and may hold anything.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "io/picture.h"
#include "report/plot.h"

namespace diffit {

struct Text {
  std::vector<std::string> paragraphs;
};

/// Text as it is: a configuration, a command.
struct Code {
  std::string title, text;
  bool folded = false;  // shown when its title is opened
};

/// An entry of a table: words, or a number as text with its interval.
struct Cell {
  std::string text;             // "" is drawn as a dash
  std::string interval;         // "[11.9, 12.8]", drawn smaller; may be empty
  std::optional<double> value;  // of a number
  bool best = false;            // drawn bold
};

/// A cell of words.
Cell words(std::string text);
/// A cell of a number with `digits` significant ones, and of its interval where both ends are given.
Cell number(double value, int digits = 4, std::optional<double> low = {}, std::optional<double> high = {});

struct Column {
  std::string head;
  bool published = false;  // figures of others, set apart: the paper's column
};

struct Table {
  std::string title, caption;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // each as long as columns; the first cell names the row
};

/// `text` as a name of plots and places: small letters, digits and '-'; never empty.
std::string slug(const std::string& text);

/// Marks the best of the numbers in a column. Cells that are no numbers have no part in it.
void mark_best(Table& table, std::size_t column, Better better);
/// The table as GitHub's Markdown, without its title.
std::string to_markdown(const Table& table);

struct Shown {
  Picture picture;
  std::string caption;  // may be empty
  std::string alt;      // what is seen, for those who do not see it
};

/// Pictures by rows: all of one kind beside one another, or a table with heads of rows and columns.
struct PictureRow {
  std::string head;  // may be empty
  std::vector<Shown> pictures;
};

struct PictureGrid {
  std::string title, caption;
  std::vector<std::string> column_heads = {};  // not empty: a table, one picture a column
  std::vector<PictureRow> rows = {};
  std::int64_t enlarge = 1;  // pixels of the page a pixel of the picture, where there is room
  bool folded = false;
};

using PageBlock = std::variant<Text, Code, Table, LinePlot, ScatterPlot, PictureGrid>;

struct Section {
  std::string title;
  std::vector<PageBlock> blocks;  // plots that follow one another stand side by side where there is room
};

struct Page {
  std::string title, subtitle;
  std::vector<Section> sections;
  std::string footer;
};

}  // namespace diffit
