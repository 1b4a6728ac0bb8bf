// diffit serve.
#pragma once

#include "tools/diffit/command.h"

namespace diffit::cli {

void add_serve_command(CLI::App& app, CommonOptions& common);

}  // namespace diffit::cli
