#include "report/page.h"

#include <fmt/format.h>

#include <cmath>

#include "base/utf8.h"
#include "plot/scale.h"

namespace diffit::report {

Cell words(std::string text) {
  return {.text = std::move(text), .interval = {}, .value = {}, .best = false};
}

Cell number(double value, int digits, std::optional<double> low, std::optional<double> high) {
  Cell cell{.text = figure(value, digits), .interval = {}, .value = value, .best = false};
  if (low && high) cell.interval = fmt::format("[{}, {}]", figure(*low, digits), figure(*high, digits));
  return cell;
}

std::string slug(const std::string& text) {
  std::string name;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      name += c;
    } else if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c - 'A' + 'a');
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "x" : name.substr(0, 80);
}

void mark_best(Table& table, std::size_t column, Better better) {
  const double sign = better == Better::lower ? 1 : -1;
  Cell* best = nullptr;
  for (std::vector<Cell>& row : table.rows) {
    Cell& cell = row.at(column);
    if (!cell.value || !std::isfinite(*cell.value)) continue;
    if (best == nullptr || sign * *cell.value < sign * *best->value) best = &cell;
  }
  if (best != nullptr) best->best = true;
}

namespace {

std::string markdown(const std::string& text) {
  std::string out;
  for (const char c : escaped_lines(text)) {
    if (c == '\n') {
      out += ' ';
      continue;
    }
    if (c == '|' || c == '\\' || c == '`' || c == '*' || c == '_' || c == '<') out += '\\';
    out += c;
  }
  return out;
}

std::string markdown(const Cell& cell) {
  if (cell.text.empty()) return "–";
  std::string text = markdown(cell.text);
  if (cell.best) text = fmt::format("**{}**", text);
  if (!cell.interval.empty()) text += " " + cell.interval;
  return text;
}

}  // namespace

std::string to_markdown(const Table& table) {
  std::string text = "|", rule = "|";
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    bool numbers = false;
    for (const auto& row : table.rows) numbers = numbers || row.at(c).value.has_value();
    text += fmt::format(" {} |", markdown(table.columns[c].head));
    rule += numbers ? " ---: |" : " --- |";
  }
  text += "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    text += "|";
    for (const Cell& cell : row) text += fmt::format(" {} |", markdown(cell));
    text += "\n";
  }
  return text;
}

}  // namespace diffit::report
