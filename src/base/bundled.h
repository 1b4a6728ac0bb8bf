// What comes with the program: presets/ and models/.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"

namespace diffit::base {

/// The folder that holds presets/ and models/: that of set_home(), else DIFFIT_HOME, else the nearest above
/// the program or the shared library that holds this code, there or in its share/diffit.
fs::path home();
/// Sets it; an empty path restores the default. Not while other threads may call home().
void set_home(const fs::path& path);
/// Names of the presets, and of the bundled models.
std::vector<std::string> preset_names();
std::vector<std::string> bundled_models();
/// The names of the files of that extension in a folder, without it, sorted.
std::vector<std::string> stems(const fs::path& folder, const std::string& extension);
/// `given` as a path where there is one; else the file of that name in `folder`. Error(invalid) begins with
/// `what` and names the nearest.
fs::path find_file(const std::string& given, const char* what, const fs::path& folder,
                   const std::string& extension);
/// A path as it is, or the file of a bundled model or preset of that name. Error(invalid) names the nearest.
fs::path model_path(const std::string& model);
fs::path preset_path(const std::string& config);
/// The same of presets/experiments/.
std::vector<std::string> experiment_names();
fs::path experiment_path(const std::string& experiment);

}  // namespace diffit::base
