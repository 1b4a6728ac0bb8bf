// diffit serve and diffit study.
#pragma once

#include "tools/diffit/command.h"

namespace diffit::cli {

void add_serve_command(CLI::App& app, CommonOptions& common);
void add_study_command(CLI::App& app, CommonOptions& common);

}  // namespace diffit::cli
