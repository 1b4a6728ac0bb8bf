// Whether an output can be written, asked before any work is done for it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/file.h"

namespace diffit::base {

/// Checks that a file can be created or replaced at `path`: the name is not empty, not too long and not a
/// folder's, the folder around it exists, and a new file can be made there, or the file that is there can be
/// written in place. Links are followed. Devices, pipes and descriptors must be writable, and there must be a
/// folder for temporary files. `option` ("-o") begins each message. `bytes`, where it is known, is the size
/// of what will be written. Error(invalid) for a path that cannot be meant; Error(failed) where the system
/// refuses. Nothing stays behind.
void check_output_file(const fs::path& path, std::string_view option, std::uint64_t bytes = 0);

/// The same for a folder that is to hold files: it is there and can be written to, or can be made. `bytes` is
/// the size of all files together.
void check_output_folder(const fs::path& path, std::string_view option, std::uint64_t bytes = 0);

/// Whether an AtomicFile was written to the file or pipe that standard output is: then no text may follow
/// there.
bool stdout_holds_output();

}  // namespace diffit::base
