#include "tools/diffit/option_names.h"

#include <algorithm>
#include <set>

namespace diffit::cli {

namespace {

std::set<std::string>& known_options() {
  static std::set<std::string> names;
  return names;
}

void add_options_of(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known_options().insert("--" + name);
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    add_options_of(*command);
}

/// The option for a field, or "" if there is none.
std::string option_of(std::string field) {
  std::replace(field.begin(), field.end(), '_', '-');
  const std::string option = "--" + field;
  return known_options().contains(option) ? option : "";
}

}  // namespace

void set_program(const CLI::App& app) {
  add_options_of(app);
}

std::string with_options(const std::string& text) {
  std::string out;
  std::size_t from = 0;
  while (true) {
    const std::size_t open = text.find('`', from);
    const std::size_t close = open == std::string::npos ? open : text.find('`', open + 1);
    if (close == std::string::npos) return out + text.substr(from);
    const std::string field = text.substr(open + 1, close - open - 1);
    const bool is_name = !field.empty() && field.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") ==
                                               std::string::npos;
    const std::string option = is_name ? option_of(field) : "";
    out += text.substr(from, open - from);
    out += option.empty() ? "`" + field : option;
    from = option.empty() ? close : close + 1;
  }
}

}  // namespace diffit::cli
