// The library names fields of a specification in backticks (`sigma_min`); people who type commands know them
// as options (--sigma-min).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "config/fields.h"

namespace diffit::cli {

/// The program whose options are known. It must outlive every call of the other functions.
void set_program(const CLI::App& app);

/// `text` with `sigma_min` replaced by --sigma-min, and `data` by the positional DATA of the command that
/// runs, wherever there is such an option.
std::string with_options(const std::string& text);

/// The same for results, in which only messages name fields: lines that begin with "warning: ", "note: ",
/// "skipped: ", "broken: " or "latents: ", the entries of arrays "warnings" and "notes", and the values of
/// "reason".
std::string with_options_in_warnings(const std::string& text);
Json with_options_in_warnings(Json object);

}  // namespace diffit::cli
