// Names of outputs that hold images: x.png, x.npz, x.safetensors, or a folder.
#pragma once

#include "base/file.h"

namespace diffit::jobs {

/// Whether an output of this name is a folder: it ends with '/', has no extension, or exists as one.
bool is_folder_output(const fs::path& path);

/// Throws Error for a name of no known kind and for a path that cannot be written, before any work is done.
void check_image_output_path(const fs::path& path);

}  // namespace diffit::jobs
