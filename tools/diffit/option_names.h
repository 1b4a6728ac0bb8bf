// The library names fields of a specification in backticks (`sigma_min`); people who type commands know them
// as options (--sigma-min).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace diffit::cli {

/// The program whose options are known. It must outlive every call of with_options().
void set_program(const CLI::App& app);

/// `text` with `sigma_min` replaced by --sigma-min wherever some command has such an option.
std::string with_options(const std::string& text);

}  // namespace diffit::cli
