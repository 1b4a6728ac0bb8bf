// Names of temporary files: this program's own, and recognised as such (docs/formats.md).
#pragma once

#include "base/file.h"

namespace diffit::base {

/// ".diffit-" BOOT "-" RANDOM CHECK ".tmp", 32 bytes whatever the destination's name: BOOT tells this boot of
/// this machine (8 hexadecimal digits), RANDOM is 8 letters and digits, CHECK a checksum of both (4 digits).
std::string temporary_name();
/// Whether this program made the name.
bool is_temporary_name(std::string_view name);
/// Whether it was made since this machine started.
bool made_since_boot(std::string_view name);

/// The folder for files without a place of their own: TMPDIR, or /tmp. Error(failed) names it where it is
/// none.
fs::path scratch_folder();

/// Remembers a temporary file for remove_open_temporaries(); the number to forget it by, or -1.
int remember_temporary(const fs::path& path);
void forget_temporary(int number);

}  // namespace diffit::base
