// What `diffit info` tells of files that are no diffusion models.
#pragma once

#include "base/file.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

/// An autoencoder, a file or a folder of diffusers. Reads every weight; Error(invalid) where they do not fit.
void describe_autoencoder(const fs::path& path, const CommonOptions& common);

/// Statistics of a feature network (metrics/reference.h).
void describe_statistics(const fs::path& path, const CommonOptions& common);

}  // namespace diffit::cli
