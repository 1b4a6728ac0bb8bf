#include "tools/diffit/option_names.h"

#include <algorithm>

namespace diffit::cli {

namespace {

const CLI::App* program = nullptr;

/// The name that a field has on the command line of `command`: "--sigma-min", or a positional such as DATA.
std::string name_in(const CLI::App& command, const std::string& option) {
  for (const CLI::Option* known : command.get_options()) {
    const std::vector<std::string>& names = known->get_lnames();
    if (std::find(names.begin(), names.end(), option) != names.end()) return "--" + option;
  }
  for (const CLI::Option* known : command.get_options()) {
    const std::string name = known->get_name(/*positional=*/true);
    const bool same = CLI::detail::to_lower(name) == option || (name == "SRC" && option == "data");
    if (known->get_positional() && same) return name;
  }
  return "";
}

/// "--sigma-min" if any command has it.
std::string name_anywhere(const CLI::App& app, const std::string& option) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::string name = name_in(*command, option);
    if (!name.starts_with("--")) name = name_anywhere(*command, option);
    if (!name.empty()) return name;
  }
  return "";
}

/// What stands for a field in messages, or "" for a word that is no field.
std::string option_of(std::string field) {
  if (program == nullptr) return "";
  std::replace(field.begin(), field.end(), '_', '-');
  const CLI::App* command = program;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  const std::string name = name_in(*command, field);
  return name.empty() ? name_anywhere(*program, field) : name;
}

}  // namespace

void set_program(const CLI::App& app) {
  program = &app;
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

namespace {

/// How lines of a result begin that the library has worded.
constexpr const char* kMessages[] = {"warning: ", "note: ", "skipped: ", "broken: ", "latents: "};

}  // namespace

std::string with_options_in_warnings(const std::string& text) {
  std::string out;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size() - 1) + 1;
    const std::string line = text.substr(from, end - from);
    const std::string words = line.substr(std::min(line.find_first_not_of(' '), line.size()));
    const bool message = std::any_of(std::begin(kMessages), std::end(kMessages),
                                     [&](const char* start) { return words.starts_with(start); });
    out += message ? with_options(line) : line;
    from = end;
  }
  return out;
}

Json with_options_in_warnings(Json value) {
  for (auto& [key, member] : value.items()) {
    if (key == "reason" && member.is_string()) member = with_options(member.get<std::string>());
    if (member.is_structured()) member = with_options_in_warnings(std::move(member));
    if ((key != "warnings" && key != "notes") || !member.is_array()) continue;
    for (Json& message : member) {
      if (message.is_string()) message = with_options(message.get<std::string>());
    }
  }
  return value;
}

}  // namespace diffit::cli
