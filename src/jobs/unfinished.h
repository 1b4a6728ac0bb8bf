// Sets of images that an interrupted run left half made.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"

namespace diffit::jobs {

/// Lies in a folder while diffit sample or diffit vae decode makes its images.
inline constexpr const char* kUnfinishedName = "unfinished.json";

/// The path of that file in the folder `path` or in one of its folders; "" if there is none.
std::string unfinished_in(const fs::path& path);

/// Error(invalid) where `path` is a folder that such a run left, or holds one as a class. `what` ("SAMPLES")
/// begins the message.
void refuse_unfinished(const fs::path& path, std::string_view what);

}  // namespace diffit::jobs
