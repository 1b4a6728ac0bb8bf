// dir/ as the output of diffit sample: one PNG an image, and what tells whether an image there is of the
// request.
#pragma once

#include <functional>

#include "jobs/sample_output.h"

namespace diffit::jobs {

struct FolderRequest {
  const std::vector<std::uint64_t>& seeds;   // outlives the output
  Json now, earlier;                         // of unfinished.json; as an earlier version wrote it
  std::function<Json(std::size_t)> made_by;  // what image i says in its text chunk `diffit`
};

/// Error(invalid) where the folder holds an image that this request does not make, or an unfinished set of
/// another request. Error(failed) where it cannot be written, or another process is making images there.
std::unique_ptr<SampleOutput> open_sample_folder(const fs::path& folder, FolderRequest request,
                                                 Rounding rounding, bool restart);

}  // namespace diffit::jobs
