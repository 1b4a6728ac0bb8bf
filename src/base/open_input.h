// How files from outside are opened.
#pragma once

#include "base/file.h"

namespace diffit::base {

/// A descriptor of a regular file, open for reading; its size through `size` where that is not null.
/// Error(invalid) for anything else, without waiting: a fifo that nobody writes, a device, a socket, a
/// folder, a file that may not be read. Error(failed) where the file is not at fault: no free descriptor, a
/// disk that fails.
int open_input(const fs::path& path, std::uint64_t* size = nullptr);

}  // namespace diffit::base
